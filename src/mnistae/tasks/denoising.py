"""What networks gain at denoising: errors before and after, under every kind of noise, at some levels of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mnistae.core.arrays import Array
from mnistae.metrics import quality
from mnistae.model.backend import Network
from mnistae.tasks import noise
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise

LAB = (Noise.UNIFORM, DEFAULT_LEVELS[Noise.UNIFORM])
"""The lab's noise, which every evaluation has the gain under."""

LEVEL_FACTORS = (0.4, 0.8, 1.0, 1.2, 1.6)
"""The levels of noise that gains are measured at, as parts of each kind's usual level."""


@dataclass(frozen=True)
class DenoisingResult:
    """Mean squared errors before and after denoising, under one kind of noise at one level, seed 0."""

    kind: Noise
    level: float
    noisy_mse: float
    denoised_mse: float

    @property
    def noisy_psnr(self) -> float:
        """PSNR of the mean MSE before denoising, in decibels."""
        return quality.psnr_of(self.noisy_mse)

    @property
    def denoised_psnr(self) -> float:
        """PSNR of the mean MSE after denoising, in decibels."""
        return quality.psnr_of(self.denoised_mse)

    @property
    def psnr_gain(self) -> float:
        """What denoising adds to the PSNR; below zero it does harm."""
        return self.denoised_psnr - self.noisy_psnr


def noise_grid() -> list[tuple[Noise, float]]:
    """Return the kinds and levels of noise that gains are measured under."""
    kinds = (kind for kind in Noise if kind is not Noise.NONE)
    return [(kind, round(DEFAULT_LEVELS[kind] * step, 4)) for kind in kinds for step in LEVEL_FACTORS]


def measure(
    networks: Sequence[Network], images: Array, under: Iterable[tuple[Noise, float]]
) -> list[tuple[DenoisingResult, ...]]:
    """Return the gains of each network, one a condition. A noise is made once, and gone before the next."""
    found: list[list[DenoisingResult]] = [[] for _ in networks]
    for kind, level in under:
        noisy = noise.add(images, kind, level=level, seed=0)
        before = float(quality.mse(images, noisy).mean())
        for gains, network in zip(found, networks, strict=True):
            gains.append(DenoisingResult(kind, level, before, float(quality.mse(images, network.reconstruct(noisy)).mean())))
    return [tuple(gains) for gains in found]
