"""The four IDX files of a data set are found in every layout and spelling, and read whole and verified, or refused."""

import dataclasses
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import idx, registry
from mnistae.data.sets.registry import ROLES, DatasetInfo
from tests.conftest import Digits, idx_bytes, write_idx

MNIST = registry.DATASETS["mnist"]
FILES = MNIST.files


def assert_same(arrays: Digits, digits: Digits) -> None:
    """The arrays are the digits, images flattened."""
    assert arrays.keys() == digits.keys()
    for role, array in arrays.items():
        assert array.dtype == np.uint8
        is_flat = role.endswith("images")
        np.testing.assert_array_equal(array, digits[role].reshape(len(digits[role]), -1) if is_flat else digits[role])


@pytest.mark.parametrize(("name", "compress"), [(name, k % 2 == 0) for k, name in enumerate(FILES)])
def test_damaged_file(tmp_path: Path, digits: Digits, entry: DatasetInfo, name: str, *, compress: bool) -> None:
    """Damage in each of the files is found, and the message names the file."""
    folder = write_idx(tmp_path / "a", digits, compress=compress)
    path = folder / (f"{name}.gz" if compress else name)
    damaged = idx_bytes(digits[ROLES[FILES.index(name)]][1:])
    path.write_bytes(gzip.compress(damaged) if compress else damaged)
    with pytest.raises(DataError) as caught:
        idx.read(entry, folder)
    assert caught.value.message == f"'{path}' is damaged: not the published content of mnist (SHA-256 mismatch)"


@pytest.mark.parametrize(
    ("compress", "mtime", "note"),
    [(True, 0, "verified: the published archives (MD5)"), (True, 1, "not verified: "), (False, 0, "not verified: ")],
    ids=["archive", "recompressed", "raw"],
)
def test_sums(tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch, compress: bool, mtime: int, note: str) -> None:
    """Where only the archives' sums are published, other files are read, and the note says that they are not verified."""
    entry = registry.DATASETS["fashion-mnist"]
    folder = write_idx(tmp_path / "a", digits, compress=compress)
    sums = {path.name: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(registry, "archive_sums", lambda _entry: sums)
    if mtime:
        path = folder / f"{FILES[2]}.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=mtime))
    content = idx.read(entry, folder)
    assert_same(content.arrays, digits)
    assert content.notes[0].startswith(note)


@pytest.mark.parametrize(
    ("place", "error"), [("", None), ("FashionMNIST/raw", "not fashion-mnist: "), ("KMNIST/raw", "not kmnist: ")]
)
def test_mnist_under_another_name(tmp_path: Path, entry: DatasetInfo, digits: Digits, place: str, error: str | None) -> None:
    """MNIST's own files are recognised, and refused as another data set."""
    write_idx(tmp_path / place, digits)
    found = idx.detect(tmp_path) or (entry, tmp_path)
    if error is None:
        assert idx.read(*found).notes == ("this is MNIST, the published content (SHA-256)",)
        return
    with pytest.raises(DataError, match=f"{error}.* is a file of MNIST"):
        idx.read(*found)


def test_one_file_of_mnist(tiny: Path, entry: DatasetInfo, digits: Digits) -> None:
    """Some of MNIST's files among others are said."""
    (tiny / FILES[0]).write_bytes(idx_bytes(255 - digits["train_images"]))
    assert idx.read(*(idx.detect(tiny) or ())).notes == ("not verified: 3 of the 4 files have the published content of MNIST",)


@pytest.mark.parametrize(
    ("name", "labels", "error"),
    [
        ("emnist-letters", (1, 26), None),
        ("emnist-letters", (1, 27), "labels from 1 to 27, expected 0 to 26"),
        ("emnist-mnist", (0, 10), "expected 0 to 9"),
    ],
)
def test_emnist(tmp_path: Path, digits: Digits, name: str, labels: tuple[int, int], error: str | None) -> None:
    """EMNIST's files have rows and columns exchanged, and more labels; the images come back upright, the classes named."""
    entry = registry.DATASETS[name]
    changed = {
        role: array if "images" in role else np.resize(np.array(labels, np.uint8), len(array)) for role, array in digits.items()
    }
    for role, file in zip(ROLES, entry.files, strict=True):
        array = changed[role]
        (tmp_path / file).write_bytes(idx_bytes(array.transpose(0, 2, 1) if array.ndim == 3 else array))
    if error:
        with pytest.raises(DataError, match=error):
            idx.read(entry, tmp_path)
        return
    content = idx.read(entry, tmp_path)
    assert_same(content.arrays, changed)
    assert (content.classes, idx.detect(tmp_path)) == (entry.classes, (entry, tmp_path))


def test_too_large(tiny: Path) -> None:
    """A file beyond every data set's size is not read to its end, nor unpacked to it."""
    small = dataclasses.replace(MNIST, max_content=2**13)
    with pytest.raises(DataError, match="larger than 0 MiB"):
        idx.read(small, tiny)
    path = tiny / FILES[0]
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(bytes(2**20)))
    with pytest.raises(DataError, match="unpacks to more than 8192 bytes"):
        idx.read(small, tiny)


