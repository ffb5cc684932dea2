"""Data sets in one file: an .npy or .npz of arrays."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistae.core.arrays import NO_LABEL, Bytes, to_bytes
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.data.images import decode
from mnistae.data.sets.dataset import Arrays, Content

MAX_FILE = 2**30

_KEYS = {
    "train_images": ("x_train", "train_images", "images", "x"),
    "train_labels": ("y_train", "train_labels", "labels", "y"),
    "test_images": ("x_test", "test_images"),
    "test_labels": ("y_test", "test_labels"),
}
"""The names under which an .npz may keep its arrays; Keras's come first."""

_HINT = "give a folder of images, an .npy of shape (n, 28, 28), or an .npz with x_train, y_train, x_test, y_test"


def read(path: Path) -> Content:
    """Return the data set in the file `path`. Raises DataError."""
    if path.suffix == ".npz":
        return Content(_read_npz(path))
    if path.suffix == ".npy":
        return Content(with_labels("train", to_bytes(decode.read_path(path).images), None))
    raise DataError(f"unsupported data set format: '{path}'", hint=_HINT)


def with_labels(split: str, images: Bytes, labels: Sequence[int] | Bytes | None) -> Arrays:
    """Return one split; `labels` may be missing, but not of another length. Raises DataError."""
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{len(images)} {split} images but {len(labels)} labels", hint=_HINT)
    known = labels if labels is not None else [NO_LABEL] * len(images)
    return {f"{split}_images": images, f"{split}_labels": np.asarray(known, np.uint8)}


def _read_npz(path: Path) -> Arrays:
    data = files.read_or_raise(path, limit=MAX_FILE, family=DataError, what="the data set", hint=_HINT)
    arrays: Arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE:
                raise DataError(f"'{path}' unpacks to more than {MAX_FILE / 2**20:.0f} MiB", hint=_HINT)
            content = {role: _member(archive, keys) for role, keys in _KEYS.items()}
    except files.DAMAGED_ZIP as error:
        reason = "not an .npz file, or truncated" if "not a zip file" in str(error) else str(error)
        raise DataError(f"cannot read the data set '{path}': {reason}", hint=_HINT) from error
    for split in ("train", "test"):
        images, labels = content[f"{split}_images"], content[f"{split}_labels"]
        if images is not None:
            rows = to_bytes(decode.read_bytes(images, name=str(path)).images)
            arrays |= with_labels(split, rows, _parse_labels(labels, path) if labels is not None else None)
    if "train_images" not in arrays:
        raise DataError(f"no known array names in '{path}'", hint=_HINT)
    return arrays


def _member(archive: zipfile.ZipFile, keys: Sequence[str]) -> bytes | None:
    names = set(archive.namelist())
    found = next((f"{key}.npy" for key in keys if f"{key}.npy" in names), None)
    if found is None:
        return None
    entry = archive.getinfo(found)
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise zipfile.BadZipFile(f"{found} has an unsupported compression method")
    with archive.open(entry) as stream:
        return stream.read(entry.file_size)  # a size given is kept to while unpacking, whatever the entry says


def _parse_labels(data: bytes, path: Path) -> Bytes:
    try:
        labels = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # foreign bytes: NumPy raises half a dozen kinds, MemoryError among them
        raise DataError(f"cannot read the labels in '{path}': {error}", hint=_HINT) from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"labels in '{path}' must be integers of shape (n,)", hint=_HINT)
    return np.where((labels >= 0) & (labels < NO_LABEL), labels.astype(np.uint8), np.uint8(NO_LABEL))
