"""Images that are darker, brighter or inverted against the training images are noticed; those of the same kind are not."""

import numpy as np
import pytest

from mnistae.core.records import MNIST_STATS, ImageStats
from mnistae.data.sets import glyphs
from mnistae.tasks import drift

IMAGES = glyphs.draw(300, seed=0)[0].reshape(-1, 784)
NOTHING: list[str] = []


def differences(images: np.ndarray, expected: ImageStats = MNIST_STATS) -> list[str]:
    """Return the differences as one word each."""
    return [text.split()[0] for text in drift.differences(expected, drift.brightness(images))]


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (IMAGES, NOTHING),
        (IMAGES / np.float32(255), NOTHING),
        (np.where(IMAGES > 127, np.uint8(255), np.uint8(0)), NOTHING),
        (IMAGES // 2, NOTHING),
        (IMAGES // 128, ["darker"]),
        (IMAGES * 0, ["darker"]),
        (255 - IMAGES, ["brighter", "inverted?"]),
        (np.maximum(IMAGES, 60), ["brighter", "lighter"]),
        (np.minimum(IMAGES.astype(int) * 2 + 40, 255).astype(np.uint8), ["brighter"]),
    ],
)
def test_many_images(images: np.ndarray, found: list[str]) -> None:
    """The mean and the background of many images are near those of the training."""
    assert differences(images) == found


def test_single_images() -> None:
    """No digit is unlike MNIST on its own; a black, an inverted and a faint one is."""
    assert [differences(image[np.newaxis]) for image in IMAGES] == [NOTHING] * len(IMAGES)
    found = [differences(images[:1]) for images in (IMAGES * 0, 255 - IMAGES, IMAGES // 128)]
    assert found == [["darker"], ["brighter", "inverted?"], ["darker"]]


def test_images_of_the_training() -> None:
    """Statistics are in proportion to full scale, and a network's own images are never unlike them."""
    for images in (IMAGES, 255 - IMAGES, IMAGES // 128):
        own, means = drift.measure(images), images.mean(axis=1) / 255
        assert (own.mean, own.darkest, own.brightest) == pytest.approx((means.mean(), means.min(), means.max()))
        assert all(differences(some, own) == NOTHING for some in (images, *images[:, np.newaxis]))
    assert drift.measure(255 - IMAGES).background == 1
    assert "darker" in differences(IMAGES, drift.measure(255 - IMAGES))


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.3, 0, 0), (0.2, 0.1, 0.3, 0.2, 0.1), (0.2, 0.1, 1.3, 0, 0), (np.nan,) * 5])
def test_impossible_statistics(values: tuple[float, ...]) -> None:
    """Statistics that no images can have are refused."""
    with pytest.raises(ValueError, match="invalid image statistics"):
        ImageStats(*values)
