"""A folder of IDX files is found in every layout, and read verified or refused."""

import dataclasses
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import idx_folder, registry
from mnistae.data.sets.registry import ROLES, DatasetInfo
from tests.conftest import idx_bytes, write_idx
from tests.support.idx_damage import DAMAGES

MNIST = registry.DATASETS["mnist"]
FILES = MNIST.files

Digits = dict[str, np.ndarray]


@pytest.fixture
def digits(digits: Digits) -> Digits:
    """Thirty of the tiny digits: most tests here write them to files."""
    return {role: array[:20] if role.startswith("train") else array[:10] for role, array in digits.items()}


def summed(digits: Digits) -> DatasetInfo:
    """Return MNIST's entry with the sums of the tiny files in place of the real ones."""
    sums = {name: hashlib.sha256(idx_bytes(digits[role])).hexdigest() for role, name in zip(ROLES, FILES, strict=True)}
    return dataclasses.replace(MNIST, sha256=sums)


def without_sums(entry: DatasetInfo) -> DatasetInfo:
    """Take the safeguard out."""
    return dataclasses.replace(entry, torchvision="", sha256={})


def assert_same(arrays: Digits, digits: Digits) -> None:
    """The arrays are the digits, images flattened."""
    assert arrays.keys() == digits.keys()
    for role, array in arrays.items():
        assert array.dtype == np.uint8
        is_flat = role.endswith("images")
        np.testing.assert_array_equal(array, digits[role].reshape(len(digits[role]), -1) if is_flat else digits[role])


@pytest.mark.parametrize("compress", [False, True], ids=["raw", "gz"])
def test_read(tmp_path: Path, digits: Digits, *, compress: bool) -> None:
    """The four files, raw or compressed, come back as rows and labels."""
    assert_same(idx_folder.read(summed(digits), write_idx(tmp_path / "a", digits, compress=compress)), digits)


def test_compressed_anew(tmp_path: Path, digits: Digits) -> None:
    """Where the content's sum is known, it does not matter who compressed it."""
    folder = write_idx(tmp_path / "a", digits, compress=True)
    for name in FILES:
        path = folder / f"{name}.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=12345))
    assert_same(idx_folder.read(summed(digits), folder), digits)


@pytest.mark.parametrize("compress", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_damaged_file(tmp_path: Path, digits: Digits, name: str, damage: str, *, compress: bool) -> None:
    """Each damage of each file is found, and the message names the file and the way out."""
    folder = write_idx(tmp_path / "a", digits)
    path = folder / name
    damaged = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if compress:
        path = path.with_name(f"{name}.gz")
    path.write_bytes(gzip.compress(damaged) if compress else damaged)
    with pytest.raises(DataError) as caught:
        idx_folder.read(summed(digits), folder)
    assert caught.value.message == f"'{path}' is damaged: its content is not that of mnist (SHA-256 differs)"
    assert caught.value.hint == "remove it and run 'mnistae datasets fetch mnist', or use --dataset glyphs"


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "one value 10"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_structure(tmp_path: Path, digits: Digits, name: str, damage: str) -> None:
    """Without any sum every damage of the structure is still found."""
    folder = write_idx(tmp_path / "a", digits)
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(DataError, match=rf"{name}' is damaged: it "):
        idx_folder.read(without_sums(MNIST), folder)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)])
def test_swapped_files(tmp_path: Path, digits: Digits, first: int, second: int) -> None:
    """Two files under each other's names are found, with sums and without."""
    folder = write_idx(tmp_path / "a", digits)
    a, b = folder / FILES[first], folder / FILES[second]
    one, other = a.read_bytes(), b.read_bytes()
    a.write_bytes(other)
    b.write_bytes(one)
    for entry in (summed(digits), without_sums(MNIST)):
        with pytest.raises(DataError):
            idx_folder.read(entry, folder)


def test_counts_that_differ(tmp_path: Path, digits: Digits) -> None:
    """A label too few is found even in files that are sound by themselves."""
    folder = write_idx(tmp_path / "a", {**digits, "test_labels": digits["test_labels"][1:]})
    with pytest.raises(DataError) as caught:
        idx_folder.read(without_sums(MNIST), folder)
    assert caught.value.message == f"'{folder}' holds 10 test images and 9 labels"
    assert caught.value.hint == "put whole IDX files there, or name another data set"


def put(path: Path, at: int, byte: int) -> None:
    """Write one byte of a file in place."""
    with path.open("r+b", buffering=0) as stream:
        stream.seek(at)
        stream.write(bytes([byte]))


def damaged_bytes_found(entry: DatasetInfo, folder: Path) -> tuple[int, int]:
    """Damage every byte of every file in turn; return how many damages are found, and how many there were."""
    found = tried = 0
    for name in FILES:
        data = (folder / name).read_bytes()
        for at, byte in enumerate(data):
            put(folder / name, at, byte ^ 1 << at % 8)
            tried += 1
            try:
                idx_folder.read(entry, folder)
            except DataError:
                found += 1
            put(folder / name, at, byte)
    return found, tried


def test_every_byte(tmp_path: Path, digits: Digits) -> None:
    """One flipped bit in any byte of any file is found; without the sums hardly any is."""
    few = {role: array[:2] if role.startswith("train") else array[:1] for role, array in digits.items()}
    folder = write_idx(tmp_path / "a", few)
    found, tried = damaged_bytes_found(summed(few), folder)
    assert found == tried == 3 * 784 + 3 + 2 * 16 + 2 * 8
    found, _ = damaged_bytes_found(without_sums(MNIST), folder)
    assert found < 60


