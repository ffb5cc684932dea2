"""What the weights of other networks are taken for, and what becomes of them."""

import functools
import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mnistae.core.arrays import Array, flatten, to_float
from mnistae.core.config import ModelConfig
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.data.sets import glyphs
from mnistae.model.network import Autoencoder
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.store import builtin, importer, runs, variants
from mnistae.store.variants import DEFAULT, VARIANTS, Bottleneck, InputRange, Output, Variant
from tests.conftest import REFERENCE, Cli


@pytest.fixture(autouse=True)
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try networks on fewer digits, on which they are trained faster."""
    monkeypatch.setattr(variants, "DIGITS", 100)


@functools.cache
def digits() -> Array:
    return to_float(flatten(glyphs.draw(100, seed=1)[0]))


SCALES = {"0:1": (0.0, 1.0), "-1:1": (0.5, 0.5), "0:255": (0.0, 1 / 255), "mnist": (0.1307, 0.3081)}
"""Mean and standard deviation by which inputs are normalised, as of torchvision's Normalize."""


def random_weights() -> dict[str, Array]:
    rng, shapes = np.random.default_rng(0), ModelConfig(hidden=24, bottleneck=3).shapes()
    return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def forward(w: Mapping[str, Tensor], images: Tensor, variant: Variant) -> Tensor:
    """Return the images of the network that `variant` describes."""
    mean, deviation = SCALES[variant.inputs]
    x = (images - mean) / deviation
    code = torch.relu(x @ w["fc1.weight"].T + w["fc1.bias"]) @ w["fc2.weight"].T + w["fc2.bias"]
    code = torch.relu(code) if variant.bottleneck == "relu" else code
    y = torch.relu(code @ w["fc3.weight"].T + w["fc3.bias"]) @ w["fc4.weight"].T + w["fc4.bias"]
    if variant.output == "linear":
        return (y * deviation + mean).clip(0, 1)
    return torch.sigmoid(y) if variant.output == "sigmoid" else torch.tanh(y) * 0.5 + 0.5


def reference(weights: dict[str, Array], images: Array, variant: Variant) -> Array:
    w = {name: torch.from_numpy(array).double() for name, array in weights.items()}
    found: Array = forward(w, torch.from_numpy(images).double(), variant).float().numpy()
    return found


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.output is not Output.LINEAR], ids=str)
def test_conversion_is_exact(variant: Variant) -> None:
    """The lab's network with the converted weights gives what the other network gives, for any image."""
    images = np.random.default_rng(1).random((50, 784), np.float32)
    images[:2] = [[0.0], [1.0]]
    weights = random_weights()
    weights["fc1.weight"] *= SCALES[variant.inputs][1]
    found = NumpyNetwork.from_weights(variants.convert(weights, variant)).reconstruct(images)
    assert np.abs(found - reference(weights, images, variant)).max() < 1e-4
    assert all(array.dtype == np.float32 for array in variants.convert(weights, variant).values())


def test_trial() -> None:
    """The errors in a trial are those of the networks that the variants describe, and the best is the smallest."""
    weights = random_weights()
    expected = {variant: float(((reference(weights, digits(), variant) - digits()) ** 2).mean()) for variant in VARIANTS}
    trial = variants.try_on_digits(weights, DEFAULT)
    assert (trial.digits, trial.best) == ("100 built-in digits", min(VARIANTS, key=lambda variant: expected[variant]))
    assert (trial.mse, trial.best_mse) == pytest.approx((expected[DEFAULT], expected[trial.best]), rel=1e-4)


def test_what_cannot_be_converted() -> None:
    """A linear output is refused with the reason, and so are weights that overflow."""
    with pytest.raises(UsageError, match="a network with a linear output cannot be converted"):
        variants.convert(random_weights(), Variant(output=Output.LINEAR))
    large = random_weights() | {"fc4.bias": np.full(784, 3e38, np.float32)}
    with pytest.raises(CheckpointError, match="the converted weights are not finite"):
        variants.convert(large, Variant(output=Output.TANH))


