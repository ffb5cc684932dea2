"""Self-validating dataclasses: the network's sizes and the training settings; and the named recipes."""

import itertools
import math
from dataclasses import dataclass, replace
from enum import StrEnum

from mnistae.core.errors import UsageError

SIDE = 28
"""Height and width of an image in pixels."""

PIXELS = SIDE * SIDE
"""Numbers in one flattened image, the network's input and output width."""

MAX_SEED = 2**32 - 1


class Schedule(StrEnum):
    """How the learning rate changes during a run."""

    PLATEAU = "plateau"  # PyTorch's ReduceLROnPlateau, stepped with each epoch's loss
    LINEAR = "linear"  # linear warm-up, then linear decay to zero at the last step


class Optimizer(StrEnum):
    """Both are Adam (Kingma and Ba, 2015); they differ in what weight decay means."""

    ADAM = "adam"  # decay is added to the gradient: the L2 form, as in the lab
    ADAMW = "adamw"  # decoupled decay, applied to the weights themselves (Loshchilov and Hutter, 2019)


class Precision(StrEnum):
    """Precision of the matrix products. Weights, Adam's moments and files are always float32."""

    FP32 = "fp32"
    TF32 = "tf32"  # float32 with products rounded to ten bits of mantissa, on CUDA
    BF16 = "bf16"


def check_integer(option: str, value: object, low: int, high: int) -> None:
    """Raise UsageError if `value` is not an integer from `low` to `high`."""
    is_valid = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _check(option, value, is_valid, f"an integer from {low:,} to {high:,}")


def _check(option: str, value: object, is_valid: bool, expected: str) -> None:
    if not is_valid:
        raise UsageError(f"invalid value for {option}: {value}", hint=f"must be {expected}")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network 784 → hidden → bottleneck → hidden → 784.

    The upper bounds keep a training state (weights and two Adam moments, float32) under the 64 MiB that the store reads.
    """

    hidden: int = 392
    bottleneck: int = 8

    def __post_init__(self) -> None:
        check_integer("--hidden", self.hidden, 1, 2048)
        check_integer("--bottleneck", self.bottleneck, 1, 392)

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
    """Everything that determines a run's results, apart from the device and the versions. The defaults are the lab's.

    `learning_rate` is the peak learning rate, `beta1` and `beta2` are Adam's decay rates, `warmup` is a number of steps.
    `noise` is the half-width of the uniform noise added to the inputs (clipped to [0, 1]; the targets stay clean); 0 is
    none. `bottleneck_bias` and `output_bias` are the initial biases of fc2 and fc4. `augment_std` is the standard deviation
    of the entries of a random linear map beyond the identity, drawn for each training image in each epoch. `raw`: a data set
    of other sizes than 28x28 is not inverted.
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
    raw: bool = False

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.recipe, self.dataset)):
            raise TypeError("recipe and data set must be text")
        if not isinstance(self.raw, bool):
            raise TypeError("raw must be true or false")
        check_integer("--seed", self.seed, 0, MAX_SEED)
        check_integer("--epochs", self.epochs, 1, 10_000)
        check_integer("--batch-size", self.batch_size, 1, 65_536)
        check_integer("warmup", self.warmup, 0, 1_000_000)
        _check("--lr", self.learning_rate, 0 < self.learning_rate < math.inf, "a finite number above 0")
        _check("--weight-decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "a finite number, 0 or above")
        _check("noise", self.noise, 0 <= self.noise < math.inf, "a finite number, 0 or above")
        _check("augment_std", self.augment_std, 0 <= self.augment_std < math.inf, "a finite number, 0 or above")
        _check("bottleneck_bias", self.bottleneck_bias, abs(self.bottleneck_bias) <= 100, "a number from -100 to 100")
        _check("output_bias", self.output_bias, abs(self.output_bias) <= 100, "a number from -100 to 100")
        _check("beta1", self.beta1, 0 <= self.beta1 < 1, "a number from 0 to below 1")
        _check("beta2", self.beta2, 0 <= self.beta2 < 1, "a number from 0 to below 1")
        for option, kind in (("optimizer", Optimizer), ("schedule", Schedule), ("--precision", Precision)):
            name = option.removeprefix("--")
            value = getattr(self, name)
            _check(option, value, value in list(kind), f"one of: {', '.join(kind)}")
            object.__setattr__(self, name, kind(value))  # a checkpoint has the text


_LINEAR_SCHEDULE = TrainConfig(weight_decay=0.0, schedule=Schedule.LINEAR, bottleneck_bias=0.5)
_LONG_RUN = replace(_LINEAR_SCHEDULE, learning_rate=2e-3, beta2=0.99, batch_size=64, warmup=938)

RECIPES: dict[str, TrainConfig] = {
    "lab": TrainConfig(),
    "fast": replace(
        _LINEAR_SCHEDULE,
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
        _LONG_RUN,
        recipe="best",
        batch_size=32,
        learning_rate=1.4e-3,
        warmup=1875,
        optimizer=Optimizer.ADAMW,
        weight_decay=0.03,
        augment_std=0.05,
    ),
    "denoise": replace(_LONG_RUN, recipe="denoise", noise=0.625),
}
"""The training recipes by name. For the measured results of each see docs/results.md."""


def recipe(name: str) -> TrainConfig:
    """Return the recipe called `name`. Raises UsageError."""
    if name not in RECIPES:
        raise UsageError(f"invalid value for --recipe: {name}", hint=f"must be one of: {', '.join(RECIPES)}")
    return RECIPES[name]
