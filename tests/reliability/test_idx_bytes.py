"""Rows C7 and C8: IDX files that are damaged are found, fetched again where that is allowed, and never used."""

import dataclasses
import gzip
import itertools
import operator
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import idx
from mnistae.data.sets.registry import DATASETS, ROLES, DatasetInfo
from tests.conftest import Cli, write_idx
from tests.support.client import LONG, is_clean_error, log_result, trials
from tests.support.http_mirror import Mirror

pytestmark = pytest.mark.timeout(1200 if LONG else 120)

Digits = dict[str, np.ndarray]
MNIST = DATASETS["mnist"]
FILES = MNIST.files
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"{size} bytes": operator.itemgetter(slice(size)) for size in (0, 1, 3, 4, 7, 8, 15, 16, 17)},
    "half": lambda data: data[: len(data) // 2],
    "-1": lambda data: data[:-1],
    "+1": lambda data: data + b"\0",
    "bad magic": lambda data: b"\0\0\7" + data[3:],
    "dims swapped": lambda data: data[:4] + data[8:12] + data[4:8] + data[12:],
    "count + 1": lambda data: data[:4] + (int.from_bytes(data[4:8], "big") + 1).to_bytes(4, "big") + data[8:],
    "one value 10": lambda data: data[:-1] + b"\x0a",
    "HTML": lambda _data: b"<!doctype html><title>Log in</title>",
    "left packed": gzip.compress,
}


@pytest.fixture
def digits(digits: Digits) -> Digits:
    """Thirty of the tiny digits: they are written to files many times."""
    return {role: array[:20] if role.startswith("train") else array[:10] for role, array in digits.items()}


def damaged_folders(folder: Path, digits: Digits) -> Iterator[str]:
    """Write the files into `folder` again and again, each time with another damage; give its name."""
    for at, name in enumerate(FILES):
        for damage, change in DAMAGES.items():
            write_afresh(folder, digits)
            (folder / name).write_bytes(change((folder / name).read_bytes()))
            yield f"{name}, {damage}"
        for other in FILES[at + 1 :]:
            write_afresh(folder, digits)
            first, second = (folder / name).read_bytes(), (folder / other).read_bytes()
            (folder / name).write_bytes(second)
            (folder / other).write_bytes(first)
            yield f"{name} and {other} swapped"


def write_afresh(folder: Path, digits: Digits) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    write_idx(folder, digits)


def test_damaged_files(cli: Cli, mirror: Mirror, digits: Digits, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C7: whatever is wrong with our own copy, it is refused offline and fetched again online, and then it is right."""
    tried, folder = 0, home / "datasets" / "mnist"
    for what in itertools.islice(damaged_folders(folder, digits), 0, None, trials(6, 1)):
        monkeypatch.setenv("MNISTAE_OFFLINE", "1")
        refused = cli("datasets", "verify", "mnist")
        assert (refused.code, refused.out, is_clean_error(refused)) == (4, "", True), what
        assert " is damaged: " in refused.err, what
        monkeypatch.setenv("MNISTAE_OFFLINE", "0")
        assert cli("datasets", "fetch", "mnist").code == 0, what
        arrays = idx.read(DATASETS["mnist"], folder).arrays
        assert all(arrays[role].tobytes() == digits[role].tobytes() for role in ROLES), what
        tried += 1
    assert tried == trials(13, 4 * 18 + 6)
    log_result("C7", trials=tried, note="refused offline with exit 4; fetched again online, to the bit")


def test_damaged_files_control(tmp_path: Path, digits: Digits) -> None:
    """C7: without the published sums some of the same damages go through, so the test above is sensitive."""
    blind, missed = dataclasses.replace(MNIST, sha256={}), []
    for what in damaged_folders(tmp_path / "a", digits):
        try:
            idx.read(blind, tmp_path / "a")
        except DataError:
            continue
        missed.append(what)
    assert missed == [f"{name}, one value 10" for name in FILES if "images" in name]
    log_result("C7", trials=0, control=f"sums not compared: {len(missed)} damages taken, the others break the structure")


def found_bytes(entry: DatasetInfo, folder: Path, number: int) -> int:
    """Change random single bytes of random files, one at a time; return how many of the changes are found."""
    rng, found = random.Random(0), 0
    contents = {name: (folder / name).read_bytes() for name in FILES}
    for _ in range(number):
        name = rng.choice(FILES)
        data = bytearray(contents[name])
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        (folder / name).write_bytes(data)
        try:
            idx.read(entry, folder)
        except DataError:
            found += 1
        (folder / name).write_bytes(contents[name])
    return found


def test_single_bytes(tmp_path: Path, digits: Digits, entry: DatasetInfo) -> None:
    """C8: one changed byte anywhere in a raw file is found; without the sums hardly any is."""
    folder, number = write_idx(tmp_path / "a", digits), trials(200, 10_000)
    assert found_bytes(entry, folder, number) == number
    blind = found_bytes(dataclasses.replace(MNIST, torchvision="", sha256={}), folder, 100)
    assert blind < 60
    log_result("C8", trials=number, control=f"sums not compared: {100 - blind} of 100 changes taken")


def test_single_bytes_of_the_real_files(tmp_path: Path, real_mnist: Path) -> None:
    """C8: one changed byte of the real MNIST is found."""
    number = trials(3, 100)
    for name in FILES:
        (tmp_path / name).write_bytes(gzip.decompress((real_mnist / f"{name}.gz").read_bytes()))
    assert found_bytes(MNIST, tmp_path, number) == number
    log_result("C8", trials=number, note=f"{number} of them on the real files")
