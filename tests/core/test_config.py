import dataclasses
from typing import Any

import pytest

from mnistae.core import config
from mnistae.core.config import MAX_SEED, PIXELS, ModelConfig, Optimizer, Schedule, TrainConfig
from mnistae.core.errors import UsageError
from mnistae.store import format as checkpoint_format

NAN, INF = float("nan"), float("inf")


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
    ("kind", "fields", "error"),
    [
        (ModelConfig, {"hidden": 1, "bottleneck": 1}, None),
        (ModelConfig, {"hidden": 2048, "bottleneck": 392}, None),
        (ModelConfig, {"hidden": 0}, "--hidden: 0"),
        (ModelConfig, {"hidden": 2049}, "--hidden: 2049"),
        (ModelConfig, {"hidden": 16.0}, "--hidden: 16.0"),
        (ModelConfig, {"hidden": True}, "--hidden: True"),
        (ModelConfig, {"bottleneck": 0}, "--bottleneck: 0"),
        (ModelConfig, {"bottleneck": 393}, "--bottleneck: 393"),
        (TrainConfig, {"seed": 0, "epochs": 1, "batch_size": 1, "weight_decay": 0.0}, None),
        (TrainConfig, {"seed": MAX_SEED, "epochs": 10_000, "batch_size": 65_536, "learning_rate": 1e30}, None),
        (TrainConfig, {"seed": -1}, "--seed: -1"),
        (TrainConfig, {"seed": MAX_SEED + 1}, f"--seed: {MAX_SEED + 1}"),
        (TrainConfig, {"epochs": 0}, "--epochs: 0"),
        (TrainConfig, {"epochs": 10_001}, "--epochs: 10001"),
        (TrainConfig, {"batch_size": 0}, "--batch-size: 0"),
        (TrainConfig, {"batch_size": 65_537}, "--batch-size: 65537"),
        (TrainConfig, {"learning_rate": 0.0}, "--lr: 0.0"),
        (TrainConfig, {"learning_rate": NAN}, "--lr: nan"),
        (TrainConfig, {"learning_rate": INF}, "--lr: inf"),
        (TrainConfig, {"weight_decay": -1e-9}, "--weight-decay: -1e-09"),
        (TrainConfig, {"weight_decay": NAN}, "--weight-decay: nan"),
        (TrainConfig, {"warmup": -1}, "warmup: -1"),
        (TrainConfig, {"noise": NAN}, "noise: nan"),
        (TrainConfig, {"augment_std": -0.1}, "augment_std: -0.1"),
        (TrainConfig, {"beta1": 1.0}, "beta1: 1.0"),
        (TrainConfig, {"beta2": NAN}, "beta2: nan"),
        (TrainConfig, {"bottleneck_bias": NAN}, "bottleneck_bias: nan"),
        (TrainConfig, {"output_bias": 101.0}, "output_bias: 101.0"),
        (TrainConfig, {"optimizer": "sgd"}, "optimizer: sgd"),
        (TrainConfig, {"precision": "fp8"}, "--precision: fp8"),
        (TrainConfig, {"schedule": "cosine"}, "schedule: cosine"),
    ],
    ids=str,
)
def test_bounds(kind: type[ModelConfig | TrainConfig], fields: dict[str, Any], error: str | None) -> None:
    """Sizes and settings are integers and finite numbers in their ranges, wherever they come from."""
    if error is None:
        assert dataclasses.asdict(kind(**fields)).items() >= fields.items()
        return
    with pytest.raises(UsageError) as failure:
        kind(**fields)
    assert failure.value.message == f"invalid value for {error}"


@pytest.mark.parametrize(
    "fields", [{"learning_rate": "fast"}, {"dataset": None}, {"recipe": ["lab"]}, {"raw": 1}, {"speed": 1}]
)
def test_other_types(fields: dict[str, Any]) -> None:
    """Settings of another type, and unknown ones, are refused: a checkpoint may have any."""
    with pytest.raises(TypeError):
        TrainConfig(**fields)


def test_recipes() -> None:
    """Each recipe has the name it is found under, because the store records it; an unknown name is a usage error."""
    assert {name: recipe.recipe for name, recipe in config.RECIPES.items()} == {name: name for name in config.RECIPES}
    with pytest.raises(UsageError) as failure:
        config.recipe("Lab")
    assert failure.value.message == "invalid value for --recipe: Lab"
    assert failure.value.hint == f"must be one of: {', '.join(config.RECIPES)}"
