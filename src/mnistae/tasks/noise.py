"""The four kinds of noise. The same seed gives the same noise."""

from enum import StrEnum

import numpy as np

from mnistae.core import seeds
from mnistae.core.arrays import Array
from mnistae.core.config import MAX_SEED, check_integer, check_number
from mnistae.core.errors import UsageError


class Noise(StrEnum):
    """A kind of noise."""

    UNIFORM = "uniform"
    GAUSSIAN = "gaussian"
    SALT_PEPPER = "salt-pepper"
    MASK = "mask"
    NONE = "none"


DEFAULT_LEVELS: dict[Noise, float] = {
    Noise.UNIFORM: 0.625,
    Noise.GAUSSIAN: 0.35,
    Noise.SALT_PEPPER: 0.25,
    Noise.MASK: 0.5,
    Noise.NONE: 0.0,
}
"""The default levels; that of uniform noise is the lab's, U(-0.625, 0.625)."""

LEVEL_LABELS = {
    Noise.UNIFORM: "half-width of the interval",
    Noise.GAUSSIAN: "standard deviation",
    Noise.SALT_PEPPER: "fraction of pixels set to 0 or 1, half each",
    Noise.MASK: "fraction of pixels set to 0",
}
"""The meaning of the levels."""


def check_level(kind: Noise, level: float | None) -> float:
    """Return the level to use. Raises UsageError."""
    if level is None:
        return DEFAULT_LEVELS[kind]
    if kind is Noise.NONE:
        raise UsageError("--level has no effect with --noise none", hint="leave one of them out")
    highest = 1.0 if kind in {Noise.SALT_PEPPER, Noise.MASK} else 100.0
    return check_number("--level", level, 0, highest, f"a number from 0 to {highest:g} for {kind.value} noise")


def check_seed(seed: int) -> int:
    """Return the seed if it is valid. Raises UsageError."""
    return check_integer("--seed", seed, 0, MAX_SEED)


def add(images: Array, kind: Noise, *, level: float, seed: int) -> Array:
    """Return `images` (B, 784) in [0, 1] with noise added and clipped to [0, 1].

    Pixels are drawn in the order of the images, so the noise of the first k images does not depend on the number of images.
    """
    if kind is Noise.NONE:
        return images.copy()
    return apply(images, field(kind, images.shape, seed=seed), kind, level=level)


def apply(images: Array, numbers: Array, kind: Noise, *, level: float) -> Array:
    """Add the noise that these random numbers of `field` make to images (B, 784)."""
    if kind is Noise.GAUSSIAN:
        return np.clip(images + np.float32(level) * numbers, 0, 1)
    if kind is Noise.UNIFORM:
        return np.clip(images + np.float32(level) * (2 * numbers - 1), 0, 1)
    if kind is Noise.MASK:
        return np.where(numbers < level, np.float32(0), images)
    return np.where(numbers < level / 2, np.float32(0), np.where(numbers < level, np.float32(1), images))


def field(kind: Noise, shape: tuple[int, ...], *, seed: int) -> Array:
    """Return the random numbers behind the noise: standard normal for gaussian noise, else uniform in [0, 1)."""
    generator = np.random.default_rng(seeds.derive(seed, "noise"))
    return generator.standard_normal(shape, np.float32) if kind is Noise.GAUSSIAN else generator.random(shape, np.float32)
