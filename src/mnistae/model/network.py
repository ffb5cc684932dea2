"""The lab's network as a torch module. `numpy_network.py` is its NumPy counterpart."""

import torch
from torch import Tensor, nn

from mnistae.core.config import PIXELS, ModelConfig


class Autoencoder(nn.Module):
    """The four-layer MLP autoencoder 784 → hidden → bottleneck → hidden → 784 of the MNIST course lab.

    ReLU after fc1, fc2 and fc3, the sigmoid after fc4. Codes are therefore never negative, and a bottleneck unit can die.
    The layers have the lab's names, so that the lab's checkpoints load.
    """

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ModelConfig()
        self.fc1 = nn.Linear(PIXELS, config.hidden, dtype=torch.float32)
        self.fc2 = nn.Linear(config.hidden, config.bottleneck, dtype=torch.float32)
        self.fc3 = nn.Linear(config.bottleneck, config.hidden, dtype=torch.float32)
        self.fc4 = nn.Linear(config.hidden, PIXELS, dtype=torch.float32)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, bottleneck), each 0 or above, of images (B, 784) in [0, 1]."""
        return torch.relu(self.fc2(torch.relu(self.fc1(x))))  # (B, bottleneck)

    def decode(self, z: Tensor) -> Tensor:
        """Return the images (B, 784) in [0, 1] of codes (B, bottleneck)."""
        return torch.sigmoid(self.fc4(torch.relu(self.fc3(z))))  # (B, 784)

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstructions (B, 784) of images (B, 784)."""
        return self.decode(self.encode(x))


def initialise(model: Autoencoder, *, seed: int, bottleneck_bias: float = 0.01, output_bias: float = 0.01) -> None:
    """Fill the weights as the lab does: Xavier-uniform weights (Glorot and Bengio, 2010), biases of 0.01.

    With a larger bottleneck bias every unit is active for every image at the start, so that none dies; with a negative output
    bias the first outputs are as dark as digits. The weights equal those of a script that calls `torch.manual_seed(seed)`,
    builds the network and then initialises it. They are drawn on the CPU, so a seed gives the same network on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = (model.fc1, model.fc2, model.fc3, model.fc4)
    for layer in layers:  # the draws of the constructors, overwritten below
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
        nn.init.uniform_(layer.bias, generator=generator)
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        nn.init.constant_(layer.bias, 0.01)
    nn.init.constant_(model.fc2.bias, bottleneck_bias)
    nn.init.constant_(model.fc4.bias, output_bias)
