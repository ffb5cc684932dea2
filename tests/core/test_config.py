import json
from typing import Any

import numpy as np
import pytest
import torch

from mnistae.core import config
from mnistae.core.config import MAX_SEED, PIXELS, ModelConfig, Optimizer, Schedule, TrainConfig
from mnistae.core.errors import UsageError
from mnistae.store import format as checkpoint_format

NAN, INF = float("nan"), float("inf")


class Scalar:
    """An array of another library without axes and without `item`."""

    ndim = 0

    def __repr__(self) -> str:
        return "a scalar without a value"


def test_the_lab() -> None:
    """The defaults are the lab's: its network and its recipe."""
    assert ModelConfig() == ModelConfig(hidden=392, bottleneck=8)
    lab = TrainConfig(epochs=50, batch_size=2048, learning_rate=1e-3, weight_decay=1e-5, output_bias=0.01, bottleneck_bias=0.01)
    assert config.recipe("lab") == TrainConfig() == lab
    assert (lab.optimizer, lab.beta1, lab.beta2) == (Optimizer.ADAM, 0.9, 0.999)
    assert (lab.schedule, lab.warmup, lab.noise, lab.augment_std) == (Schedule.PLATEAU, 0, 0, 0)


def test_shapes() -> None:
    """A network has eight tensors, in their order and under the lab's names."""
    shapes = [(16, 784), (16,), (2, 16), (2,), (16, 2), (16,), (784, 16), (784,)]
    names = [f"fc{number}.{part}" for number in (1, 2, 3, 4) for part in ("weight", "bias")]
    assert list(ModelConfig(hidden=16, bottleneck=2).shapes().items()) == list(zip(names, shapes, strict=True))


def test_largest_state_fits() -> None:
    """The training state of the largest network, three numbers of four bytes a weight, is one that the store reads."""
    hidden, bottleneck = 2048, 392
    weights = 2 * hidden * (PIXELS + bottleneck) + 2 * hidden + bottleneck + PIXELS
    assert 3 * 4 * weights + checkpoint_format.MAX_HEADER < checkpoint_format.MAX_FILE


