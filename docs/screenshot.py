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
        tab.locator("#map-points").click(position={"x": 452, "y": 216})
        tab.evaluate("scrollTo(0, 0)")
        map_box, units_box = (f"document.getElementById('{name}').getBoundingClientRect()" for name in ("map", "units"))
        top, bottom = tab.evaluate(f"[{map_box}.top, {units_box}.bottom]")
        tab.screenshot(path=picture, clip={"x": 0, "y": top, "width": 800, "height": bottom - top}, full_page=True)
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
