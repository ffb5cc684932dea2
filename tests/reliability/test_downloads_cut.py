"""Rows D3, D4 and D5: downloads that are killed, downloads at once, and no network."""

import hashlib
import random
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_idx
from tests.support.child_hooks import audit, no_locks
from tests.support.client import ForkServer, is_clean_error, log_result, trials
from tests.support.downloads import archives, collection, publish, sums
from tests.support.http_mirror import Mirror
from tests.support.resumable import leftovers

ONLINE: dict[str, str | None] = {"MNISTAE_OFFLINE": "0"}
FETCH = ("datasets", "fetch", "mnist", "-q")
STARTS = 8


def visible(home: Path, dataset: str = "mnist") -> dict[str, bytes]:
    """Return the files that stand under a final name in the data folder."""
    return {path.name: path.read_bytes() for path in (home / "home" / "datasets" / dataset).glob("[!.]*")}


def test_killed_download(forks: ForkServer, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    """D3: a download killed at any moment, and killed again, is taken up: right files, nothing left over."""
    rng, hits, swept = random.Random(3), 0, 0
    files = archives(digits)
    before = [partial(publish, "mnist", sums(files), {})]
    with Mirror(files, "slow") as mirror:
        env = {**ONLINE, "MNISTAE_MIRROR": mirror.url}
        runs = 0
        while hits < trials(5, 200) or not swept:
            assert runs < trials(50, 1000), "no kill hits an open file: the moments are wrong"
            home = tmp_path / str(runs)
            runs += 1
            for _ in range(2):
                running = forks.start(*FETCH, home=home, env=env, before=before)
                time.sleep(rng.uniform(0.02, 0.4))
                running.kill(signal.SIGKILL)
                hits += running.wait().code == -signal.SIGKILL
                swept += len(leftovers(home))
                assert visible(home).items() <= files.items()
            ended = forks.run(*FETCH, home=home, env=env, before=before)
            assert ended.code == 0, ended.err
            assert visible(home) == files
            assert leftovers(home) == []
    log_result("D3", trials=hits, note=f"{swept} times a killed download left its temporary file; the next one removed it")


@pytest.mark.parametrize(("dataset", "rounds"), [("mnist", trials(1, 20)), ("emnist-digits", trials(1, 10))])
def test_eight_cold_starts(forks: ForkServer, digits: dict[str, np.ndarray], tmp_path: Path, dataset: str, rounds: int) -> None:
    """D4: eight processes at once ask for each archive once; where locks do nothing they ask more often, and are as right.

    EMNIST's one zip is unpacked and removed: no process takes it from under another one.
    """
    files, more = archives(digits, dataset), 0
    served = files if dataset == "mnist" else {"gzip.zip": collection(digits)}
    md5 = {name: hashlib.md5(data, usedforsecurity=False).hexdigest() for name, data in served.items()}
    published = partial(publish, dataset, sums(files) if dataset == "mnist" else {}, md5)
    with Mirror(served, "slow") as mirror:
        env = {**ONLINE, "MNISTAE_MIRROR": mirror.url}
        for k in range(2 * rounds):
            mirror.requests.clear()
            home, before = tmp_path / str(k), (published, *[partial(no_locks, 0)] * (k % 2))
            words = ("datasets", "fetch", dataset, "-q")
            children = [forks.start(*words, home=home, env=env, before=before) for _ in range(STARTS)]
            for ended in [child.wait() for child in children]:
                assert ended.code == 0, ended.err
            assert leftovers(home) == []
            assert visible(home, dataset) == files
            assert set(mirror.requests) == {f"/{name}" for name in served}
            assert len(mirror.requests) <= len(served) * (STARTS if k % 2 else 1)
            more += len(mirror.requests) > len(served)
    assert more or dataset != "mnist"
    seen = f"flock made to do nothing: second requests in {more} of {rounds} trials, every hash correct"
    control = seen if dataset == "mnist" else ""
    log_result("D4", trials=2 * rounds, control=control, note=f"rounds of {STARTS} processes, half of them without locks")


COMMANDS = [
    ("datasets", "fetch", "kmnist"),
    ("datasets", "verify", "kmnist"),
    ("reconstruct", "1", "--dataset", "kmnist"),
    ("evaluate", "--dataset", "kmnist"),
    ("train", "--dataset", "kmnist", "-e", "1", "-b", "256", "--name", "k"),
]


def test_offline(forks: ForkServer, digits: dict[str, np.ndarray], trained: str, home: Path) -> None:
    """D5: with MNISTAE_OFFLINE=1 no command touches a socket: exit 4 without the data, success with them."""
    work, log, commands = home.parent, home.parent / "log", COMMANDS[:: trials(2, 1)]
    watch = [partial(audit, log)]
    for is_here in (False, True):
        if is_here:
            write_idx(home / "datasets" / "kmnist", digits)
        for words in commands:
            ended = forks.run(*words, home=work, env={"MNISTAE_OFFLINE": "1"}, before=watch)
            assert ended.code == (0 if is_here else 4), ended.err
            assert is_here or is_clean_error(ended), ended.err
            assert "socket." not in log.read_text(), words
    env = {**ONLINE, "MNISTAE_MIRROR": "http://127.0.0.1:9/"}
    assert forks.run("datasets", "fetch", "mnist", home=work, env=env, before=watch).code == 4
    assert "socket.connect" in log.read_text()
    log_result("D5", trials=2 * len(commands), control="a command that is allowed to connect: detected in 1 of 1")
