"""Folders of IDX files, the format of the MNIST database: found, verified, and read with every length checked.

Format: http://yann.lecun.com/exdb/mnist/: two zero bytes, a type, the number of dimensions, their sizes, the numbers,
big-endian. Files are raw or gzipped.
"""

import dataclasses
import hashlib
import math
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Bytes, flatten
from mnistae.core.config import SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.data.sets import registry
from mnistae.data.sets.dataset import Arrays
from mnistae.data.sets.registry import ROLES, DatasetInfo

MAX_CONTENT = 256 * 2**20
"""EMNIST's 240,000 training images are the largest content: 188 MB."""

_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}


class IdxError(ValueError):
    """Bytes that are not an IDX file, or not the one expected. The message is the reason."""


def parse(data: bytes) -> NDArray[Any]:
    """Return the array in an IDX file of bytes or 32-bit integers. Raises IdxError."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or not 1 <= data[3] <= 3:
        raise IdxError("not an IDX file")
    dtype, dimensions = _TYPES[data[2]], data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise IdxError("truncated header")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise IdxError(f"{len(data)} bytes, expected {expected} from the header")
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def parse_images(data: bytes) -> Bytes:
    """Return images (N, 28, 28) of bytes. Raises IdxError."""
    images = parse(data)
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise IdxError(f"array of shape {images.shape}, expected images (N, {SIDE}, {SIDE})")
    return images.view(np.uint8)


def parse_labels(data: bytes) -> Bytes:
    """Return labels (N,) from 0 to 9; of QMNIST's eight columns the first, which is the class. Raises IdxError."""
    labels = parse(data)
    if labels.ndim == 2 and labels.shape[1] == 8:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise IdxError(f"array of shape {labels.shape}, expected labels (N,)")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        raise IdxError("labels outside 0–9")
    return labels.astype(np.uint8)


def gunzip(data: bytes, *, limit: int) -> bytes:
    """Return the content of one complete gzip stream, refused if larger than `limit` bytes. Raises IdxError."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise IdxError("invalid gzip data") from error
    if len(content) > limit:
        raise IdxError(f"unpacks to more than {limit} bytes")
    if not inflater.eof:
        raise IdxError("truncated gzip stream")
    if inflater.unused_data:
        raise IdxError("trailing data after the gzip stream")
    return content


def find(folder: Path, name: str) -> Path | None:
    """Return the path of an IDX file in `folder`, uncompressed or .gz, or None."""
    for path in (folder / name, folder / f"{name}.gz"):
        if os.path.exists(path):  # noqa: PTH110 - Path's raises where a folder forbids to look, or for a name too long
            return path
    return None


def missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Return those of `names` that `folder` lacks in both forms."""
    return [name for name in names if find(folder, name) is None]


def remove(folder: Path, name: str) -> None:
    """Remove an IDX file from a folder of ours, in both forms."""
    for path in (folder / name, folder / f"{name}.gz"):
        path.unlink(missing_ok=True)


def detect(folder: Path) -> tuple[DatasetInfo, Path] | None:
    """Return the data set that a folder given by path holds, and the folder of its files, or None.

    In torchvision's layout the sub-folder tells which one it is. Plain files under MNIST's names may be any of several
    data sets: they are read for what they are, under the folder's name, with their structure checked.
    """
    for entry in registry.DATASETS.values():
        raw = folder / entry.torchvision / "raw"
        if all(find(raw, name) for name in entry.files):
            return entry, raw
    for entry in registry.DATASETS.values():
        if all(find(folder, name) for name in entry.files):
            is_shared = entry.files == registry.DATASETS[registry.DEFAULT].files
            plain = dataclasses.replace(entry, name=folder.name, torchvision="", sha256={})
            return (plain if is_shared else entry), folder
    return None


def read(entry: DatasetInfo, folder: Path) -> Arrays:
    """Return the verified arrays of an entry's four files. Raises DataError."""
    arrays: Arrays = {}
    for role, name in zip(ROLES, entry.files, strict=True):
        path = find(folder, name)
        if path is None:
            raise DataError(f"data file not found: '{folder / name}'", hint=f"run 'mnistae datasets fetch {entry.name}'")
        try:
            content = _verified(entry, path, name)
            if role.endswith("labels"):
                arrays[role] = parse_labels(content)
                continue
            images = parse_images(content)
            arrays[role] = flatten(images.transpose(0, 2, 1) if entry.transposed else images)
        except IdxError as error:
            raise DataError(f"'{path}' is damaged: {error}", hint=_hint(entry)) from error
    for split in ("train", "test"):
        images_count, labels_count = len(arrays[f"{split}_images"]), len(arrays[f"{split}_labels"])
        if images_count != labels_count:
            raise DataError(f"{images_count} {split} images but {labels_count} labels in '{folder}'", hint=_hint(entry))
    return arrays


def _verified(entry: DatasetInfo, path: Path, name: str) -> bytes:
    """Return the uncompressed content of a file, checked against whichever sum is published. Raises IdxError."""
    data = files.read_or_raise(path, limit=MAX_CONTENT, family=DataError, what="the data file", hint=_hint(entry))
    if path.suffix == ".gz":
        _check_archive(entry, path.name, data)
        data = gunzip(data, limit=MAX_CONTENT)
    expected = entry.sha256.get(name)
    if expected and hashlib.sha256(data).hexdigest() != expected:
        raise IdxError(f"not the published content of {entry.name} (SHA-256 mismatch)")
    return data


def _check_archive(entry: DatasetInfo, name: str, data: bytes) -> None:
    # Content is the better thing to check: a mirror may compress it again. EMNIST's sum is of one archive of all files.
    if entry.sha256 or not entry.torchvision:
        return
    expected = registry.archive_sums(entry).get(name)
    if expected and hashlib.md5(data, usedforsecurity=False).hexdigest() != expected:
        raise IdxError(f"not the published archive of {entry.name} (MD5 mismatch)")


def _hint(entry: DatasetInfo) -> str:
    if entry.torchvision:
        return f"remove it and run 'mnistae datasets fetch {entry.name}', or use --dataset glyphs"
    return "replace it with a complete IDX file, or use another data set"
