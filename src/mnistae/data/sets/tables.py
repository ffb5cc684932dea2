"""Data sets in one file: an .npy or .npz of arrays, or CSV."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.config import PIXELS, SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import kinds, npy
from mnistae.core.files import read as files
from mnistae.core.text import counted
from mnistae.data.images import arrays_io, values
from mnistae.data.sets import csv_file, labels
from mnistae.data.sets.dataset import Arrays, Content

MAX_FILE = 2**30
MAX_IMAGES = MAX_FILE // PIXELS
MAX_NAMES = 6  # in a message
MAX_MEMBERS = 1000

_SPLITS = {
    **dict.fromkeys(("training", "train", "trn"), "train"),
    **dict.fromkeys(("testing", "test", "t10k", "eval"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
_ROLES = {
    **dict.fromkeys(("x", "images", "imgs", "image", "img", "data", "features", "pixels", "inputs"), "images"),
    **dict.fromkeys(("y", "labels", "label", "targets", "target", "class"), "labels"),
}
"""The names of splits and roles. Of two arrays of the same role, the one whose name comes first is used."""

_NAME = re.compile(f"({'|'.join(_SPLITS)})?({'|'.join(_ROLES)})?({'|'.join(_SPLITS)})?")

LOOKED_FOR = "x_train, y_train, x_test and y_test, or images and labels"

_HINT = f"give a folder of images, an .npy of shape (n, 28, 28), an .npz with {LOOKED_FOR}, or a CSV file"

_CONVERSIONS = {
    "a Python pickle": "loading a pickle runs the code in it: where you trust it, load it and save it by numpy.savez",
    "a PyTorch file": "load it with torch.load(FILE, weights_only=True) and save its tensors by numpy.savez",
    "an HDF5 file": "read it with h5py and save its arrays by numpy.savez",
    "a MATLAB file": "numpy.savez('new.npz', x=..., y=...) of what scipy.io.loadmat(FILE) returns",
    "a Parquet file": "pandas.read_parquet(FILE).to_csv('new.csv', index=False), or save its images as PNG files",
    "a zip archive": "unpack it and give the folder or the file in it",
}


Found = dict[str, NDArray[Any] | str]
"""Arrays by name, or the reason why one cannot be read."""

Roles = dict[tuple[str, str], str]
"""The names of arrays by split and role."""


def read(path: Path) -> Content:
    """Return the data set in the file `path`, identified by its content. Raises DataError."""
    start = _start(path)
    if start.startswith(b"PK"):
        return _of_arrays(_read_npz(path), path)
    if start.startswith(npy.MAGIC):
        return _of_arrays({"": _array(_contents(path))}, path)
    kind = kinds.describe(start)
    if kind in {None, "a gzip archive"} and re.search(r"\.(csv|tsv|txt|data)(\.gz)?$", path.name.lower()):
        pixels, given, notes = csv_file.read(path)
        split = _split_of(path.name)
        if path.name.lower().startswith("emnist"):  # its CSV files have the images as its IDX files have them
            pixels, notes = pixels.reshape(-1, SIDE, SIDE).swapaxes(1, 2), (*notes, "images of EMNIST transposed")
        return _content({split: pixels}, {} if given is None else {split: given}, {}, notes, path)
    what = f": it is {kind}" if kind else ""
    raise DataError(f"unsupported data set format: '{path}'{what}", hint=_CONVERSIONS.get(kind or "", _HINT))


def members(path: Path) -> list[Path]:
    """Return the files that `read` reads: `path`, and the labels beside it, as in KMNIST's `train-labels.npz`."""
    name = re.sub(r"images|imgs", "labels", path.name)
    name = re.sub(r"(?<![a-z])x(?=[_.-])", "y", name) if name == path.name else name
    beside = path.with_name(name)
    return [path, beside] if path.suffix in {".npy", ".npz"} and name != path.name and beside.is_file() else [path]


def _start(path: Path) -> bytes:
    try:
        with files.open_regular(path) as file:
            start = file.read(kinds.SIZE)
    except (files.UnreadableError, OSError) as error:
        raise DataError(f"cannot read the data set '{path}': {error}", hint=_HINT) from error
    if not start:
        raise DataError(f"'{path}' is empty", hint=_HINT)
    return start


def _contents(path: Path) -> bytes:
    return files.read_or_raise(path, limit=MAX_FILE, family=DataError, what="the data set", hint=_HINT)


def _read_npz(path: Path) -> Found:
    """Return the arrays of an .npz by name; those that cannot be read as the reason."""
    try:
        with zipfile.ZipFile(io.BytesIO(_contents(path))) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE:
                raise DataError(f"'{path}' unpacks to more than {MAX_FILE / 2**20:.0f} MiB", hint=_HINT)
            names = archive.namelist()
            if len(names) > MAX_MEMBERS:
                raise DataError(f"more than {MAX_MEMBERS:,} arrays in '{path}'", hint=_HINT)
            if not any(name.endswith(".npy") for name in names):
                kind = "a PyTorch file" if any(name.endswith("data.pkl") for name in names) else "a zip archive"
                found = f"{kind} of {_list(names)}" if names else "empty"
                raise DataError(f"no arrays in '{path}': it is {found}", hint=_CONVERSIONS[kind] if names else _HINT)
            return {name[:-4]: _array(_member(archive, name)) for name in names if name.endswith(".npy")}
    except files.DAMAGED_ZIP as error:
        reason = "not an .npz file, or truncated" if "not a zip file" in str(error) else str(error)
        raise DataError(f"cannot read the data set '{path}': {reason}", hint=_HINT) from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise zipfile.BadZipFile(f"{name} has an unsupported compression method")
    with archive.open(entry) as stream:
        return stream.read(entry.file_size)  # a size given is kept to while unpacking, whatever the entry says


