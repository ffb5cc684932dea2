"""Images as text."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mnistae.outputs.terminal.canvas import Canvas, padded
from mnistae.outputs.terminal.mosaic import RAMP, mosaic

PLAIN = Canvas(80, 20)
COLOUR = Canvas(80, 20, colours=2**24, has_blocks=True)
GREY = Canvas(80, 20, colours=256, has_blocks=True)

GREYS = {16: 0, 231: 255, **{232 + k: 8 + 10 * k for k in range(24)}}


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 784), np.float32)


def width_of(lines: list[str]) -> int:
    """Return the width of the widest line without its colours."""
    return max((len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines), default=0)


def pixels(lines: list[str]) -> np.ndarray:
    """Return the greys of lines of half-blocks, as a terminal shows them."""
    rows: list[list[int]] = []
    for line in lines:
        cells, colours = [], [0, 0]
        for escape, sign in re.findall(r"\x1b\[([0-9;]*)m|([^\x1b])", line):
            numbers = [int(number) for number in escape.split(";") if escape]
            if len(numbers) > 1:
                colours = [GREYS[numbers[2]], GREYS[numbers[5]]] if len(numbers) == 6 else [numbers[2], numbers[7]]
            elif sign:
                cells.append(colours if sign == "▀" else [colours[1]] * 2)
        rows += np.array(cells).T.tolist()
    return np.array(rows)


@pytest.mark.parametrize(("canvas", "levels"), [(COLOUR, 0.51), (GREY, 9)], ids=["true colour", "256 colours"])
def test_a_full_size_tile_has_every_pixel(canvas: Canvas, levels: float) -> None:
    """With colours a 28x28 image takes 28 columns and 14 lines, and each half of a cell is its pixel's nearest grey."""
    image = images(1)
    lines = mosaic(canvas, image)
    assert (len(lines), width_of(lines)) == (14, 28)
    assert all(line.endswith("\x1b[0m") for line in lines)
    assert np.abs(pixels(lines) - image.reshape(28, 28) * 255).max() <= levels


def test_a_smaller_tile_keeps_the_mean() -> None:
    """Smaller tiles average the pixels they cover, so the brightness stays the same."""
    image = images(1)
    half, middle = (pixels(mosaic(Canvas(*size, 2**24, has_blocks=True), image)) for size in ((16, 8), (22, 11)))
    np.testing.assert_allclose(half, image.reshape(14, 2, 14, 2).mean(axis=(1, 3)) * 255, atol=0.51)
    assert (middle.shape, middle.mean()) == ((20, 20), pytest.approx(image.mean() * 255, abs=0.5))


def test_without_colours_or_blocks_it_is_ascii() -> None:
    """Black is a space, white the last character of the ramp, and there are no escape sequences."""
    for canvas in (PLAIN, Canvas(80, 20, has_blocks=True), Canvas(80, 20, colours=2**24)):
        lines = mosaic(canvas, np.repeat(np.linspace(0, 1, 28, dtype=np.float32), 28)[None])
        assert all(line.isascii() and line.isprintable() for line in lines)
        assert (len(lines), lines[0], lines[-1]) == (14, "", RAMP[-1] * 28)


def test_rows_stay_together_below_their_captions() -> None:
    """Images of one row are side by side below its name and the titles; two rows share lines if they fit."""
    wide, tall = (mosaic(canvas, images(2), images(2), names=["1", "2"], titles=["out"]) for canvas in (PLAIN, Canvas(58, 30)))
    assert (len(wide), wide[0].split()) == (10, ["1", "out", "2", "out"])
    assert [tall[0].split(), tall[15].split()] == [["1", "out"], ["2", "out"]]


def test_what_does_not_fit_is_counted() -> None:
    """Of many images the first rows are shown, and the last line counts the others."""
    assert mosaic(PLAIN, images(100))[-1] == "... and 90 more"
    assert mosaic(COLOUR, images(100))[-1] == "… and 90 more"
    assert mosaic(PLAIN, images(4), total=60_000)[-1] == "... and 59,996 more"


def test_foreign_names_are_escaped_and_cut() -> None:
    """A caption cannot control the terminal and is not wider than its image; wide characters count as two."""
    (caption, *_) = mosaic(PLAIN, images(1), names=["\x1b[31m" + "x" * 100])
    assert caption == "\\x1b[31m" + "x" * 20
    assert (padded("画像画像", 5), padded("ab", 4)) == ("画像 ", "ab  ")


def test_nan_is_drawn_black() -> None:
    """The outputs of a diverged network may be NaN, which is not an error here."""
    for canvas in (PLAIN, COLOUR):
        nothing = np.full((1, 784), np.nan, np.float32)
        assert mosaic(canvas, nothing) == mosaic(canvas, np.zeros((1, 784), np.float32)) != mosaic(canvas, images(1))


@settings(max_examples=30)
@given(
    count=st.integers(1, 40),
    columns=st.integers(1, 3),
    width=st.integers(0, 200),
    height=st.integers(8, 60),
    is_named=st.booleans(),
    canvas=st.sampled_from([PLAIN, GREY, COLOUR]),
)
@example(count=40, columns=1, width=14, height=8, is_named=False, canvas=PLAIN)
def test_a_mosaic_fits_its_canvas(count: int, columns: int, width: int, height: int, is_named: bool, canvas: Canvas) -> None:
    """The lines fit the width, and the height except for the line that counts the others."""
    names, titles = (["name"] * count, ["title"] * (columns - 1)) if is_named else ([], [])
    room = Canvas(width, height, canvas.colours, canvas.has_blocks)
    lines = mosaic(room, *[np.ones((count, 784), np.float32)] * columns, names=names, titles=titles)
    assert width_of(lines) <= width
    assert len(lines) <= height + 1
