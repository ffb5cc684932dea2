"""The normaliser: it gives the same digit whatever the picture around it, centred and scaled as in MNIST."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.data.images.layout import bounds
from mnistae.data.images.normalise import INVERTED, NO_SHADES, SEVERAL, THICKENED, UNCHANGED, normalise
from tests.support.photos import light

DIGITS = {
    "one": [[(0.56, 0.1), (0.46, 0.9)]],
    "two": [[(0.3, 0.3), (0.4, 0.14), (0.58, 0.12), (0.68, 0.28), (0.6, 0.46), (0.28, 0.86), (0.74, 0.84)]],
    "five": [[(0.36, 0.2), (0.33, 0.46), (0.56, 0.43), (0.68, 0.6), (0.6, 0.78), (0.32, 0.8)], [(0.4, 0.12), (0.72, 0.1)]],
    "zero": [[(0.5, 0.1), (0.3, 0.3), (0.28, 0.7), (0.46, 0.9), (0.66, 0.74), (0.7, 0.3), (0.5, 0.1)]],
}


@cache
def strokes(name: str, side: int = 160, *, width: float = 0.09) -> Array:
    """Draw a digit as a round pen would, (side, side), 0 = background, 1 = ink; a five has two strokes."""
    drawing = Image.new("L", (4 * side, 4 * side))
    pen = ImageDraw.Draw(drawing)
    r = 2 * side * width
    for line in DIGITS[name]:
        points = [(4 * side * x, 4 * side * y) for x, y in line]
        pen.line(points, fill=255, width=round(2 * r))
        for x, y in points:
            pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return np.asarray(drawing.resize((side, side), Image.Resampling.BOX), np.float32) / np.float32(255)


def digit(picture: NDArray[np.floating]) -> Array:
    return normalise(np.clip(picture, 0, 1).astype(np.float32), name="x")[0]


@cache
def plain(name: str) -> Array:
    return digit(strokes(name))


def apart(a: Array, b: Array) -> float:
    """Mean absolute difference at the best of nine shifts: a centre of mass may be rounded to either side."""
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return min(float(np.abs(np.roll(a, shift, (0, 1)) - b).mean()) for shift in shifts)


def noise(ink: NDArray[np.floating], sigma: float) -> Array:
    return np.asarray(np.random.default_rng(5).normal(0, sigma, ink.shape), np.float32)


def on_paper(ink: Array, dark: float) -> Array:
    return np.asarray(0.85 * (1 - dark * ink), np.float32)


def dusty(ink: Array, side: int = 2) -> Array:
    """Return a page with 40 black specks."""
    page = on_paper(np.pad(ink, 100), 0.7)
    for y, x in np.random.default_rng(5).integers(0, len(page) - side, (40, 2)):
        page[y : y + side, x : x + side] = 0
    return page


def half_shaded(page: Array, strength: float, blur: float, slope: float = 0.0) -> Array:
    """Return a page whose left side is in shadow; the edge passes through the middle."""
    y, x = np.indices(page.shape)
    is_dark = x - page.shape[1] / 2 < slope * (y - page.shape[0] / 2)
    shaded = page * (1 - strength * ndimage.gaussian_filter(is_dark.astype(float), blur, mode="nearest"))
    return np.asarray(shaded + noise(page, 0.01), np.float32)


def beside_a_desk(ink: Array, level: float) -> Array:
    return np.pad(on_paper(np.pad(ink, ((80, 80), (50, 80))), 0.6), ((0, 0), (30, 0)), constant_values=level)


CHANGES: dict[str, Callable[[Array], NDArray[np.floating]]] = {
    "faint": lambda ink: 0.8 - 0.08 * ink,
    "off centre": lambda ink: np.pad(ink, ((150, 10), (20, 90))),
    "cut to the edge": lambda ink: 1 - ink[bounds(ink > 0.1)],
    "steep light": lambda ink: on_paper(ink, 0.6) * light(ink.shape, 0.9, -0.3) + noise(ink, 0.02),
    "dark corners": lambda ink: on_paper(ink, 0.6) * light(ink.shape, both=0.5) + noise(ink, 0.02),
    "chalk": lambda ink: 0.15 + 0.7 * ink * light(ink.shape, 0.3) + noise(ink, 0.05),
    "dust": dusty,
    "a shadow": lambda ink: on_paper(np.pad(ink, 60), 0.7) * np.where(np.arange(280) < 170, 1, 0.75),
    "a shadow's edge across it": lambda ink: half_shaded(on_paper(np.pad(ink, 60), 0.8), 0.5, 3),
    "a deep, oblique shadow's edge": lambda ink: half_shaded(on_paper(np.pad(ink, 60), 0.8), 0.75, 8, 0.6),
    "a sharp shadow's edge": lambda ink: half_shaded(on_paper(np.pad(ink, 60), 0.8), 0.3, 0, -0.3),
    "blur": lambda ink: ndimage.gaussian_filter(on_paper(np.pad(ink, 100), 0.7), 3),
    "a dark desk beside it": lambda ink: beside_a_desk(ink, 0.1),
    "a desk as dark as the ink": lambda ink: beside_a_desk(ink, 0.34),
    "a sheet on a desk": lambda ink: np.pad(on_paper(np.pad(ink, 40), 0.7), 60, constant_values=0.1),
    "an eighth of the page": lambda ink: 1 - np.pad(ink.reshape(40, 4, 40, 4).mean(axis=(1, 3)), 140),
}


@pytest.mark.parametrize("name", ["one", "five"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_same_digit_comes_out_laid_out_as_in_mnist(name: str, change: str) -> None:
    """Light, polarity, place, noise and dirt change next to nothing: 20 high, ink up to 1, its mass in the middle."""
    image = digit(CHANGES[change](strokes(name)))
    assert apart(image, plain(name)) < 0.02
    assert max(image[bounds(image > 0)].shape) == 20
    assert (image.min(), image.max()) == (0, 1)
    assert abs(np.arange(28) @ image.sum(axis=1) / image.sum() - 14) <= 0.5
    assert abs(np.arange(28) @ image.sum(axis=0) / image.sum() - 14) <= 0.5


def test_other_digits_are_further_apart() -> None:
    """The bound of the test above would not let one digit pass for another."""
    images = [plain(name) for name in DIGITS]
    assert min(apart(a, b) for i, a in enumerate(images) for b in images[:i]) > 0.06


def dashed() -> Array:
    """Draw a hairline whose pixels are half and fully dark by turns, as sampling leaves it."""
    drawing = Image.new("L", (800, 800), 230)
    ImageDraw.Draw(drawing).line([(400, 100), (380, 700)], fill=60, width=2)
    picture = np.asarray(drawing, np.float32).reshape(400, 2, 400, 2).mean(axis=(1, 3)) / 255
    return np.asarray(picture + noise(picture, 0.01))


@pytest.mark.parametrize(
    ("picture", "is_thickened"),
    [(1 - strokes("two", 300, width=0.005), True), (1 - strokes("two", 300, width=0.15), False), (dashed(), True)],
)
def test_hairlines_and_broad_pens_leave_a_whole_digit(picture: Array, is_thickened: bool) -> None:
    """However broad the pen, the digit is 20 high and unbroken: something in each of its rows. Fine strokes are widened."""
    image, notes = normalise(picture, name="x")
    box = image[bounds(image > 0)]
    assert box.shape[0] == 20
    assert box.max(axis=1).min() > 0.25
    assert (THICKENED in notes) is is_thickened


def test_a_digit_that_fills_most_of_the_picture_is_still_the_ink() -> None:
    """A cut-out whose ink covers half of it is read by its corners, as ink on a background."""
    bold = strokes("zero", width=0.24)
    cut = bold[bounds(bold > 0.1)]
    assert (cut > 0.5).mean() > 0.5
    assert apart(digit(1 - cut), digit(bold)) < 0.02


def test_a_bar_is_a_one() -> None:
    """A solid upright stroke fills its box. It is too narrow for a sheet of paper, so its uneven edge is never the digit."""
    image, notes = normalise(np.pad(np.zeros((60, 9), np.float32), ((20, 20), (45, 46)), constant_values=1), name="x")
    assert notes == (INVERTED, "cropped, scaled to 3x20, centred")
    assert image[4:24, 13:16].min() == 1
    assert image.sum() == 60
    picture = np.pad(np.full((180, 26), 0.2), ((20, 24), (100, 98)), constant_values=1)
    page = ndimage.gaussian_filter(ndimage.rotate(picture, 1.7, reshape=False, mode="nearest"), 2)
    _, notes = normalise(np.clip(page + noise(page, 0.02), 0, 1), name="x")
    assert notes == (INVERTED, "cropped, scaled to 4x20, centred")


SHADING = 0.5 * light((200, 300), 0.5, 0.3, 0.2)
BLANK = {
    "black": np.zeros((28, 28), np.float32),
    "white": np.ones((100, 70), np.float32),
    "line": np.full((1, 90), 0.5, np.float32),
    "noisy ramp": SHADING + noise(SHADING, 0.03),
    "small": 0.7 + noise(np.zeros((28, 28)), 0.05),
    "coarse": 0.7 + noise(np.zeros((300, 300)), 0.1),
    "dust": dusty(np.zeros((200, 200), np.float32)),
    "crumbs": dusty(np.zeros((0, 0), np.float32), 5),
    "half in shadow": half_shaded(np.full((200, 300), 0.8, np.float32), 0.5, 3),
    "a dot": np.pad(np.zeros((3, 3)), 98, constant_values=1),
}


@pytest.mark.parametrize("name", BLANK)
def test_a_picture_without_ink_is_refused(name: str) -> None:
    """Blank paper, however lit, rough or dusty, is a DataError that names the picture."""
    with pytest.raises(DataError, match=r"no digit found in 'page\.png'"):
        normalise(np.clip(BLANK[name], 0, 1), name="page.png")


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize(("sigma", "k"), [(0.0, 1), (0.6, 4)])
def test_an_image_in_mnists_layout_is_unchanged(name: str, sigma: float, k: int) -> None:
    """Not a value changes, with noise too, and if each pixel was repeated; dark on light it is inverted and no more."""
    expected = np.clip(plain(name) + noise(plain(name), sigma), 0, 1)
    image, notes = normalise(expected.repeat(k, axis=0).repeat(k, axis=1), name="x")
    assert np.array_equal(image, expected)
    assert notes == (UNCHANGED,)
    image, notes = normalise(1 - expected, name="x")
    assert np.abs(image - expected).max() < 1e-6
    assert notes == (INVERTED,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda five: np.roll(five, 3, axis=0), "the centre of mass is 3"),
        (lambda five: np.kron(five, np.ones((2, 2)))[14:42, 14:42], "the digit is 28 pixels"),
        (lambda five: np.pad(five.reshape(14, 2, 14, 2).mean(axis=(1, 3)), 7), "the digit is 11 pixels"),
        (lambda five: 0.2 + 0.8 * five, "the background is not black"),
        (lambda five: 0.5 * five, "the contrast is low"),
    ],
)
def test_what_differs_from_mnists_layout_is_named(change: Callable[[Array], Array], reason: str) -> None:
    """A 28x28 picture that is not laid out as in MNIST is normalised, and the note says why and how to keep it."""
    image, notes = normalise(change(plain("five")).astype(np.float32), name="x")
    assert notes[0].startswith(f"28x28, but {reason}")
    assert "--raw" in notes[0]
    assert max(image[bounds(image > 0)].shape) == 20


def test_two_values_are_named() -> None:
    """An image of black and white pixels in MNIST's layout keeps them, as 24 of MNIST do, and the note says what is missing."""
    picture = np.rint(plain("one"))
    image, notes = normalise(picture, name="x")
    assert np.array_equal(image, picture)
    assert notes == (UNCHANGED, NO_SHADES)
    assert normalise(picture, name="x", is_bilevel=True)[1][0].startswith(f"28x28, but {NO_SHADES}")


