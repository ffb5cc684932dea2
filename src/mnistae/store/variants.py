"""Networks trained with other inputs or activations: recognised by their error on digits, and converted into the lab's.

The conversions are exact for images in [0, 1]: the network's own layers absorb them, so nothing else has to know of them.
"""

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from mnistae.core.arrays import Array, flatten, to_float
from mnistae.core.errors import CheckpointError, DataError, UsageError
from mnistae.core.records import Weights
from mnistae.data.sets import glyphs, registry, resolve
from mnistae.data.sets.dataset import Split
from mnistae.metrics.pca import PCA

DIGITS = 500
"""Images in a trial."""

CLEARLY = 0.8
"""A variant fits better if its error is below this part of the assumed one's. Measured: 0.51 for the right one, else 0.99."""

NEARLY = 1.01
"""Of variants whose errors differ by less, the first is the best. Measured: ReLU networks are 0.2 % better as linear ones."""

POOR = 0.5
"""Errors below this part of the mean image's are never poor: large bottlenecks of good networks may do worse than PCA."""


class InputRange(StrEnum):
    """The values that the network was trained on, for pixels from 0 to 1; mnist: normalised by 0.1307 and 0.3081."""

    UNIT, SYMMETRIC, BYTES, MNIST = "0:1", "-1:1", "0:255", "mnist"


class Bottleneck(StrEnum):
    """What follows fc2."""

    RELU, LINEAR = "relu", "linear"


class Output(StrEnum):
    """What follows fc4: tanh is for images from -1 to 1, linear in the range of the inputs."""

    SIGMOID, TANH, LINEAR = "sigmoid", "tanh", "linear"


_SCALES = dict(zip(InputRange, ((1.0, 0.0), (2.0, -1.0), (255.0, 0.0), (1 / 0.3081, -0.1307 / 0.3081)), strict=True))
"""An input is a pixel times the first number plus the second."""


@dataclass(frozen=True)
class Variant:
    """What a network's inputs and activations are. ReLU after fc1 and fc3 is common to all."""

    inputs: InputRange = InputRange.UNIT
    bottleneck: Bottleneck = Bottleneck.RELU
    output: Output = Output.SIGMOID

    def __str__(self) -> str:
        inputs = "normalised by 0.1307/0.3081" if self.inputs is InputRange.MNIST else self.inputs.replace(":", " to ")
        rectified = "fc1 to fc3" if self.bottleneck is Bottleneck.RELU else "fc1 and fc3"
        return f"inputs {inputs}, ReLU after {rectified}, {self.output} output"

    @property
    def options(self) -> str:
        """The options of `checkpoints import` that differ from the defaults."""
        given = {"--input-range": self.inputs, "--bottleneck-activation": self.bottleneck, "--output-activation": self.output}
        return " ".join(f"{option} {value}" for option, value in given.items() if value not in ("0:1", "relu", "sigmoid"))


DEFAULT = Variant()
VARIANTS = tuple(itertools.starmap(Variant, itertools.product(InputRange, Bottleneck, Output)))


@dataclass(frozen=True)
class Trial:
    """The MSE of weights on digits as the variant that was assumed, and as the best one.

    The best is the assumed one if its error is the smallest, else the first whose error is near the smallest. `pca_mse` is
    that of as many principal components as there are units that are active for some of these digits, and `mean_mse` that of
    the mean digit.
    """

    digits: str
    assumed: Variant
    mse: float
    active: int
    pca_mse: float
    mean_mse: float
    best: Variant
    best_mse: float

    @property
    def warning(self) -> str | None:
        """Why the weights may not be what was assumed, or None."""
        limit = max(self.pca_mse, POOR * self.mean_mse)
        is_better = self.best_mse < min(CLEARLY * self.mse, limit)
        if self.mse <= limit and not is_better:
            return None
        way = f"import them with: {self.best.options}" if self.best.options else "import them without these options"
        if self.best.output is Output.LINEAR:
            way = "which cannot be converted"
        better = f". MSE {self.best_mse:.4f} with {self.best}: {way}"
        pca = f"PCA with {self.active} components: {self.pca_mse:.4f}"
        poor = f"MSE {self.mse:.4f} on {self.digits} ({pca}), assuming {self.assumed}"
        return poor + (
            better if is_better else "; the network may be undertrained, trained on other images, or of another kind"
        )

    def document(self) -> dict[str, Any]:
        """Return the trial for a JSON document."""
        best = {"mse": self.best_mse, "variant": str(self.best), "options": self.best.options}
        measured = {"digits": self.digits, "mse": self.mse, "pca_mse": self.pca_mse, "active_units": self.active}
        return {**measured, "assumed": str(self.assumed), "best": best, "warning": self.warning}


