"""Resolve the name or path of a data set to its source: the user's folder, our own, a download, the built-in digits."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistae.core import paths
from mnistae.core.arrays import NO_LABEL, flatten, to_bytes
from mnistae.core.errors import DataError
from mnistae.data.images import arrays_io
from mnistae.data.sets import folders, glyphs, idx, registry, tables
from mnistae.data.sets.dataset import Arrays, Content, Dataset, DatasetSpec, Progress, no_progress
from mnistae.data.sets.registry import DatasetInfo

ARRAY = "array"
"""The name of images in memory. A run that was trained on them cannot be resumed."""

GLYPHS_VERSION = 1
"""Incremented whenever the built-in digits change, so that no old cache of them is used."""


def open_dataset(reference: str, *, raw: bool = False, progress: Progress = no_progress) -> Dataset:
    """Return the data set that `reference` means: a known name, or a path. Raises UsageError, DataError.

    A name is looked up in `MNISTAE_DATA_DIR`, then in our own folder, then downloaded into that. `raw`: images of other
    sizes than 28x28 are not inverted.
    """
    if reference == registry.GLYPHS:
        return Dataset(_glyphs(progress))
    if reference in registry.DATASETS:
        return _named(registry.DATASETS[reference], progress)
    if not os.path.exists(reference):  # noqa: PTH110 - Path's raises for a name too long
        raise _missing_path(reference) if os.sep in reference else registry.unknown(reference)
    return Dataset(_path(Path(reference).absolute(), progress, raw=raw))


def absolute(reference: str) -> str:
    """Return a data set's path so that a resume finds it from any folder; a name stays a name."""
    if reference in registry.NAMES or not os.path.exists(reference):  # noqa: PTH110 - Path's raises for a name too long
        return reference
    return str(Path(reference).absolute())


def from_array(images: NDArray[np.generic]) -> Dataset:
    """Return images (n, 28, 28) or (n, 784) in memory as a data set without labels; no cache holds it. Raises DataError."""
    unit, notes = arrays_io.from_array(images, name="images")
    arrays: Arrays = {"train_images": to_bytes(unit), "train_labels": np.full(len(unit), NO_LABEL, np.uint8)}
    content = Content(arrays, notes=notes)
    found = Dataset(DatasetSpec(ARRAY, "an array in memory", None, lambda: content))
    found.reload()
    return found


def _missing_path(reference: str) -> DataError:
    return DataError(f"data set not found: '{reference}'", hint="restore it, or use another one with --dataset NAME|PATH")


def open_local(reference: str, *, raw: bool = False, progress: Progress = no_progress) -> Dataset:
    """Return the installed data set, downloading and repairing nothing. Raises UsageError, DataError."""
    if reference not in registry.DATASETS:
        return open_dataset(reference, raw=raw, progress=progress)
    entry = registry.DATASETS[reference]
    return Dataset(_idx_source(entry, require_local_dir(entry)))


def require_local_dir(entry: DatasetInfo) -> Path:
    """Return the folder that holds the entry's four files. Raises DataError."""
    folder = find_folder(entry)
    if folder is None:
        raise DataError(
            f"data set '{entry.name}' is not installed",
            hint=f"run 'mnistae datasets fetch {entry.name}', or set MNISTAE_DATA_DIR to the folder of its files",
        )
    return folder


def find_folder(entry: DatasetInfo) -> Path | None:
    """Return the folder that holds the entry's four files, or None. Raises DataError if the user's holds some of them.

    Some of them in our own folder are an interrupted download, which the next one completes.
    """
    for folder in _candidates(entry):
        found = [idx.find(folder, name) for name in entry.files]
        if all(found):
            return folder
        if any(found) and folder != download_dir(entry):
            missing = next(name for name, path in zip(entry.files, found, strict=True) if path is None)
            raise DataError(
                f"'{missing}' is missing in '{folder}', which has other files of {entry.name}",
                hint="add it, or unset MNISTAE_DATA_DIR to download the data set",
            )
    return None


