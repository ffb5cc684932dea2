"""The report's page in a browser: its controls and its canvases."""

import base64
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mnistae.core.arrays import Array

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SET = """([id, value]) => {
  const control = document.getElementById(id);
  control.value = value;
  for (const type of ["input", "change"]) control.dispatchEvent(new Event(type, { bubbles: true }));
}"""


class Page:
    """The page in the browser, and what the browser reported."""

    def __init__(self, tab: Any, path: Path) -> None:
        self.tab, self.faults = tab, list[str]()
        tab.on("console", lambda message: self.note(message.text, "Canvas2D: Multiple readback"))  # advice on what the tests do
        tab.on("pageerror", lambda error: self.note(str(error)))
        tab.on("dialog", lambda dialog: self.note(dialog.message))
        tab.on("request", lambda request: self.note(request.url, "file:", "data:"))
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]")

    def note(self, text: str, *expected: str) -> None:
        if not text.startswith(expected):
            self.faults.append(text)

    def pixels(self, canvas: str) -> np.ndarray:
        """Return the greys of a canvas (height, width)."""
        url = self.tab.evaluate("id => document.getElementById(id).toDataURL()", canvas)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))[..., 0].astype(int)

    def box(self, element: str) -> dict[str, float]:
        """Scroll to an element, and return its place and size."""
        self.tab.locator(element).scroll_into_view_if_needed()
        box: dict[str, float] = self.tab.locator(element).bounding_box()
        return box

    def set(self, control: str, value: object) -> None:
        self.tab.evaluate(SET, [control, value])

    def shows(self, canvas: str, image: Array, levels: float = 1) -> None:
        """Check that a canvas equals an image (784,) in [0, 1] to so many levels of 255."""
        assert np.abs(self.pixels(canvas).ravel() - image.ravel() * 255).max() <= levels