LEVELS = st.floats(0, 1, width=32)
BLOCKS = st.builds(
    lambda levels, side: np.kron(levels, np.ones((side, side), np.float32)),
    npst.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=LEVELS, fill=st.nothing()),
    st.integers(1, 6),
)
"""Pictures of some large squares, most of which have ink."""


@settings(max_examples=120)
@given(npst.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=LEVELS) | BLOCKS)
def test_any_picture_gives_an_image_or_is_refused(picture: Array) -> None:
    """No picture, however small or odd, gives anything but a 28x28 image in [0, 1] or a DataError."""
    try:
        image, notes = normalise(picture, name="x")
    except DataError:
        return
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    assert 0 <= image.min() <= image.max() <= 1
    assert notes


def test_two_digits() -> None:
    """Two digits close together are read as one, which is reported; strokes one above the other and specks are not digits."""
    one, speck = strokes("one"), np.pad(np.ones((20, 20), np.float32), ((70, 70), (0, 20)))
    pictures = np.hstack([one, one[:, 60:]]), np.vstack([one, one]), np.hstack([one, speck])
    assert [SEVERAL in normalise(picture, name="x")[1] for picture in pictures] == [True, False, False]


@pytest.mark.parametrize(
    ("picture", "width"),
    [
        (1 - np.hstack([strokes("two"), strokes("zero"), strokes("five")]), "2.5"),
        (np.hstack([strokes("five"), np.zeros((160, 300), np.float32), strokes("one")]), "2.9"),
        (strokes("one").T, "4.0"),
    ],
)
def test_a_picture_too_wide_for_one_digit_is_refused(picture: Array, width: str) -> None:
    """Digits far apart, or a stroke that lies flat, are a DataError that names the picture and the proportions."""
    with pytest.raises(DataError, match=rf"not one digit: 'x\.png', what it shows is {width} times as wide as high"):
        normalise(picture, name="x.png")
