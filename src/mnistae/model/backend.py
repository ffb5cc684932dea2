"""One interface to the network on NumPy and on a PyTorch device."""

from typing import TYPE_CHECKING

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.records import Weights
from mnistae.model import device as devices
from mnistae.model.numpy_network import NumpyNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from mnistae.model.network import Autoencoder


class TorchNetwork:
    """`NumpyNetwork` on a torch device."""

    def __init__(self, model: "Autoencoder", device: "torch.device") -> None:
        self.config = model.config
        self._model = model.to(device)
        self._device = device

    def encode(self, images: Array) -> Array:
        """Return the codes of images."""
        return self._apply(self._model.encode, images)

    def decode(self, codes: Array) -> Array:
        """Return the images of codes."""
        return self._apply(self._model.decode, codes)

    def reconstruct(self, images: Array) -> Array:
        """Return the decoded codes of images."""
        return self._apply(self._model, images)

    def _apply(self, function: "Callable[[torch.Tensor], torch.Tensor]", array: Array) -> Array:
        import torch

        with torch.inference_mode(), devices.oom_as_device_error(self._device):
            result: Array = function(torch.from_numpy(np.array(array)).to(self._device)).cpu().numpy()
        return result


Network = NumpyNetwork | TorchNetwork
"""An encoder and its decoder: images (B, 784) in [0, 1], codes (B, bottleneck)."""


def load_network(weights: Weights, device: str | None) -> Network:
    """Return the network of these weights: on NumPy if `device` is None, else on torch. Raises DeviceError.

    NumPy is as fast as torch on a CPU, and importing torch takes seconds.
    """
    network = NumpyNetwork.from_weights(weights)
    if device is None:
        return network
    resolved = devices.resolve(device)
    import torch

    from mnistae.model.network import Autoencoder

    model = Autoencoder(network.config)
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return TorchNetwork(model, resolved)
