"""Rows G1, G2, G3 and G5 of the fault matrix, and T16 of the threats: processes that share a store."""

import errno
import json
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mnistae.core.errors import LockedError
from mnistae.store import runs
from tests.support import child_hooks, child_workers
from tests.support.client import ForkServer, Hook, Result, is_clean_error, log_result, trials, wait_until

WRITERS, READERS = 8, 4
NO_FLOCK = [partial(child_hooks.no_locks, 0)]
PROMPT = trials(10, 1)
"""Seconds; `check` runs on machines that do other work."""


def answer(ended: Result) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    said: dict[str, Any] = json.loads(ended.out)
    return said


def share(
    forks: ForkServer, home: Path, *, saves: int, loads: int, one_name: bool = False, before: Sequence[Hook] = ()
) -> list[str]:
    """Let eight processes write and four read; return what was torn. `one_name`: all write the same run, without a lock."""
    names = ["w"] * WRITERS if one_name else [f"w{k}" for k in range(WRITERS)]
    read = partial(child_workers.read, sorted(set(names)), loads, home / "stop", ascending=not one_name, stays=True)
    readers = [forks.start(home=home, before=[*before, read]) for _ in range(READERS)]
    jobs = [partial(child_workers.write, name, saves, lock=not one_name) for name in names]
    writers = [forks.start(home=home, before=[*before, job]) for job in jobs]
    torn = [writer.err for writer in (running.wait(300) for running in writers) if writer.code != 0]
    said = [answer(reader.wait(300)) for reader in readers]
    assert [found["whole"] >= loads for found in said] == [True] * READERS
    return torn + [line for found in said for line in found["torn"]]


@pytest.mark.parametrize("one_name", [False, True])
def test_writers_and_readers(forks: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_name: bool) -> None:
    """G1: eight processes save and four read: no read is torn or goes back, and every last save is present.

    With all of them writing one run without working locks, every file that is read is whole.
    """
    rounds, saves, loads = trials(1, 5), trials(6, 50), trials(60, 500)
    for k in range(rounds):
        home, before = tmp_path / str(k), NO_FLOCK if one_name else []
        assert share(forks, home, saves=saves, loads=loads, one_name=one_name, before=before) == []
        if not one_name:
            monkeypatch.setenv("MNISTAE_HOME", str(home / "home"))
            found = {name: child_workers.numbers(name) for name in runs.run_names()}
            assert found == {f"w{k}": (saves, saves) for k in range(WRITERS)}
            assert not list((home / "home").rglob("*.tmp"))
    work = f"{rounds} rounds of {WRITERS * saves:,} saves and {READERS * loads:,} loads"
    note = f"{work}: all of one run, without locks" if one_name else work
    log_result("G1", trials=rounds * (WRITERS * saves + READERS * loads), note=note)


def test_writers_and_readers_control(forks: ForkServer, tmp_path: Path) -> None:
    """G1, the negative control: files written in place are seen torn, though the locks hold."""
    in_place = [child_hooks.IN_PLACE]
    seen = [bool(share(forks, tmp_path / str(k), saves=12, loads=120, before=in_place)) for k in range(trials(1, 5))]
    assert all(seen)
    log_result("G1", trials=0, control=f"files written in place: detected in {sum(seen)} of {len(seen)}")


@pytest.fixture
def words(data: Path) -> tuple[object, ...]:
    return ("train", "--dataset", data, "-b", 256, "--hidden", 64, "--name", "r")


def compete(
    forks: ForkServer, home: Path, words: tuple[object, ...], before: Sequence[Hook] = ()
) -> tuple[list[Result], list[Result]]:
    """Start eight trainers of one name, then three more one by one; interrupt the one that trains; return the results."""
    running = [forks.start(*words, "-e", 10_000, home=home, save_every=10, before=before) for _ in range(8)]
    wait_until(lambda: has_settled([child.err for child in running]), 10)
    late = [] if before else [forks.run(*words, "-e", 10_000, home=home) for _ in range(3)]
    for child in running:
        child.kill(signal.SIGINT)
    return [child.wait() for child in running], late


def has_settled(errors: list[Path]) -> bool:
    """Whether each of the trainers trains or has been refused."""
    said = [path.read_text() if path.exists() else "" for path in errors]
    return all("epoch " in text or "hint:" in text for text in said)


