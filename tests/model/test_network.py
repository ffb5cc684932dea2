"""The network, on torch and on NumPy."""

import numpy as np
import pytest
import torch

from mnistae.core.arrays import BATCH_SIZE
from mnistae.core.config import ModelConfig
from mnistae.model.network import Autoencoder, initialise
from mnistae.model.numpy_network import NumpyNetwork, _sigmoid


def make(config: ModelConfig, seed: int = 0) -> tuple[Autoencoder, NumpyNetwork]:
    """Return the same network twice."""
    model = Autoencoder(config)
    initialise(model, seed=seed)
    weights = {name: tensor.detach().numpy().copy() for name, tensor in model.named_parameters()}
    return model, NumpyNetwork.from_weights(weights)


def test_state_dict_has_the_labs_names() -> None:
    """The lab's checkpoints load by name."""
    assert {name: tuple(tensor.shape) for name, tensor in Autoencoder().state_dict().items()} == ModelConfig().shapes()


def test_initialisation_is_xavier_uniform_with_biases_of_a_hundredth() -> None:
    """Weights are uniform in Glorot's interval, and a seed gives one network."""
    model, _ = make(ModelConfig())
    weight = model.fc1.weight.detach()
    bound = (6 / (784 + 392)) ** 0.5

    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert all((layer.bias == 0.01).all() for layer in (model.fc1, model.fc2, model.fc3, model.fc4))
    assert torch.equal(weight, make(ModelConfig())[0].fc1.weight)
    assert not torch.equal(weight, make(ModelConfig(), seed=1)[0].fc1.weight)


def test_initial_biases_can_be_set() -> None:
    """The bottleneck's and the output's biases can be set; nothing else changes with them."""
    model = Autoencoder()
    initialise(model, seed=0, bottleneck_bias=3.0, output_bias=-2.0)
    plain, _ = make(ModelConfig())
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
    ours, _ = make(ModelConfig(), seed)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(hidden=50, bottleneck=3)])
@pytest.mark.parametrize("count", [1, 5, BATCH_SIZE + 1])
def test_numpy_equals_torch(config: ModelConfig, count: int) -> None:
    """NumPy's encode, decode and reconstruct equal torch's within 1e-6."""
    model, coder = make(config)
    images = np.random.default_rng(0).random((count, 784), np.float32)
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(images))
        outputs = model(torch.from_numpy(images))

    np.testing.assert_allclose(coder.encode(images), codes.numpy(), atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(coder.decode(codes.numpy()), outputs.numpy(), atol=1e-6)
    np.testing.assert_allclose(coder.reconstruct(images), outputs.numpy(), atol=1e-6)


def test_sigmoid_does_not_overflow() -> None:
    """Large sums become 0 and 1 without a warning."""
    with np.errstate(all="raise"):
        assert _sigmoid(np.array([[-1e6, 0, 1e6]], np.float32)).tolist() == [[0, 0.5, 1]]
