"""The array types, and images as bytes and as floats."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnistae.core.config import PIXELS

Number = TypeVar("Number", bound=np.generic)

Array = NDArray[np.float32]
"""Images, codes and weights."""

Vector = NDArray[np.float64]
"""Metrics, one value per image, and sums over many images."""

Bytes = NDArray[np.uint8]
"""Pixels as a data set stores them, and labels."""

Indices = NDArray[np.intp]

BATCH_SIZE = 2048
"""Images processed at once, to keep the working memory small."""

NO_LABEL = 255
"""The label of an image without one."""


def to_float(images: Bytes) -> Array:
    """Return uint8 images scaled to [0, 1]."""
    return images.astype(np.float32) / np.float32(255)


def to_bytes(images: Array) -> Bytes:
    """Return images (N, 28, 28) in [0, 1] as uint8 rows (N, 784)."""
    return flatten(np.rint(images * 255).astype(np.uint8))


def flatten(images: Bytes) -> Bytes:
    """Return images (N, 28, 28) as rows (N, 784), copied: torch takes no view of read-only bytes."""
    return np.array(images, order="C").reshape(len(images), PIXELS)


def in_batches(function: Callable[..., NDArray[Number]], *arrays: NDArray[Any], size: int = BATCH_SIZE) -> NDArray[Number]:
    """Return function(*arrays), computed in batches of `size` rows and joined; no rows make one empty batch."""
    starts = range(0, max(len(arrays[0]), 1), size)
    return np.concatenate([function(*(array[start : start + size] for array in arrays)) for start in starts])
