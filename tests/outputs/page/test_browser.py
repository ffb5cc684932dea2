"""The page in a browser, without a network: what it computes is what Python computes."""

import dataclasses
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL, to_float
from mnistae.core.config import ModelConfig
from mnistae.core.records import Metadata, UnitRange
from mnistae.data.images import normalise
from mnistae.data.sets.dataset import no_progress
from mnistae.metrics import quality
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.outputs.page import content, drawings, page
from mnistae.outputs.page.content import EVERY, Content
from mnistae.store import builtin, runs
from mnistae.tasks import inference
from mnistae.tasks.evaluation import NOISE_LEVELS
from tests.support.browser import CHROMIUM, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install --group page")
AXE = Path(__file__).resolve().parents[3] / "build" / "node" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")]


def write(folder: Path, report: Content) -> Path:
    path = folder / "report.html"
    path.write_bytes(page.render(report, [("source", "train")]))
    return path


@pytest.fixture(scope="module")
def opened(report: Content, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    compress = zlib.compress
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as driver:
        patch.setattr(zlib, "compress", lambda data, _level: compress(data, 1))  # the best compression takes half a second
        try:  # containers may forbid the browser's sandbox and give it little shared memory
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        except playwright.Error as error:
            pytest.skip(f"chromium does not start: {error.message.splitlines()[0]}")
        context = browser.new_context(offline=True, viewport={"width": 1000, "height": 900})
        yield Page(context.new_page(), write(tmp_path_factory.mktemp("page"), report))
        browser.close()


@pytest.fixture(scope="module")
def network(report: Content) -> NumpyNetwork:
    return NumpyNetwork.from_weights(report.checkpoint.weights)


@pytest.fixture(scope="module")
def denoiser() -> NumpyNetwork:
    return NumpyNetwork.from_weights(runs.load(str(builtin.FOLDER / builtin.DENOISE / runs.MODEL)).weights)


def test_page_works_without_a_network(opened: Page) -> None:
    """Opening the page makes no request, and the browser reports no fault; nothing is wider than a narrow screen."""
    assert opened.faults == []
    opened.tab.set_viewport_size({"width": 400, "height": 900})
    assert opened.tab.evaluate("document.documentElement.scrollWidth") == 400
    opened.tab.set_viewport_size({"width": 1000, "height": 900})


def test_sliders_decode(opened: Page, report: Content, network: NumpyNetwork) -> None:
    """The image is the decoded code of the start image, with the slider's value in its unit."""
    opened.set("units-start", 42)
    original = to_float(report.starts.images[42:43])
    code = network.encode(original)
    opened.shows("units-original", original)
    opened.shows("units-decoded", network.decode(code))
    code[0, 3] = 61.5
    opened.set("unit-3", 61.5)
    opened.shows("units-decoded", network.decode(code))
    error = quality.mse(network.decode(code), original).item()
    compared = f", changed. Compared with {report.starts.names[42]}: MSE {error:.4f}, PSNR"
    assert compared in opened.tab.text_content("#units-status")
    assert opened.tab.get_attribute("#units-status", "aria-live") == "off"  # the slider announces its own value
    assert "61.5" in opened.tab.locator(".unit output").all_text_contents()
    opened.tab.click("#units-reset")
    assert opened.tab.get_attribute("#units-status", "aria-live") == "polite"


def test_position_between_two_images(opened: Page, report: Content, network: NumpyNetwork) -> None:
    """The frames are those of `interpolate`."""
    opened.set("between-from", 7)
    opened.set("between-to", 81)
    for path in ("lerp", "slerp"):
        frames = inference.interpolate(network, to_float(report.starts.images[[7, 81]]), steps=5, slerp=path == "slerp")[0]
        opened.tab.check(f"#between-{path}")
        for k, frame in enumerate(frames):
            opened.set("between-t", 25 * k)
            opened.shows("between-frame", frame)


def test_noise_is_that_of_the_command(opened: Page, report: Content, network: NumpyNetwork, denoiser: NumpyNetwork) -> None:
    """For each kind of noise and two levels, the noisy and both denoised images are those of `denoise`."""
    for (number, (kind, levels)), step in itertools.product(enumerate(NOISE_LEVELS.items()), (1, 4)):
        start = EVERY * (3 + number)
        for control, value in {"start": start, "kind": number, "level": step}.items():
            opened.set(f"noise-{control}", value)
        image, level = to_float(report.starts.images[start : start + 1]), levels[step]
        found, other = (inference.denoise(net, image, kind=kind, level=level, seed=0) for net in (network, denoiser))
        for canvas, expected in {"noisy": found.noisy, "own": found.outputs, "denoise": other.outputs}.items():
            opened.shows(f"noise-{canvas}", expected)


@pytest.mark.parametrize(
    "strokes",
    [[[(90, 40), (70, 140), (200, 140)], [(180, 30), (175, 250)]], [[(140, 10), (150, 290)]]],
    ids=["two strokes", "line"],
)
def test_strokes_are_prepared_like_a_photo(
    opened: Page, report: Content, network: NumpyNetwork, strokes: list[list[tuple[float, float]]]
) -> None:
    """A drawing is prepared as a photo of the same pixels, and reconstructed; the nearest training images are those by code."""
    opened.tab.click("#draw-clear")
    box = opened.box("#draw-field")
    for stroke in strokes:
        (x, y), *others = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280) for x, y in stroke]
        opened.tab.mouse.move(x, y)
        opened.tab.mouse.down()
        for place in others:
            opened.tab.mouse.move(*place, steps=2)
        opened.tab.mouse.up()
    drawing = (opened.pixels("draw-field") / 255).astype(np.float32)
    prepared, _ = normalise.normalise(drawing, name="drawing")
    opened.shows("draw-prepared", prepared, 2)
    code = network.encode((opened.pixels("draw-prepared") / 255).astype(np.float32).reshape(1, -1))
    opened.shows("draw-decoded", network.decode(code), 2)
    nearest = np.square(report.neighbours.codes - code).sum(axis=1).argmin()
    first = opened.tab.evaluate("document.querySelector('#draw-near canvas').getAttribute('aria-label')")
    assert first.split(",")[0] == f"train:{report.neighbours.indices[nearest]}"


