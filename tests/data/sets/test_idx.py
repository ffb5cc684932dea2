"""An IDX file is read completely or refused with a reason; a folder of them is found in every layout."""

import contextlib
import dataclasses
import gzip
import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import idx, registry
from mnistae.data.sets.idx import IdxError
from mnistae.data.sets.registry import ROLES, DatasetInfo
from tests.conftest import idx_bytes, write_idx
from tests.support.idx_damage import DAMAGES

MNIST = registry.DATASETS["mnist"]
FILES = MNIST.files

Digits = dict[str, np.ndarray]

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.arange(10, dtype=np.uint8)
IMAGE_FILE = idx_bytes(IMAGES)
LABEL_FILE = idx_bytes(LABELS)

Parse = Callable[[bytes], np.ndarray]


def qmnist_labels(classes: list[int]) -> bytes:
    """Return QMNIST's label file: eight columns of integers, the class in the first."""
    table = np.full((len(classes), 8), 12345, ">i4")
    table[:, 0] = classes
    return bytes([0, 0, 0x0C, 2]) + len(classes).to_bytes(4, "big") + (8).to_bytes(4, "big") + table.tobytes()


@pytest.mark.parametrize("array", [LABELS, IMAGES[:, 0], IMAGES], ids=["1-D", "2-D", "3-D"])
def test_bytes(array: np.ndarray) -> None:
    """An array of bytes comes back as it was written."""
    parsed = idx.parse(idx_bytes(array))
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, array)


def test_integers() -> None:
    """Integers of 32 bits are read as big-endian, with their signs."""
    parsed = idx.parse(b"\0\0\x0c\x01" + (3).to_bytes(4, "big") + b"\0\0\1\0" + b"\xff\xff\xff\xff" + b"\x7f\xff\xff\xff")
    assert parsed.tolist() == [256, -1, 2**31 - 1]


@pytest.mark.parametrize(
    ("data", "parse", "expected"),
    [
        (IMAGE_FILE, idx.parse_images, IMAGES),
        (LABEL_FILE, idx.parse_labels, LABELS),
        (qmnist_labels([3, 0, 9]), idx.parse_labels, np.array([3, 0, 9])),
        (idx_bytes(LABELS[:0]), idx.parse_labels, LABELS[:0]),
    ],
    ids=["images", "labels", "QMNIST's labels", "no labels"],
)
def test_what_a_file_holds(data: bytes, parse: Parse, expected: np.ndarray) -> None:
    """Images and labels come back as bytes, of QMNIST's columns the class alone."""
    parsed = parse(data)
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, expected)


def with_header(*sizes: int, kind: int = 8, lead: bytes = b"\0\0") -> bytes:
    """Return the image file under another header."""
    header = lead + bytes([kind, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)
    return header + IMAGES.tobytes()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        *((IMAGE_FILE[:size], "not an IDX file") for size in (0, 1, 3)),
        *((IMAGE_FILE[:size], "truncated header") for size in (4, 7, 8, 15)),
        *((IMAGE_FILE[:size], f"{size} bytes, expected 3936 from the header") for size in (16, 17, 1968, 3935)),
        (IMAGE_FILE + b"\0", "3937 bytes, expected 3936 from the header"),
        (with_header(5, 28, 28, lead=b"\1\0"), "not an IDX file"),
        (with_header(5, 28, 28, kind=0x0D), "not an IDX file"),
        (with_header(5, 28, 28, kind=0x0C), "3936 bytes, expected 15696 from the header"),
        (with_header(), "not an IDX file"),
        (with_header(5, 28, 28, 1), "not an IDX file"),
        (with_header(6, 28, 28), "3936 bytes, expected 4720 from the header"),
        (with_header(2**32 - 1, 2**32 - 1, 2**32 - 1), f"3936 bytes, expected {(2**32 - 1) ** 3 + 16} from the header"),
        (with_header(28, 28, 5), "array of shape (28, 28, 5), expected images (N, 28, 28)"),
        (with_header(140, 28), "array of shape (140, 28), expected images (N, 28, 28)"),
        (idx_bytes(IMAGES[:0]), "array of shape (0, 28, 28), expected images (N, 28, 28)"),
        (LABEL_FILE, "array of shape (10,), expected images (N, 28, 28)"),
        (qmnist_labels([1]), "array of shape (1, 8), expected images (N, 28, 28)"),
        (b"<!doctype html><title>404</title>", "not an IDX file"),
        (gzip.compress(IMAGE_FILE, mtime=0), "not an IDX file"),
    ],
)
def test_damaged_images(data: bytes, reason: str) -> None:
    """A file that is not whole images is refused with what is wrong with it."""
    with pytest.raises(IdxError) as caught:
        idx.parse_images(data)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        *((LABEL_FILE[:size], "not an IDX file") for size in (0, 1, 3)),
        *((LABEL_FILE[:size], "truncated header") for size in (4, 7)),
        *((LABEL_FILE[:size], f"{size} bytes, expected 18 from the header") for size in (8, 9, 15, 16, 17)),
        (LABEL_FILE + b"\0", "19 bytes, expected 18 from the header"),
        (idx_bytes(LABELS + 1), "labels outside 0–9"),
        (qmnist_labels([1, 10]), "labels outside 0–9"),
        (qmnist_labels([1, -1]), "labels outside 0–9"),
        (qmnist_labels([256]), "labels outside 0–9"),
        (idx_bytes(IMAGES), "array of shape (5, 28, 28), expected labels (N,)"),
        (idx_bytes(IMAGES[:, 0]), "array of shape (5, 28), expected labels (N,)"),
        (b"<!doctype html><title>404</title>", "not an IDX file"),
        (gzip.compress(LABEL_FILE, mtime=0), "not an IDX file"),
    ],
)
def test_damaged_labels(data: bytes, reason: str) -> None:
    """A file that is not whole labels is refused with what is wrong with it."""
    with pytest.raises(IdxError) as caught:
        idx.parse_labels(data)
    assert str(caught.value) == reason


