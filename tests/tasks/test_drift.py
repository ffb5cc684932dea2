"""Images that are darker, brighter or inverted against the training images are noticed; those of the same kind are not."""

from collections.abc import Callable

import numpy as np
import pytest

from mnistae import load
from mnistae.core.records import MNIST_STATS, ImageStats
from mnistae.tasks import drift

NOTHING: list[str] = []


@pytest.fixture
def images(digits: dict[str, np.ndarray]) -> np.ndarray:
    return digits["train_images"][:300].reshape(-1, 784)


def differences(images: np.ndarray, expected: ImageStats = MNIST_STATS) -> list[str]:
    """Return the differences as one word each."""
    return [text.split()[0] for text in drift.differences(expected, drift.brightness(images))]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: x, NOTHING),
        (lambda x: x / np.float32(255), NOTHING),
        (lambda x: np.where(x > 127, np.uint8(255), np.uint8(0)), NOTHING),
        (lambda x: x // 2, NOTHING),
        (lambda x: x // 128, ["darker"]),
        (lambda x: x * 0, ["darker"]),
        (lambda x: 255 - x, ["brighter", "inverted?"]),
        (lambda x: np.maximum(x, 60), ["brighter", "lighter"]),
        (lambda x: np.minimum(x.astype(int) * 2 + 40, 255).astype(np.uint8), ["brighter"]),
    ],
)
def test_many_images(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray], found: list[str]) -> None:
    """The mean and the background of many images are near those of the training."""
    assert differences(change(images)) == found


def test_single_images(images: np.ndarray) -> None:
    """No digit is unlike MNIST on its own; a black, an inverted and a faint one is."""
    assert [differences(image[np.newaxis]) for image in images] == [NOTHING] * len(images)
    found = [differences(other[:1]) for other in (images * 0, 255 - images, images // 128)]
    assert found == [["darker"], ["brighter", "inverted?"], ["darker"]]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_background(images: np.ndarray, dtype: type[np.generic]) -> None:
    """The background is the median of the 108 pixels of the border."""
    pixels = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
    edge = np.ones((28, 28), bool)
    edge[1:-1, 1:-1] = False
    expected = np.median(pixels[:, edge.ravel()], axis=1) / 255
    full = 1 if dtype is np.uint8 else np.asarray(255, dtype)
    found = drift.brightness((pixels / full).astype(dtype))[1]
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("divisor", "inverted", "found"),
    [
        (1, [], []),
        (1, [4], ["image 4 is unlike the training images: brighter"]),
        (1, range(4), [*(f"image {k} is unlike" for k in range(3)), "also unlike the training images: 1 more image"]),
        (4, [], ["the images are unlike the training images of 'lab': darker"]),
    ],
)
def test_one_or_all(images: np.ndarray, divisor: int, inverted: list[int], found: list[str]) -> None:
    """Up to three unlike images are named, and all images together are compared if none of them is unlike on its own."""
    pixels = images[images.mean(axis=1) > 25][:50] // np.uint8(divisor)
    pixels[inverted] = 255 - pixels[inverted]
    names, metadata = [f"image {k}" for k in range(len(pixels))], load("lab").checkpoint.metadata
    said = drift.image_warnings(names, drift.brightness(pixels), metadata, "lab")
    assert len(said) == len(found)
    assert all(text.startswith(start) for text, start in zip(said, found, strict=True))


def test_images_of_the_training(images: np.ndarray) -> None:
    """Statistics are in proportion to full scale, and a network's own images are never unlike them."""
    for other in (images, 255 - images, images // 128):
        own, means = drift.measure(other), other.mean(axis=1) / 255
        assert (own.mean, own.darkest, own.brightest) == pytest.approx((means.mean(), means.min(), means.max()))
        assert all(differences(some, own) == NOTHING for some in (other, *other[:, np.newaxis]))
    assert drift.measure(255 - images).background == 1
    assert "darker" in differences(images, drift.measure(255 - images))


@pytest.mark.parametrize("count", [3, 6, 7])
def test_equal_images(count: int) -> None:
    for value in range(1, 256):
        found = drift.measure(np.full((count, 784), value, np.uint8))
        assert (found.darkest, found.background) == pytest.approx((found.mean, found.brightest_background))


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.3, 0, 0), (0.2, 0.1, 0.3, 0.2, 0.1), (0.2, 0.1, 1.3, 0, 0), (np.nan,) * 5])
def test_impossible_statistics(values: tuple[float, ...]) -> None:
    """Statistics that no images can have are refused."""
    with pytest.raises(ValueError, match="invalid image statistics"):
        ImageStats(*values)