def download_dir(entry: DatasetInfo) -> Path:
    """Return the folder that a download of the entry goes to."""
    return paths.datasets_dir() / entry.name


def fetch(entry: DatasetInfo, *, progress: Progress = no_progress) -> Path:
    """Download the files missing from our own folder, verified, and return the folder. Raises DataError, OutputError."""
    from mnistae.data.sets import download  # imports the network modules, which most commands do not need

    download.fetch(entry, download_dir(entry), progress)
    return download_dir(entry)


def _named(entry: DatasetInfo, progress: Progress) -> Dataset:
    folder = find_folder(entry)
    if folder is None:
        return Dataset(_idx_source(entry, fetch(entry, progress=progress)))
    dataset = Dataset(_idx_source(entry, folder))
    if folder != download_dir(entry) or paths.is_offline() or _is_valid(dataset):
        return dataset
    for name in entry.files:  # delete the damaged download and fetch it again
        idx.remove(folder, name)
    return Dataset(_idx_source(entry, fetch(entry, progress=progress)))


def _is_valid(dataset: Dataset) -> bool:
    try:
        return bool(dataset.digest)
    except DataError:
        return False


def _idx_source(entry: DatasetInfo, folder: Path) -> DatasetSpec:
    members = [path for name in entry.files if (path := idx.find(folder, name))]
    return DatasetSpec(
        name=entry.name,
        location=f"{entry.name} in {folder}",
        fingerprint=_fingerprint(entry.name, members),
        build=lambda: Content(idx.read(entry, folder)),
    )


def _glyphs(progress: Progress) -> DatasetSpec:
    def build() -> Content:
        progress("drawing the built-in digits", 0, None)
        train_images, train_labels = glyphs.draw(60_000, seed=0)
        test_images, test_labels = glyphs.draw(10_000, seed=1)
        return Content(
            {
                "train_images": flatten(train_images),
                "train_labels": train_labels,
                "test_images": flatten(test_images),
                "test_labels": test_labels,
            }
        )

    return DatasetSpec(registry.GLYPHS, "built in", [registry.GLYPHS, GLYPHS_VERSION], build)


def _path(path: Path, progress: Progress, *, raw: bool) -> DatasetSpec:
    if not path.is_dir():
        return DatasetSpec(path.name, str(path), _fingerprint("file", [path]), lambda: tables.read(path))
    if detected := idx.detect(path):
        return _idx_source(*detected)
    found = folders.find(path)
    fingerprint = [raw, found.skipped, *_fingerprint("folder", map(Path, found.images))]
    return DatasetSpec(path.name, str(path), fingerprint, lambda: folders.read(path, found, raw=raw, progress=progress))


def _fingerprint(kind: str, members: Iterable[Path]) -> list[object]:
    """Return a hash of the names, sizes and times of the files, which changes when one is replaced or modified."""
    try:
        stats = [(str(path), stat.st_size, stat.st_mtime_ns) for path in members for stat in [path.stat()]]
    except OSError as error:
        raise DataError(f"cannot read the data set: {error}", hint="check the folder's permissions") from error
    return [kind, hashlib.sha256(json.dumps(stats).encode()).hexdigest()]


def _candidates(entry: DatasetInfo) -> list[Path]:
    """List the folders that may hold the entry. A flat user folder is MNIST unless its name says otherwise."""
    folders = [download_dir(entry)]
    base = paths.user_data_dir()
    if base is None:
        return folders
    if not os.path.isdir(base):  # noqa: PTH112 - Path's raises for a name too long
        raise DataError(f"MNISTAE_DATA_DIR is not a folder: '{base}'", hint="set it to the folder of IDX files, or unset it")
    user_dirs = [base / entry.torchvision / "raw", base / entry.name]
    if entry.name == registry.DEFAULT or entry.files[0].startswith(("qmnist", "emnist")) or base.name == entry.name:
        user_dirs.append(base)
    return [*user_dirs, *folders]
