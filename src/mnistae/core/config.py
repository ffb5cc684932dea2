"""Self-validating dataclasses: the network's sizes and the training settings; and the named recipes."""

import itertools
import math
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mnistae.core.errors import UsageError
from mnistae.core.text import safe_repr

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


def check_integer(option: str, value: object, low: int, high: int) -> int:
    """Return `value`, of Python, NumPy or torch, as an int. Raises UsageError if it is not an integer from `low` to `high`."""
    number = _plain(value)
    is_valid = isinstance(number, int) and not isinstance(number, bool) and low <= number <= high
    _check(option, number, is_valid, f"an integer from {low:,} to {high:,}")
    return int(number)


def check_number(option: str, value: object, low: float, high: float, expected: str) -> float:
    """Return `value`, of Python, NumPy or torch, as a float. Raises UsageError if it is not a number from `low` to `high`."""
    number = _plain(value)
    is_valid = isinstance(number, int | float) and not isinstance(number, bool) and low <= number <= high
    is_whole = isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    _check(option, int(number) if is_whole else number, is_valid, expected)  # the command line reads 200 as 200.0
    return float(number)


def check_flag(option: str, value: object) -> bool:
    """Return `value`, of Python or NumPy, as a bool. Raises UsageError if it is anything else: 'no' would count as true."""
    flag = _plain(value)
    _check(option, flag, isinstance(flag, bool), "True or False")
    return bool(flag)


def _plain(value: Any) -> Any:
    """Return a NumPy scalar, or an array or a tensor without axes, as the Python object that it holds."""
    try:
        return value.item() if value.ndim == 0 else value
    except (AttributeError, RuntimeError, TypeError):  # not of such a type, or a tensor without data
        return value


def _check(option: str, value: object, is_valid: bool, expected: str) -> None:
    if not is_valid:
        raise UsageError(f"invalid value for {option}: {safe_repr(value)}", hint=f"must be {expected}")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network 784 → hidden → bottleneck → hidden → 784.

    The upper bounds keep a training state (weights and two Adam moments, float32) under the 64 MiB that the store reads.
    """

    hidden: int = 392
    bottleneck: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", check_integer("--hidden", self.hidden, 1, 2048))
        object.__setattr__(self, "bottleneck", check_integer("--bottleneck", self.bottleneck, 1, 392))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the eight tensors by their state-dict names, in the network's order."""
        widths = (PIXELS, self.hidden, self.bottleneck, self.hidden, PIXELS)
        shapes: dict[str, tuple[int, ...]] = {}
        for number, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
            shapes[f"fc{number}.weight"] = (outputs, inputs)
            shapes[f"fc{number}.bias"] = (outputs,)
        return shapes


_INTEGERS = (
    ("seed", "--seed", 0, MAX_SEED),
    ("epochs", "--epochs", 1, 10_000),
    ("batch_size", "--batch-size", 1, 65_536),
    ("warmup", "warmup", 0, 1_000_000),
)
"""The integers among the settings: field, name in messages, lowest and highest value."""

_NUMBERS = (
    ("learning_rate", "--lr", math.ulp(0), sys.float_info.max, "a finite number above 0"),
    ("weight_decay", "--weight-decay", 0, sys.float_info.max, "a finite number, 0 or above"),
    ("noise", "noise", 0, sys.float_info.max, "a finite number, 0 or above"),
    ("augment_std", "augment_std", 0, sys.float_info.max, "a finite number, 0 or above"),
    ("bottleneck_bias", "bottleneck_bias", -100, 100, "a number from -100 to 100"),
    ("output_bias", "output_bias", -100, 100, "a number from -100 to 100"),
    ("beta1", "beta1", 0, math.nextafter(1, 0), "a number from 0 to below 1"),
    ("beta2", "beta2", 0, math.nextafter(1, 0), "a number from 0 to below 1"),
)
"""The numbers among the settings: field, name in messages, lowest and highest value, and the hint."""

_CHOICES = (("optimizer", "optimizer", Optimizer), ("schedule", "schedule", Schedule), ("precision", "--precision", Precision))
"""The choices among the settings: field, name in messages, and the values."""


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
        object.__setattr__(self, "raw", check_flag("--raw", self.raw))
        for name, option, low, high in _INTEGERS:
            object.__setattr__(self, name, check_integer(option, getattr(self, name), low, high))
        for name, option, lowest, highest, expected in _NUMBERS:
            object.__setattr__(self, name, check_number(option, getattr(self, name), lowest, highest, expected))
        for name, option, kind in _CHOICES:
            value = getattr(self, name)
            _check(option, value, isinstance(value, str) and value in list(kind), f"one of: {', '.join(kind)}")
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
    _check("--recipe", name, isinstance(name, str) and name in RECIPES, f"one of: {', '.join(RECIPES)}")
    return RECIPES[name]