def test_eight_trainers_of_one_name(forks: ForkServer, tmp_path: Path, words: tuple[object, ...]) -> None:
    """G2: of eight processes that train one name at once, one trains and seven exit with 8; later ones do within a second."""
    for k in range(trials(1, 20)):
        ended, late = compete(forks, tmp_path / str(k), words)
        assert sorted(child.code or 0 for child in ended) == [-signal.SIGINT, *[8] * 7], [child.err for child in ended]
        assert [child.code for child in late] == [8] * 3
        refused = [child for child in (*ended, *late) if child.code == 8]
        assert all(is_clean_error(child) and "run 'r' is locked by another process" in child.err for child in refused)
        assert sorted(child.seconds for child in late)[1] <= PROMPT, "nobody waits for the lock"
        assert forks.run("checkpoints", "verify", home=tmp_path / str(k)).code == 0
    log_result("G2", trials=trials(1, 20), note="one trains, seven exit with 8, and later ones do so within a second")


def test_eight_trainers_without_locks(forks: ForkServer, tmp_path: Path, words: tuple[object, ...]) -> None:
    """G2, the negative control: without working locks all eight train, which is detected, and still every file is whole."""
    for k in range(trials(1, 5)):
        ended, _ = compete(forks, tmp_path / str(k), words, NO_FLOCK)
        assert sorted(child.code or 0 for child in ended) == [-signal.SIGINT] * 8
        assert forks.run("checkpoints", "verify", home=tmp_path / str(k)).code == 0
        resumed = forks.run("train", "--resume", "--name", "r", "-e", 1, home=tmp_path / str(k))
        assert resumed.code in {0, 2}, resumed.err
    seen = f"locks off: detected in {trials(1, 5)} of {trials(1, 5)}"
    log_result("G2", trials=trials(1, 5), control=seen, note="no file damaged")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP][: trials(1, 3)])
def test_file_system_without_locks(forks: ForkServer, tmp_path: Path, words: tuple[object, ...], number: int) -> None:
    """T16: on a file system without locks training works, and leaves no lock that outlives it."""
    before = [partial(child_hooks.no_locks, number)]
    for k in range(2):
        ended = forks.run(*words, "-e", 1, "--force", home=tmp_path, before=before)
        assert (ended.code, "Warning" in ended.err) == (0, False), ended.err
        killed = forks.start(*words, "-e", 10_000, "--force", home=tmp_path, before=before)
        wait_until(lambda: k == 0 or has_settled([killed.err]))  # noqa: B023 - called at once
        killed.kill(signal.SIGKILL)
        assert killed.wait().code == -signal.SIGKILL
    assert forks.run(*words, "-e", 1, "--force", home=tmp_path, before=before).code == 0
    log_result("T16", trials=3, note="a file system without locks")


def test_holder_is_killed(forks: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G3, T16: a lock ends with its holder, even if that is killed: the next process acquires it within a second."""
    monkeypatch.setenv("MNISTAE_HOME", str(tmp_path / "home"))
    for k in range(trials(5, 50)):
        mark = tmp_path / f"mark{k}"
        held = forks.start(home=tmp_path, before=[partial(child_workers.hold, "one", mark)])
        wait_until(mark.exists)
        with pytest.raises(LockedError):
            runs.lock("one").__enter__()
        held.kill(signal.SIGKILL)
        started = time.monotonic()
        while True:
            try:
                with runs.lock("one"):
                    break
            except LockedError:
                assert time.monotonic() - started < PROMPT
        held.wait()
    log_result("G3", trials=trials(5, 50), note="each within a second")
    log_result("T16", trials=trials(5, 50), note="holders killed")


def test_removal_while_others_read(forks: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G5: while a run is removed and recreated, others read all of it or nothing; no list and no check calls it damaged."""
    monkeypatch.setenv("MNISTAE_HOME", str(tmp_path / "home"))
    child_workers.save("stays", 1)
    read = partial(child_workers.read, ["goes"], 10**9, stop := tmp_path / "stop", ascending=False, stays=False)
    readers = [forks.start(home=tmp_path, before=[read]) for _ in range(2)]
    surveyor = forks.start(home=tmp_path, before=[partial(child_workers.survey, stop)])
    for k in range(trials(20, 500)):
        with runs.lock("goes"):
            child_workers.save("goes", k)
            assert k or forks.run("checkpoints", "remove", "goes", home=tmp_path).code == 8
        time.sleep(0.01)
        runs.remove("goes")
    stop.touch()
    said, surveyed = [answer(reader.wait()) for reader in readers], answer(surveyor.wait())
    assert [found["torn"] for found in said] == [[], []]
    assert all(found["whole"] and found["missing"] for found in said)
    assert surveyed["damaged"] == []
    assert surveyed["rounds"] > 3
    assert runs.run_names() == ["stays"]
    log_result("G5", trials=trials(20, 500), note="removals under two readers and one that lists and verifies")
