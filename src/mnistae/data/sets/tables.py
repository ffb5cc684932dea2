"""Data sets in one file, an .npy or .npz of arrays or CSV, or in a folder of such files."""

import io
import os
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
MAX_TABLES = 100  # in a folder

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
    "an Excel workbook": "save its sheet as CSV",
    "a Python pickle": "loading a pickle runs the code in it: where you trust it, load it and save it by numpy.savez",
    "a PyTorch file": "load it with torch.load(FILE, weights_only=True) and save its tensors by numpy.savez",
    "an HDF5 file": "read it with h5py and save its arrays by numpy.savez",
    "a MATLAB file": "numpy.savez('new.npz', x=..., y=...) of what scipy.io.loadmat(FILE) returns",
    "a Parquet file": "pandas.read_parquet(FILE).to_csv('new.csv', index=False), or save its images as PNG files",
    "a zip archive": "unpack it and give the folder or the file in it",
}

_ARCHIVES = {"data.pkl": "a PyTorch file", "workbook.xml": "an Excel workbook"}
"""Kinds of zip files by how the name of a member ends."""

Found = dict[str, NDArray[Any] | str]
"""Arrays by name, or the reason why one cannot be read."""

Roles = dict[str, dict[str, str]]
"""The names of arrays by role, then split."""

_TABLE = re.compile(r"[^.].*\.(npz|npy|(csv|tsv)(\.gz)?)", re.IGNORECASE)
_TEXT = re.compile(r".*\.(csv|tsv|txt|data)(\.gz)?", re.IGNORECASE | re.DOTALL)
_SPLIT = re.compile(r"(?:(?<![a-zA-Z])|(?<=[a-z])(?=[A-Z]))(?i:(train|training)|test|testing|t10k)(?![a-z])")
_IMAGES = re.compile(r"(?i:images?|imgs?|data)|(?<![a-zA-Z])[xX](?![a-zA-Z])|(?<=[a-z])X(?![a-z])")
_LABELS = re.compile(r"(?i:labels?|targets?)|(?<![a-zA-Z])[yY](?![a-zA-Z])|(?<=[a-z])Y(?![a-z])")
_SIZE = re.compile(r"[0-9]+k? ?x ?[0-9]+")


def read(path: Path) -> Content:
    """Return the data set in the file `path`, identified by its content. Raises DataError."""
    data = _contents(path)
    if data.startswith((b"PK", npy.MAGIC)):
        return _of_arrays(_arrays(data, path), path)
    kind = kinds.describe(data[: kinds.SIZE])
    if kind not in {None, "a gzip archive"} or not _TEXT.fullmatch(path.name):
        what = f": it is {kind}" if kind else ""
        raise DataError(f"unsupported data set format: '{path}'{what}", hint=_CONVERSIONS.get(kind or "", _HINT))
    pixels, given, notes = csv_file.read(data, path)
    split, names = _split_of(path), {}
    if given is None and (beside := members(path)[1:]):
        given, names = csv_file.read_labels(_contents(beside[0]), beside[0]), {split: beside[0].name}
    if path.name.lower().startswith("emnist"):  # its CSV files have the images as its IDX files have them
        pixels, notes = pixels.reshape(-1, SIDE, SIDE).swapaxes(1, 2), (*notes, "images of EMNIST transposed")
    return _content({split: pixels}, {} if given is None else {split: given}, {"labels": names}, notes, path)


def read_several(paths: Sequence[Path]) -> Content:
    """Return the data set in these files; where names say train or test, in those. Raises DataError."""
    named = [path for path in paths if _SPLIT.search(path.name)] or list(paths)
    arrays: Arrays = {}
    notes: list[str] = []
    classes: tuple[str, ...] | None = None
    for path in named:
        content = read(path)
        is_twice = bool(arrays.keys() & content.arrays.keys())
        if is_twice or classes not in {None, content.classes}:
            what = f"data of {'the same split' if is_twice else 'different classes'} in '{named[0]}' and '{path}'"
            raise DataError(what, hint="give one of them, or name them train and test")
        arrays |= content.arrays
        classes = content.classes
        notes += [f"'{path.name}': {note}" for note in content.notes]
    notes += [f"left out '{path.name}'" for path in paths if path not in named]
    return Content(arrays, classes or (), tuple(notes))


def find(folder: Path) -> list[Path]:
    """Return the array and CSV files in `folder`, without those of the labels that belong to other files."""
    found = sorted(folder / name for name in os.listdir(folder) if _TABLE.fullmatch(name))  # noqa: PTH208
    if len(found) > MAX_TABLES:
        raise DataError(f"{len(found):,} array files in '{folder}'", hint="join the images of each split in one array")
    labels = {path for file in found for path in members(file)[1:]}
    return [path for path in found if path not in labels]


def members(path: Path) -> list[Path]:
    """Return the files that `read` reads: `path`, and the labels beside it, such as X_train.npy and y_train.npy."""
    if not _TABLE.fullmatch(path.name) or _LABELS.search(path.name):
        return [path]
    form, others = _form(path.name), path.parent.glob(f"*{path.suffix}")
    return [path, *sorted(other for other in others if _LABELS.search(other.name) and _form(other.name) == form)[:1]]


