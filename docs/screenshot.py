"""Take the picture of a report for README.md and docs/guide.md: the map, and the sliders of the units."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def main(page: Path, picture: Path) -> None:
    """Open the page, click into the map, and save the two sections as PNG."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 800, "height": 1600}, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]")
        tab.locator("#map-points").click(position={"x": 300, "y": 330})
        tab.evaluate("scrollTo(0, 0)")
        top, bottom = (tab.locator(section).bounding_box() for section in ("#map", "#units"))
        assert top
        assert bottom
        clip = {"x": 0, "y": top["y"], "width": 800, "height": bottom["y"] + bottom["height"] - top["y"]}
        tab.screenshot(path=picture, clip=clip, full_page=True)  # type: ignore[arg-type]
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
