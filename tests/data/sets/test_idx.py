"""An IDX file is read completely or refused with a reason."""

import contextlib
import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistae.data.images import values
from mnistae.data.sets import idx
from mnistae.data.sets.idx import IdxError
from tests.conftest import Digits, idx_bytes, write_idx

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


@pytest.mark.parametrize(
    ("data", "parse", "expected"),
    [
        (IMAGE_FILE, idx.parse_images, IMAGES),
        (LABEL_FILE, idx.parse_labels, LABELS),
        (qmnist_labels([3, 0, 9]), idx.parse_labels, np.array([3, 0, 9])),
    ],
    ids=["images", "labels", "QMNIST's labels"],
)
def test_content(data: bytes, parse: Parse, expected: np.ndarray) -> None:
    """Images and labels are read as bytes, of QMNIST's columns the class alone; a gzip stream up to the very limit."""
    parsed = parse(idx.gunzip(gzip.compress(data), limit=len(data)))
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, expected)


def with_header(*sizes: int, kind: int = 8, lead: bytes = b"\0\0") -> bytes:
    """Return the image file under another header."""
    header = lead + bytes([kind, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)
    return header + IMAGES.tobytes()


DAMAGED_IMAGES = [
    (b"", "not an IDX file but an empty file"),
    (b"<!doctype html>", "not an IDX file but a web page or XML document"),
    (IMAGE_FILE[:3], "not an IDX file"),
    *((IMAGE_FILE[:size], "truncated header") for size in (4, 15)),
    *((IMAGE_FILE[:size], f"{size} bytes, expected 3936 from the header") for size in (16, 3935)),
    (IMAGE_FILE + b"\0", "3937 bytes, expected 3936 from the header"),
    (with_header(5, 28, 28, lead=b"\1\0"), "not an IDX file"),
    (with_header(5, 28, 28, kind=0x0A), "not an IDX file"),
    (with_header(5, 28, 28, kind=0x0C), "3936 bytes, expected 15696 from the header"),
    (with_header(5, 14, 14, kind=0x0D), "float32 array of shape (5, 14, 14), expected uint8 images (N, 28, 28)"),
    (with_header(), "not an IDX file"),
    (with_header(2**32 - 1, 2**32 - 1, 2**32 - 1), f"3936 bytes, expected {(2**32 - 1) ** 3 + 16} from the header"),
    (with_header(28, 28, 5), "uint8 array of shape (28, 28, 5), expected uint8 images (N, 28, 28)"),
    (idx_bytes(IMAGES[:0]), "uint8 array of shape (0, 28, 28), expected uint8 images (N, 28, 28)"),
    (qmnist_labels([1]), "int32 array of shape (1, 8), expected uint8 images (N, 28, 28)"),
]
DAMAGED_LABELS = [
    (LABEL_FILE[:7], "truncated header"),
    (LABEL_FILE[:17], "17 bytes, expected 18 from the header"),
    (idx_bytes(LABELS + 1), "labels from 1 to 10, expected 0 to 9"),
    (qmnist_labels([1, -1]), "labels from -1 to 1, expected 0 to 9"),
    (qmnist_labels([256]), "labels from 256 to 256, expected 0 to 9"),
    (idx_bytes(IMAGES), "uint8 array of shape (5, 28, 28), expected integer labels (N,)"),
]


@pytest.mark.parametrize(
    ("parse", "data", "reason"),
    [*((idx.parse_images, *row) for row in DAMAGED_IMAGES), *((idx.parse_labels, *row) for row in DAMAGED_LABELS)],
)
def test_damaged(parse: Parse, data: bytes, reason: str) -> None:
    """A file that is not whole images, or not whole labels, is refused with what is wrong with it."""
    with pytest.raises(IdxError) as caught:
        parse(data)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated gzip stream"),
        (IMAGE_FILE, "invalid gzip data"),
        (gzip.compress(IMAGE_FILE, mtime=0)[:-1], "truncated gzip stream"),
        (gzip.compress(IMAGE_FILE, mtime=0) + b"\0", "trailing data after the gzip stream"),
        (gzip.compress(IMAGE_FILE, mtime=0)[:-8] + bytes(8), "invalid gzip data"),
        (gzip.compress(IMAGE_FILE + b"\0", mtime=0), "unpacks to more than 3936 bytes"),
    ],
    ids=["empty", "not packed", "last byte lost", "one byte more", "sum lost", "larger"],
)
def test_damaged_gzip(data: bytes, reason: str) -> None:
    """What is not one whole gzip stream of at most the limit is refused."""
    with pytest.raises(IdxError) as caught:
        idx.gunzip(data, limit=len(IMAGE_FILE))
    assert str(caught.value) == reason


def test_binary_values(tmp_path: Path, digits: Digits) -> None:
    """Files of our own with values 0 and 1 are read as background and ink, and this is reported."""
    binary = digits | {role: (digits[role] > 127).astype(np.uint8) for role in ("train_images", "test_images")}
    entry, folder = idx.detect(write_idx(tmp_path / "own", binary)) or pytest.fail("not found")
    content = idx.read(entry, folder)
    np.testing.assert_array_equal(content.arrays["test_images"].reshape(-1, 28, 28), binary["test_images"] * 255)
    assert content.notes[-1] == values.BINARY


@pytest.mark.parametrize(("limit", "is_bounded"), [(100_000, True), (2**25, False)], ids=["limited", "control"])
def test_gzip_bomb(limit: int, *, is_bounded: bool) -> None:
    """A bomb of 16 MB takes no more memory than the limit allows; with a limit above it, it does."""
    bomb = gzip.compress(bytes(2**24))
    tracemalloc.start()
    with contextlib.suppress(IdxError):
        idx.gunzip(bomb, limit=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (peak < 2**20) == is_bounded