def _array(data: bytes) -> NDArray[Any] | str:
    try:
        return npy.read_array(data)
    except ValueError as error:
        return str(error)


def _of_arrays(found: Found, path: Path) -> Content:
    """Return the data set in arrays, by their names, or if the names are unknown, by their shapes. Raises DataError."""
    used = _by_name(found, path) or _by_shape(found, path)
    notes = _place_validation(used)
    images = {split: _usable(found, key, path) for (split, role), key in sorted(used.items(), reverse=True) if role == "images"}
    given = {split: _usable(found, key, path) for (split, role), key in used.items() if role == "labels" and split in images}
    if unused := [key for key in found if key not in used.values()]:
        notes.append(f"not used: {_list(unused)}")
    split, *others = images
    if not (others or given) and (beside := members(path)[1:]):
        other = _read_npz(beside[0]) if _start(beside[0]).startswith(b"PK") else {"": _array(_contents(beside[0]))}
        given[split] = _usable(other, next(iter(other)), beside[0])
        used[split, "labels"] = beside[0].name
    return _content(images, given, used, notes, path)


def _place_validation(used: Roles) -> list[str]:
    """Make a validation split the test split if there is none, else leave it out."""
    has_test = ("test", "images") in used
    found = {role: key for role in ("images", "labels") if (key := used.pop(("validation", role), None))}
    if "images" not in found:
        return []
    used.update({} if has_test else {("test", role): key for role, key in found.items()})
    return ["validation split left out" if has_test else "validation split used as the test split"]


def _by_name(found: Found, path: Path) -> Roles:
    used: Roles = {}
    for _, split, role, key in sorted((*name, key) for key in found if (name := _parse(key, path))):
        used.setdefault((split, role), key)
    return used if any(role == "images" for _, role in used) else {}


def _parse(key: str, path: Path) -> tuple[int, str, str] | None:
    """Return the rank, split and role of an array named 'x_train', 'trainImages', 'X' or 'test': usual names rank lower."""
    match = _NAME.fullmatch(re.sub(r"[^a-z0-9]", "", key.lower()))
    if match is None or not any(match.groups()):
        return None
    split, role = match[1] or match[3], match[2]
    rank = list(_ROLES).index(role) + (0 if split else 100) if role else 200
    return rank, _SPLITS[split] if split else _split_of(path.name), _ROLES.get(role, "images")


def _by_shape(found: Found, path: Path) -> Roles:
    """Return the only array of images, and the only other array that has a row for each of them."""
    shapes = {key: array.shape for key, array in found.items() if not isinstance(array, str)}
    images = [key for key, shape in shapes.items() if arrays_io.images_in(shape)]
    if len(images) != 1 and len(found) > 1:
        what = "several arrays of images" if images else "no array of images"
        described = {key: f" {a if isinstance(a, str) else f'{a.shape} {a.dtype}'}" for key, a in found.items()}
        raise DataError(f"{what} in '{path}': {_list(list(found), described)}", hint=f"looked for {LOOKED_FOR}")
    [key] = images or found
    count = arrays_io.images_in(shapes.get(key, ()))
    labels_of = [other for other, shape in shapes.items() if other != key and shape[:1] == (count,) and len(shape) <= 2]
    split = _split_of(path.name)
    return {(split, "images"): key} | ({(split, "labels"): labels_of[0]} if len(labels_of) == 1 else {})


def _usable(found: Found, key: str, path: Path) -> NDArray[Any]:
    array = found[key]
    if isinstance(array, str):
        place = f"'{key}' in '{path}'" if key else f"'{path}'"
        hint = values.PICKLED if "pickled" in array else "save it again with numpy.savez or numpy.save"
        raise DataError(f"cannot read {place}: {array}", hint=hint)
    return array


def _content(
    images: Mapping[str, NDArray[Any]], given: Mapping[str, NDArray[Any]], names: Roles, notes: Sequence[str], path: Path
) -> Content:
    """Return images and labels by split as a data set; `names` are those of their arrays or columns.

    The range of the values is that of all arrays of a type together.
    """
    counts = {split: arrays_io.count_images(a.shape, a.dtype, str(path), limit=MAX_IMAGES) for split, a in images.items()}
    scales = {}
    for dtype in dict.fromkeys(array.dtype for array in images.values()):
        ranges = np.array([values.extremes(array) for array in images.values() if array.dtype == dtype])
        scales[dtype] = values.choose(dtype, float(ranges.min()), float(ranges.max()), name=str(path))
    numbers, classes, said = labels.convert(given, counts)
    arrays: Arrays = {}
    for split, array in images.items():
        arrays[f"{split}_images"] = scales[array.dtype].to_bytes(array.reshape(counts[split], SIDE, SIDE))
        arrays[f"{split}_labels"] = numbers[split]
    taken = []
    for split, count in counts.items():
        origin = {role: f" from '{name[:40]}'" for (part, role), name in names.items() if part == split and name}
        ending = f"labels{origin.get('labels', '')}" if split in given else "no labels"
        taken.append(f"{split}: {counted(count, 'image')}{origin.get('images', '')}, {ending}")
    notes = ("; ".join(taken), *notes, *(note for scale in scales.values() for note in scale.notes), *said)
    return Content(arrays, classes, notes)


def _split_of(name: str) -> str:
    return "test" if re.search(r"(?<![a-z])(test|testing|t10k)(?![a-z])", name.lower()) else "train"


def _list(names: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """Return names as text, at most a few of them, each followed by what `more` has of it."""
    items = [f"'{name[:40]}'{more[name] if more else ''}" for name in names[:MAX_NAMES]]
    return ", ".join(items) + (", ..." if len(names) > MAX_NAMES else "")
