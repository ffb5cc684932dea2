"""The network, on torch and on NumPy."""

import numpy as np
import pytest
import torch

from mnistae.core.arrays import BATCH_SIZE
from mnistae.core.config import ModelConfig
from mnistae.model import backend
from mnistae.model.backend import TorchNetwork
from mnistae.model.network import Autoencoder, initialise
from mnistae.model.numpy_network import NumpyNetwork


def made(config: ModelConfig | None = None, *, seed: int = 0, **biases: float) -> Autoencoder:
    model = Autoencoder(config)
    initialise(model, seed=seed, **biases)
    return model


def as_numpy(model: Autoencoder) -> NumpyNetwork:
    return NumpyNetwork.from_weights({name: tensor.detach().numpy() for name, tensor in model.named_parameters()})


def test_initial_biases_can_be_set() -> None:
    """The bottleneck's and the output's biases can be set; nothing else changes with them."""
    model, plain = made(bottleneck_bias=3.0, output_bias=-2.0), made()
    assert (model.fc2.bias == 3).all()
    assert (model.fc4.bias == -2).all()
    assert torch.equal(model.fc4.weight, plain.fc4.weight)
    assert torch.equal(model.fc1.bias, plain.fc1.bias)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_gives_the_weights_of_a_plain_script(seed: int) -> None:
    """The weights equal those of a script that seeds torch, builds the network and initialises it, to the bit."""

    def xavier(module: torch.nn.Module) -> None:
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
            torch.nn.init.constant_(module.bias, 0.01)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theirs = Autoencoder().apply(xavier)
    assert all(torch.equal(a, b) for a, b in zip(made(seed=seed).parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize(("config", "count"), [(ModelConfig(), 1), (ModelConfig(hidden=50, bottleneck=3), BATCH_SIZE + 1)])
def test_numpy_equals_torch(config: ModelConfig, count: int) -> None:
    """NumPy's encode, decode and reconstruct equal torch's within 1e-6."""
    network = as_numpy(made(config))
    theirs = backend.load_network(network.weights, "cpu")
    assert isinstance(theirs, TorchNetwork)
    images = np.random.default_rng(0).random((count, 784), np.float32)
    codes, outputs = theirs.encode(images), theirs.reconstruct(images)
    np.testing.assert_allclose(network.encode(images), codes, atol=1e-6, rtol=1e-5)
    for decoded in (network.decode(codes), network.reconstruct(images), theirs.decode(codes)):
        np.testing.assert_allclose(decoded, outputs, atol=1e-6)


def test_sigmoid_does_not_overflow() -> None:
    """Large sums become 0 and 1 without a warning."""
    model = made()
    with torch.no_grad():
        model.fc4.weight.zero_()
        model.fc4.bias[:3] = torch.tensor([-1e6, 0, 1e6])
    assert as_numpy(model).decode(np.zeros((1, 8), np.float32))[0, :3].tolist() == [0, 0.5, 1]
