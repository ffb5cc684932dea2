"""Cost of saving and verifying: `python overhead.py` prints JSON.

A run as `train` makes it (signals deferred, asked to stop before each step, checked and kept after each epoch, saved every ten
seconds and synced to the disk) and bare epochs of the same loop, interleaved; and the time to read and verify a
checkpoint.
"""

import functools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from mnistae.cli import signals
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Split
from mnistae.store import runs
from mnistae.training import run as sessions
from mnistae.training import schedules
from mnistae.training.loop import Trainer
from mnistae.training.run import Run, RunSpec

EPOCHS = 30
LOADS = 50


def main() -> None:
    """Measure in alternating rounds, so that both run under the same load. Uses internals of the loop on purpose."""
    data = resolve.open_dataset("mnist")
    with tempfile.TemporaryDirectory() as home:
        os.environ["MNISTAE_HOME"] = home
        sessions.SAVE_EVERY *= 2  # of the seconds that pass, the bare epochs take half
        config, cpu = TrainConfig(epochs=EPOCHS), torch.device("cpu")
        session = Run(RunSpec("cost", ModelConfig(), config, data, cpu))
        bare = Trainer(data.images(Split.TRAIN), model=ModelConfig(), config=config, device=cpu)
        rates = schedules.learning_rates(config, [], bare.steps_per_epoch)
        seconds: dict[str, list[float]] = {"whole": [], "bare": []}
        with signals.deferred() as request:
            epochs = session.epochs(lambda: request.number is not None)
            for number in range(1, EPOCHS):
                seconds["whole"].append(_seconds(lambda: next(epochs)))
                seconds["bare"].append(_seconds(functools.partial(bare._run_epoch, number, rates, lambda: False)))
            last = _seconds(lambda: list(epochs))
        loads = [_seconds(lambda: runs.load("cost")) for _ in range(LOADS)]
        states = [_seconds(lambda: runs.load_state("cost")) for _ in range(LOADS)]
    whole, plain = (sum(seconds[kind][1:]) for kind in ("whole", "bare"))
    medians = {kind: statistics.median(values[1:]) for kind, values in seconds.items()}
    found = {**medians, "loss": whole / plain - 1, "ending": last - medians["whole"]}
    print(json.dumps({**found, "load": statistics.median(loads), "load_state": statistics.median(states)}))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
