"""Rows D3, D4, D5 and T10: downloads killed, downloads at once, no network, and data that somebody has changed."""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import random
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import cache, resolve
from mnistae.data.sets.dataset import Split
from mnistae.data.sets.registry import DATASETS
from tests.conftest import write_idx
from tests.support.canary import Canary
from tests.support.client import ForkServer, is_clean_error, log_result, trials
from tests.support.downloads import archives, collection, is_right, sums
from tests.support.http_mirror import BEHAVIOURS, Handler, Mirror
from tests.support.resumable import leftovers

ONLINE: dict[str, str | None] = {"MNISTAE_OFFLINE": "0"}
FETCH = ("datasets", "fetch", "mnist", "-q")
STARTS = 8


@pytest.fixture(scope="module")
def files(digits: dict[str, np.ndarray]) -> dict[str, bytes]:
    """The four archives of the tiny MNIST."""
    return archives(digits)


def slow(handler: Handler, body: bytes) -> None:
    """Send an archive in eight pieces over some 160 ms."""
    handler.start(Content_Length=str(len(body)))
    step = len(body) // 8 + 1
    for start in range(0, len(body), step):
        handler.wfile.write(body[start : start + step])
        handler.wait(0.02)


@pytest.fixture
def slow_mirror(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Mirror:
    monkeypatch.setitem(BEHAVIOURS, "in pieces", slow)
    return Mirror(files, "in pieces")


def test_killed_download(forks: ForkServer, files: dict[str, bytes], slow_mirror: Mirror, tmp_path: Path) -> None:
    """D3: a download killed at any moment, and killed again, is taken up: right files, nothing left over."""
    rng, hits, swept = random.Random(3), 0, 0
    before = (("downloads.be_tiny", {"sha256": sums(files)}),)
    with slow_mirror as mirror:
        env = {**ONLINE, "MNISTAE_MIRROR": mirror.url}
        runs = 0
        while hits < trials(5, 200):
            home = tmp_path / str(runs)
            runs += 1
            for _ in range(2):
                running = forks.start(*FETCH, home=home, env=env, before=before)
                time.sleep(rng.uniform(0.02, 0.4))
                running.kill(signal.SIGKILL)
                hits += running.wait().code == -signal.SIGKILL
                swept += len(leftovers(home))
                check_visible(home, files)
            ended = forks.run(*FETCH, home=home, env=env, before=before)
            assert ended.code == 0, ended.err
            assert is_right(home, files)
            assert leftovers(home) == []
    assert swept, "no kill hit an open file: the moments are wrong"
    log_result("D3", trials=hits, note=f"{swept} times a killed download's temporary file lay there; the next one removed it")


def check_visible(home: Path, files: dict[str, bytes]) -> None:
    """Compare what stands under a final name with what is published."""
    for path in (home / "home" / "datasets" / "mnist").glob("*.gz"):
        assert path.read_bytes() == files[path.name], path


def start_at_once(forks: ForkServer, words: tuple[str, ...], home: Path, mirror: Mirror, *before: tuple[str, object]) -> int:
    """Fetch in eight processes from nothing; all have to succeed. Return how many requests the mirror saw."""
    mirror.requests.clear()
    env = {**ONLINE, "MNISTAE_MIRROR": mirror.url}
    for ended in [child.wait() for child in [forks.start(*words, home=home, env=env, before=before) for _ in range(STARTS)]]:
        assert ended.code == 0, ended.err
    assert leftovers(home) == []
    return len(mirror.requests)


def test_eight_cold_starts(forks: ForkServer, files: dict[str, bytes], slow_mirror: Mirror, tmp_path: Path) -> None:
    """D4: eight processes at once ask for each archive once; where locks do nothing they ask more often, and are as right."""
    rounds, more = trials(1, 20), 0
    tiny = ("downloads.be_tiny", {"sha256": sums(files)})
    with slow_mirror as mirror:
        for k in range(rounds):
            locked, free = tmp_path / f"locked{k}", tmp_path / f"free{k}"
            assert start_at_once(forks, FETCH, locked, mirror, tiny) == len(files)
            assert sorted(mirror.requests) == sorted(f"/{name}" for name in files)
            asked = start_at_once(forks, FETCH, free, mirror, tiny, ("no_locks", 0))
            assert asked <= STARTS * len(files)
            assert is_right(locked, files)
            assert is_right(free, files)
            more += asked > len(files)
    assert more
    seen = f"flock made to do nothing: second requests seen {more} times of {rounds}, every hash right"
    log_result("D4", trials=2 * rounds, control=seen, note=f"rounds of {STARTS} processes")


def test_eight_cold_starts_of_one_archive_for_all(
    forks: ForkServer, digits: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """D4: EMNIST's one zip is fetched once, unpacked, and removed; no process takes it from under another one."""
    data = collection(digits)
    published = ("downloads.publish", {"gzip.zip": hashlib.md5(data, usedforsecurity=False).hexdigest()})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        right = {f"{name}.gz": archive.read(f"gzip/{name}.gz") for name in DATASETS["emnist-digits"].files}
    rounds = trials(1, 10)
    monkeypatch.setitem(BEHAVIOURS, "in pieces", slow)
    with Mirror({"gzip.zip": data}, "in pieces") as mirror:
        for k in range(rounds):
            for steps, most in (((published,), 1), ((published, ("no_locks", 0)), STARTS)):
                home = tmp_path / f"{k}-{most}"
                assert 1 <= start_at_once(forks, ("datasets", "fetch", "emnist-digits", "-q"), home, mirror, *steps) <= most
                found = {path.name: path.read_bytes() for path in (home / "home" / "datasets" / "emnist-digits").iterdir()}
                assert found == right
    log_result("D4", trials=2 * rounds, note=f"rounds of {STARTS} processes on EMNIST's zip, half of them without locks")


COMMANDS = [
    ("datasets", "fetch", "kmnist"),
    ("datasets", "verify", "kmnist"),
    ("reconstruct", "1", "--dataset", "kmnist"),
    ("evaluate", "--dataset", "kmnist"),
    ("train", "--dataset", "kmnist", "-e", "1", "-b", "256", "--name", "k"),
]


def test_offline(forks: ForkServer, digits: dict[str, np.ndarray], trained: str, home: Path) -> None:
    """D5: with MNISTAE_OFFLINE=1 no command touches a socket: exit 4 without the data, success with them."""
    work, log, commands = home.parent, home.parent / "sockets", COMMANDS[:: trials(2, 1)]
    watch = (("downloads.watch_sockets", str(log)),)
    for is_here in (False, True):
        if is_here:
            write_idx(home / "datasets" / "kmnist", digits)
        for words in commands:
            ended = forks.run(*words, home=work, env={"MNISTAE_OFFLINE": "1"}, before=watch)
            assert ended.code == (0 if is_here else 4), ended.err
            assert is_here or is_clean_error(ended), ended.err
            assert log.read_text() == "", words
    online = forks.run(
        "datasets", "fetch", "mnist", home=work, env={**ONLINE, "MNISTAE_MIRROR": "http://127.0.0.1:9/"}, before=watch
    )
    assert online.code == 4
    assert "socket.connect" in log.read_text()
    log_result(
        "D5", trials=2 * len(commands), control="the same watch on a command that is allowed to connect: seen 1 time of 1"
    )


@pytest.fixture
def own_folder(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny MNIST's raw files in our own folder, known by their sums."""
    monkeypatch.setitem(DATASETS, "mnist", dataclasses.replace(DATASETS["mnist"], sha256=sums(files)))
    folder = resolve.download_dir(DATASETS["mnist"])
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(data))
    return folder


def outcome(right: str) -> str:
    """Say what comes of using the data as they lie: "found" damaged, "right" all the same, or "wrong"."""
    try:
        data = resolve.open_local("mnist")
        arrays = {f"{split}_{kind}": getattr(data, kind)(split) for split in Split for kind in ("images", "labels")}
    except DataError:
        return "found"
    return "right" if cache.digest(arrays) == right else "wrong"


@contextlib.contextmanager
def changed(path: Path, rng: random.Random, *, keeps_time: bool) -> Iterator[None]:
    """Change one byte of a file for the length of a block."""
    whole, stat = path.read_bytes(), path.stat()
    damaged, place = bytearray(whole), rng.randrange(len(whole))
    damaged[place] ^= rng.randrange(1, 256)
    path.write_bytes(damaged)
    if keeps_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    yield
    path.write_bytes(whole)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_tampered_data(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T10: whichever byte of the data is changed, it is found or does not reach the result; planted pickles are not read."""
    canary = own_folder.parent / "canary"
    for planted in (own_folder / "processed", own_folder.parent / "MNIST" / "processed"):
        planted.mkdir(parents=True)
        for name in ("training.pt", "test.pt"):
            (planted / name).write_bytes(pickle.dumps(Canary(canary)))
    right = resolve.open_dataset("mnist").digest
    rng, paths = random.Random(10), sorted(own_folder.glob("*-ubyte"))
    for k in range(trials(100, 10_000)):
        with changed(rng.choice(paths), rng, keeps_time=k % 2 == 0):
            assert outcome(right) == ("right" if k % 2 == 0 else "found")  # with the old time the verified cache is used
            with pytest.raises(DataError):
                resolve.open_local("mnist").reload()
    assert outcome(right) == "right"
    assert not canary.exists()

    monkeypatch.setitem(DATASETS, "mnist", dataclasses.replace(DATASETS["mnist"], sha256={}))
    wrong = 0
    for _ in range(20):
        with changed(paths[-2], rng, keeps_time=False):
            wrong += outcome(right) == "wrong"
    assert wrong
    log_result(
        "T10",
        trials=trials(100, 10_000),
        control=f"the published sums taken out: changed data seen to pass {wrong} times of 20",
    )
