"""Small runs in the store, and snapshots of stores and errors to compare."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import MnistaeError
from mnistae.core.records import EpochRecord, Metadata, TrainingState
from mnistae.store import runs

MODEL = ModelConfig(hidden=16, bottleneck=2)
HISTORY = (EpochRecord(1, 0.07, 1e-3), EpochRecord(2, 0.3 - 0.2, 1e-4))
METADATA = Metadata(MODEL, TrainConfig(epochs=2), history=HISTORY)
IMPORTED = Metadata(MODEL, source="import lab.pth")


def arrays(seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(shape, np.float32) for name, shape in MODEL.shapes().items()}


def state(seed: int = 0) -> TrainingState:
    steps = {name: np.array(2, np.float32) for name in MODEL.shapes()}
    return TrainingState(arrays(seed), arrays(seed + 1), arrays(seed + 2), steps, HISTORY)


def save(*names: str) -> None:
    for name in names:
        runs.save(name, state(), METADATA)


def refusal(call: Any, *args: object) -> tuple[type[MnistaeError], str, str]:
    """Return type, message and hint of the error that a call raises."""
    with pytest.raises(MnistaeError) as failure:
        call(*args)
    return type(failure.value), failure.value.message, failure.value.hint


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder except the locks; temporary files are named after their target and have no content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name != ".locks":
            is_temporary = path.name.endswith(".tmp")
            name = f"{path.name.rsplit('.', 3)[0]}.tmp" if is_temporary else path.name
            found[str(path.parent.relative_to(folder) / name)] = b"" if is_temporary else path.read_bytes()
    return found


def assert_same(a: TrainingState, b: TrainingState) -> None:
    """Compare two states to the bit."""
    assert a.history == b.history
    for part in ("weights", "first_moments", "second_moments", "steps"):
        mine, theirs = getattr(a, part), getattr(b, part)
        assert all((mine[name] == theirs[name]).all() for name in mine), part
