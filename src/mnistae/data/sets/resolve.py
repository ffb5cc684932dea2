"""Resolve the name or path of a data set to its source: the user's folder, our own, a download, the built-in digits."""

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistae.core import paths
from mnistae.core.arrays import NO_LABEL, flatten, to_bytes
from mnistae.core.errors import DataError
from mnistae.core.files import permissions
from mnistae.core.text import counted, quoted
from mnistae.data.images import arrays_io, files
from mnistae.data.sets import idx, registry
from mnistae.data.sets.dataset import Arrays, Content, Dataset, Progress, no_progress
from mnistae.data.sets.registry import DatasetInfo

KERAS_FILE = "mnist.npz"

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
        return Dataset(reference, "built in", [reference, GLYPHS_VERSION], lambda: _glyphs(progress))
    if reference in registry.DATASETS:
        return _named(registry.DATASETS[reference], progress)
    if reference == ARRAY:  # not a file of that name: a checkpoint that was trained on an array has this reference
        hint = "choose another with --dataset; such a run cannot be resumed"
        if os.path.exists(reference):  # noqa: PTH110
            hint = f"use --dataset ./{reference} for what is there; 'array' alone is reserved for images in memory"
        raise DataError(f"data set '{reference}' was an array in memory, which is not saved", hint=hint)
    if not os.path.exists(reference):  # noqa: PTH110 - Path's raises for a name too long
        if os.sep not in reference:
            raise registry.unknown(reference)
        if permissions.is_denied(reference):
            hint = permissions.hint(reference, "check the folder's permissions")
            raise DataError(f"cannot read data set '{reference}': Permission denied", hint=hint)
        raise DataError(f"data set not found: '{reference}'", hint="check the path")
    return _path(Path(absolute(reference)), progress, raw=raw)


def absolute(reference: str) -> str:
    """Return a data set's path so that a resume finds it from any folder; a name stays a name."""
    if reference in registry.NAMES or not os.path.exists(reference):  # noqa: PTH110 - Path's raises for a name too long
        return reference
    path = Path(reference).absolute()
    return str(path.resolve() if path.name == ".." else path)  # '..' is no name of a data set


def from_array(images: NDArray[np.generic]) -> Dataset:
    """Return images (n, 28, 28) or (n, 784) in memory as a data set without labels; no cache holds it. Raises DataError."""
    unit, notes = arrays_io.from_array(images, name="images")
    arrays: Arrays = {"train_images": to_bytes(unit), "train_labels": np.full(len(unit), NO_LABEL, np.uint8)}
    content = Content(arrays, notes=notes)
    found = Dataset(ARRAY, "an array in memory", None, lambda: content)
    found.reload()
    return found


def open_local(reference: str, *, raw: bool = False, progress: Progress = no_progress) -> Dataset:
    """Return the installed data set, downloading and repairing nothing. Raises UsageError, DataError."""
    if reference not in registry.DATASETS:
        return open_dataset(reference, raw=raw, progress=progress)
    entry = registry.DATASETS[reference]
    return _installed(entry, require_local(entry))


def require_local(entry: DatasetInfo) -> Path:
    """Return the folder of the entry's four files, or its .npz. Raises DataError."""
    place = find(entry)
    if place is None:
        note = "".join(f"; {note}" for note in _not_in_user_dir(entry))
        hint = f"run 'mnistae datasets fetch {entry.name}', or set MNISTAE_DATA_DIR to the folder of its files"
        raise DataError(f"data set '{entry.name}' is not installed{note}", hint=hint)
    return place


