"""PCA against the singular values."""

import numpy as np
import pytest

from mnistae.metrics import quality
from mnistae.metrics.pca import PCA


def test_pca_is_the_best_linear_code() -> None:
    """The error of k components is the sum of the variances of the others."""
    images = np.random.default_rng(1).random((300, 784), np.float32)
    centred = images - images.mean(axis=0)
    singular = np.linalg.svd(centred.astype(float), compute_uv=False)
    pca = PCA.fit(images, 5)

    left_out = (singular[5:] ** 2).sum() / images.size
    assert quality.mse(images, pca.reconstruct(images)).mean() == pytest.approx(left_out, rel=1e-5)
