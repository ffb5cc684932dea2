"""What a run is made of: the network's sizes, the training recipe, and the named recipes. Data that checks itself."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from mnistae.errors import UsageError

SIDE = 28
"""Height and width of an image in pixels."""

PIXELS = SIDE * SIDE
"""Numbers in one flattened image, the network's input and output width."""

MAX_SEED = 2**32 - 1


class Schedule(StrEnum):
    """How the learning rate moves during a run."""

    PLATEAU = "plateau"


def _check_integer(what: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{what} is '{value}'", hint=f"give a whole number from {low} to {high}")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network 784 → hidden → bottleneck → hidden → 784.

    The upper bounds keep a training state (weights and two Adam moments, float32) under the 64 MiB that the store reads.
    """

    hidden: int = 392
    bottleneck: int = 8

    def __post_init__(self) -> None:
        _check_integer("hidden", self.hidden, 1, 2048)
        _check_integer("bottleneck", self.bottleneck, 1, 392)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the eight tensors by their state-dict names, in the network's order."""
        widths = (PIXELS, self.hidden, self.bottleneck, self.hidden, PIXELS)
        shapes: dict[str, tuple[int, ...]] = {}
        for number, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
            shapes[f"fc{number}.weight"] = (outputs, inputs)
            shapes[f"fc{number}.bias"] = (outputs,)
        return shapes


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run's numbers, but for the device and the versions. The defaults are the lab's.

    `learning_rate` is Adam's step size, `weight_decay` the L2 form of `torch.optim.Adam`.
    """

    recipe: str = "lab"
    dataset: str = "mnist"
    seed: int = 0
    epochs: int = 50
    batch_size: int = 2048
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    schedule: Schedule = Schedule.PLATEAU

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.recipe, self.dataset)):
            raise TypeError("recipe and data set are text")
        _check_integer("seed", self.seed, 0, MAX_SEED)
        _check_integer("epochs", self.epochs, 1, 10_000)
        _check_integer("batch size", self.batch_size, 1, 65_536)
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning rate is '{self.learning_rate}'", hint="give a finite number above 0")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"weight decay is '{self.weight_decay}'", hint="give a finite number, 0 or above")
        object.__setattr__(self, "schedule", Schedule(self.schedule))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**dataclasses.asdict(self), "schedule": self.schedule.value}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the configuration with these fields. Raises TypeError, ValueError or UsageError."""
        return cls(**fields)


RECIPES: dict[str, TrainConfig] = {
    "lab": TrainConfig(),
}
"""The training recipes by name."""


def recipe(name: str) -> TrainConfig:
    """Return the recipe called `name`. Raises UsageError."""
    if name not in RECIPES:
        raise UsageError(f"no such recipe: '{name}'", hint=f"choose one of: {', '.join(RECIPES)}")
    return RECIPES[name]
