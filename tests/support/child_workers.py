"""What a child of the fork server does in place of a command: write, read and lock runs. For `before` of `ForkServer.start`."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import CheckpointError, MnistaeError
from mnistae.core.records import EpochRecord, Metadata, TrainingState
from mnistae.store import runs, verification

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


def write(name: str, saves: int, *, lock: bool) -> None:
    """Save a run `saves` times, numbered from 1 on, each time under its lock unless that is off."""
    for k in range(1, saves + 1):
        with runs.lock(name) if lock else contextlib.nullcontext():
            save(name, k)
    sys.exit(0)


def save_in(home: Path, name: str, k: int) -> list[str]:
    """Save a run in this home, and return the names of all runs."""
    os.environ["MNISTAE_HOME"] = str(home)
    with runs.lock(name):
        save(name, k)
    return runs.run_names()


def read(names: list[str], loads: float, stop: Path, *, ascending: bool, stays: bool) -> None:
    """Read runs in turn; print the numbers of whole and missing ones, and what was torn.

    `ascending`: none goes back to an older save. `stays`: none that was there is missing.
    """
    whole, missing, torn = 0, 0, []
    last: dict[str, int] = {}
    while whole < loads and not stop.exists():
        for name in names:
            try:
                model, _ = numbers(name)
            except CheckpointError as error:
                if "no such" in error.message or "no model yet" in error.message or "there is no such file" in error.message:
                    missing += 1
                    torn += [f"{name} was gone"] if stays and name in last else []
                else:
                    torn.append(error.message)
                continue
            except AssertionError as error:
                torn.append(f"a mixture: {error}")
                continue
            if ascending and model < last.get(name, 0):
                torn.append(f"{name} went back from {last[name]} to {model}")
            last[name] = model
            whole += 1
    sys.stdout.write(json.dumps({"whole": whole, "missing": missing, "torn": torn}))
    sys.exit(0)


def hold(name: str, mark: Path) -> None:
    """Lock a run, create the file `mark`, and hold the lock until killed."""
    with runs.lock(name):
        mark.touch()
        time.sleep(60)


def survey(stop: Path) -> None:
    """List and verify the whole store repeatedly, as `checkpoints list` and `verify` do; print what was damaged."""
    from mnistae.cli.commands import checkpoints

    rounds, damaged = 0, []
    while not stop.exists():
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


WATCHED = {
    *("pickle.find_class", "exec", "compile", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"),
    *("socket.connect", "import", "ctypes.dlopen"),
}


def read_bad_files(folder: Path) -> None:
    """Read bad checkpoints under an audit hook, then unpickle one that was pickled: the hook sees its events.

    Print the number of refused files, and the events of both.
    """
    import safetensors.torch  # noqa: F401 - imported late by the readers, which the hook would report
    import torch

    from mnistae.store import importer

    seen: list[tuple[str, str]] = []
    runs.load(str(folder / "sound.safetensors"))  # imports what the readers import late
    importer.read(folder / "sound.pth")
    sys.addaudithook(lambda event, args: seen.append((event, str(args)[:80])) if event in WATCHED else None)
    refused = 0
    for path in sorted(folder.glob("*.bad.*")):
        try:
            runs.load(str(path)) if path.suffix == ".safetensors" else importer.read(path)
        except CheckpointError:
            refused += 1
    events, has_run = list(seen), (folder / "mark").exists()
    torch.load(folder / "0.bad.pth", weights_only=False)
    unpickled = [event for event, _arguments in seen[len(events) :]]
    sys.stdout.write(json.dumps({"refused": refused, "events": events, "has_run": has_run, "unpickled": unpickled}))
    sys.exit(0)
