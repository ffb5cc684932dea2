"""What networks gain at denoising: errors before and after, under every kind of noise, at some levels of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mnistae import metrics, noise
from mnistae.inference import Array, Codec
from mnistae.noise import LEVELS, Noise

LAB = (Noise.UNIFORM, LEVELS[Noise.UNIFORM])
"""The lab's noise, which every evaluation has the gain under."""

STEPS = (0.4, 0.8, 1.0, 1.2, 1.6)
"""The levels of noise that gains are measured at, as parts of each kind's usual level."""


@dataclass(frozen=True)
class Gain:
    """Mean squared errors before and after denoising, under one kind of noise at one level, seed 0."""

    kind: Noise
    level: float
    noisy_mse: float
    denoised_mse: float

    @property
    def noisy_psnr(self) -> float:
        """PSNR of the mean MSE before denoising, in decibels."""
        return metrics.psnr_of(self.noisy_mse)

    @property
    def denoised_psnr(self) -> float:
        """PSNR of the mean MSE after denoising, in decibels."""
        return metrics.psnr_of(self.denoised_mse)

    @property
    def decibels(self) -> float:
        """What denoising adds to the PSNR; below zero it does harm."""
        return self.denoised_psnr - self.noisy_psnr


def conditions() -> list[tuple[Noise, float]]:
    """Return the kinds and levels of noise that gains are measured under."""
    kinds = (kind for kind in Noise if kind is not Noise.NONE)
    return [(kind, round(LEVELS[kind] * step, 4)) for kind in kinds for step in STEPS]


def measure(codecs: Sequence[Codec], images: Array, under: Iterable[tuple[Noise, float]]) -> list[tuple[Gain, ...]]:
    """Return the gains of each network, one a condition. A noise is made once, and gone before the next."""
    found: list[list[Gain]] = [[] for _ in codecs]
    for kind, level in under:
        noisy = noise.add(images, kind, level=level, seed=0)
        before = float(metrics.mse(images, noisy).mean())
        for gains, codec in zip(found, codecs, strict=True):
            gains.append(Gain(kind, level, before, float(metrics.mse(images, codec.reconstruct(noisy)).mean())))
    return [tuple(gains) for gains in found]