@pytest.mark.parametrize(
    ("place", "start", "name"),
    [
        ("here", "here", "here"),
        ("fashion-mnist", "fashion-mnist", "fashion-mnist"),
        ("MNIST/raw", ".", "mnist"),
        ("FashionMNIST/raw", "FashionMNIST", "fashion-mnist"),
        ("KMNIST/raw", "KMNIST/raw", "kmnist"),
    ],
)
def test_detect(tmp_path: Path, digits: Digits, place: str, start: str, name: str) -> None:
    """The layout of torchvision says which data set it is, from any folder of it; flat files go by the folder's name."""
    write_idx(tmp_path / place, digits)
    entry, found = idx.detect(tmp_path / start) or (MNIST, None)
    assert (entry.name, found, bool(entry.sha256)) == (name, tmp_path / place, name == "mnist")


def test_several(tmp_path: Path, digits: Digits) -> None:
    """In a folder of several data sets, one has to be named."""
    for name in ("MNIST", "KMNIST"):
        write_idx(tmp_path / name / "raw", digits)
    with pytest.raises(DataError, match=r"several data sets in '.*': mnist, kmnist"):
        idx.detect(tmp_path)


@pytest.mark.parametrize(
    "spell",
    [
        lambda name: name.replace("-idx", ".idx"),
        lambda name: f"{name.upper()}.GZ",
        lambda name: f"{name.replace('-', '_')}.gz",
        lambda name: f"{name}/{name.replace('-idx', '.idx')}",
    ],
    ids=["dots", "capitals", "underscores", "a folder each"],
)
def test_spellings(tiny: Path, digits: Digits, spell: Callable[[str], str]) -> None:
    """The spellings that archivers give the names are found."""
    for name in FILES:
        path, data = tiny / spell(name), (tiny / name).read_bytes()
        (tiny / name).unlink()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(data) if path.suffix.lower() == ".gz" else data)
    assert_same(idx.read(*(idx.detect(tiny) or ())).arrays, digits)


def test_packing_is_known_by_content(tiny: Path, digits: Digits) -> None:
    """A file that a browser has unpacked and not renamed, and one that was renamed and not unpacked, are read."""
    (tiny / FILES[0]).rename(tiny / f"{FILES[0]}.gz")
    (tiny / FILES[1]).write_bytes(gzip.compress((tiny / FILES[1]).read_bytes()))
    assert_same(idx.read(*(idx.detect(tiny) or ())).arrays, digits)


@pytest.mark.parametrize(
    ("labels", "message", "hint"),
    [
        (idx_bytes(np.eye(10, dtype=np.uint8)), "cannot use '{path}': uint8 array of shape (10, 10)", "one byte per label"),
        (b"version https://git-lfs.github.com/spec/v1", "'{path}' is damaged: not an IDX file but a Git LFS", "undamaged copy"),
    ],
)
def test_reason(tiny: Path, labels: bytes, message: str, hint: str) -> None:
    """A file of other data is not called damaged, and a file of another kind is named."""
    path = tiny / FILES[3]
    path.write_bytes(labels)
    with pytest.raises(DataError) as caught:
        idx.read(*(idx.detect(tiny) or ()), hint="replace it with an undamaged copy")
    assert caught.value.message.startswith(message.format(path=path))
    assert hint in caught.value.hint


def test_detect_nothing(tiny: Path, tmp_path: Path) -> None:
    """Three of four files, or none, are no data set; a folder in place of a file is none either."""
    (tiny / FILES[1]).unlink()
    assert idx.detect(tiny) is None
    (tiny / FILES[1]).mkdir()
    assert idx.detect(tiny) is idx.detect(tmp_path / "nowhere") is None


def test_find(tmp_path: Path) -> None:
    """The raw file is found before the compressed one; a missing one is named, with the command that downloads it."""
    for name in ("a-idx1", "a-idx1.gz", "b-idx1.gz"):
        (tmp_path / name).touch()
    found = [idx.find(tmp_path, name) for name in ("a-idx1", "b-idx1", "c-idx1", "x" * 5000)]
    assert found == [tmp_path / "a-idx1", tmp_path / "b-idx1.gz", None, None]
    with pytest.raises(DataError, match=f"data file not found: '{tmp_path / FILES[0]}'") as caught:
        idx.read(MNIST, tmp_path)
    assert caught.value.hint == "run 'mnistae datasets fetch mnist'"
