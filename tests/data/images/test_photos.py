"""Photos and drawings of a digit are as good for the network as the digit itself, whatever the camera, pen, paper and size."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mnistae.core.arrays import to_float
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Split
from mnistae.model import backend
from mnistae.store import runs
from tests.conftest import REAL_MNIST
from tests.support.images import read, saved
from tests.support.photos import PHOTOS

Array = np.ndarray

DRAWINGS = [
    ("0", "DejaVuSans.ttf", 0.9, 0.5, 0.5),
    ("2", "DejaVuSans.ttf", 0.6, 0.4, 0.6),
    ("3", "DejaVuSerif.ttf", 0.7, 0.6, 0.45),
    ("4", "DejaVuSans-Oblique.ttf", 0.8, 0.5, 0.55),
    ("5", "DejaVuSans-Bold.ttf", 0.65, 0.35, 0.4),
    ("6", "cmr10.ttf", 0.9, 0.5, 0.5),
    ("7", "STIXGeneral.ttf", 0.75, 0.6, 0.5),
    ("8", "DejaVuSans.ttf", 0.7, 0.5, 0.5),
]
"""Digits, fonts, heights as a share of the picture's, and centres."""

WORST = 1.5
"""The error of a photo over that of its digit."""


def read_all(files: list[bytes]) -> Array:
    """Return the images of picture files, prepared by the product: (n, 784)."""
    return np.concatenate([read(data)[0] for data in files]).reshape(len(files), 784)


def errors(images: Array, originals: Array | None = None) -> Array:
    """Return the MSE (n,) between originals (n, 784), by default the images, and the built-in network's reconstructions."""
    network = backend.load_network(runs.load("lab").weights, None)
    return np.asarray(((network.reconstruct(images) - (images if originals is None else originals)) ** 2).mean(axis=1))


@pytest.mark.parametrize("source", ["real_mnist" if REAL_MNIST.is_dir() else "digits"])
@pytest.mark.parametrize("kind", PHOTOS)
def test_a_photo_of_a_digit(request: pytest.FixtureRequest, kind: str, source: str) -> None:
    """On average a photo is as good as its digit, and its reconstruction is the digit; each photo is, if it is of MNIST."""
    data = request.getfixturevalue(source)
    if source == "digits":
        images, labels = data["test_images"], data["test_labels"]
    else:
        mnist = resolve.open_dataset("mnist")
        images, labels = mnist.images(Split.TEST), mnist.labels(Split.TEST)
    digits = np.stack([images[np.argmax(labels == digit)].reshape(28, 28) for digit in range(10)])
    clean = to_float(digits.reshape(-1, 784))
    photos = read_all([PHOTOS[kind](digit) for digit in digits])
    expected, found = errors(clean), errors(photos)
    assert found.mean() <= WORST * expected.mean()
    assert ((photos[:, None] - clean) ** 2).sum(axis=2).argmin(axis=1).tolist() == list(range(10))
    if source == "real_mnist":
        assert (found <= WORST * expected).all()
        assert errors(photos, clean).mean() <= WORST * expected.mean()


def grey(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BOX)


@cache
def drawings() -> tuple[list[Image.Image], Array]:
    """Return the DRAWINGS, white on black, 1120 pixels wide and high, and their errors at 280x280."""
    pictures = []
    for digit, font, height, x, y in DRAWINGS:
        pen = ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", font), round(1120 * height / 0.72))
        picture = Image.new("L", (1120, 1120))
        ImageDraw.Draw(picture).text((1120 * x, 1120 * y), digit, fill=255, font=pen, anchor="mm")
        pictures.append(picture)
    return pictures, errors(read_all([saved(grey(picture, 280)) for picture in pictures]))


SIZES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "28x28": lambda picture: grey(picture, 28),
    "28x28, dark on light": lambda picture: ImageOps.invert(grey(picture, 28)),
    "28x28, RGB on grey": lambda picture: ImageOps.colorize(grey(picture, 28), (90, 90, 90), (255, 255, 255)),
    "28x28, low contrast": lambda picture: grey(picture, 28).point(lambda value: value // 2),
    "32x32": lambda picture: grey(picture, 32),
    "56x56, 1 bit": lambda picture: grey(picture, 56).convert("1", dither=Image.Dither.NONE),
    "280x280, dark on light": lambda picture: ImageOps.invert(grey(picture, 280)),
    "300x200": lambda picture: ImageOps.pad(grey(picture, 200), (300, 200)),
}


@pytest.mark.parametrize("size", SIZES)
def test_the_same_drawing_in_any_size(size: str) -> None:
    """With the built-in weights the error is that of the drawing at 280x280 to within a factor of 1.3, in either polarity."""
    pictures, reference = drawings()
    ratios = errors(read_all([saved(SIZES[size](picture)) for picture in pictures])) / reference
    assert ratios.max() < 1.3
    assert ratios.min() > 1 / 1.3
