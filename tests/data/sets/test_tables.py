"""A data set of the user's own is read from a NumPy file, whole, or refused."""

import gzip
import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL
from mnistae.core.errors import DataError
from mnistae.core.files import kinds
from mnistae.data.sets import tables
from tests.support.hostile import Canary
from tests.support.images import npy
from tests.support.weight_files import zipped

Digits = dict[str, np.ndarray]

CANARY = Canary(Path("ran"))
"""An object whose unpickling leaves a trace."""


@pytest.fixture
def few(digits: Digits) -> Digits:
    """Five and three of the tiny digits."""
    return {role: array[:5] if role.startswith("train") else array[:3] for role, array in digits.items()}


def npz(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip of members that need not be arrays."""
    path.write_bytes(zipped({f"{name}.npy": data for name, data in members.items()}, method))
    return path


def members(few: Digits) -> dict[str, bytes]:
    """Return the few digits as the members of Keras's mnist.npz."""
    return {f"{'x' if 'images' in role else 'y'}_{role.split('_')[0]}": npy(array) for role, array in few.items()}


def refusal(path: Path) -> str:
    """Return the message with which a data set is refused."""
    with pytest.raises(DataError) as caught:
        tables.read(path)
    return caught.value.message


@pytest.mark.parametrize("kind", ["int8", "uint64"])
def test_npz_labels(tmp_path: Path, few: Digits, kind: str) -> None:
    """Labels may be whole numbers of any size; what is no class is no label."""
    labels = np.array([0, 9, 100, -1 if "u" not in kind else 255, 127], kind)
    if labels.itemsize > 1:
        labels[2] = 256 + 7
    path = npz(tmp_path / "a.npz", {"x": npy(few["train_images"]), "y": npy(labels)})
    expected = [0, 9, 100 if labels.itemsize == 1 else NO_LABEL, NO_LABEL, 127]
    assert tables.read(path).arrays["train_labels"].tolist() == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"y_train": npy(np.zeros(4, np.uint8))}, "5 train images in '{path}' but 4 labels from 'y_train'"),
        ({"y_test": npy(np.array(3))}, "3 test images in '{path}' but 1 label from 'y_test'"),
        ({"y_test": npy(np.zeros(3, np.uint8))[:-1]}, "cannot read 'y_test' in '{path}': truncated or oversized"),
        ({"y_test": npy(np.array([CANARY] * 3))}, "cannot read 'y_test' in '{path}': it contains pickled objects"),
        ({"y_test": pickle.dumps(CANARY)}, "cannot read 'y_test' in '{path}': unreadable .npy header"),
        ({"x_test": npy(np.array([CANARY] * 3))}, "cannot read 'x_test' in '{path}': it contains pickled objects"),
        ({"x_train": npy(np.zeros((5, 28, 27), np.uint8))}, "unsupported array shape (5, 28, 27): '{path}'"),
    ],
)
def test_npz_with_wrong_members(tmp_path: Path, few: Digits, changes: dict[str, bytes], reason: str) -> None:
    """Each member must be the array it stands for; objects in it are never unpickled."""
    path = npz(tmp_path / "a.npz", members(few) | changes)
    assert refusal(path).startswith(reason.format(path=path))
    assert not Path("ran").exists()


