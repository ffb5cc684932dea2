"""Image quality against references."""

import numpy as np
from skimage.metrics import structural_similarity

from mnistae.metrics import quality

GENERATOR = np.random.default_rng(0)
A = GENERATOR.random((20, 784), np.float32)
B = np.clip(A + GENERATOR.normal(0, 0.2, A.shape), 0, 1).astype(np.float32)


def test_mse_is_the_mean_of_squares() -> None:
    """MSE is the mean over the pixels of each image."""
    np.testing.assert_allclose(quality.mse(A, B), ((A.astype(float) - B) ** 2).mean(axis=1), rtol=1e-6)


def test_psnr_of_known_errors() -> None:
    """An error of 0.01 is 20 dB; no error is infinite."""
    np.testing.assert_allclose(quality.psnr(np.array([0.01, 1.0, 0.0])), [20, 0, np.inf])


def test_ssim_equals_scikit_image() -> None:
    """SSIM equals scikit-image's with the settings of the paper."""
    theirs = [
        structural_similarity(  # type: ignore[no-untyped-call] # scikit-image has no types
            x.reshape(28, 28), y.reshape(28, 28), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
        )
        for x, y in zip(A.astype(float), B.astype(float), strict=True)
    ]
    np.testing.assert_allclose(quality.ssim(A, B), theirs, atol=1e-6)
    np.testing.assert_allclose(quality.ssim(A, A), 1)
