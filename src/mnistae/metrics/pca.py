"""Principal component analysis, the linear baseline of the autoencoder."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from mnistae.core.arrays import BATCH_SIZE, Array


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
        for start in range(0, len(images), BATCH_SIZE):
            centred = images[start : start + BATCH_SIZE] - mean.astype(np.float32)
            scatter += centred.T @ centred
        _, vectors = np.linalg.eigh(scatter)  # in ascending order of variance
        return cls(mean.astype(np.float32), vectors[:, ::-1][:, :components].T.astype(np.float32))

    def reconstruct(self, images: Array) -> Array:
        """Return the projections (B, 784) of images (B, 784)."""
        codes = np.matmul(images - self.mean, self.components.T)  # (B, k)
        outputs: Array = np.add(codes @ self.components, self.mean, dtype=np.float32)
        return outputs