@pytest.mark.parametrize(
    ("compress", "mtime", "error"),
    [(True, 0, None), (True, 1, "MD5 differs"), (False, 0, None)],
    ids=["archive", "anew", "raw"],
)
def test_archive_sums(
    tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch, compress: bool, mtime: int, error: str | None
) -> None:
    """Where only the archives' sums are published, an archive must be the published one."""
    entry = registry.DATASETS["fashion-mnist"]
    archives = {f"{name}.gz": gzip.compress(idx_bytes(digits[role]), mtime=0) for role, name in zip(ROLES, FILES, strict=True)}
    sums = {name: hashlib.md5(data, usedforsecurity=False).hexdigest() for name, data in archives.items()}
    monkeypatch.setattr(registry, "archive_sums", lambda _entry: sums)
    folder = write_idx(tmp_path / "a", digits, compress=compress)
    if mtime:
        path = folder / f"{FILES[2]}.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=mtime))
    if error is None:
        assert_same(idx_folder.read(entry, folder), digits)
        return
    with pytest.raises(DataError, match=rf"{FILES[2]}\.gz' is damaged: it is not the archive of fashion-mnist \({error}\)"):
        idx_folder.read(entry, folder)


def test_emnist_is_turned_upright(tmp_path: Path, digits: Digits) -> None:
    """EMNIST's files hold rows and columns exchanged; the images come back upright."""
    entry = registry.DATASETS["emnist-digits"]
    for role, name in zip(ROLES, entry.files, strict=True):
        array = digits[role]
        (tmp_path / name).write_bytes(idx_bytes(array.transpose(0, 2, 1) if array.ndim == 3 else array))
    assert_same(idx_folder.read(entry, tmp_path), digits)
    lying = idx_folder.read(dataclasses.replace(entry, transposed=False), tmp_path)
    assert not np.array_equal(lying["train_images"], digits["train_images"].reshape(-1, 784))


def test_missing_file(tiny: Path, digits: Digits) -> None:
    """A file that is gone is named, with the command that brings it."""
    (tiny / FILES[3]).unlink()
    with pytest.raises(DataError) as caught:
        idx_folder.read(summed(digits), tiny)
    assert caught.value.message == f"'{tiny / FILES[3]}' is missing"
    assert caught.value.hint == "run 'mnistae datasets fetch mnist'"


def test_a_folder_in_place_of_a_file(tiny: Path) -> None:
    """A folder under a file's name is refused."""
    (tiny / FILES[0]).unlink()
    (tiny / FILES[0]).mkdir()
    with pytest.raises(DataError, match=r"cannot read the data file .*: it is a folder"):
        idx_folder.read(MNIST, tiny)


def test_too_large(tiny: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond every data set's size is not read to its end, nor unpacked to it."""
    monkeypatch.setattr(idx_folder, "MAX_CONTENT", 2**13)
    with pytest.raises(DataError, match="larger than 0 MiB"):
        idx_folder.read(MNIST, tiny)
    path = tiny / FILES[0]
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(bytes(2**20)))
    with pytest.raises(DataError, match="it unpacks to more than 8192 bytes"):
        idx_folder.read(MNIST, tiny)


@pytest.mark.parametrize(
    ("place", "name", "compress", "has_sums"),
    [
        ("", "here", False, False),
        ("", "here", True, False),
        ("MNIST/raw", "mnist", False, True),
        ("MNIST/raw", "mnist", True, True),
        ("FashionMNIST/raw", "fashion-mnist", False, False),
        ("KMNIST/raw", "kmnist", True, False),
    ],
)
def test_recognise(tmp_path: Path, digits: Digits, place: str, name: str, *, compress: bool, has_sums: bool) -> None:
    """The layout of torchvision tells which data set it is; flat files go by the folder's name, with no sums to fail."""
    folder = tmp_path / "here"
    write_idx(folder / place, digits, compress=compress)
    found = idx_folder.recognise(folder)
    assert found is not None
    entry, place_found = found
    assert (entry.name, place_found, bool(entry.sha256)) == (name, folder / place, has_sums)


@pytest.mark.parametrize("name", ["qmnist", "emnist-digits"])
def test_recognise_by_file_names(tmp_path: Path, name: str) -> None:
    """Flat files under names that one data set alone uses are that data set."""
    entry = registry.DATASETS[name]
    for file in entry.files:
        (tmp_path / f"{file}.gz").touch()
    assert idx_folder.recognise(tmp_path) == (entry, tmp_path)


def test_recognise_nothing(tiny: Path, tmp_path: Path) -> None:
    """Three of four files, or none, are no data set."""
    (tiny / FILES[1]).unlink()
    assert idx_folder.recognise(tiny) is None
    assert idx_folder.recognise(tmp_path / "nowhere") is None


def test_find_and_remove(tmp_path: Path) -> None:
    """The raw file is found before the compressed one, and both are removed."""
    for name in ("a", "a.gz", "b.gz"):
        (tmp_path / name).touch()
    found = [idx_folder.find(tmp_path, name) for name in ("a", "b", "c", "x" * 5000)]
    assert found == [tmp_path / "a", tmp_path / "b.gz", None, None]
    idx_folder.remove(tmp_path, "a")
    idx_folder.remove(tmp_path, "c")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["b.gz"]