def test_keys_draw(opened: Page) -> None:
    """Space starts and ends a line, and the arrow keys move its end; the mark that shows it is not part of the drawing."""
    opened.tab.click("#draw-clear")
    opened.tab.focus("#draw-field")
    for key in [*["ArrowUp"] * 2, " ", *["ArrowDown"] * 5, " ", *["ArrowLeft"] * 3, "Tab"]:
        opened.tab.keyboard.down(key)
        if key == " ":
            opened.tab.keyboard.down(key)  # held, it repeats
        opened.tab.keyboard.up(key)
    rows, columns = np.nonzero(opened.pixels("draw-field"))
    assert [rows.min(), rows.max(), columns.min(), columns.max()] == pytest.approx([104, 185, 124, 155], abs=1)
    opened.tab.keyboard.press("Enter")
    assert opened.tab.text_content("#draw-status") == "Nothing is drawn yet."


def test_second_finger_draws_nothing(opened: Page) -> None:
    """Of two fingers in the field, the first one draws."""
    opened.tab.click("#draw-clear")
    box = opened.box("#draw-field")
    touch = opened.tab.context.new_cdp_session(opened.tab)
    for kind, height in [("touchStart", 60), ("touchMove", 120), ("touchMove", 200)]:
        fingers = [{"id": k, "x": box["x"] + x, "y": box["y"] + height} for k, x in enumerate((80, 220))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()
    rows, columns = np.nonzero(opened.pixels("draw-field"))
    assert columns.max() < 110
    assert rows.max() - rows.min() > 100


def test_dot_is_too_small(opened: Page) -> None:
    """A drawing that a photo would be enlarged from is not prepared. Another button of the mouse draws nothing."""
    opened.tab.click("#draw-clear")
    opened.tab.click("#draw-field", button="right")
    assert opened.tab.text_content("#draw-status") == "Nothing is drawn yet."
    opened.tab.click("#draw-field")
    assert opened.tab.text_content("#draw-status") == "The drawing is too small."
    assert opened.pixels("draw-decoded").max() == 0


def test_map_decodes_the_place(opened: Page, report: Content, network: NumpyNetwork) -> None:
    """The pointer and the keys find the nearest digit; a click copies the code of the place to the sliders."""
    box = opened.box("#map-points")
    centres = opened.tab.evaluate("document.querySelectorAll('#map-points .centre').length")
    assert centres == len(set(report.map.labels.tolist()))
    places = drawings.places(report.map)
    target = int(np.abs(places - 500).sum(axis=1).argmin())
    x, y = places[target] * box["width"] / 1000 + (box["x"], box["y"])
    opened.tab.mouse.move(x, y)
    assert f"test:{report.map.indices[target]}," in opened.tab.text_content("#map-status")
    opened.tab.mouse.click(x, y)
    opened.shows("map-decoded", network.decode(report.map.codes[[target]]), 8)  # a pointer has whole pixels
    np.testing.assert_array_equal(opened.pixels("map-decoded"), opened.pixels("units-decoded"))
    compared = f"The code of a place in the map. Compared with the nearest image, test:{report.map.indices[target]}: MSE"
    assert compared in opened.tab.text_content("#units-status")
    before = opened.pixels("map-decoded")
    opened.tab.focus("#map-points")
    for key in [*["ArrowRight"] * 9, "Enter"]:
        opened.tab.keyboard.press(key)
    assert np.abs(opened.pixels("map-decoded") - before).max() > 8


def test_play_moves_the_slider_until_it_is_paused(opened: Page) -> None:
    """The button plays the interpolation and pauses it."""
    before = opened.tab.input_value("#between-t")
    opened.tab.click("#between-play")
    while opened.tab.input_value("#between-t") == before:
        opened.tab.wait_for_timeout(10)
    opened.tab.click("#between-play")
    assert opened.tab.text_content("#between-play") == "Play"
    paused = opened.tab.input_value("#between-t")
    opened.tab.wait_for_timeout(100)
    assert opened.tab.input_value("#between-t") == paused


def test_map_of_two_units_has_their_codes(opened: Page, report: Content, denoiser: NumpyNetwork, tmp_path: Path) -> None:
    """A place in the map is the code: from the lowest to the highest of each unit, and not below 0 in the margin."""
    model, rng = ModelConfig(bottleneck=2), np.random.default_rng(0)
    weights = {name: 0.2 * rng.normal(size=shape).astype(np.float32) for name, shape in model.shapes().items()}
    checkpoint = dataclasses.replace(report.checkpoint, weights=weights, metadata=Metadata(model))
    pair = NumpyNetwork.from_weights(weights)
    found = content.collect((checkpoint, pair), denoiser, report.dataset, report.images, no_progress)
    two = Page(opened.tab.context.new_page(), write(tmp_path, found))
    box = two.box("#map-points")
    low, high = found.map.positions.min(axis=0), found.map.positions.max(axis=0)
    assert (high > low).all()
    for place in ((0.25, 0.5), (0.01, 0.99)):
        x, y = (round(box[start] + share * box["width"]) for start, share in zip("xy", place, strict=True))
        two.tab.mouse.click(x, y)
        shares = np.array([x - box["x"], box["y"] + box["height"] - y]) / box["width"]
        code = low + (high - low) * (shares * 1000 - drawings.MARGIN) / (1000 - 2 * drawings.MARGIN)
        two.shows("map-decoded", pair.decode(np.maximum(code, 0)[None].astype(np.float32)))
    assert two.faults == []
    two.tab.close()


@pytest.mark.parametrize("name", [f"\u05d0 {'long name ' * 20}end", "W" * 9], ids=["long", "W"])
def test_long_and_missing_names(opened: Page, report: Content, tmp_path: Path, name: str) -> None:
    """Class names do not make the page wider, leave the map or overlap. An image without a label is named by its reference."""
    dataset: Any = type("Named", (), {"name": "x", "digest": "0", "classes": (name,) * 10})()
    labels = np.where(np.arange(len(report.starts.labels)) % 2, report.starts.labels, NO_LABEL).astype(np.uint8)
    starts = dataclasses.replace(report.starts, labels=labels)
    row = report.map.positions.copy()
    row[1:, 1] *= 1e-3  # the images of all classes side by side
    changed: Any = {"starts": starts, "ranges": [UnitRange(0, 5000)] * 8, "map": dataclasses.replace(report.map, positions=row)}
    two = Page(opened.tab.context.new_page(), write(tmp_path, dataclasses.replace(report, dataset=dataset, **changed)))
    tab = two.tab
    tab.set_viewport_size({"width": 320, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") == 320
    first, second = starts.names[:2]
    assert tab.locator("#units-start option").all_text_contents()[:2] == [first, f"\u2068{name}\u2069 ({second})"]
    boxes = tab.evaluate("[...document.querySelectorAll('#map-points text')].map(text => text.getBoundingClientRect())")
    frame = two.box("#map-points")
    assert boxes
    for box in boxes:
        assert frame["x"] <= box["left"] < box["right"] <= frame["x"] + frame["width"]
    groups = tab.evaluate("[...document.querySelectorAll('#map-points g')].map(group => group.getBoundingClientRect())")
    for a, b in itertools.combinations(groups, 2):
        gaps = [max(a[low], b[low]) - min(a[high], b[high]) for low, high in [("left", "right"), ("top", "bottom")]]
        assert max(gaps) > -0.5, (a, b)
    two.set("unit-3", 3947.27)
    assert "3947.3" in tab.locator(".unit output").all_text_contents()
    tab.close()


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: make check-script")
def test_page_is_accessible(opened: Page) -> None:
    """axe-core finds no violation, light or dark: names, contrast, order of headings and use by keyboard."""
    tab = opened.tab.context.browser.new_context(bypass_csp=True).new_page()
    tab.goto(opened.tab.url)
    tab.wait_for_selector("html[data-ready]")
    tab.evaluate(AXE.read_text("utf-8"))
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        found = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        assert [violation["id"] for violation in found["violations"]] == [], scheme
    tab.evaluate("document.getElementById('draw-undo').textContent = ''")
    assert tab.evaluate("axe.run('#draw')")["violations"][0]["id"] == "button-name"
    tab.close()


def test_print_has_the_report_and_no_controls(opened: Page) -> None:
    """Printed on A4, the page has the tables and figures, without the controls."""
    opened.tab.emulate_media(media="print")
    for element, is_shown in {"#model": True, "#map-points": True, "#units": False, "#draw": False, "nav": False}.items():
        assert opened.tab.is_visible(element) == is_shown, element
    assert opened.tab.pdf(format="A4").startswith(b"%PDF")
    opened.tab.emulate_media(media="screen")
    assert opened.faults == []
