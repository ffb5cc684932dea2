"""Records of a run: epochs, training state, checkpoint metadata."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig

Weights = Mapping[str, Array]


def digest(weights: Weights) -> str:
    """Return the SHA-256 of weights, in the order of their names."""
    return hashlib.sha256(b"".join(weights[name].astype("<f4").tobytes() for name in sorted(weights))).hexdigest()


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch. `loss` is the unweighted mean of its batch losses, `learning_rate` the rate of its last step."""

    number: int  # counts from 1
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class TrainingState:
    """Everything the next epoch depends on, apart from the configuration and the data.

    Adam's moments and step counts are keyed by parameter name; the step count is the same for all parameters.
    """

    weights: Weights
    first_moments: Weights
    second_moments: Weights
    steps: Weights
    history: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class Provenance:
    """What has to be the same for a run to give the same bytes."""

    data_digest: str
    device: str
    threads: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        versions: object = self.versions
        if not isinstance(versions, Mapping):
            raise TypeError("versions must be a mapping")
        texts = [self.data_digest, self.device, *self.versions.values()]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("digest, device and versions must be text")
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or not 1 <= self.threads <= 4096:
            raise ValueError(f"invalid thread count: {self.threads}")


@dataclass(frozen=True)
class UnitRange:
    """The lowest and the highest activation of a bottleneck unit over the training images.

    Not quantiles: a unit that fires for one image in a thousand is active, although its 99th percentile is 0. ReLU codes
    have no far outliers: the maxima of the lab's units are 1.3 times their 99th percentiles.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < math.inf:  # NaN too
            raise ValueError(f"invalid unit range: {self.low} to {self.high}")

    @property
    def is_dead(self) -> bool:
        """Whether the unit is zero for every image."""
        return self.high == 0


def count_active(ranges: Sequence[UnitRange]) -> int:
    """Return the number of units that fire for at least one image."""
    return sum(not unit.is_dead for unit in ranges)


@dataclass(frozen=True)
class ImageStats:
    """How bright the training images are, from 0 to 1: the mean of all and the lowest and highest mean of an image.

    The background of an image is the median of its border: the mean over all images and the highest.
    """

    mean: float
    darkest: float
    brightest: float
    background: float
    brightest_background: float

    def __post_init__(self) -> None:
        means = 0 <= self.darkest <= self.mean <= self.brightest <= 1
        if not (means and 0 <= self.background <= self.brightest_background <= 1):  # NaN too
            raise ValueError(f"invalid image statistics: {self}")


MNIST_STATS = ImageStats(0.1307, 0.0254, 0.3976, 0.0, 0.0)
"""Those of MNIST, for checkpoints that have none: the built-in and imported ones."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of a checkpoint. An imported one has no training configuration, history, unit ranges and image statistics."""

    model: ModelConfig
    training: TrainConfig | None = None
    provenance: Provenance | None = None
    history: tuple[EpochRecord, ...] = ()
    active_units: int | None = None
    unit_ranges: tuple[UnitRange, ...] | None = None
    images: ImageStats | None = None
    source: str = "train"

    def __post_init__(self) -> None:
        source: object = self.source
        if not isinstance(source, str):
            raise TypeError("source must be text")
        active, size = self.active_units, self.model.bottleneck
        if active is not None and (type(active) is not int or not 0 <= active <= size):
            raise ValueError(f"invalid number of active units: {active} of {size}")
        ranges = self.unit_ranges
        if ranges is not None and (len(ranges) != size or count_active(ranges) != active):
            raise ValueError(f"{len(ranges)} unit ranges do not match {active} active units of {size}")