def find(entry: DatasetInfo) -> Path | None:
    """Return the folder that holds the entry's four files, or Keras's mnist.npz, or None.

    Some of the files in our own folder are an interrupted download, which the next one completes; in the user's folder they
    are an error. Raises DataError.
    """
    base = _user_dir()
    folders = [*idx.places(entry, base), base / entry.name] if base else []
    # A folder of files under MNIST's names, which several data sets have, is MNIST unless its own name says otherwise.
    if base and (entry.name in {registry.DEFAULT, base.name} or entry.files != registry.MNIST_FILES):
        folders.append(base)
    for folder in folders:
        missing = idx.missing(folder, entry.files)
        if not missing:
            return folder
        if len(missing) < len(entry.files):
            raise _incomplete(entry.name, folder, entry.files, missing, ", or unset MNISTAE_DATA_DIR to download the data set")
        if entry.name == registry.DEFAULT and (folder / KERAS_FILE).is_file():
            return folder / KERAS_FILE
    return None if idx.missing(download_dir(entry), entry.files) else download_dir(entry)


def _incomplete(name: str, folder: Path, files: Sequence[str], missing: Sequence[str], way_out: str = "") -> DataError:
    found = quoted(name for name in files if name not in missing)
    message = f"incomplete {name} in '{folder}': found {found}, but not {quoted(missing)}"
    return DataError(message, hint=f"add what is missing, with or without .gz{way_out}")


def _not_in_user_dir(entry: DatasetInfo) -> tuple[str, ...]:
    """Return the note that MNISTAE_DATA_DIR, if it is set, lacks the data set: what was looked for, and what is there."""
    base, found = _user_dir(), "it cannot be read"
    if base is None:
        return ()
    if not idx.missing(base, entry.files):
        what = f"the files in MNISTAE_DATA_DIR '{base}' have names that several data sets share"
        return (f"{what}: to read {entry.name}, put its files into '{base}/{entry.torchvision}/raw'",)
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        there = sorted(name for name in os.listdir(base) if not name.startswith("."))  # noqa: PTH208
        found = f"found {quoted(there)}" if there else "it is empty"
    return (f"no {entry.name} in MNISTAE_DATA_DIR '{base}': looked for {quoted(entry.files)}; {found}",)


def download_dir(entry: DatasetInfo) -> Path:
    """Return the folder that a download of the entry goes to."""
    return paths.datasets_dir() / entry.name


def _named(entry: DatasetInfo, progress: Progress) -> Dataset:
    own, damaged, problems = download_dir(entry), list[str](), list[str]()
    if place := find(entry):
        dataset = _installed(entry, place)
        if place != own or paths.is_offline():
            return dataset
        try:
            if dataset.digest:
                return dataset
        except DataError as error:  # fetch the damaged files again; those of unequal lengths are compared with the archives
            damaged, problems = idx.damaged(entry, own) or [*entry.files], [error.message]
    old = [(path, name) for name in damaged if (path := idx.find(own, name))]
    from mnistae.data.sets import download  # imports the network modules, which most commands do not need

    try:
        download.fetch(entry, own, progress, damaged=damaged)
        for path, name in old:
            with contextlib.suppress(OSError):
                if not path.samefile(own / f"{name}.gz"):
                    path.unlink()
        return _installed(entry, own)
    except DataError as error:
        raise DataError("; ".join((*problems, error.message, *_not_in_user_dir(entry))), hint=error.hint) from error


def _installed(entry: DatasetInfo, place: Path, *, is_named: bool = True) -> Dataset:
    """Return a data set of the registry, given by its name or found in a user's folder, in the folder or file `place`."""
    is_own = entry.name in registry.DATASETS and place == download_dir(entry)
    hint = "replace it with an undamaged copy"
    if is_own:
        hint = f"run 'mnistae datasets fetch {entry.name}', or use --dataset glyphs"
    elif entry.sha256:
        hint += f", or read it unverified: --dataset {shlex.quote(str(place))}"
    notes = _not_in_user_dir(entry) if is_own else ()
    if is_named and os.path.isdir(entry.name) and not place.resolve().is_relative_to(Path(entry.name).resolve()):  # noqa: PTH112
        notes += (f"the folder './{entry.name}' is not read; for that, use --dataset ./{entry.name}",)
    members = [path for name in entry.files if (path := idx.find(place, name))] or [place]
    return Dataset(
        name=entry.name,
        location=f"{entry.name} in {place}",
        fingerprint=_fingerprint(entry.name, members),
        build=lambda: idx.read(entry, place, hint=hint) if place.is_dir() else _keras(entry, place, hint),
        how_found=notes,
    )


