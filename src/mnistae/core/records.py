"""What is remembered of a run: an epoch's record, a training state and the metadata that a checkpoint carries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig

Weights = Mapping[str, Array]


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch. `loss` is the mean of its batch losses, each batch counting the same; `learning_rate` its last."""

    number: int  # counts from 1
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class TrainingState:
    """All that the next epoch follows from, besides the configuration and the data.

    Adam's moments and step counts are keyed by parameter name; each parameter has a step count of its own.
    """

    weights: Weights
    first_moments: Weights
    second_moments: Weights
    steps: Weights
    history: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class Provenance:
    """Where a run's numbers come from: what has to be the same for them to be the same to the byte."""

    data_digest: str
    device: str
    threads: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        versions: object = self.versions
        if not isinstance(versions, Mapping):
            raise TypeError("versions are a mapping")
        texts = [self.data_digest, self.device, *self.versions.values()]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("digest, device and versions are text")
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or not 1 <= self.threads <= 4096:
            raise ValueError(f"thread count is '{self.threads}'")


@dataclass(frozen=True)
class UnitRange:
    """The lowest and the highest activation of a bottleneck unit over the training images.

    Not quantiles: a unit that fires for one image in a thousand is alive, and its 99th percentile would call it dead. Nor
    do ReLU codes have far outliers: the maxima of the lab's units are 1.3 times their 99th percentiles.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < math.inf:  # NaN too
            raise ValueError(f"the range of a unit is '{self.low}' to '{self.high}'")

    @property
    def is_dead(self) -> bool:
        """Whether the unit is zero for every image."""
        return self.high == 0


def count_active(ranges: Sequence[UnitRange]) -> int:
    """Return how many of the units fire for at least one image."""
    return sum(not unit.is_dead for unit in ranges)


@dataclass(frozen=True)
class Metadata:
    """What a checkpoint says of itself. An imported one has no training configuration, no history and no unit ranges."""

    model: ModelConfig
    training: TrainConfig | None = None
    provenance: Provenance | None = None
    history: tuple[EpochRecord, ...] = ()
    active_units: int | None = None
    unit_ranges: tuple[UnitRange, ...] | None = None
    source: str = "train"

    def __post_init__(self) -> None:
        source: object = self.source
        if not isinstance(source, str):
            raise TypeError("the source is text")
        alive = self.active_units
        if alive is not None and (type(alive) is not int or not 0 <= alive <= self.model.bottleneck):
            raise ValueError(f"living units are '{alive}' of {self.model.bottleneck}")
        ranges = self.unit_ranges
        if ranges is not None and (len(ranges) != self.model.bottleneck or count_active(ranges) != alive):
            raise ValueError(f"{len(ranges)} unit ranges do not go with {alive} living units of {self.model.bottleneck}")
