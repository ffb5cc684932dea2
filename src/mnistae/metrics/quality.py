"""How close two images are, and the linear rival of the network: PCA."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from mnistae.core.arrays import Array, Vector
from mnistae.core.config import SIDE

ROWS = 2048
"""Images compared at once, to keep the working memory small."""


def mse(a: Array, b: Array) -> Vector:
    """Return the mean squared error of each pair of images: (B, 784), (B, 784) → (B,)."""
    out = np.empty(len(a))
    for start in range(0, len(a), ROWS):
        difference = a[start : start + ROWS] - b[start : start + ROWS]
        out[start : start + ROWS] = np.einsum("ij,ij->i", difference, difference, dtype=np.float64)
    out /= a.shape[1]
    return out


def psnr(errors: Vector) -> Vector:
    """Return the peak signal-to-noise ratio in decibels of mean squared errors, for a peak of 1; no error gives infinity."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(errors)


def psnr_of(error: float) -> float:
    """Return the peak signal-to-noise ratio in decibels of one mean squared error."""
    return float(psnr(np.array([error]))[0])


def ssim(a: Array, b: Array) -> Vector:
    """Return the structural similarity of each pair of images: (B, 784), (B, 784) → (B,), 1 for equal images.

    Wang, Bovik, Sheikh and Simoncelli (2004) with their constants: Gaussian window of 11×11 pixels, sigma 1.5, K1 0.01,
    K2 0.03, peak 1, averaged over the places where the window lies inside the image. Equals scikit-image's
    `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)`.
    """
    out = np.empty(len(a))
    for start in range(0, len(a), ROWS):
        out[start : start + ROWS] = _ssim(a[start : start + ROWS], b[start : start + ROWS])
    return out


def _ssim(a: Array, b: Array) -> Vector:
    x = a.reshape(-1, SIDE, SIDE).astype(np.float64)
    y = b.reshape(-1, SIDE, SIDE).astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)  # (B, 18, 18)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return np.asarray(similarity.mean(axis=(1, 2)))


def _blur(x: Vector) -> Vector:
    """Filter images (B, 28, 28) by the window where it fits: (B, 18, 18). A band matrix on each side does it."""
    band = _band_matrix()
    return np.asarray(band @ x @ band.T)


def _band_matrix() -> Vector:
    """Return the (18, 28) matrix whose rows are the window of 11 Gaussian weights, moved on by a pixel a row."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    band = np.zeros((SIDE - 10, SIDE))
    for row in range(len(band)):
        band[row, row : row + 11] = window / window.sum()
    return band


@dataclass(frozen=True)
class PCA:
    """Projection on the directions of largest variance (Hotelling, 1933): the best linear code of its size."""

    mean: Array  # (784,)
    components: Array  # (k, 784), orthonormal rows

    @classmethod
    def fit(cls, images: Array, components: int) -> Self:
        """Return the first `components` principal components of images (B, 784)."""
        mean = images.mean(axis=0, dtype=np.float64)
        scatter = np.zeros((images.shape[1], images.shape[1]))
        for start in range(0, len(images), ROWS):
            centred = images[start : start + ROWS] - mean.astype(np.float32)
            scatter += centred.T @ centred
        _, vectors = np.linalg.eigh(scatter)  # in ascending order of variance
        return cls(mean.astype(np.float32), vectors[:, ::-1][:, :components].T.astype(np.float32))

    def reconstruct(self, images: Array) -> Array:
        """Return the projections (B, 784) of images (B, 784)."""
        codes = np.matmul(images - self.mean, self.components.T)  # (B, k)
        outputs: Array = np.add(codes @ self.components, self.mean, dtype=np.float32)
        return outputs