@pytest.mark.parametrize("limit", [len(IMAGE_FILE), len(IMAGE_FILE) + 1, 2**30])
def test_gunzip(limit: int) -> None:
    """A gzip stream unpacks to its content, up to the very limit."""
    assert idx.gunzip(gzip.compress(IMAGE_FILE, mtime=0), limit=limit) == IMAGE_FILE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated gzip stream"),
        (IMAGE_FILE, "invalid gzip data"),
        (b"<!doctype html>", "invalid gzip data"),
        (gzip.compress(IMAGE_FILE, mtime=0)[:-1], "truncated gzip stream"),
        (gzip.compress(IMAGE_FILE, mtime=0)[:20], "truncated gzip stream"),
        (gzip.compress(IMAGE_FILE, mtime=0) + b"\0", "trailing data after the gzip stream"),
        (gzip.compress(IMAGE_FILE, mtime=0) * 2, "trailing data after the gzip stream"),
        (gzip.compress(IMAGE_FILE, mtime=0)[:-8] + bytes(8), "invalid gzip data"),
        (gzip.compress(IMAGE_FILE + b"\0", mtime=0), "unpacks to more than 3936 bytes"),
    ],
    ids=["empty", "not packed", "HTML", "last byte lost", "cut", "one byte more", "two streams", "sum lost", "larger"],
)
def test_damaged_gzip(data: bytes, reason: str) -> None:
    """What is not one whole gzip stream of at most the limit is refused."""
    with pytest.raises(IdxError) as caught:
        idx.gunzip(data, limit=len(IMAGE_FILE))
    assert str(caught.value) == reason


