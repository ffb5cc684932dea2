"""Jobs of the fork server's children in place of a command: write, read and lock runs. Named as "child_workers.NAME"."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import CheckpointError, MnistaeError
from mnistae.core.records import EpochRecord, Metadata, TrainingState
from mnistae.store import runs, verification

ROOT = Path(__file__).resolve().parents[2]
MODEL = ModelConfig(hidden=16, bottleneck=2)


def filled(k: float) -> dict[str, Array]:
    """Return weights that are all `k`, so that a mixture of two saves is detected."""
    return {name: np.full(shape, k, np.float32) for name, shape in MODEL.shapes().items()}


def save(name: str, k: int) -> None:
    """Save a run whose every number is `k`."""
    metadata = Metadata(MODEL, TrainConfig(epochs=1, seed=k), history=(EpochRecord(1, float(k), 1e-3),))
    steps = {parameter: np.array(k, np.float32) for parameter in MODEL.shapes()}
    runs.save(name, TrainingState(filled(k), filled(k), filled(k), steps, metadata.history), metadata)


def numbers(name: str) -> tuple[int, int]:
    """Return the numbers that a run's model and its state are filled with. Raises if they are mixtures."""
    return model_number(name), state_number(name)


def model_number(name: str) -> int:
    """Return the number that a run's model is filled with."""
    loaded = runs.load(name)
    return _only(loaded.weights, loaded.metadata)


def state_number(name: str) -> int:
    """Return the number that a run's state is filled with."""
    state, metadata = runs.load_state(name)
    moments = {f"{key}.v": array for key, array in state.second_moments.items()}
    return _only({**state.weights, **moments}, metadata)


def _only(tensors: Mapping[str, Array], metadata: Metadata) -> int:
    found = {float(number) for array in tensors.values() for number in np.unique(array)}
    found |= {metadata.history[0].loss, float(metadata.training.seed if metadata.training else -1)}
    assert len(found) == 1, found
    return int(found.pop())


def write(job: dict[str, Any]) -> None:
    """Save a run `saves` times, numbered from 1 on, each time under its lock unless that is off."""
    for k in range(1, job["saves"] + 1):
        if job["lock"]:
            with runs.lock(job["name"]):
                save(job["name"], k)
        else:
            save(job["name"], k)
    sys.exit(0)


def serve() -> None:
    """Act as a second process: for each line [home, name, number] save that run, or none for no name, and list the store."""
    for line in sys.stdin:
        os.environ["MNISTAE_HOME"], name, k = json.loads(line)
        if name:
            with runs.lock(name):
                save(name, k)
        sys.stdout.write(json.dumps(runs.run_names()) + "\n")
        sys.stdout.flush()


def read(job: dict[str, Any]) -> None:
    """Read runs in turn; print the numbers of whole and missing ones, and what was torn."""
    whole, missing, torn = 0, 0, []
    last: dict[str, int] = {}
    while whole < job["loads"] and not Path(job["stop"]).exists():
        for name in job["names"]:
            try:
                model, _ = numbers(name)
            except CheckpointError as error:
                if "no such" in error.message or "no model yet" in error.message or "there is no such file" in error.message:
                    missing += 1
                    torn += [f"{name} was gone"] if job["stays"] and name in last else []
                else:
                    torn.append(error.message)
                continue
            except AssertionError as error:
                torn.append(f"a mixture: {error}")
                continue
            if job["ascending"] and model < last.get(name, 0):
                torn.append(f"{name} went back from {last[name]} to {model}")
            last[name] = model
            whole += 1
    sys.stdout.write(json.dumps({"whole": whole, "missing": missing, "torn": torn}))
    sys.exit(0)


def hold(job: dict[str, str]) -> None:
    """Lock a run, create the file `mark`, and hold the lock until killed."""
    with runs.lock(job["name"]):
        Path(job["mark"]).touch()
        time.sleep(60)


def survey(job: dict[str, Any]) -> None:
    """List and verify the whole store repeatedly, as `checkpoints list` and `verify` do; print what was damaged."""
    from mnistae.cli.commands import checkpoints

    rounds, damaged = 0, []
    while not Path(job["stop"]).exists():
        rounds += 1
        try:
            damaged += [reason for reason in verification.verify_all().values() if reason]
            entries = [checkpoints._entry(name) for name in runs.run_names()]
        except MnistaeError as error:
            damaged.append(f"{type(error).__name__}: {error.message}")
            continue
        damaged += [entry["name"] for entry in entries if entry and entry["state"] == "damaged"]
    sys.stdout.write(json.dumps({"rounds": rounds, "damaged": damaged}))
    sys.exit(0)


class PeerProcess:
    """A second process that runs `serve`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.child_workers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def ask(self, home: Path, name: str = "", k: int = 0) -> list[str]:
        """Let it save a run, if one is named, and list the store."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(home), name, k]) + "\n")
        self._process.stdin.flush()
        listed: list[str] = json.loads(self._process.stdout.readline())
        return listed

    def end(self) -> None:
        """Wait for its end."""
        self._process.communicate(timeout=30)


if __name__ == "__main__":
    serve()
