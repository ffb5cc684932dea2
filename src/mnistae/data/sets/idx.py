"""Folders of IDX files, the format of the MNIST database: found, verified, and read with every length checked.

Format: http://yann.lecun.com/exdb/mnist/: two zero bytes, a type, the number of dimensions, their sizes, the numbers,
big-endian. Files are raw or gzipped.
"""

import hashlib
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Bytes, flatten
from mnistae.core.config import SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import kinds
from mnistae.core.files import read as files
from mnistae.data.images import values
from mnistae.data.sets import registry
from mnistae.data.sets.dataset import Arrays, Content
from mnistae.data.sets.registry import MNIST_FILES, ROLES, DatasetInfo

VERIFIED = "verified: matches the published content (SHA-256)"
"""The note on a data set whose content is certain."""

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_LIKE_MNIST = "give images of 28x28 bytes and one byte per label, as MNIST has them; an .npz file may have other types"


class IdxError(ValueError):
    """Bytes that are not an IDX file, or not the one expected. The message is the reason."""


class OtherArrayError(IdxError):
    """An intact IDX file of another shape or type."""


def parse(data: bytes) -> NDArray[Any]:
    """Return the array in an IDX file. Raises IdxError."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or not 1 <= data[3] <= 4:
        kind = kinds.describe(data[: kinds.SIZE]) if data else "an empty file"
        raise IdxError("not an IDX file" + (f" but {kind}" if kind else ""))
    dtype, dimensions = np.dtype(_TYPES[data[2]]), data[3]
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
        raise OtherArrayError(f"{images.dtype.name} array of shape {images.shape}, expected uint8 images (N, {SIDE}, {SIDE})")
    return images.view(np.uint8)


def parse_labels(data: bytes, *, count: int = 10) -> Bytes:
    """Return labels (N,) below `count`; of QMNIST's eight columns the first, which is the class. Raises IdxError."""
    labels = parse(data)
    if labels.ndim == 2 and labels.shape[1] == 8:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind == "f":
        raise OtherArrayError(f"{labels.dtype.name} array of shape {labels.shape}, expected integer labels (N,)")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < count:
        raise IdxError(f"labels from {labels.min()} to {labels.max()}, expected 0 to {count - 1}")
    return labels.astype(np.uint8)