def convert(weights: Weights, variant: Variant) -> Weights:
    """Return the weights of the lab's network that gives the outputs of `variant`, scaled to [0, 1].

    Raises UsageError for a linear output, which a sigmoid cannot give, and CheckpointError if numbers become infinite.
    """
    if variant.output is Output.LINEAR:
        raise UsageError("a network with a linear output cannot be converted", hint="train it with a sigmoid or tanh output")
    if variant == DEFAULT:
        return weights
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    scale, offset = _SCALES[variant.inputs]
    wide["fc1.bias"] += offset * wide["fc1.weight"].sum(axis=1)
    wide["fc1.weight"] *= scale
    if variant.bottleneck is Bottleneck.LINEAR:  # codes are shifted until none can be negative
        largest = np.maximum(wide["fc1.bias"] + np.maximum(wide["fc1.weight"], 0).sum(axis=1), 0)  # (hidden,)
        shift = np.maximum(-(wide["fc2.bias"] + np.minimum(wide["fc2.weight"], 0) @ largest), 0)  # (bottleneck,)
        wide["fc2.bias"] += shift
        wide["fc3.bias"] -= wide["fc3.weight"] @ shift
    if variant.output is Output.TANH:  # (1 + tanh(y)) / 2 = sigmoid(2 y)
        wide["fc4.weight"] *= 2
        wide["fc4.bias"] *= 2
    with np.errstate(over="ignore"):
        found = {name: array.astype(np.float32) for name, array in wide.items()}
    if not all(np.isfinite(array).all() for array in found.values()):
        raise CheckpointError("the converted weights are not finite", hint="import a checkpoint whose training did not diverge")
    return found


def try_on_digits(weights: Weights, assumed: Variant) -> Trial:
    """Measure weights, not converted yet, as each variant: on digits of MNIST if it is installed, else on built-in ones."""
    try:
        images, origin = to_float(resolve.open_local(registry.DEFAULT).block(Split.TEST, 0, DIGITS)[0]), "MNIST"
    except DataError:
        images, origin = to_float(flatten(glyphs.draw(DIGITS, seed=1)[0])), "built-in"
    with np.errstate(over="ignore", invalid="ignore"):
        measured = {variant: _measure(weights, images, variant) for variant in VARIANTS}
    (mse, active), least = measured[assumed], min(measured.values())[0]
    best = next(variant for variant in VARIANTS if measured[variant][0] <= NEARLY * least) if mse > least else assumed
    pca_mse = _mse(PCA.fit(images, active).reconstruct(images), images)
    mean_mse = _mse(images.mean(axis=0), images)
    return Trial(f"{len(images)} {origin} digits", assumed, mse, active, pca_mse, mean_mse, best, measured[best][0])


def _measure(weights: Weights, images: Array, variant: Variant) -> tuple[float, int]:
    """Return the MSE, and the number of units that are not zero for all images."""
    scale, offset = map(np.float32, _SCALES[variant.inputs])
    x = images * scale + offset
    for layer in ("fc1", "fc2", "fc3", "fc4"):
        x = x @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]  # (B, width)
        if layer in {"fc1", "fc3"} or (layer == "fc2" and variant.bottleneck is Bottleneck.RELU):
            x = np.maximum(x, 0)
        if layer == "fc2":
            active = int(np.any(x != 0, axis=0).sum())
    if variant.output is Output.LINEAR:
        return _mse(np.clip((x - offset) / scale, 0, 1), images), active
    y = np.divide(1 + np.tanh(x if variant.output is Output.TANH else x / 2), 2, dtype=np.float32)
    return _mse(y, images), active


def _mse(outputs: Array, images: Array) -> float:
    """Return the mean over all images and pixels, infinity for outputs without a value."""
    return float(np.nan_to_num(((outputs - images) ** 2).mean(), nan=np.inf))
