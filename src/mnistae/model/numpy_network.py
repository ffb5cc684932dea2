"""The network on NumPy arrays: equal to `network.py` within 1e-6, without importing torch, which takes seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from mnistae.core.arrays import Array, in_batches
from mnistae.core.config import ModelConfig


@dataclass(frozen=True)
class NumpyNetwork:
    """Encoder and decoder over the eight weight arrays of a checkpoint."""

    weights: Mapping[str, Array]
    config: ModelConfig

    @classmethod
    def from_weights(cls, weights: Mapping[str, Array]) -> Self:
        """Return the network of these arrays, with the names and shapes of `ModelConfig.shapes`."""
        bottleneck, hidden = weights["fc2.weight"].shape
        return cls(weights, ModelConfig(hidden=hidden, bottleneck=bottleneck))

    def encode(self, images: Array) -> Array:
        """Return the codes (B, bottleneck), each 0 or above, of images (B, 784) in [0, 1]."""
        return self._apply(images, "fc1", "fc2")

    def decode(self, codes: Array) -> Array:
        """Return the images (B, 784) in [0, 1] of codes (B, bottleneck)."""
        return self._apply(codes, "fc3", "fc4")

    def reconstruct(self, images: Array) -> Array:
        """Return the reconstructions (B, 784) of images (B, 784) in [0, 1]."""
        return self._apply(images, "fc1", "fc2", "fc3", "fc4")

    def _apply(self, x: Array, *layers: str) -> Array:
        def forward(x: Array) -> Array:
            for layer in layers:
                x = x @ self.weights[f"{layer}.weight"].T  # (B, outputs)
                x += self.weights[f"{layer}.bias"]
                if layer == "fc4":  # the sigmoid, as (1 + tanh(x / 2)) / 2: tanh cannot overflow
                    x *= 0.5
                    np.tanh(x, out=x)
                    x += 1
                    x *= 0.5
                else:
                    np.maximum(x, 0, out=x)
            return x

        with np.errstate(over="ignore", invalid="ignore"):  # diverged weights overflow to inf and NaN
            return in_batches(forward, x)
