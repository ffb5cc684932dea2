"""Rows A1 and A5 to A8: kill `train` whenever you like, or change something, and resume it."""

import dataclasses
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistae.core.files import atomic
from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from mnistae.training import run as training_run
from tests.conftest import Cli
from tests.support.client import ForkServer, is_clean_error, log_result, trials, wait_until
from tests.support.faults import Fault, inject
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
from tests.support.saved_runs import tree


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
    kills, goal, runs = 0, trials(4, 1000), 0
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
        ended = forks.run(*whole.words, home=exact, before=[partial(inject, Fault("kill", "replace", at=3 * k))])
        assert ended.code == -signal.SIGKILL
        shutil.copytree(exact, forgetful)
        forget(run_folder(forgetful) / "state.safetensors")
        assert resume(forks, exact, whole) == whole.digest
        assert resume(forks, forgetful, whole) != whole.digest
    seen = f"detected in {len(cuts)} of {len(cuts)}"
    log_result("A1", trials=0, control=f"Adam's moments dropped after a kill: {seen}")
    log_result("A5", trials=len(cuts), control=f"Adam's moments dropped: {seen}")


def forget(path: Path) -> None:
    state, metadata = checkpoint_format.decode_state(path.read_bytes())
    zeros = {name: np.zeros_like(array) for name, array in state.weights.items()}
    state = dataclasses.replace(state, first_moments=zeros, second_moments=zeros)
    atomic.write_bytes(path, checkpoint_format.encode_state(state, metadata))


RESUME = ("train", "--resume", "--name", "tiny", "-e", "3")


def change_provenance(name: str, **fields: Any) -> None:
    """Write into a run's state that it was begun elsewhere, or with other versions of some components."""
    path = runs.folder(name) / runs.STATE
    state, metadata = checkpoint_format.decode_state(path.read_bytes())
    assert metadata.provenance is not None
    fields["versions"] = {**metadata.provenance.versions, **fields.get("versions", {})}
    metadata = dataclasses.replace(metadata, provenance=dataclasses.replace(metadata.provenance, **fields))
    atomic.write_bytes(path, checkpoint_format.encode_state(state, metadata))


CHANGES: dict[str, tuple[dict[str, Any], tuple[str, ...], int, str]] = {
    **{name: ({"versions": {name: "0.0"}}, (), 0, f"{name} was '0.0' and is '") for name in ("torch", "mnistae", "cpu")},
    "nothing": ({}, (), 0, "resuming 'tiny'"),
    "device": ({"device": "cuda:0"}, ("--device", "cpu"), 0, "device was 'cuda:0' and is 'cpu'"),
    "absent device": ({"device": "cuda:7"}, (), 5, "error: device 'cuda:7' is not available"),
    "data": ({"data_digest": "0" * 64}, (), 4, "data set has changed since this run was trained"),
    "settings": ({}, ("--lr", "0.5"), 2, "cannot change --lr of run 'tiny' on resume: it is '0.001', not '0.5'"),
    "sizes": ({}, ("--bottleneck", "4"), 2, "cannot change --bottleneck of run 'tiny' on resume: it is '8', not '4'"),
}
"""What changes in the run's state, the options it is resumed with, the exit code, and the message."""


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_is_clean_error(cli: Cli, trained: str, home: Path, what: str) -> None:
    """A run resumed under changed conditions names them, or is refused and left unchanged; under the same ones it is silent."""
    fields, options, code, message = CHANGES[what]
    change_provenance(trained, **fields)
    before = tree(home)
    answer = cli(*RESUME, *options)
    assert (answer.code, message in answer.err) == (code, True), answer
    if code == 0:
        assert ("results will no longer be byte-identical" in answer.err) == (what != "nothing")
        assert len(runs.load(trained).metadata.history) == 3
    else:
        assert is_clean_error(answer)
        assert tree(home) == before
    log_result("A6", trials=1, note="versions, processor and device warn; data, settings and an absent device are refused")


@pytest.mark.parametrize(
    ("recorded", "available", "options", "used"), [(2, 3, (), 2), (3, 2, (), 2), (3, 2, ("--threads", 3), 3), (2, 2, (), 2)]
)
def test_threads(cli: Cli, trained: str, recorded: int, available: int, options: tuple[object, ...], used: int) -> None:
    """A run is resumed with the number of threads that it was started with; if there are fewer, with those and a warning."""
    import torch

    now = torch.get_num_threads()
    try:
        change_provenance(trained, threads=recorded)
        torch.set_num_threads(available)
        answer = cli(*RESUME, *options)
        assert (answer.code, torch.get_num_threads()) == (0, used)
        warning = f"warning: number of threads was '{recorded}' and is '{used}': results will no longer be byte-identical"
        assert (warning in answer.err, "byte-identical" in answer.err) == (used != recorded,) * 2
        provenance = runs.load(trained).metadata.provenance
        assert provenance is not None
        assert provenance.threads == used
    finally:
        torch.set_num_threads(now)
    log_result("A6", trials=1, note="the recorded number of threads is used, or fewer with a warning")


def test_silent_change_would_be_seen(cli: Cli, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: with the comparisons taken out, the checks above fail."""
    for comparison in ("environment_changes", "check_is_same_data"):
        monkeypatch.setattr(training_run, comparison, lambda *_: [])
    for what in ("torch", "data"):
        fields, options, code, message = CHANGES[what]
        change_provenance(trained, **fields)
        answer = cli(*RESUME, *options)
        assert (answer.code, message in answer.err) != (code, True)
    log_result("A6", trials=0, control="the comparisons left out: detected in 2 of 2")


def test_finished_run(cli: Cli, trained: str, home: Path) -> None:
    """A run that has all its epochs has nothing to do, and stays as it is to the byte; other versions are no matter then."""
    before = tree(home)
    answer = cli("train", "--resume", "--name", trained)
    assert (answer.code, "nothing to do" in answer.err, tree(home) == before) == (0, True, True)
    change_provenance(trained, versions={"torch": "0.0"})
    assert "byte-identical" not in cli("train", "--resume", "--name", trained).err
    log_result("A7", trials=1, note="finished: nothing to do")


@pytest.mark.parametrize("words", [("--resume",), ("--resume", "--name", "missing")], ids=" ".join)
def test_nothing_to_resume(cli: Cli, home: Path, words: tuple[str, ...]) -> None:
    """A resume of nothing is a missing checkpoint, and makes no run."""
    answer = cli("train", *words)
    assert (answer.code, is_clean_error(answer), runs.run_names()) == (3, True, [])
    log_result("A7", trials=1, note="nothing: exit 3")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[:-1],
    "changed": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_state(cli: Cli, trained: str, home: Path, damage: str) -> None:
    """A damaged newest state is refused by name, with a hint; no older run is resumed instead."""
    shutil.copytree(runs.folder(trained), runs.folder("older"))
    state = runs.folder(trained) / runs.STATE
    state.write_bytes(DAMAGES[damage](state.read_bytes()))
    before = tree(home)
    answer = cli("train", "--resume", "-e", 3)
    assert (answer.code, is_clean_error(answer)) == (3, True), answer
    assert f"cannot use checkpoint '{state}'" in answer.err
    assert tree(home) == before
    assert cli("train", "--resume", "--name", "older", "-e", 3, "-q").code == 0
    log_result("A7", trials=1, note="damaged: refused by name; each file has one generation, so there is none to fall back to")
