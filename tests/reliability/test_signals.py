"""Rows E1, E2, E3 and E5: after a signal at any time the exit code is right, the training is kept and the terminal restored."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistae.store import format as checkpoint_format
from tests.support.client import ForkServer, Result, Running, log_result, trials, wait_until
from tests.support.downloads import collection
from tests.support.faults import Fault, inject
from tests.support.http_mirror import Mirror
from tests.support.resumable import NEVER, ReferenceRun, check_store, digest, leftovers, resume, resume_args, run_folder
from tests.support.terminals import HIDE, Terminal, on, state_of, wait_until_caught

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see a process's handlers")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PROMPT = trials(20, 2)
"""Seconds within which a signal has to be answered; in `check` with room for other work on the machine."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, data: Path) -> ReferenceRun:
    """A run of many epochs of three batches, so that signals meet the training as often as the saves."""
    folder = tmp_path_factory.mktemp("whole")
    words = ("train", "--dataset", data, "-e", trials(20, 40), "-b", 256, "--hidden", 64, "--name", "r")
    forks.run(*words, home=folder, save_every=NEVER)
    ended = forks.run(*words, "--force", home=folder, save_every=NEVER)  # the data's cache is there now: as fast as it gets
    assert ended.code == 0, ended.err
    return ReferenceRun(folder, words, digest(folder), ended.seconds)


def send(running: Running, number: int, after: float) -> float:
    """Send a signal `after` seconds after the child has installed its handlers; return the time of that."""
    wait_until_caught(running.pid)
    time.sleep(after)
    running.kill(number)
    return time.monotonic()


def check_ending(ended: Result, number: int, since: float) -> bool:
    """Check the code and the time; return whether the signal came before the end."""
    assert ended.code in {0, -number}, ended
    assert "Traceback" not in ended.err
    assert "ignored" not in ended.err
    assert time.monotonic() - since < PROMPT
    return ended.code != 0


def is_interrupted(running: Running, number: int, after: float) -> bool:
    """Send a signal at a moment, and check how the command ends; return whether it met the command alive."""
    since = send(running, number, after)
    return check_ending(running.wait(), number, since)


def check_kept(home: Path, ended: Result) -> None:
    """The store is whole, and holds every epoch that the command says it has finished."""
    check_store(home)
    assert leftovers(home) == []
    told = re.findall(r"interrupted after epoch ([0-9]+)", ended.err) or re.findall(r"epoch +([0-9]+)/", ended.err)[-1:]
    if told:
        state, _ = checkpoint_format.decode_state((run_folder(home) / "state.safetensors").read_bytes())
        assert len(state.history) == int(told[0])
    assert "interrupted after epoch" not in ended.err or "resume with: mnistae train --resume --name r" in ended.err


