"""What a run is made of: the network's sizes, the training recipe, and the named recipes. Data that checks itself."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from mnistae.core.errors import UsageError

SIDE = 28
"""Height and width of an image in pixels."""

PIXELS = SIDE * SIDE
"""Numbers in one flattened image, the network's input and output width."""

MAX_SEED = 2**32 - 1


class Schedule(StrEnum):
    """How the learning rate moves during a run."""

    PLATEAU = "plateau"  # PyTorch's ReduceLROnPlateau, stepped with each epoch's loss
    LINEAR = "linear"  # up in a straight line during the warm-up, then down to zero at the last step


class Optimizer(StrEnum):
    """How the weights move. Both are Adam (Kingma and Ba, 2015); they differ in what weight decay means."""

    ADAM = "adam"  # decay is added to the gradient: the L2 form, as in the lab
    ADAMW = "adamw"  # decay shrinks the weights, apart from the gradient (Loshchilov and Hutter, 2019)


class Precision(StrEnum):
    """The arithmetic of the matrix products. Weights, Adam's moments and files are float32 in all of them."""

    FP32 = "fp32"
    TF32 = "tf32"  # float32 with products rounded to ten bits of mantissa, on CUDA
    BF16 = "bf16"


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

    `learning_rate` is Adam's largest step size, `beta1` and `beta2` the decay of its moments, `warmup` a number of steps.
    `noise` is the half-width of the uniform noise that is added to the inputs (clipped to [0, 1]; the targets stay clean); 0 is
    none. `bottleneck_bias` and `output_bias` are what the biases of fc2 and of fc4 start from. `warp` is the standard deviation
    of the entries that a random linear map has beyond the identity: training images go through one, a new one each time.
    """

    recipe: str = "lab"
    dataset: str = "mnist"
    seed: int = 0
    epochs: int = 50
    batch_size: int = 2048
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    optimizer: Optimizer = Optimizer.ADAM
    beta1: float = 0.9
    beta2: float = 0.999
    schedule: Schedule = Schedule.PLATEAU
    warmup: int = 0
    bottleneck_bias: float = 0.01
    output_bias: float = 0.01
    noise: float = 0.0
    augment_std: float = 0.0
    precision: Precision = Precision.FP32

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.recipe, self.dataset)):
            raise TypeError("recipe and data set are text")
        _check_integer("seed", self.seed, 0, MAX_SEED)
        _check_integer("epochs", self.epochs, 1, 10_000)
        _check_integer("batch size", self.batch_size, 1, 65_536)
        _check_integer("warm-up", self.warmup, 0, 1_000_000)
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning rate is '{self.learning_rate}'", hint="give a finite number above 0")
        for what, value in (("weight decay", self.weight_decay), ("noise", self.noise), ("augment_std", self.augment_std)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{what} is '{value}'", hint="give a finite number, 0 or above")
        for what, value in (("bottleneck bias", self.bottleneck_bias), ("output bias", self.output_bias)):
            if not abs(value) <= 100:
                raise UsageError(f"{what} is '{value}'", hint="give a number from -100 to 100")
        for what, value in (("beta1", self.beta1), ("beta2", self.beta2)):
            if not 0 <= value < 1:
                raise UsageError(f"{what} is '{value}'", hint="give a number from 0 to below 1")
        for name, kind in (("optimizer", Optimizer), ("schedule", Schedule), ("precision", Precision)):
            object.__setattr__(self, name, kind(getattr(self, name)))  # text, as a checkpoint has it, becomes a member

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        fields = dataclasses.asdict(self)
        return {name: value.value if isinstance(value, StrEnum) else value for name, value in fields.items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the configuration with these fields. Raises TypeError, ValueError or UsageError."""
        return cls(**fields)


_LINEAR = TrainConfig(weight_decay=0.0, schedule=Schedule.LINEAR, bottleneck_bias=0.5)
_LONG = replace(_LINEAR, learning_rate=2e-3, beta2=0.99, batch_size=64, warmup=938)

RECIPES: dict[str, TrainConfig] = {
    "lab": TrainConfig(),
    "fast": replace(
        _LINEAR,
        recipe="fast",
        epochs=1,
        batch_size=192,
        learning_rate=2e-2,
        beta1=0.8,
        beta2=0.95,
        warmup=63,
        bottleneck_bias=3.0,
        output_bias=-2.0,
    ),
    "best": replace(
        _LONG,
        recipe="best",
        batch_size=32,
        learning_rate=1.4e-3,
        warmup=1875,
        optimizer=Optimizer.ADAMW,
        weight_decay=0.03,
        augment_std=0.05,
    ),
    "denoise": replace(_LONG, recipe="denoise", noise=0.625),
}
"""The training recipes by name. What each of them reaches was measured and stands in docs/results.md."""


def recipe(name: str) -> TrainConfig:
    """Return the recipe called `name`. Raises UsageError."""
    if name not in RECIPES:
        raise UsageError(f"no such recipe: '{name}'", hint=f"choose one of: {', '.join(RECIPES)}")
    return RECIPES[name]