@functools.cache
def trained(variant: Variant, steps: int) -> dict[str, Array]:
    """Return a small network, trained on the digits of the trial as the variant that differs from the lab's."""
    torch.manual_seed(0)
    images = torch.from_numpy(digits())
    network = Autoencoder(ModelConfig(hidden=48, bottleneck=8))
    nn.init.constant_(network.fc2.bias, 3.0)  # no dead units
    weights = dict(network.named_parameters())
    optimizer = torch.optim.Adam(weights.values(), 1e-2)
    for _ in range(steps):
        loss = ((forward(weights, images, variant) - images) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        optimizer.step()
    return {name: tensor.detach().numpy() for name, tensor in weights.items()}


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        (DEFAULT, None),
        (Variant(InputRange.MNIST), "--input-range mnist"),
        (Variant(bottleneck=Bottleneck.LINEAR), "--bottleneck-activation linear"),
        (
            Variant(InputRange.SYMMETRIC, Bottleneck.LINEAR, Output.TANH),
            "--input-range -1:1 --bottleneck-activation linear --output-activation tanh",
        ),
    ],
    ids=str,
)
def test_trained_networks(variant: Variant, options: str | None) -> None:
    """A trained network is recognised: the warning names the options that import it, and with them there is none."""
    weights = trained(variant, 200 if variant.output is Output.TANH else 100)
    warning = variants.try_on_digits(weights, DEFAULT).warning
    assert warning is None if options is None else str(warning).endswith(f"import them with: {options}")
    assert variants.try_on_digits(weights, variant).warning is None
    if variant == DEFAULT:
        wrong = variants.try_on_digits(weights, Variant(InputRange.SYMMETRIC)).warning
        assert str(wrong).endswith("import them without these options")


def test_short_training_is_not_called_another_network() -> None:
    """A network after a few steps is poor, and no other variant is suggested."""
    warning = variants.try_on_digits(trained(DEFAULT, 10), DEFAULT).warning
    assert warning
    assert warning.endswith("the network may be undertrained, trained on other images, or of another kind")


@pytest.mark.parametrize("dead", [0, 7])
def test_dead_units(dead: int) -> None:
    """Good weights do not warn, also not with dead units: PCA has as many components as units are active."""
    weights = {name: array.copy() for name, array in runs.load(builtin.LAB).weights.items()}
    weights["fc2.bias"][:dead] = -1e4
    trial = variants.try_on_digits(weights, DEFAULT)
    assert trial.active == 8 - dead
    assert (trial.warning is None) == (dead == 0)


def test_reference() -> None:
    """The weights that the lab was reported with do not warn."""
    if not REFERENCE.is_file():
        pytest.skip(f"the lab's own weights are not at {REFERENCE}")
    trial = importer.read(REFERENCE).trial
    assert trial
    assert trial.warning is None


def test_a_rectified_bottleneck_is_not_called_linear() -> None:
    """As linear the built-in network has a smaller error, by 0.1 %: a wrong option is still answered with the defaults.

    The variant that is assumed stays the best if its error is the smallest.
    """
    trial = variants.try_on_digits(runs.load(builtin.LAB).weights, Variant(InputRange.SYMMETRIC))
    assert trial.best == DEFAULT
    assert str(trial.warning).endswith("import them without these options")
    linear = Variant(bottleneck=Bottleneck.LINEAR)
    assert variants.try_on_digits(runs.load(builtin.LAB).weights, linear).best == linear


def test_import_with_options(cli: Cli) -> None:
    """The options convert the weights; without them the same file warns, in the document too, and -q is silent."""
    weights = trained(Variant(InputRange.MNIST), 100)
    torch.save({f"net.{name}": torch.from_numpy(array) for name, array in weights.items()}, "other.pth")
    plain = cli("checkpoints", "import", "other.pth", "--json")
    document = json.loads(plain.out)
    assert plain.err.splitlines()[0] == "net.fc1 → fc1, net.fc2 → fc2, net.fc3 → fc3, net.fc4 → fc4"
    assert plain.err.splitlines()[-1] == f"warning: {document['trial']['warning']}"
    converted = cli("checkpoints", "import", "other.pth", "--force", "--input-range", "mnist")
    assert "warning" not in converted.err
    assert f": MSE {document['trial']['best']['mse']:.4f} on 100 built-in digits" in converted.err
    assert "import other.pth --input-range mnist" in cli("checkpoints", "show", "other").out
    assert cli("checkpoints", "import", "other.pth", "--force", "-q").err == ""
