"""Pictures of 28x28 pixels: those in MNIST's layout are used as they are, of others it is said how they differ."""

from collections.abc import Callable

import numpy as np
import pytest

from mnistae.core.arrays import Array
from mnistae.data.images.layout import bounds
from mnistae.data.images.normalise import INVERTED, NO_SHADES, UNCHANGED, normalise
from tests.data.images.test_normalise import DIGITS, noise, plain


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize(("sigma", "k"), [(0.0, 1), (0.2, 1), (0.6, 4)])
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