def _form(name: str) -> str:
    return _IMAGES.sub("*", _LABELS.sub("*", _SIZE.sub("", name))).lower()


def _contents(path: Path) -> bytes:
    data = files.read_or_raise(path, limit=MAX_FILE, family=DataError, what="the data set", hint=_HINT)
    if not data:
        raise DataError(f"'{path}' is empty", hint=_HINT)
    return data


def _arrays(data: bytes, path: Path) -> Found:
    """Return the arrays of an .npz by name, that of an .npy under the empty one; those that cannot be read as the reason."""
    if not data.startswith(b"PK"):
        return {"": _array(data)}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE:
                raise DataError(f"'{path}' unpacks to more than {MAX_FILE / 2**20:.0f} MiB", hint=_HINT)
            names = archive.namelist()
            if len(names) > MAX_MEMBERS:
                raise DataError(f"more than {MAX_MEMBERS:,} arrays in '{path}'", hint=_HINT)
            if not any(name.endswith(".npy") for name in names):
                ends = {name.rsplit("/")[-1] for name in names}
                kind = next((kind for end, kind in _ARCHIVES.items() if end in ends), "a zip archive")
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
    used = _by_name(found, path)
    used = used if used["images"] else _by_shape(found, path)
    notes = []
    if "validation" in used["images"]:
        has_test = "test" in used["images"]
        notes.append("validation split left out" if has_test else "validation split used as the test split")
        for keys in used.values():
            key = keys.pop("validation", None)
            if key and not has_test:
                keys["test"] = key
    images = {split: _usable(found, key, path) for split, key in sorted(used["images"].items(), reverse=True)}
    given = {split: _usable(found, key, path) for split, key in used["labels"].items() if split in images}
    if unused := [key for key in found if not any(key in keys.values() for keys in used.values())]:
        notes.append(f"not used: {_list(unused)}")
    split, *others = images
    if not (others or given) and (beside := members(path)[1:]):
        other = _arrays(_contents(beside[0]), beside[0])
        given[split] = _usable(other, next(iter(other)), beside[0])
        used["labels"][split] = beside[0].name
    return _content(images, given, used, notes, path)


def _by_name(found: Found, path: Path) -> Roles:
    """Return the arrays named 'x_train', 'trainImages', 'X' or 'test'; of several, the one of the more usual name."""
    used: Roles = {"images": {}, "labels": {}}
    ranked = []
    for key in found:
        match = _NAME.fullmatch(re.sub(r"[^a-z0-9]", "", key.lower()))
        if match and any(match.groups()):
            split, role = match[1] or match[3], match[2] or "x"
            rank = match[2] is None, split is None, list(_ROLES).index(role)
            ranked.append((rank, _ROLES[role], _SPLITS[split] if split else _split_of(path), key))
    for _, role, split, key in sorted(ranked):
        used[role].setdefault(split, key)
    return used


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
    split = _split_of(path)
    return {"images": {split: key}, "labels": {split: labels_of[0]} if len(labels_of) == 1 else {}}


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
    """Return images and labels by split as a data set; `names` are those of their arrays or files."""
    counts = {split: arrays_io.count_images(a.shape, a.dtype, str(path), limit=MAX_IMAGES) for split, a in images.items()}
    scales = _scales(images, path)
    numbers, classes, said = labels.convert(given, counts)
    arrays: Arrays = {}
    taken = []
    for split, array in images.items():
        arrays[f"{split}_images"] = scales[array.dtype].to_bytes(array.reshape(counts[split], SIDE, SIDE))
        arrays[f"{split}_labels"] = numbers[split]
        origin = {role: f" from '{keys[split][:40]}'" for role, keys in names.items() if keys.get(split)}
        ending = f"labels{origin.get('labels', '')}" if split in given else "no labels"
        taken.append(f"{split}: {counted(counts[split], 'image')}{origin.get('images', '')}, {ending}")
    notes = ("; ".join(taken), *notes, *(note for scale in scales.values() for note in scale.notes), *said)
    return Content(arrays, classes, notes)


def _scales(images: Mapping[str, NDArray[Any]], path: Path) -> dict[Any, values.Scale]:
    """Return the scale of the arrays of each type, which is that of all of them together. Raises DataError."""
    scales = {}
    for dtype in dict.fromkeys(array.dtype for array in images.values()):
        ranges = {split: values.extremes(array) for split, array in images.items() if array.dtype == dtype}
        low, high = np.transpose(list(ranges.values()))
        scales[dtype] = values.choose(dtype, float(low.min()), float(high.max()), name=str(path))
        if scales[dtype].divisor > 1 and any(0 < top <= 1 for _, top in ranges.values()):
            what = " and ".join(f"{split} images up to {top:g}" for split, (_, top) in ranges.items())
            raise DataError(f"{what}: '{path}'", hint="save both with values in the same range")
    return scales


def _split_of(path: Path) -> str:
    return "train" if (match := _SPLIT.search(path.name)) is None or match[1] else "test"


def _list(names: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """Return names as text, at most a few of them, each followed by what `more` has of it."""
    items = [f"'{name[:40]}'{more[name] if more else ''}" for name in names[:MAX_NAMES]]
    return ", ".join(items) + (", ..." if len(names) > MAX_NAMES else "")
