"""Image quality: MSE, PSNR and SSIM of pairs of images."""

import numpy as np

from mnistae.core.arrays import Array, Vector, in_batches
from mnistae.core.config import SIDE


def mse(a: Array, b: Array) -> Vector:
    """Return the mean squared error of each pair of images: (B, 784), (B, 784) → (B,)."""
    return in_batches(_mse, a, b)


def _mse(a: Array, b: Array) -> Vector:
    difference = a - b
    squares: Vector = np.einsum("ij,ij->i", difference, difference, dtype=np.float64)
    squares /= a.shape[1]
    return squares


def psnr(errors: Vector) -> Vector:
    """Return the peak signal-to-noise ratio in decibels of mean squared errors, for a peak of 1; infinity for an error of 0."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(errors)


def ssim(a: Array, b: Array) -> Vector:
    """Return the structural similarity of each pair of images: (B, 784), (B, 784) → (B,), 1 for equal images.

    Wang, Bovik, Sheikh and Simoncelli (2004) with their constants: Gaussian window of 11×11 pixels, sigma 1.5, K1 0.01,
    K2 0.03, peak 1, averaged over the positions of the window inside the image. Equals scikit-image's
    `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)`.
    """
    return in_batches(_ssim, a, b)


def _ssim(a: Array, b: Array) -> Vector:
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()
    band = np.stack([np.pad(window, (row, SIDE - 11 - row)) for row in range(SIDE - 10)])  # (18, 28)
    x = a.reshape(-1, SIDE, SIDE).astype(np.float64)
    y = b.reshape(-1, SIDE, SIDE).astype(np.float64)
    images = (x, y, x * x, y * y, x * y)
    # filtered by the Gaussian at the positions of the window inside: (B, 18, 18)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (band @ image @ band.T for image in images)
    var_x = mean_xx - mean_x**2
    var_y = mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return np.asarray(similarity.mean(axis=(1, 2)))
