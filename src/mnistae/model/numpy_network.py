"""The network on NumPy arrays: equal to `network.py` within 1e-6, without importing torch, which takes seconds."""

from collections.abc import Callable, Mapping
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
        return self._apply(self._encode, images)

    def decode(self, codes: Array) -> Array:
        """Return the images (B, 784) in [0, 1] of codes (B, bottleneck)."""
        return self._apply(self._decode, codes)

    def reconstruct(self, images: Array) -> Array:
        """Return the reconstructions (B, 784) of images (B, 784) in [0, 1]."""
        return self._apply(lambda x: self._decode(self._encode(x)), images)

    @staticmethod
    def _apply(function: Callable[[Array], Array], x: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):  # diverged weights overflow to inf and NaN
            return in_batches(function, x)

    def _encode(self, x: Array) -> Array:
        return _relu(self._linear("fc2", _relu(self._linear("fc1", x))))  # (B, bottleneck)

    def _decode(self, z: Array) -> Array:
        return _sigmoid(self._linear("fc4", _relu(self._linear("fc3", z))))  # (B, 784)

    def _linear(self, layer: str, x: Array) -> Array:
        y = x @ self.weights[f"{layer}.weight"].T  # (B, outputs)
        y += self.weights[f"{layer}.bias"]
        return y


def _relu(x: Array) -> Array:
    return np.maximum(x, 0, out=x)


def _sigmoid(x: Array) -> Array:
    # tanh cannot overflow, and the identity 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2 is exact
    x *= 0.5
    np.tanh(x, out=x)
    x += 1
    x *= 0.5
    return x
