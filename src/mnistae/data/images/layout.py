"""Whether a 28x28 picture of one digit has MNIST's layout already; the limits were measured on all 70,000 images of MNIST."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array

Mask = NDArray[np.bool_]

CENTRE = 14.0  # in MNIST the centre of mass lies within 0.52 pixels of index 14, not of 13.5
MAX_OFFSET, MAX_NOISY_OFFSET = 0.55, 1.5
MIN_SIDE, MAX_SIDE = 18, 21  # of the digit's box; MNIST: 18 to 20, and a network may draw 21
MIN_WHITE, MAX_BLACK = 0.9, 0.03  # MNIST: 0.996 and 0


def mismatch(image: Array) -> str:
    """Return how a picture (28, 28) in [0, 1] differs from MNIST's layout, in the words of a note; empty if it does not.

    In a noisy image only the centre is measured, because the noise covers the box of the digit.
    """
    edge = border(image)
    if np.percentile(edge, 25) > MAX_BLACK:
        return "the background is not black"
    if image.max() < MIN_WHITE:
        return "the contrast is low"
    is_noisy = np.diff(edge > 0.1).mean() > 0.12  # 0.04 in MNIST
    offset = max(abs(at - CENTRE) for at in centre_of_mass(image))
    if offset > (MAX_NOISY_OFFSET if is_noisy else MAX_OFFSET):
        return f"the centre of mass is {offset:.1f} pixels off"
    if not is_noisy and (extent(image > 0.3) > MAX_SIDE or extent(image > 0.1) < MIN_SIDE):
        return f"the digit is {extent(image > 0.3)} pixels high or wide, not 20"
    return ""


def centre_of_mass(image: Array) -> tuple[float, float]:
    """Return row and column of the centre of mass of an image (h, w) that is not empty."""
    h, w = image.shape
    total = image.sum()
    return image.sum(axis=1) @ np.arange(h) / total, image.sum(axis=0) @ np.arange(w) / total


def border(image: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of an image (h, w), or of each of several (..., h, w)."""
    sides = image[..., 0, :], image[..., -1, :], image[..., 1:-1, 0], image[..., 1:-1, -1]
    return np.concatenate(sides, axis=-1)


def bounds(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns of the bounding box of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def extent(mask: Mask) -> int:
    """Return the longer side of the bounding box of a mask that is not empty."""
    rows, columns = bounds(mask)
    return int(max(rows.stop - rows.start, columns.stop - columns.start))