@pytest.mark.parametrize(("limit", "is_bounded"), [(100_000, True), (2**25, False)], ids=["limited", "sabotage"])
def test_gzip_bomb(limit: int, *, is_bounded: bool) -> None:
    """A bomb of 16 MB takes no more memory than the limit allows; with a limit above it, it does."""
    bomb = gzip.compress(bytes(2**24))
    tracemalloc.start()
    with contextlib.suppress(IdxError):
        idx.gunzip(bomb, limit=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (peak < 2**20) == is_bounded


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
    assert_same(idx.read(summed(digits), write_idx(tmp_path / "a", digits, compress=compress)), digits)


def test_compressed_anew(tmp_path: Path, digits: Digits) -> None:
    """Where the content's sum is known, it does not matter who compressed it."""
    folder = write_idx(tmp_path / "a", digits, compress=True)
    for name in FILES:
        path = folder / f"{name}.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=12345))
    assert_same(idx.read(summed(digits), folder), digits)


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
        idx.read(summed(digits), folder)
    assert caught.value.message == f"'{path}' is damaged: not the published content of mnist (SHA-256 mismatch)"
    assert caught.value.hint == "remove it and run 'mnistae datasets fetch mnist', or use --dataset glyphs"


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "one value 10"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_structure(tmp_path: Path, digits: Digits, name: str, damage: str) -> None:
    """Without any sum every damage of the structure is still found."""
    folder = write_idx(tmp_path / "a", digits)
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(DataError, match=rf"{name}' is damaged: "):
        idx.read(without_sums(MNIST), folder)


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
            idx.read(entry, folder)


def test_counts_that_differ(tmp_path: Path, digits: Digits) -> None:
    """A label too few is found even in files that are sound by themselves."""
    folder = write_idx(tmp_path / "a", {**digits, "test_labels": digits["test_labels"][1:]})
    with pytest.raises(DataError) as caught:
        idx.read(without_sums(MNIST), folder)
    assert caught.value.message == f"10 test images but 9 labels in '{folder}'"
    assert caught.value.hint == "replace it with a complete IDX file, or use another data set"


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
                idx.read(entry, folder)
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
    [(True, 0, None), (True, 1, "MD5 mismatch"), (False, 0, None)],
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
        assert_same(idx.read(entry, folder), digits)
        return
    with pytest.raises(DataError, match=rf"{FILES[2]}\.gz' is damaged: not the published archive of fashion-mnist \({error}\)"):
        idx.read(entry, folder)


def test_emnist_is_turned_upright(tmp_path: Path, digits: Digits) -> None:
    """EMNIST's files hold rows and columns exchanged; the images come back upright."""
    entry = registry.DATASETS["emnist-digits"]
    for role, name in zip(ROLES, entry.files, strict=True):
        array = digits[role]
        (tmp_path / name).write_bytes(idx_bytes(array.transpose(0, 2, 1) if array.ndim == 3 else array))
    assert_same(idx.read(entry, tmp_path), digits)
    lying = idx.read(dataclasses.replace(entry, transposed=False), tmp_path)
    assert not np.array_equal(lying["train_images"], digits["train_images"].reshape(-1, 784))


def test_missing_file(tiny: Path, digits: Digits) -> None:
    """A file that is gone is named, with the command that brings it."""
    (tiny / FILES[3]).unlink()
    with pytest.raises(DataError) as caught:
        idx.read(summed(digits), tiny)
    assert caught.value.message == f"data file not found: '{tiny / FILES[3]}'"
    assert caught.value.hint == "run 'mnistae datasets fetch mnist'"


def test_a_folder_in_place_of_a_file(tiny: Path) -> None:
    """A folder under a file's name is refused."""
    (tiny / FILES[0]).unlink()
    (tiny / FILES[0]).mkdir()
    with pytest.raises(DataError, match=r"cannot read the data file .*: it is a folder"):
        idx.read(MNIST, tiny)


def test_too_large(tiny: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond every data set's size is not read to its end, nor unpacked to it."""
    monkeypatch.setattr(idx, "MAX_CONTENT", 2**13)
    with pytest.raises(DataError, match="larger than 0 MiB"):
        idx.read(MNIST, tiny)
    path = tiny / FILES[0]
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(bytes(2**20)))
    with pytest.raises(DataError, match="unpacks to more than 8192 bytes"):
        idx.read(MNIST, tiny)


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
def test_detect(tmp_path: Path, digits: Digits, place: str, name: str, *, compress: bool, has_sums: bool) -> None:
    """The layout of torchvision tells which data set it is; flat files go by the folder's name, with no sums to fail."""
    folder = tmp_path / "here"
    write_idx(folder / place, digits, compress=compress)
    found = idx.detect(folder)
    assert found is not None
    entry, place_found = found
    assert (entry.name, place_found, bool(entry.sha256)) == (name, folder / place, has_sums)


@pytest.mark.parametrize("name", ["qmnist", "emnist-digits"])
def test_detect_by_file_names(tmp_path: Path, name: str) -> None:
    """Flat files under names that one data set alone uses are that data set."""
    entry = registry.DATASETS[name]
    for file in entry.files:
        (tmp_path / f"{file}.gz").touch()
    assert idx.detect(tmp_path) == (entry, tmp_path)


def test_detect_nothing(tiny: Path, tmp_path: Path) -> None:
    """Three of four files, or none, are no data set."""
    (tiny / FILES[1]).unlink()
    assert idx.detect(tiny) is None
    assert idx.detect(tmp_path / "nowhere") is None


def test_find_and_remove(tmp_path: Path) -> None:
    """The raw file is found before the compressed one, and both are removed."""
    for name in ("a", "a.gz", "b.gz"):
        (tmp_path / name).touch()
    found = [idx.find(tmp_path, name) for name in ("a", "b", "c", "x" * 5000)]
    assert found == [tmp_path / "a", tmp_path / "b.gz", None, None]
    idx.remove(tmp_path, "a")
    idx.remove(tmp_path, "c")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["b.gz"]
