"""A folder of IDX files, raw or gzipped: found, verified, read."""

import dataclasses
import hashlib
import os
from pathlib import Path

from mnistae.core.arrays import flatten
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.data.sets import idx, registry
from mnistae.data.sets.dataset import Arrays
from mnistae.data.sets.registry import ROLES, DatasetInfo

MAX_CONTENT = 256 * 2**20
"""EMNIST's 240,000 training images are the largest content: 188 MB."""


def find(folder: Path, name: str) -> Path | None:
    """Return the path of an IDX file in `folder`, uncompressed or .gz, or None."""
    for path in (folder / name, folder / f"{name}.gz"):
        if os.path.exists(path):  # noqa: PTH110 - Path's raises where a folder forbids to look, or for a name too long
            return path
    return None


def remove(folder: Path, name: str) -> None:
    """Remove an IDX file from a folder of ours, in both forms."""
    for path in (folder / name, folder / f"{name}.gz"):
        path.unlink(missing_ok=True)


def recognise(folder: Path) -> tuple[DatasetInfo, Path] | None:
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
            raise DataError(f"'{folder / name}' is missing", hint=f"run 'mnistae datasets fetch {entry.name}'")
        try:
            content = _verified(entry, path, name)
            if role.endswith("labels"):
                arrays[role] = idx.parse_labels(content)
                continue
            images = idx.parse_images(content)
            arrays[role] = flatten(images.transpose(0, 2, 1) if entry.transposed else images)
        except idx.IdxError as error:
            raise DataError(f"'{path}' is damaged: {error}", hint=_hint(entry)) from error
    for split in ("train", "test"):
        images_count, labels_count = len(arrays[f"{split}_images"]), len(arrays[f"{split}_labels"])
        if images_count != labels_count:
            raise DataError(f"'{folder}' holds {images_count} {split} images and {labels_count} labels", hint=_hint(entry))
    return arrays


def _verified(entry: DatasetInfo, path: Path, name: str) -> bytes:
    """Return the uncompressed content of a file, checked against whichever sum is published. Raises IdxError."""
    data = files.read_or_raise(path, limit=MAX_CONTENT, family=DataError, what="the data file", hint=_hint(entry))
    if path.suffix == ".gz":
        _check_archive(entry, path.name, data)
        data = idx.gunzip(data, limit=MAX_CONTENT)
    expected = entry.sha256.get(name)
    if expected and hashlib.sha256(data).hexdigest() != expected:
        raise idx.IdxError(f"its content is not that of {entry.name} (SHA-256 differs)")
    return data


def _check_archive(entry: DatasetInfo, name: str, data: bytes) -> None:
    # Content is the better thing to check: a mirror may compress it anew. EMNIST's sum is of one archive of all files.
    if entry.sha256 or not entry.torchvision:
        return
    expected = registry.archive_sums(entry).get(name)
    if expected and hashlib.md5(data, usedforsecurity=False).hexdigest() != expected:
        raise idx.IdxError(f"it is not the archive of {entry.name} (MD5 differs)")


def _hint(entry: DatasetInfo) -> str:
    if entry.torchvision:
        return f"remove it and run 'mnistae datasets fetch {entry.name}', or use --dataset glyphs"
    return "put whole IDX files there, or name another data set"
