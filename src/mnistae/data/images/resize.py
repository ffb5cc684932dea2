"""Resize images: by area average when they shrink, by linear interpolation when they grow."""

import functools

import numpy as np

from mnistae.core.arrays import Array, Vector


def resized(image: Array, shape: tuple[int, int], scale: float | None = None) -> Array:
    """Scale (h, w) to `shape`, or by `scale` input pixels per output pixel from the top left, with 0 beyond the edges.

    Area average when it shrinks, linear interpolation when it grows.
    """
    rows, columns = (area_weights(old, new, scale).astype(np.float32) for old, new in zip(image.shape, shape, strict=True))
    return np.asarray(rows @ image @ columns.T, np.float32)


@functools.lru_cache(maxsize=32)  # the images of a data set have few sizes
def area_weights(size: int, wanted: int, scale: float | None = None) -> Vector:
    """Return weights (wanted, size) of a window one output pixel, but at least one input pixel, wide.

    `scale`: input pixels per output pixel, by default `size / wanted`.
    """
    scale = scale or size / wanted
    width = max(scale, 1.0)
    start = (np.arange(wanted)[:, None] + 0.5) * scale - width / 2
    old = np.arange(size)
    overlap = np.minimum(start + width, old + 1) - np.maximum(start, old)
    return np.asarray(np.clip(overlap, 0, None) / width)
