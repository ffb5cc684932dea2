"""Rows A1, A5 and A8 of the fault matrix: kill `train` whenever you like, resume it, and end with the same bytes."""

import dataclasses
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnistae.core.files import atomic
from mnistae.store import format as checkpoint_format
from tests.support.client import ForkServer, log_result, trials, wait_until
from tests.support.faults import Fault
from tests.support.resumable import (
    NEVER,
    ReferenceRun,
    check_store,
    leftovers,
    resume,
    resume_args,
    run_folder,
    train_reference,
)


def saved_at(home: Path) -> int:
    """Return the time of the last save, 0 before the first one."""
    path = run_folder(home) / "state.safetensors"
    return path.stat().st_mtime_ns if path.exists() else 0


def kill_often(
    forks: ForkServer, whole: ReferenceRun, home: Path, moments: Iterator[float], *, after_save: bool = False
) -> int:
    """Kill the run once for each of the moments, counted from its start or its first save; return how many hit it alive."""
    hits = 0
    for moment in moments:
        last = saved_at(home)
        running = forks.start(*resume_args(home, whole), home=home)
        wait_until(lambda: not after_save or saved_at(home) != last)  # noqa: B023 - called at once
        time.sleep(moment)
        running.kill(signal.SIGKILL)
        hits += running.wait().code == -signal.SIGKILL
        check_store(home)
        assert len(leftovers(home)) <= 1, "killed processes leave no heap behind"
    return hits


def test_killed_at_random_moments(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """A1: SIGKILL at random moments, resumed until done: the bytes of the uninterrupted run."""
    rng = random.Random(1)
    kills, goal, runs = 0, trials(8, 1000), 0
    while kills < goal:
        home = tmp_path / str(runs)
        kills += kill_often(forks, whole, home, iter([rng.uniform(0, whole.seconds) for _ in range(5)]))
        assert resume(forks, home, whole) == whole.digest
        runs += 1
    log_result("A1", trials=kills, note=f"kills that hit a running process, in {runs} runs")


def test_fifty_kills_of_one_run(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """A8: one run killed again and again, long before its end, ends with the same bytes and without leftover files."""
    epochs, kills, goal = trials(60, 800), 0, trials(3, 50)
    words = tuple(epochs if word == 4 else word for word in whole.words)
    long = train_reference(forks, tmp_path / "long", words, NEVER)
    for k in range(runs := trials(1, 5)):
        rng, home = random.Random(k), tmp_path / str(k)
        kills += kill_often(forks, long, home, iter([rng.uniform(0, 0.02) for _ in range(goal)]), after_save=True)
        state, _ = checkpoint_format.decode_state((run_folder(home) / "state.safetensors").read_bytes())
        assert 0 < len(state.history) < epochs  # so every kill met it before its end
        assert resume(forks, home, long, save_every=NEVER) == long.digest
    assert kills == goal * runs
    log_result("A8", trials=runs, note=f"runs of {goal} kills each")


def test_without_the_optimizers_state_the_bytes_differ(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """A1, A5, the negative control: a killed run that continues without Adam's moments ends with other bytes, with them not."""
    cuts = range(1, trials(2, 4))
    for k in cuts:
        exact, forgetful = whole.give_cache(tmp_path / f"exact{k}"), tmp_path / f"forgetful{k}"
        # the writes of an epoch end with a rename each: some of the first, and all of the others, come after a state
        ended = forks.run(*whole.words, home=exact, faults=(Fault("kill", "replace", at=3 * k),))
        assert ended.code == -signal.SIGKILL
        shutil.copytree(exact, forgetful)
        forget(run_folder(forgetful) / "state.safetensors")
        assert resume(forks, exact, whole) == whole.digest
        assert resume(forks, forgetful, whole) != whole.digest
    seen = f"seen {len(cuts)} times of {len(cuts)}"
    log_result("A1", trials=0, control=f"Adam's moments dropped after a kill: {seen}")
    log_result("A5", trials=len(cuts), control=f"Adam's moments dropped: {seen}")


def forget(path: Path) -> None:
    state, metadata = checkpoint_format.decode_state(path.read_bytes())
    zeros = {name: np.zeros_like(array) for name, array in state.weights.items()}
    state = dataclasses.replace(state, first_moments=zeros, second_moments=zeros)
    atomic.write_bytes(path, checkpoint_format.encode_state(state, metadata))