@pytest.mark.parametrize(
    ("kind", "option", "valid", "invalid"),
    [
        (ModelConfig, "--hidden", [1, 2048], [0, 2049, 16.0, True, "16", None]),
        (ModelConfig, "--bottleneck", [1, 392], [0, 393]),
        (TrainConfig, "--seed", [0, MAX_SEED], [-1, MAX_SEED + 1]),
        (TrainConfig, "--epochs", [1, 10_000], [0, 10_001]),
        (TrainConfig, "--batch-size", [1, 65_536], [0, 65_537]),
        (TrainConfig, "--lr", [5e-324, 1, 1e308], [0.0, NAN, INF, True, "1e-3", None, 1j, 10**400]),
        (TrainConfig, "--weight-decay", [0.0, 1e30], [-1e-9, NAN, INF]),
        (TrainConfig, "warmup", [0, 1_000_000], [-1, 1_000_001]),
        (TrainConfig, "noise", [0.0], [-0.1, NAN, INF]),
        (TrainConfig, "augment_std", [0.0], [-0.1, NAN, INF]),
        (TrainConfig, "beta1", [0.0], [-0.1, 1.0, NAN]),
        (TrainConfig, "beta2", [0.0], [-0.1, 1.0, NAN]),
        (TrainConfig, "bottleneck_bias", [-100.0, 100.0], [-101.0, 101.0, NAN]),
        (TrainConfig, "output_bias", [-100.0, 100.0], [-101.0, 101.0, NAN]),
        (TrainConfig, "optimizer", ["adam", "adamw"], ["sgd", []]),
        (TrainConfig, "--precision", ["fp32", "tf32", "bf16"], ["fp8"]),
        (TrainConfig, "schedule", ["plateau", "linear"], ["cosine"]),
        (TrainConfig, "--raw", [True, False], [1, "no", None]),
    ],
)
def test_bounds(kind: type[ModelConfig | TrainConfig], option: str, valid: list[Any], invalid: list[Any]) -> None:
    """Sizes and settings are integers and finite numbers in their ranges, wherever they come from."""
    field = "learning_rate" if option == "--lr" else option.lstrip("-").replace("-", "_")
    for value in valid:
        assert getattr(kind(**{field: value}), field) == value
    for value in invalid:
        with pytest.raises(UsageError) as failure:
            kind(**{field: value})
        assert failure.value.message.startswith(f"invalid value for {option}: ")


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"epochs": 0}, "--epochs: 0", "an integer from 1 to 10,000"),
        ({"epochs": 2.0}, "--epochs: 2.0", "an integer from 1 to 10,000"),
        ({"epochs": "2\n"}, r"--epochs: '2\n'", "an integer from 1 to 10,000"),
        ({"epochs": 10**5000}, "--epochs: <int too long to print>", "an integer from 1 to 10,000"),
        ({"epochs": Scalar()}, "--epochs: a scalar without a value", "an integer from 1 to 10,000"),
        ({"beta1": torch.ones((), device="meta")}, "beta1: tensor(..., device='meta', size=())", "a number from 0 to below 1"),
        ({"learning_rate": -200.0}, "--lr: -200", "a finite number above 0"),
        ({"learning_rate": NAN}, "--lr: nan", "a finite number above 0"),
        ({"learning_rate": 10**400}, f"--lr: 1{'0' * 198}…", "a finite number above 0"),
        ({"weight_decay": -1e-9}, "--weight-decay: -1e-09", "a finite number, 0 or above"),
        ({"output_bias": 100.0000001}, "output_bias: 100.0000001", "a number from -100 to 100"),
        ({"beta1": 1.0}, "beta1: 1", "a number from 0 to below 1"),
        ({"precision": "fp8"}, "--precision: 'fp8'", "one of: fp32, tf32, bf16"),
        ({"optimizer": []}, "optimizer: []", "one of: adam, adamw"),
        ({"raw": 1}, "--raw: 1", "True or False"),
    ],
)
def test_messages(fields: dict[str, Any], message: str, hint: str) -> None:
    """A message shows the value as it was typed, and a hint the valid ones."""
    with pytest.raises(UsageError) as failure:
        TrainConfig(**fields)
    assert failure.value.message == f"invalid value for {message}"
    assert failure.value.hint == f"must be {hint}"


@pytest.mark.parametrize("value", [np.int64(1), np.uint8(1), np.array(1), torch.tensor(1), 1], ids=repr)
def test_numbers_of_other_libraries(value: Any) -> None:
    """Scalars of NumPy and torch are stored as Python's, floats as floats: a checkpoint has the same bytes with either."""
    sizes = ModelConfig(hidden=value, bottleneck=value)
    settings = TrainConfig(epochs=value, batch_size=value, seed=value, learning_rate=value, raw=np.bool_(True))  # type: ignore[arg-type]
    found = [sizes.hidden, sizes.bottleneck, settings.epochs, settings.batch_size, settings.seed, settings.learning_rate]
    assert json.dumps([*found, settings.raw]) == "[1, 1, 1, 1, 1, 1.0, true]"
    assert json.dumps(TrainConfig(weight_decay=np.float32(0.5)).weight_decay) == "0.5"  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"dataset": None}, {"recipe": []}, {"speed": 1}])
def test_other_types(fields: dict[str, Any]) -> None:
    """Settings of another type, and unknown ones, are refused: a checkpoint may have any."""
    with pytest.raises(TypeError):
        TrainConfig(**fields)


def test_recipes() -> None:
    """Each recipe has the name it is found under, because the store records it; an unknown name is a usage error."""
    assert {name: recipe.recipe for name, recipe in config.RECIPES.items()} == {name: name for name in config.RECIPES}
    with pytest.raises(UsageError) as failure:
        config.recipe("Lab")
    assert failure.value.message == "invalid value for --recipe: 'Lab'"
    assert failure.value.hint == f"must be one of: {', '.join(config.RECIPES)}"
