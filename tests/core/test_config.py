import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from mnistae.core import config
from mnistae.core.config import MAX_SEED, PIXELS, ModelConfig, Optimizer, Precision, Schedule, TrainConfig
from mnistae.core.errors import UsageError
from mnistae.store import format as checkpoint_format

NAN, INF = float("nan"), float("inf")


def test_the_lab() -> None:
    """The defaults are the lab's: its network and its recipe."""
    assert ModelConfig() == ModelConfig(hidden=392, bottleneck=8)
    assert (
        config.recipe("lab")
        == TrainConfig()
        == TrainConfig(
            recipe="lab",
            dataset="mnist",
            seed=0,
            epochs=50,
            batch_size=2048,
            learning_rate=1e-3,
            weight_decay=1e-5,
            optimizer=Optimizer.ADAM,
            beta1=0.9,
            beta2=0.999,
            schedule=Schedule.PLATEAU,
            warmup=0,
            bottleneck_bias=0.01,
            output_bias=0.01,
            noise=0.0,
            augment_std=0.0,
            precision=Precision.FP32,
        )
    )


def test_shapes() -> None:
    """A network has eight tensors, in their order and under the lab's names."""
    assert list(ModelConfig(hidden=16, bottleneck=2).shapes().items()) == [
        ("fc1.weight", (16, 784)),
        ("fc1.bias", (16,)),
        ("fc2.weight", (2, 16)),
        ("fc2.bias", (2,)),
        ("fc3.weight", (16, 2)),
        ("fc3.bias", (16,)),
        ("fc4.weight", (784, 16)),
        ("fc4.bias", (784,)),
    ]


def test_largest_state_fits() -> None:
    """The training state of the largest network, three numbers of four bytes a weight, is one that the store reads."""
    hidden, bottleneck = 2048, 392
    weights = 2 * hidden * (PIXELS + bottleneck) + 2 * hidden + bottleneck + PIXELS
    assert 3 * 4 * weights + checkpoint_format.MAX_HEADER < checkpoint_format.MAX_FILE


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"hidden": 1, "bottleneck": 1}, None),
        ({"hidden": 2048, "bottleneck": 392}, None),
        ({"hidden": 0}, "invalid value for --hidden: 0"),
        ({"hidden": 2049}, "invalid value for --hidden: 2049"),
        ({"hidden": 16.0}, "invalid value for --hidden: 16.0"),
        ({"hidden": True}, "invalid value for --hidden: True"),
        ({"hidden": None}, "invalid value for --hidden: None"),
        ({"bottleneck": 0}, "invalid value for --bottleneck: 0"),
        ({"bottleneck": -8}, "invalid value for --bottleneck: -8"),
        ({"bottleneck": 393}, "invalid value for --bottleneck: 393"),
        ({"bottleneck": "8"}, "invalid value for --bottleneck: 8"),
        ({"bottleneck": 10**30}, f"invalid value for --bottleneck: {10**30}"),
    ],
)
def test_model_bounds(fields: dict[str, Any], error: str | None) -> None:
    """Sizes are integers from 1 to what the store can read."""
    check(lambda given: ModelConfig(**given), fields, UsageError if error else None, error)


@pytest.mark.parametrize(
    ("fields", "kind", "error"),
    [
        ({"seed": 0, "epochs": 1, "batch_size": 1, "weight_decay": 0.0}, None, None),
        ({"seed": MAX_SEED, "epochs": 10_000, "batch_size": 65_536, "learning_rate": 1e30}, None, None),
        ({"seed": -1}, UsageError, "invalid value for --seed: -1"),
        ({"seed": MAX_SEED + 1}, UsageError, f"invalid value for --seed: {MAX_SEED + 1}"),
        ({"epochs": 0}, UsageError, "invalid value for --epochs: 0"),
        ({"epochs": 10_001}, UsageError, "invalid value for --epochs: 10001"),
        ({"epochs": 1e3}, UsageError, "invalid value for --epochs: 1000.0"),
        ({"batch_size": 0}, UsageError, "invalid value for --batch-size: 0"),
        ({"batch_size": 65_537}, UsageError, "invalid value for --batch-size: 65537"),
        ({"learning_rate": 0.0}, UsageError, "invalid value for --lr: 0.0"),
        ({"learning_rate": -1e-3}, UsageError, "invalid value for --lr: -0.001"),
        ({"learning_rate": NAN}, UsageError, "invalid value for --lr: nan"),
        ({"learning_rate": INF}, UsageError, "invalid value for --lr: inf"),
        ({"learning_rate": "fast"}, TypeError, None),
        ({"weight_decay": -1e-9}, UsageError, "invalid value for --weight-decay: -1e-09"),
        ({"weight_decay": NAN}, UsageError, "invalid value for --weight-decay: nan"),
        ({"warmup": -1}, UsageError, "invalid value for warmup: -1"),
        ({"noise": NAN}, UsageError, "invalid value for noise: nan"),
        ({"augment_std": -0.1}, UsageError, "invalid value for augment_std: -0.1"),
        ({"beta1": 1.0}, UsageError, "invalid value for beta1: 1.0"),
        ({"beta2": NAN}, UsageError, "invalid value for beta2: nan"),
        ({"bottleneck_bias": NAN}, UsageError, "invalid value for bottleneck_bias: nan"),
        ({"output_bias": 101.0}, UsageError, "invalid value for output_bias: 101.0"),
        ({"optimizer": "sgd"}, UsageError, "invalid value for optimizer: sgd"),
        ({"precision": "fp8"}, UsageError, "invalid value for --precision: fp8"),
        ({"schedule": "cosine"}, UsageError, "invalid value for schedule: cosine"),
        ({"dataset": None}, TypeError, "recipe and data set must be text"),
        ({"recipe": ["lab"]}, TypeError, "recipe and data set must be text"),
    ],
)
def test_recipe_bounds(fields: dict[str, Any], kind: type[Exception] | None, error: str | None) -> None:
    """Settings are integers and finite numbers in their ranges, wherever they come from."""
    check(lambda given: TrainConfig(**given), fields, kind, error)


def check(
    make: Callable[[dict[str, Any]], ModelConfig | TrainConfig],
    fields: dict[str, Any],
    kind: type[Exception] | None,
    error: str | None,
) -> None:
    """Make the configuration and compare it, or its error."""
    if kind is None:
        made = dataclasses.asdict(make(fields))
        assert {name: made[name] for name in fields} == fields
        return
    with pytest.raises(kind) as failure:
        make(fields)
    assert error in (None, str(failure.value))


def test_json_round_trip() -> None:
    """What is written as JSON comes back as the same configuration."""
    before = TrainConfig(recipe="mine", dataset="/data/ä", seed=7, epochs=3, learning_rate=1e-300, weight_decay=0.1)
    assert TrainConfig(**json.loads(json.dumps(dataclasses.asdict(before)))) == before


def test_unknown_recipe() -> None:
    """An unknown recipe is a usage error that names the valid ones."""
    with pytest.raises(UsageError) as failure:
        config.recipe("Lab")
    assert failure.value.message == "invalid value for --recipe: Lab"
    assert failure.value.hint == f"must be one of: {', '.join(config.RECIPES)}"


def test_recipes_name_themselves() -> None:
    """Each recipe carries the name it is found under, because the store records it."""
    assert {name: recipe.recipe for name, recipe in config.RECIPES.items()} == {name: name for name in config.RECIPES}