def _keras(entry: DatasetInfo, path: Path, hint: str) -> Content:
    """Return the arrays of Keras's mnist.npz, verified. Raises DataError."""
    from mnistae.data.sets import tables

    content = tables.read(path)
    for role, name in zip(registry.ROLES, entry.files, strict=True):
        if role not in content.arrays or idx.content_sum(content.arrays[role]) != entry.sha256[name]:
            raise DataError(f"'{path}' is not the published content of {entry.name}: {role} differ", hint=hint)
    return Content(content.arrays, notes=(idx.VERIFIED,))


def _glyphs(progress: Progress) -> Content:
    from mnistae.data.sets import glyphs

    progress("drawing the built-in digits", 0, None)
    arrays: Arrays = {}
    for seed, (split, count) in enumerate((("train", 60_000), ("test", 10_000))):
        images, arrays[f"{split}_labels"] = glyphs.draw(count, seed=seed)
        arrays[f"{split}_images"] = flatten(images)
    return Content(arrays)


def _path(path: Path, progress: Progress, *, raw: bool) -> Dataset:
    from mnistae.data.sets import folders, table_folder, tables  # only a user's own files need them

    if not path.is_dir():
        return Dataset(path.name, str(path), _fingerprint("file", tables.members(path)), lambda: tables.read(path))
    if detected := idx.detect(path):
        return _installed(*detected, is_named=False)
    images, others = files.find(str(path), recursive=True)
    is_flat = all(os.path.dirname(image) == str(path) for image in images)  # noqa: PTH120
    if images and is_flat and (arrays := table_folder.splits(path)):
        what = f"'{path}' contains {counted(len(images), 'image')} and also arrays or tables of images: {quoted(arrays)}"
        raise DataError(what, hint="give the file, or a folder that has only one of them")
    if images:
        fingerprint = [raw, *_fingerprint("folder", map(Path, images))]
        return Dataset(
            path.name, str(path), fingerprint, lambda: folders.read(path, images, others, raw=raw, progress=progress)
        )
    if several := table_folder.find(path):
        members = [member for file in several for member in tables.members(file)]
        return Dataset(path.name, str(path), _fingerprint("files", members), lambda: table_folder.read(several))
    wanted = min((entry.files for entry in registry.DATASETS.values()), key=lambda names: len(idx.missing(path, names)))
    if len(missing := idx.missing(path, wanted)) < len(wanted):
        raise _incomplete("data set", path, wanted, missing)
    elsewhere = f"in the folder itself also .csv, .npz, .npy and {registry.MNIST_FILES[0]}"
    hint = f"looked for {', '.join(sorted(files.SUFFIXES))}; {elsewhere}"
    raise DataError(f"no images in '{path}'" + (f"; found {others}" if others else ""), hint=hint)


def _fingerprint(kind: str, members: Iterable[Path]) -> list[object]:
    """Return a hash of the names, sizes and times of the files, which changes when one is replaced or modified."""
    try:
        stats = [(str(path), stat.st_size, stat.st_mtime_ns) for path in members for stat in [path.stat()]]
    except OSError as error:
        reason, hint = error.strerror, "check the folder's permissions"
        if os.path.islink(error.filename):  # noqa: PTH114
            reason, hint = "broken link", "remove it, or restore the file that it points to"
        raise DataError(f"cannot read '{error.filename}': {reason}", hint=hint) from error
    return [kind, hashlib.sha256(json.dumps(stats).encode()).hexdigest()]


def _user_dir() -> Path | None:
    base = paths.user_data_dir()
    if base is not None and not os.path.isdir(base):  # noqa: PTH112 - Path's raises for a name too long
        hint, is_denied = "set it to the folder of the data, or unset it", permissions.is_denied(base)
        what = "cannot read MNISTAE_DATA_DIR: Permission denied" if is_denied else "MNISTAE_DATA_DIR is not a folder"
        raise DataError(f"{what}: '{base}'", hint=permissions.hint(base, hint) if is_denied else hint)
    return base
