"""Whether images are as bright as those that a network was trained on, and on a background like theirs."""

import math

import numpy as np

from mnistae.core.arrays import Array, Bytes, Vector
from mnistae.core.config import SIDE
from mnistae.core.records import MNIST_STATS, ImageStats, Metadata
from mnistae.data.images.layout import border

DARKER, BRIGHTER = 0.4, 1.75
"""Limits of the mean of many images, relative to the training images. MNIST's ones have 0.58, its zeros 1.32."""

MARGIN = 0.25
"""How far the mean of one image may be outside the range of the training images, relative to its ends."""

BACKGROUND = 0.2


def brightness(images: Bytes | Array) -> Vector:
    """Return the means and the backgrounds (2, N) of images (N, 784), from 0 to 1. A background is the median of the border."""
    full = 255 if images.dtype == np.uint8 else 1
    backgrounds = np.median(border(images.reshape(-1, SIDE, SIDE)), axis=1)
    return np.stack([images.mean(axis=1, dtype=np.float64), backgrounds.astype(np.float64)]) / full


def measure(images: Bytes) -> ImageStats:
    """Return what is kept of the training images (N, 784)."""
    means, backgrounds = brightness(images)
    return ImageStats(*map(float, (means.mean(), means.min(), means.max(), backgrounds.mean(), backgrounds.max())))


def training_warnings(images: ImageStats) -> list[str]:
    """Return what is suspicious about the images of a training."""
    found = []
    if images.background > images.mean:
        found.append(f"the training images may be inverted: background {images.background:.2f}, mean {images.mean:.2f}")
    if images.mean < MNIST_STATS.darkest:
        found.append(f"the training images are nearly black: mean {images.mean:.4f}, that of MNIST {MNIST_STATS.mean:.4f}")
    return found


def warning(what: str, found: Vector, metadata: Metadata, owner: str | None) -> str:
    """Return the warning that images, of this brightness (2, N), are unlike those of the training of `owner`, or no text."""
    reasons = "; ".join(differences(metadata.images or MNIST_STATS, found))
    name = f" of '{owner}'" if owner else ""
    return f"{what} are unlike the training images{name}: {reasons}" if reasons else ""


def differences(expected: ImageStats, found: Vector) -> list[str]:
    """Return in which respects images, of this brightness (2, N), are unlike those of the training.

    One image may be as dark or as bright as the most extreme one of the training, but the mean of many is near theirs.
    """
    spread = 1 / math.sqrt(found.shape[1])
    low, high = DARKER * expected.mean, BRIGHTER * expected.mean
    low += spread * min((1 - MARGIN) * expected.darkest - low, 0)
    high += spread * max((1 + MARGIN) * expected.brightest - high, 0)
    limit = BACKGROUND + expected.background + spread * (expected.brightest_background - expected.background)
    mean, background = (float(row.mean()) for row in found)
    reasons = []
    if not low <= mean <= high:
        reasons.append(f"{'darker' if mean < low else 'brighter'} (mean {mean:.4f}, in training {expected.mean:.4f})")
    if background > limit:
        what = "inverted?" if background > 0.5 else "lighter background"
        reasons.append(f"{what} (background {background:.2f}, in training {expected.background:.2f})")
    return reasons
