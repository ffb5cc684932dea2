"""A file of another program is named with its content, in bounded memory."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from mnistae.core.files import kinds
from mnistae.data.sets import foreign

BOMB = gzip.compress(bytes(2**24), mtime=0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (gzip.compress(b"\x89HDF\r\n", mtime=0), "a gzip archive of an HDF5 file"),
        (gzip.compress(b"x", mtime=0) + b"damaged", "a gzip archive"),
        (b"\x1f\x8bdamaged", "a gzip archive"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff", "a gzip archive"),
    ],
)
def test_gzip(data: bytes, expected: str) -> None:
    """What a gzip archive holds is named; a damaged one is a gzip archive."""
    assert foreign.identify(data, Path("a.gz"))[0] == expected


@pytest.mark.parametrize(("limit", "is_bounded"), [(kinds.SIZE, True), (2**25, False)], ids=["limited", "control"])
def test_gzip_bomb(monkeypatch: pytest.MonkeyPatch, limit: int, *, is_bounded: bool) -> None:
    """Only the first bytes of an archive are unpacked; with a higher limit, all are."""
    monkeypatch.setattr(kinds, "SIZE", limit)
    tracemalloc.start()
    foreign.identify(BOMB, Path("a.gz"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (peak < 2**20) == is_bounded