def content_sum(array: Bytes) -> str:
    """Return the SHA-256 of the IDX file of images (N, 784) or labels (N,)."""
    shape = (len(array), SIDE, SIDE) if array.ndim > 1 else array.shape
    header = bytes([0, 0, 0x08, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return hashlib.sha256(header + array.tobytes()).hexdigest()


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
    """Return the path of an IDX file in `folder`, uncompressed or .gz, in any spelling, or None."""
    return _listing(folder).get(_spelling(name))


def missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Return those of `names` that `folder` lacks in both forms."""
    listing = _listing(folder)
    return [name for name in names if _spelling(name) not in listing]


def _listing(folder: Path) -> dict[str, Path]:
    """Return the files of `folder` by the spelling of their names, of two forms the uncompressed one; none if it is closed.

    Some archives unpack to a folder per file, of the same name.
    """
    try:
        with os.scandir(folder) as entries:
            nested = [Path(entry.path) for entry in entries if entry.name.lower().endswith("ubyte") and entry.is_dir()]
        found = [place / name for place in (*nested, folder) for name in os.listdir(place) if "idx" in name.lower()]  # noqa: PTH208
    except (OSError, ValueError):
        return {}
    ordered = sorted((path for path in found if path not in nested), key=lambda path: path.suffix.lower() != ".gz")
    return {_spelling(path.name): path for path in ordered}


def _spelling(name: str) -> str:
    """Return what `train-images.idx3-ubyte.gz`, `TRAIN-IMAGES-IDX3-UBYTE` and `train-images-idx3-ubyte` have in common."""
    return name.lower().removesuffix(".gz").replace(".", "-").replace("_", "-")


def places(entry: DatasetInfo, folder: Path) -> list[Path]:
    """Return where the files of `entry` may be in torchvision's layout, if `folder` is its root or a folder of it."""
    layout = (entry.torchvision, "raw")
    inner = [folder / "raw"] if folder.name == entry.torchvision else [folder] if folder.parts[-2:] == layout else []
    return [folder.joinpath(*layout), *inner]


def detect(folder: Path) -> tuple[DatasetInfo, Path] | None:
    """Return the data set that a folder given by path holds, and the folder of its files, or None.

    In torchvision's layout the folders say which one it is, elsewhere the files' names. Files under MNIST's names may be any
    of several data sets: in a folder named after one with other classes, they are that one; elsewhere they are read under the
    folder's name, with their structure checked. Raises DataError if there are several data sets.
    """
    known = registry.DATASETS.values()
    found = [(entry, place) for entry in known for place in places(entry, folder) if not missing(place, entry.files)]
    here = _listing(folder).keys()
    flat = [entry for entry in known if entry.files != MNIST_FILES and here >= set(map(_spelling, entry.files))]
    found += [(entry, folder) for entry in flat if (entry, folder) not in found]
    if len(found) > 1:
        names = ", ".join(entry.name for entry, _ in found)
        hint = f"set MNISTAE_DATA_DIR to the folder and name one: --dataset {found[0][0].name}"
        raise DataError(f"several data sets in '{folder}': {names}", hint=hint)
    if not found and here >= set(map(_spelling, MNIST_FILES)):
        others = [entry for entry in known if entry.files == MNIST_FILES and entry.name != registry.DEFAULT]
        for entry in others:
            if folder.name.lower() in {entry.name, entry.torchvision.lower()}:
                return entry, folder
        return DatasetInfo(folder.name, "", torchvision="", mirrors=(), max_content=registry.MAX_CONTENT), folder
    return found[0] if found else None


def read(entry: DatasetInfo, folder: Path, *, hint: str = "replace it with a complete IDX file") -> Content:
    """Return an entry's four files, and how they were verified. Raises DataError, with `hint` if a file is damaged."""
    arrays: Arrays = {}
    sums: list[str] = []
    for role, name in zip(ROLES, entry.files, strict=True):
        arrays[role], kind = _array(entry, folder, role, name, hint)
        sums.append(kind)
    for split in ("train", "test"):
        images_count, labels_count = len(arrays[f"{split}_images"]), len(arrays[f"{split}_labels"])
        if images_count != labels_count:
            raise DataError(f"{images_count} {split} images but {labels_count} labels in '{folder}'", hint=hint)
    notes = (_certainty(entry, sums), *values.stretch_binary(arrays["train_images"], arrays["test_images"]))
    return Content(arrays, entry.classes, notes)


def damaged(entry: DatasetInfo, folder: Path) -> list[str]:
    """Return the names of those of an entry's four files that cannot be used."""
    names = []
    for role, name in zip(ROLES, entry.files, strict=True):
        try:
            _array(entry, folder, role, name, "")
        except DataError:
            names.append(name)
    return names


def _array(entry: DatasetInfo, folder: Path, role: str, name: str, hint: str) -> tuple[Bytes, str]:
    """Return the images (N, 784) or labels (N,) in one file, and which published sum it has, if any. Raises DataError."""
    path = find(folder, name)
    if path is None:
        raise DataError(f"data file not found: '{folder / name}'", hint=f"run 'mnistae datasets fetch {entry.name}'")
    try:
        content, kind = _verified(entry, path, name, hint)
        if role.endswith("labels"):
            return parse_labels(content, count=len(entry.classes) or (10 if entry.torchvision else NO_LABEL)), kind
        images = parse_images(content)
        return flatten(images.transpose(0, 2, 1) if entry.transposed else images), kind
    except OtherArrayError as error:
        raise DataError(f"cannot use '{path}': {error}", hint=hint if entry.torchvision else _LIKE_MNIST) from error
    except IdxError as error:
        raise DataError(f"'{path}' is damaged: {error}", hint=hint) from error


def _verified(entry: DatasetInfo, path: Path, name: str, hint: str) -> tuple[bytes, str]:
    """Return the uncompressed content of a file, and which published sum it has, if any. Raises IdxError, DataError."""
    data = files.read_or_raise(path, limit=entry.max_content, family=DataError, what="the data file", hint=hint)
    kind = ""
    if data.startswith(kinds.GZIP):  # whatever its name: browsers unpack files without renaming them
        if not entry.sha256 and entry.torchvision not in {"", "EMNIST"}:  # EMNIST's sum is that of one archive of all files
            md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
            kind = "MD5" if registry.archive_sums(entry).get(f"{name}.gz") == md5 else ""
        data = gunzip(data, limit=entry.max_content)
    digest = hashlib.sha256(data).hexdigest()
    if entry.sha256:
        if digest != entry.sha256[name]:
            raise IdxError(f"not the published content of {entry.name} (SHA-256 mismatch)")
        return data, "SHA-256"
    if entry.files != MNIST_FILES or digest not in registry.DATASETS[registry.DEFAULT].sha256.values():
        return data, kind
    if entry.torchvision:
        raise DataError(f"not {entry.name}: '{path}' is a file of MNIST", hint="use it with --dataset mnist")
    return data, "SHA-256"


def _certainty(entry: DatasetInfo, sums: Sequence[str]) -> str:
    """Return the note that says how far the content is verified."""
    if set(sums) == {"SHA-256"}:
        return VERIFIED if entry.torchvision else "this is MNIST, the published content (SHA-256)"
    if all(sums) and entry.torchvision:
        return "verified: the published archives (MD5)"
    if entry.torchvision:
        return "not verified: checksums are published for the archives only, and these files are not those archives"
    known = sums.count("SHA-256")
    return f"not verified: {f'{known} of the 4 files have' if known else 'not'} the published content of MNIST"
