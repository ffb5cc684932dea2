"""Rows A6 and A7 of the fault matrix: a resume after something has changed, or without a usable state."""

import dataclasses
import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistae.core.files import atomic
from mnistae.core.records import Metadata, Provenance
from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from mnistae.training import run as training_run
from tests.conftest import Cli
from tests.support.client import is_clean_error, log_result
from tests.support.saved_runs import tree

RESUME = ("train", "--resume", "--name", "tiny", "-e", "3")


def described_as(name: str, change: Callable[[Provenance], Provenance]) -> None:
    """Write into a run's state that it was begun elsewhere."""
    path = runs.folder(name) / runs.STATE
    state, metadata = checkpoint_format.decode_state(path.read_bytes())
    assert metadata.provenance is not None
    metadata = dataclasses.replace(metadata, provenance=change(metadata.provenance))
    atomic.write_bytes(path, checkpoint_format.encode_state(state, metadata))


VERSIONS = ("torch", "mnistae", "cpu")


def with_version(provenance: Provenance, name: str) -> Provenance:
    """Return the provenance of a run that was started with another version of one component."""
    return dataclasses.replace(provenance, versions={**provenance.versions, name: "0.0"})


CHANGES: dict[str, tuple[Callable[[Provenance], Provenance], tuple[str, ...], int, str]] = {
    **{name: (functools.partial(with_version, name=name), (), 0, f"{name} was '0.0' and is '") for name in VERSIONS},
    "nothing": (lambda p: p, (), 0, "resuming 'tiny'"),
    "device": (lambda p: dataclasses.replace(p, device="cuda:0"), ("--device", "cpu"), 0, "device was 'cuda:0' and is 'cpu'"),
    "absent device": (lambda p: dataclasses.replace(p, device="cuda:7"), (), 5, "error: device 'cuda:7' is not available"),
    "data": (lambda p: dataclasses.replace(p, data_digest="0" * 64), (), 4, "data set has changed since this run was trained"),
    "settings": (lambda p: p, ("--lr", "0.5"), 2, "cannot change --lr of run 'tiny' on resume: it is '0.001', not '0.5'"),
    "sizes": (lambda p: p, ("--bottleneck", "4"), 2, "cannot change --bottleneck of run 'tiny' on resume: it is '8', not '4'"),
}
"""What changes in the run's state, the options it is resumed with, the exit code, and the message."""


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_is_clean_error(cli: Cli, trained: str, home: Path, what: str) -> None:
    """A run resumed under changed conditions names them, or is refused and left unchanged; under the same ones it is silent."""
    change, options, code, message = CHANGES[what]
    described_as(trained, change)
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
        described_as(trained, lambda before: dataclasses.replace(before, threads=recorded))
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
    log_result("A6", trials=1, note="threads are set back to what they were, or to fewer with a warning")


def test_silent_change_would_be_seen(cli: Cli, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: with the comparisons taken out, the checks above fail."""

    def nothing(_metadata: Metadata, *_now: object) -> list[str]:
        return []

    monkeypatch.setattr(training_run, "environment_changes", nothing)
    monkeypatch.setattr(training_run, "check_is_same_data", nothing)
    for what in ("torch", "data"):
        change, options, code, message = CHANGES[what]
        described_as(trained, change)
        answer = cli(*RESUME, *options)
        assert (answer.code, message in answer.err) != (code, True)
    log_result("A6", trials=0, control="the comparisons left out: seen 2 times of 2")


def test_finished_run(cli: Cli, trained: str, home: Path) -> None:
    """A run that has all its epochs has nothing to do, and stays as it is to the byte."""
    before = tree(home)
    answer = cli("train", "--resume", "--name", trained)
    assert (answer.code, "nothing to do" in answer.err, tree(home) == before) == (0, True, True)
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
