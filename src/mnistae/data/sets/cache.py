"""A cache of verified arrays: one safetensors file with a digest per block, so that one image costs one block."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mnistae.core.arrays import Bytes
from mnistae.core.errors import OutputError
from mnistae.core.files import atomic

BLOCK = 512
"""Rows per digest: one image costs reading and hashing 400 KB."""

VERSION = 5
KEY = "mnistae"
MAX_HEADER = 2**20


class StaleCacheError(Exception):
    """A cache file that is missing, damaged or of another source."""


@dataclass(frozen=True)
class CacheFile:
    """An open cache file. Its header has the source, the offsets and, under a checksum, the shapes and digests."""

    path: Path
    data_start: int
    entries: Mapping[str, Any]
    shapes: Mapping[str, list[int]]
    digests: Mapping[str, list[str]]
    classes: Sequence[str]
    notes: Sequence[str]

    @classmethod
    def open(cls, path: Path, source: object) -> Self:
        """Open the cache file of `source`. Raises StaleCacheError."""
        try:
            with path.open("rb") as stream:
                size = int.from_bytes(stream.read(8), "little")
                if size > MAX_HEADER:
                    raise StaleCacheError("its header is too long")
                header = json.loads(stream.read(size))
            meta = json.loads(header["__metadata__"][KEY])
            if meta.pop("checksum") != _digest_of(meta):
                raise StaleCacheError("its header is damaged")
            if meta["version"] != VERSION or meta["source"] != source:
                raise StaleCacheError("it was made from another source")
            return cls(path, 8 + size, header, meta["shapes"], meta["digests"], tuple(meta["classes"]), tuple(meta["notes"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:  # a damaged header
            raise StaleCacheError(str(error)) from error

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of all blocks."""
        return _digest_of(self.digests)

    def rows(self, name: str, start: int, stop: int) -> Bytes:
        """Return rows [start, stop) of an array, their blocks verified. Raises StaleCacheError."""
        try:
            shape = self.shapes[name]
            if stop > shape[0]:
                raise StaleCacheError(f"'{name}' ends before row {stop}")
            width = int(np.prod(shape[1:], dtype=np.int64))
            first, last = start // BLOCK, -(-stop // BLOCK)
            with self.path.open("rb") as stream:
                stream.seek(self.data_start + int(self.entries[name]["data_offsets"][0]) + first * BLOCK * width)
                data = bytearray((min(last * BLOCK, shape[0]) - first * BLOCK) * width)
                stream.readinto(data)
            found = _block_digests(data, width)
            if found != self.digests[name][first:last]:
                raise StaleCacheError(f"a block of '{name}' is damaged")
            array = np.frombuffer(data, np.uint8).reshape(-1, *shape[1:])
        except (OSError, ValueError, LookupError, TypeError) as error:  # a damaged header, or the file is gone
            raise StaleCacheError(str(error)) from error
        return array[start - first * BLOCK : stop - first * BLOCK]


def write(
    path: Path, source: object, arrays: Mapping[str, Bytes], classes: Sequence[str] = (), notes: Sequence[str] = ()
) -> None:
    """Write the cache file of `source`. Failure to write it is ignored.

    The format is that of safetensors, written without copies of the arrays: EMNIST has 638 MB of them.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    meta: dict[str, object] = {"version": VERSION, "source": source, "classes": classes, "notes": notes}
    meta |= {"shapes": shapes, "digests": _digests(arrays)}
    meta["checksum"] = _digest_of(meta)
    header: dict[str, object] = {"__metadata__": {KEY: json.dumps(meta, sort_keys=True, separators=(",", ":"))}}
    end = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "U8", "shape": array.shape, "data_offsets": [end, end := end + array.nbytes]}
    start = json.dumps(header).encode()
    atomic.remove_stale_temps(path.parent)
    with contextlib.suppress(OutputError), atomic.open_atomic(path) as writer:
        writer.reserve(8 + len(start) + end)
        writer.write(len(start).to_bytes(8, "little") + start)
        for array in arrays.values():
            writer.write(array.ravel().data)


def digest(arrays: Mapping[str, Bytes]) -> str:
    """Return the digest of these arrays, the same as that of their cache file."""
    return _digest_of(_digests(arrays))


def _digests(arrays: Mapping[str, Bytes]) -> dict[str, list[str]]:
    return {name: _block_digests(array.ravel().data, array[:1].size) for name, array in arrays.items()}


def _block_digests(data: bytearray | memoryview, width: int) -> list[str]:
    step = BLOCK * width
    view = memoryview(data)
    return [hashlib.sha256(view[at : at + step]).hexdigest() for at in range(0, len(view), step)]


def _digest_of(what: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
