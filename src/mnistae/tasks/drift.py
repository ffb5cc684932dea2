"""Whether images are as bright as those that a network was trained on, and on a background like theirs."""

import math
from collections.abc import Sequence

import numpy as np

from mnistae.core.arrays import Array, Bytes, Vector
from mnistae.core.config import SIDE
from mnistae.core.records import MNIST_STATS, ImageStats, Metadata
from mnistae.core.text import counted
from mnistae.data.images.layout import border

DARKER, BRIGHTER = 0.4, 1.75
"""Limits of the mean of many images, relative to the training images. MNIST's ones have 0.58, its zeros 1.32."""

MARGIN = 0.25
"""How far the mean of one image may be outside the range of the training images, relative to its ends."""

BACKGROUND = 0.2

MAX_WARNINGS = 3
"""Images that are named as unlike the training images."""


def brightness(images: Bytes | Array) -> Vector:
    """Return the means and the backgrounds (2, N) of images (N, 784), from 0 to 1. A background is the median of the border."""
    full = 255 if images.dtype == np.uint8 else 1
    edges = border(images.reshape(-1, SIDE, SIDE))
    middle = edges.shape[1] // 2  # of an even number: the median is the mean of two, found faster than by np.median
    backgrounds = np.partition(edges, (middle - 1, middle), axis=1)[:, middle - 1 : middle + 1].mean(axis=1)
    return np.stack([images.mean(axis=1, dtype=np.float64), backgrounds.astype(np.float64)]) / full


def measure(images: Bytes) -> ImageStats:
    """Return what is kept of the training images (N, 784)."""
    means, backgrounds = brightness(images)
    lowest, highest, lightest = means.min(), means.max(), backgrounds.max()
    # the mean of equal values may exceed them by rounding
    ends = (min(max(means.mean(), lowest), highest), lowest, highest, min(backgrounds.mean(), lightest), lightest)
    return ImageStats(*map(float, ends))


def training_warnings(images: ImageStats) -> list[str]:
    """Return what is suspicious about the images of a training."""
    found = []
    if images.background > images.mean:
        found.append(f"the training images may be inverted: background {images.background:.2f}, mean {images.mean:.2f}")
    if images.mean < MNIST_STATS.darkest:
        found.append(f"the training images are nearly black: mean {images.mean:.4f}, that of MNIST {MNIST_STATS.mean:.4f}")
    return found


def image_warnings(names: Sequence[str], found: Vector, metadata: Metadata, owner: str | None) -> list[str]:
    """Return the warnings that images, of these names and this brightness (2, N), are unlike those of the training of `owner`.

    Each image is compared on its own, and all of them together if none is unlike.
    """
    expected = metadata.images or MNIST_STATS
    (means, backgrounds), (low, high, lightest) = found, _limits(expected, 1)
    odd = np.flatnonzero((means < low) | (means > high) | (backgrounds > lightest))
    if odd.size == 0:
        return list(filter(None, [warning("the images", found, metadata, owner)]))
    reasons = [(names[k], "; ".join(differences(expected, found[:, [k]]))) for k in odd[:MAX_WARNINGS]]
    warnings = [f"{name} is unlike the training images: {text}" for name, text in reasons]
    if odd.size > MAX_WARNINGS:
        warnings.append(f"also unlike the training images: {counted(odd.size - MAX_WARNINGS, 'more image')}")
    return warnings


def warning(what: str, found: Vector, metadata: Metadata, owner: str | None) -> str:
    """Return the warning that images, of this brightness (2, N), are unlike those of the training of `owner`, or no text."""
    reasons = "; ".join(differences(metadata.images or MNIST_STATS, found))
    name = f" of '{owner}'" if owner else ""
    return f"{what} are unlike the training images{name}: {reasons}" if reasons else ""


def differences(expected: ImageStats, found: Vector) -> list[str]:
    """Return in which respects images, of this brightness (2, N), are unlike those of the training."""
    low, high, lightest = _limits(expected, found.shape[1])
    mean, background = (float(row.mean()) for row in found)
    reasons = []
    if not low <= mean <= high:
        reasons.append(f"{'darker' if mean < low else 'brighter'} (mean {mean:.4f}, in training {expected.mean:.4f})")
    if background > lightest:
        what = "inverted?" if background > 0.5 else "lighter background"
        reasons.append(f"{what} (background {background:.2f}, in training {expected.background:.2f})")
    return reasons


def _limits(expected: ImageStats, count: int) -> tuple[float, float, float]:
    """Return the lowest and the highest mean and the lightest background of this many images.

    One image may be as dark or as bright as the most extreme one of the training, but the mean of many is near theirs.
    """
    spread = 1 / math.sqrt(count)
    low, high = DARKER * expected.mean, BRIGHTER * expected.mean
    low += spread * min((1 - MARGIN) * expected.darkest - low, 0)
    high += spread * max((1 + MARGIN) * expected.brightest - high, 0)
    return low, high, BACKGROUND + expected.background + spread * (expected.brightest_background - expected.background)