def test_without_protection_the_object_runs() -> None:
    """The test above is sensitive: the object in its files runs when it is unpickled."""
    np.load(io.BytesIO(npy(np.array([CANARY]))), allow_pickle=True)
    assert Path("ran").exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"a": np.zeros((5, 28, 28)), "b": np.zeros((5, 784), "u1")},
            "several arrays of images in '{path}': 'a' (5, 28, 28) float64, 'b' (5, 784) uint8",
        ),
        (
            {"a": np.zeros(5), "b": np.array({})},
            "no array of images in '{path}': 'a' (5,) float64, 'b' (it contains pickled objects)",
        ),
        ({"a": np.zeros((5, 32, 32))}, "unsupported array shape (5, 32, 32): '{path}'"),
    ],
)
def test_npz_without_certain_images(tmp_path: Path, members: Digits, message: str) -> None:
    """Where no array, or more than one, can be the images, the message lists what was found, the hint what was looked for."""
    path = npz(tmp_path / "a.npz", {name: npy(array) for name, array in members.items()})
    with pytest.raises(DataError) as caught:
        tables.read(path)
    assert caught.value.message == message.format(path=path)
    assert len(members) == 1 or caught.value.hint == "looked for x_train, y_train, x_test and y_test, or images and labels"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        *((name, b"1,2,3", "unsupported data set format: '{path}'") for name in ("a.npz", "a.png", "a", "a.zip")),
        ("a.npz", b"", "'{path}' is empty"),
        ("a.npz", b"PK", "cannot read the data set '{path}': not an .npz file, or truncated"),
        *(
            (name, data, f"unsupported data set format: '{{path}}': it is {kind}")
            for name, data, kind in (
                ("a.npz", b"<!doctype html>", "a web page or XML document"),
                ("a.pkl", pickle.dumps(np.zeros(3), 0), "a Python pickle"),
                ("a.csv.gz", gzip.compress(pickle.dumps(np.zeros(3)), mtime=0), "a gzip archive of a Python pickle"),
                ("a-idx3-ubyte.gz", gzip.compress(bytes([0, 0, 8, 3]), mtime=0), "a gzip archive of an IDX file"),
                ("a.tar.gz", gzip.compress(b"x" * 512, mtime=0), "a gzip archive"),
                ("a.gz", b"\x1f\x8bdamaged", "a gzip archive"),
                ("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff", "a gzip archive"),
                ("a.arff", b"% MNIST", "an ARFF file"),
            )
        ),
    ],
)
def test_other_files(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    """A file of another kind is no data set; what it is, is said where that is known."""
    (tmp_path / name).write_bytes(data)
    assert refusal(tmp_path / name) == message.format(path=tmp_path / name)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), "empty"),
        (("x/data.pkl",), "a PyTorch file of 'x/data.pkl'"),
        (("xl/workbook.xml",), "an Excel workbook of 'xl/workbook.xml'"),
        ("abcdefg", "a zip archive of 'a', 'b', 'c', 'd', 'e', 'f', ..."),
    ],
)
def test_zip_without_arrays(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    """A zip archive without arrays is named by what is in it."""
    path = tmp_path / "a.npz"
    path.write_bytes(zipped(dict.fromkeys(names, b"")))
    assert refusal(path) == f"no arrays in '{path}': it is {found}"


def test_npz_packed_otherwise(tmp_path: Path, few: Digits) -> None:
    """Methods that NumPy does not write, and that unpack without a bound, are refused."""
    path = npz(tmp_path / "a.npz", members(few), zipfile.ZIP_LZMA)
    assert refusal(path) == f"cannot read the data set '{path}': x_train.npy has an unsupported compression method"


def test_damaged_npz(tmp_path: Path, few: Digits) -> None:
    """Wherever an .npz is damaged or cut, it is refused, or the digits are still right."""
    one = {role: array[:1] for role, array in few.items()}
    path = npz(tmp_path / "a.npz", members(one))
    sound = path.read_bytes()
    generator = random.Random(0)
    refused = 0
    for at in [*range(0, len(sound), 20), *range(len(sound) - 400, len(sound), 3)]:
        path.unlink()  # a file that is cut to nothing and written again is slow on some file systems
        cut = generator.random() < 0.1
        path.write_bytes(sound[:at] if cut else sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :])
        try:
            arrays = tables.read(path).arrays
        except DataError:
            refused += 1
        else:  # a changed name hides an array; nothing changes one
            assert all(arrays[role].tobytes() in {one[role].tobytes(), b"\xff"} for role in arrays)
    assert refused > 100


def refused_with(path: Path) -> tuple[str, bool]:
    """Return the message of a refusal, and whether it took less than 4 MB."""
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return message, peak < 2**22


@pytest.mark.parametrize(("limit", "is_bounded"), [(2**20, True), (2**30, False)], ids=["limited", "control"])
def test_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, *, is_bounded: bool) -> None:
    """A member that unpacks to more than a data set may hold is not unpacked; with a limit above it, it is."""
    monkeypatch.setattr(tables, "MAX_FILE", limit)
    path = npz(tmp_path / "a.npz", {"x_train": b"\x93NUMPY" + bytes(2**24)})
    message, was_bounded = refused_with(path)
    assert (message == f"cannot read the data set '{path}': it unpacks to more than 1 MiB") == was_bounded == is_bounded


@pytest.mark.parametrize(("limit", "is_bounded"), [(kinds.SIZE, True), (2**25, False)], ids=["limited", "control"])
def test_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, *, is_bounded: bool) -> None:
    """Only the first bytes of a gzip archive are unpacked to name what is in it; with a higher limit, all are."""
    monkeypatch.setattr(kinds, "SIZE", limit)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(2**24), mtime=0))
    assert refused_with(tmp_path / "a.gz")[1] == is_bounded


def test_zip_bomb_that_lies(tmp_path: Path) -> None:
    """A member that says it is small is not unpacked beyond what it says."""
    size = 0xABCDEF
    path = npz(tmp_path / "a.npz", {"x_train": bytes(size)})
    data, claim = path.read_bytes(), struct.pack("<I", size)
    assert data.count(claim) == 2
    path.write_bytes(data.replace(claim, struct.pack("<I", 1000)))
    assert refused_with(path) == (f"cannot read the data set '{path}': Bad CRC-32 for file 'x_train.npy'", True)


def test_too_large(tmp_path: Path, few: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file larger than any data set is not read to its end."""
    path = npz(tmp_path / "a.npz", members(few), zipfile.ZIP_STORED)
    monkeypatch.setattr(tables, "MAX_FILE", 1000)
    assert refusal(path) == f"cannot read the data set '{path}': it is larger than 0 MiB"
