"""The report's page in a browser: its controls and its canvases."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mnistae.core.arrays import Array

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PIXELS = """id => {
  const canvas = document.getElementById(id);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: canvas.width * canvas.height }, (_, i) => data[4 * i]);
}"""

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
        return np.array(self.tab.evaluate(PIXELS, canvas))

    def set(self, control: str, value: object) -> None:
        self.tab.evaluate(SET, [control, value])

    def shows(self, canvas: str, image: Array, levels: float = 1) -> None:
        """Check that a canvas equals an image (784,) in [0, 1] to so many levels of 255."""
        assert np.abs(self.pixels(canvas) - image.ravel() * 255).max() <= levels
