"""Image quality against references."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from mnistae.metrics import quality


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Twenty random images and noisy copies."""
    generator = np.random.default_rng(0)
    a = generator.random((20, 784), np.float32)
    return a, np.clip(a + generator.normal(0, 0.2, a.shape), 0, 1).astype(np.float32)


def test_mse_is_the_mean_of_squares(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """MSE is the mean over the pixels of each image."""
    a, b = pairs
    np.testing.assert_allclose(quality.mse(a, b), ((a.astype(float) - b) ** 2).mean(axis=1), rtol=1e-6)


def test_psnr_of_known_errors() -> None:
    """An error of 0.01 is 20 dB; no error is infinite."""
    np.testing.assert_allclose(quality.psnr(np.array([0.01, 1.0, 0.0])), [20, 0, np.inf])


def test_ssim_equals_scikit_image(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """SSIM equals scikit-image's with the settings of the paper."""
    a, b = pairs
    theirs = [
        structural_similarity(  # type: ignore[no-untyped-call] # scikit-image has no types
            x.reshape(28, 28), y.reshape(28, 28), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
        )
        for x, y in zip(a.astype(float), b.astype(float), strict=True)
    ]
    np.testing.assert_allclose(quality.ssim(a, b), theirs, atol=1e-6)
    np.testing.assert_allclose(quality.ssim(a, a), 1)