def test_train_at_random_moments(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """E1: a signal at any time of `train` ends it with its code and keeps the last epoch; resumed, it gives the same bytes."""
    rng, hits, runs = random.Random(1), 0, 0
    goal = trials(3, 150)
    while hits < goal:
        home = whole.give_cache(tmp_path / str(runs))
        runs += 1
        for _ in range(trials(3, 6)):
            number = SIGNALS[hits % 3]
            running = forks.start(*resume_args(home, whole), home=home, save_every=0.1)
            since = send(running, number, rng.uniform(0, whole.seconds))
            ended = running.wait()
            hits += check_ending(ended, number, since)
            check_kept(home, ended)
        assert resume(forks, home, whole) == whole.digest
    log_result("E1", trials=hits, note=f"signals that met a running `train`, in {runs} runs, each resumed to the same bytes")


OTHERS = [
    ("reconstruct", "1", "-o", "a.png"),
    ("interpolate", "1", "2", "-o", "a.gif"),
    ("evaluate",),
    ("summary", "-c", "tiny"),
    ("checkpoints", "verify"),
]


def test_other_commands_at_random_moments(forks: ForkServer, trained: str, home: Path) -> None:
    """E1: a signal at any moment of the other commands ends them with its code; a file is there whole or not at all."""
    rng, hits = random.Random(2), 0
    work, goal = home.parent, trials(2, 100)
    for words in OTHERS[: trials(2, 5)]:
        seconds = forks.run(*words, home=work).seconds
        whole = {path.name: path.read_bytes() for path in work.glob("a.*")}
        met, tries = 0, 0
        while met < goal / trials(2, 5):
            tries += 1
            assert tries < 20 * goal, "no moment meets the command alive"
            for path in work.glob("a.*"):
                path.unlink()
            number = SIGNALS[tries % 3]
            met += is_interrupted(forks.start(*words, home=work), number, rng.uniform(0, seconds))
            assert all(path.read_bytes() == whole[path.name] for path in work.glob("a.*"))
            assert not list(work.glob(".*.tmp"))
        hits += met
    log_result("E1", trials=hits, note=f"signals that met {', '.join(words[0] for words in OTHERS)}")


def test_whole_processes_at_random_moments(whole: ReferenceRun, tmp_path: Path) -> None:
    """E1: in processes of their own, imports included; SIGINT from the first line of ours, the others from the very start."""
    rng, goal, hits = random.Random(4), trials(1, 45), 0
    command = [sys.executable, "-m", "mnistae", *map(str, whole.words)]
    for k in range(goal):
        home = tmp_path / str(k)
        home.mkdir()
        env = {**os.environ, "MNISTAE_HOME": str(home / "home")}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        number = SIGNALS[(k + 1) % 3]
        if number == signal.SIGINT:
            wait_until_caught(process.pid)  # before that it is Python's own KeyboardInterrupt
        time.sleep(rng.uniform(0, 2.5))
        process.send_signal(number)
        since = time.monotonic()
        _, err = process.communicate(timeout=30)
        ended = Result(process.returncode, "", err, 0)
        hits += check_ending(ended, number, since)
        check_kept(home, ended)
    assert hits > goal // 3
    log_result("E1", trials=hits, note="signals to processes of their own, imports included")


def test_two_interrupts(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """E2: a second Ctrl-C 50 ms after the first costs nothing: the last finished epoch is saved all the same."""
    rng, goal, hits, k = random.Random(5), trials(1, 20), 0, 0
    while k < goal or not hits:
        k += 1
        assert k < 20 * goal, "no moment meets the command alive"
        running = forks.start(*whole.words, home=(home := tmp_path / str(k)), save_every=NEVER)
        since = send(running, signal.SIGINT, rng.uniform(0, whole.seconds))
        time.sleep(0.05)
        running.kill(signal.SIGINT)
        ended = running.wait()
        hits += check_ending(ended, signal.SIGINT, since)
        check_kept(home, ended)
    log_result("E2", trials=hits, note="two SIGINTs 50 ms apart")


def test_signal_during_a_save(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """E2: SIGTERM while a file of the save waits to be flushed or renamed: the save is completed before the process ends."""
    # The first two fsyncs are those of the store's folders, before the training.
    moments = [("replace", 0), ("fsync", 2), ("replace", 1), ("replace", 2), ("fsync", 3), ("fsync", 4)][: trials(2, 6)]
    for op, at in moments:
        home, log = whole.give_cache(tmp_path / f"{op}{at}"), tmp_path / f"{op}{at}.log"
        slow = partial(inject, Fault("slow", op, at), log=log)
        running = forks.start(*whole.words, home=home, save_every=NEVER, before=[slow])
        while not log.exists() or sum(f'["{op}"' in line for line in log.read_text().splitlines()) <= at:
            time.sleep(0.005)
        running.kill(signal.SIGTERM)
        ended = running.wait()
        assert ended.code == -signal.SIGTERM, ended
        check_kept(home, ended)
        assert digest(home) == whole.digest
    log_result("E2", trials=len(moments), note="SIGTERM while a save waits in fsync or rename")


def test_stop_and_continue(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """E2: a run that is stopped and continued, on a terminal whose window changes, ends with the same bytes."""
    rng, goal, halted = random.Random(6), trials(1, 15), 0
    for k in range(goal):
        with Terminal() as terminal:
            running = forks.start(*whole.words, home=tmp_path / str(k), **on(terminal))
            wait_until_caught(running.pid)
            for _ in range(10):
                running.kill(signal.SIGWINCH)
                time.sleep(rng.uniform(0, whole.seconds / 20))
            running.kill(signal.SIGSTOP)  # SIGTSTP does nothing in a session of its own
            wait_until(lambda: state_of(running.pid) in "TZ-")  # noqa: B023 - called at once
            halted += state_of(running.pid) == "T"
            running.kill(signal.SIGCONT)
            assert running.wait().code == 0, terminal.text()
            assert digest(tmp_path / str(k)) == whole.digest
            assert terminal.is_restored()
    log_result("E2", trials=halted, note="stopped and continued, with ten SIGWINCH each")


def endings(whole: ReferenceRun, mirror: Mirror) -> Iterator[tuple[tuple[object, ...], int | None, dict[str, str]]]:
    """Yield commands with the signal to send, if any, and settings: every kind of ending but SIGKILL."""
    fetch = {"MNISTAE_OFFLINE": "0", "MNISTAE_MIRROR": mirror.url}
    for number in SIGNALS[: trials(1, 3)]:
        yield whole.words, number, {}
        yield ("datasets", "fetch", "emnist-digits"), number, fetch
    yield whole.words, None, {}
    yield (*whole.words, "--lr", "1e38"), None, {}
    yield ("train", "--dataset", "./missing"), None, {}
    yield ("train", "--nonsense"), None, {}


def test_terminal_is_restored(forks: ForkServer, whole: ReferenceRun, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    """E3, E1: after every ending the terminal is what it was, with its cursor; a signal during a download leaves no file."""
    rng, tried, hidden, fetches = random.Random(7), 0, 0, 0
    with Mirror({"gzip.zip": collection(digits)}, "stall mid body") as mirror:
        while tried < trials(6, 100):
            for words, number, settings in endings(whole, mirror):
                home, is_fetch = tmp_path / str(tried), words[0] == "datasets"
                with Terminal() as terminal:
                    options: dict[str, Any] = on(terminal)
                    options["env"] |= settings
                    running = forks.start(*words, home=home, **options)
                    if number is not None:
                        is_alive = is_interrupted(running, number, rng.uniform(0, whole.seconds))
                        assert is_alive or not is_fetch
                        fetches += is_fetch
                    else:
                        assert running.wait().code in {0, 2, 4, 6}, terminal.text()
                    files = [path for path in (home / "home").rglob("*") if path.is_file() and path.suffix != ".lock"]
                    assert not is_fetch or files == []
                    assert terminal.is_restored(), terminal.text()
                    assert "Traceback" not in terminal.text()
                    hidden += HIDE in terminal.text()
                    tried += 1
    assert hidden
    log_result("E3", trials=tried, note=f"the cursor had been hidden in {hidden} of them")
    log_result("E1", trials=fetches, note="signals that met a stalled download")


def test_nohup_and_the_background(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """E5: a signal that the caller ignores, as nohup does SIGHUP and a shell SIGINT of its background jobs, changes nothing."""
    for number in (signal.SIGHUP, signal.SIGINT):
        home = tmp_path / number.name
        running = forks.start(*whole.words, home=home, before=[partial(signal.signal, number, signal.SIG_IGN)])
        wait_until_caught(running.pid)
        for _ in range(5):
            running.kill(number)
            time.sleep(whole.seconds / 8)
        assert running.wait().code == 0
        assert digest(home) == whole.digest
    log_result("E5", trials=2, note="SIGHUP ignored (nohup), SIGINT ignored (background)")


def test_closed_terminal(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """E5: closing the window is SIGHUP: the last finished epoch is kept, and the resumed run ends with the same bytes."""
    codes: set[int | None] = set()
    goal, k = trials(1, 10), 0
    while k < goal or -signal.SIGHUP not in codes:
        assert k < goal + 20, "no moment meets the command alive"
        home = tmp_path / str(k)
        with Terminal() as terminal:
            running = forks.start(*whole.words, home=home, save_every=NEVER, **on(terminal))
            wait_until_caught(running.pid)
            time.sleep(whole.seconds * (k % goal + 1) / (goal + 2))
            terminal.close()
            ended = running.wait()
        assert ended.code in {0, -signal.SIGHUP}, ended
        codes.add(ended.code)
        k += 1
        assert leftovers(home) == []
        assert resume(forks, home, whole) == whole.digest
    log_result("E5", trials=k, note="the terminal closed")
