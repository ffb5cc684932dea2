"""Data sets in one file, an .npy or .npz of arrays or CSV."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.config import PIXELS, SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import npy, npz
from mnistae.core.files import read as files
from mnistae.core.text import counted
from mnistae.data.images import arrays_io, values
from mnistae.data.sets import csv_file, foreign, labels
from mnistae.data.sets.dataset import SPLIT_WORDS, Arrays, Content, mentions

MAX_FILE = 2**30
MAX_IMAGES = MAX_FILE // PIXELS
MAX_NAMES = 6  # in a message
MAX_MEMBERS = 1000

_ROLES = {
    **dict.fromkeys(("x", "images", "imgs", "image", "img", "data", "features", "pixels", "inputs"), "images"),
    **dict.fromkeys(("y", "labels", "label", "targets", "target", "class"), "labels"),
}
"""The names of roles. Of two arrays of the same role, the one whose name comes first is used."""

_VALIDATION = {True: "validation split left out", False: "validation split used as the test split"}
"""The note on a validation split, by whether there is a test split."""

_ROLE = f"(?P<role>{'|'.join(_ROLES)})"
_SPLIT_FIRST, _ROLE_FIRST = re.compile(f"{SPLIT_WORDS}?{_ROLE}?"), re.compile(_ROLE + SPLIT_WORDS)

LOOKED_FOR = "x_train, y_train, x_test and y_test, or images and labels"

_HINT = (
    f"give a folder of images or IDX files, an .npy of shape (n, 28, 28) or (n, 784), an .npz with {LOOKED_FOR}, "
    "or a CSV file (.csv, .tsv, .txt, .data)"
)

Found = dict[str, NDArray[Any] | str]
"""Arrays by name, or the reason why one cannot be read."""

Names = dict[tuple[str, str], str]
"""The names of arrays or files by split and role."""


@dataclass(frozen=True)
class _Parts:
    """Images and labels by split, and the names of their arrays."""

    images: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[Any]]
    names: Names
    notes: tuple[str, ...]


TABLE = re.compile(r"[^.].*\.(npz|npy|(csv|tsv)(\.gz)?)", re.IGNORECASE)
TEXT = re.compile(r".*\.(csv|tsv|txt|data)(\.gz)?", re.IGNORECASE | re.DOTALL)
_IMAGES = re.compile(r"(?i:images?|imgs?|data)|(?<![a-zA-Z])[xX](?![a-zA-Z])|(?<=[a-z])X(?![a-z])")
LABELS = re.compile(r"(?i:labels?|targets?)|(?<![a-zA-Z])[yY](?![a-zA-Z])|(?<=[a-z])Y(?![a-z])")
VAGUE = frozenset(("val", "valid", "validate", "validation", "dev", "eval", "evaluation"))
"""Words for a split that have other meanings too."""

_SIZE = re.compile(r"(?<![0-9])[0-9]{1,6}k? ?x ?[0-9]{1,6}")


def read(path: Path, split: str | None = None, *, has_test: bool = False) -> Content:
    """Return the data set in the file `path`, identified by its content. Raises DataError.

    `split` is that of images whose array's name shows none; by default the name of the file shows it. If `has_test`, another
    file has the test split, and a validation split beside a training split is left out.
    """
    data, found = _load(path)
    mentioned = mentions(path.name, ignored=VAGUE)
    is_vague = path.name.partition(".")[0].lower() in VAGUE  # such a word counts only if it is the whole name
    split = split or ("test" if mentioned == {"test"} or (is_vague and not mentioned) else "train")
    parts = _of_arrays(found, path, split, has_test) if found else _of_csv(data, path, split, has_test)
    if len(parts.images) == 1 and not parts.labels and (beside := members(path)[1:]):
        [split] = parts.images
        parts.labels[split] = labels_in(beside[0])
        parts.names[split, "labels"] = beside[0].name
    return _content(parts, path)


def labels_in(path: Path) -> NDArray[Any]:
    """Return the labels that have a file of their own. Raises DataError."""
    data, found = _load(path)
    return _usable(found, next(iter(found)), path) if found else csv_file.read_labels(data, path)


def members(path: Path) -> list[Path]:
    """Return the files that `read` reads: `path`, and the labels beside it, such as X_train.npy and y_train.npy."""
    if not TABLE.fullmatch(path.name) or LABELS.search(path.name):
        return [path]
    others = [other for other in path.parent.glob(f"*{path.suffix}") if LABELS.search(other.name)]
    forms = {file: _IMAGES.sub("*", LABELS.sub("*", _SIZE.sub("", file.name))).lower() for file in (path, *others)}
    beside = sorted(other for other in others if forms[other] == forms[path] and other.is_file())
    return [path, *beside[:1]]


def _load(path: Path) -> tuple[bytes, Found]:
    """Return the content of a file, and the arrays in it if it has some: those of an .npz by name, the one of an .npy as ''."""
    data = files.read_or_raise(path, limit=MAX_FILE, family=DataError, what="the data set", hint=_HINT)
    if not data:
        raise DataError(f"'{path}' is empty", hint=_HINT)
    packed = _unpack(data, path) if data.startswith(b"PK") else {"": data} if data.startswith(npy.MAGIC) else {}
    found: Found = {}
    for name, member in packed.items():
        try:
            found[name.removesuffix(".npy")] = npy.read_array(member)
        except ValueError as error:
            found[name.removesuffix(".npy")] = str(error)
    return data, found


def _unpack(data: bytes, path: Path) -> dict[str, bytes]:
    try:
        names = npz.names(data)
        if len(names) > MAX_MEMBERS:
            raise DataError(f"more than {MAX_MEMBERS:,} arrays in '{path}'", hint=_HINT)
        if not any(name.endswith(".npy") for name in names):
            kind, hint = foreign.identify_zip(names) if names else ("empty", _HINT)
            found = f"{kind} of {_list(names)}" if names else kind
            raise DataError(f"no arrays in '{path}': it is {found}", hint=hint)
        return npz.unpack(data, ".npy", limit=MAX_FILE)
    except files.UnreadableError as error:
        raise DataError(f"cannot read the data set '{path}': {error}", hint=_HINT) from error


def _of_csv(data: bytes, path: Path, split: str, has_test: bool) -> _Parts:
    kind, hint = foreign.identify(data, path)
    if kind not in {None, foreign.GZIP} or not TEXT.fullmatch(path.name):
        raise DataError(f"unsupported data set format: '{path}'" + (f": it is {kind}" if kind else ""), hint=hint or _HINT)
    pixels, given, splits, notes = csv_file.read(data, path)
    if re.search("(?<![a-z])emnist", path.name.lower()):  # its CSV files have the images as its IDX files have them
        pixels, notes = pixels.reshape(-1, SIDE, SIDE).swapaxes(1, 2), (*notes, "images of EMNIST transposed")
    parts = _Parts({split: pixels}, {} if given is None else {split: given}, {}, notes)
    return parts if splits is None else _divided(parts, splits, has_test)


def _divided(parts: _Parts, splits: NDArray[np.str_], has_test: bool) -> _Parts:
    """Return images and labels, all of one split so far, in the splits (N,) that are given; those in none are left out."""
    notes = list(parts.notes)
    if outside := np.count_nonzero(splits == ""):
        notes.append(f"left out {counted(int(outside), 'image')} that are in no split")
    if "validation" in splits:
        has_test = "test" in splits or (has_test and "train" in splits)
        notes.append(_VALIDATION[has_test])
        splits = np.where(splits == "validation", "" if has_test else "test", splits)
    names = [split for split in ("train", "test") if split in splits]
    images = {split: array[splits == split] for array in parts.images.values() for split in names}
    labels_of = {split: array[splits == split] for array in parts.labels.values() for split in names}
    keys = {(split, role): key for (_, role), key in parts.names.items() for split in names}
    return _Parts(images, labels_of, keys, tuple(notes))


def _of_arrays(found: Found, path: Path, default: str, has_test: bool) -> _Parts:
    """Return images and labels by the names of the arrays, or if those are unknown, by the shapes. Raises DataError."""
    used = _by_name(found, default) or _by_shape(found, path, default)
    notes = []
    if ("validation", "images") in used:
        has_test = ("test", "images") in used or (has_test and ("train", "images") in used)
        notes.append(_VALIDATION[has_test])
        moved = {role: used.pop(("validation", role)) for role in ("images", "labels") if ("validation", role) in used}
        used |= {} if has_test else {("test", role): key for role, key in moved.items()}
    images = {split: _usable(found, key, path) for (split, role), key in sorted(used.items(), reverse=True) if role == "images"}
    given = {split: _usable(found, key, path) for (split, role), key in used.items() if role == "labels" and split in images}
    lengths = {array.shape[:1] for array in (*images.values(), *given.values())}
    is_named = any(_parse(key)[0] for key in used.values())
    divisions = {} if is_named or len(images) > 1 else _divisions(found, lengths)
    division = next(iter(divisions), None)
    notes += [f"splits from '{division}'"] if division else []
    if unused := [key for key in found if key not in {*used.values(), division}]:
        notes.append(f"not used: {_list(unused)}")
    parts = _Parts(images, given, used, tuple(notes))
    return _divided(parts, divisions[division], has_test) if division else parts


def _divisions(found: Found, lengths: set[tuple[int, ...]]) -> dict[str, NDArray[np.str_]]:
    """Return the splits in the arrays of words for splits, by the name of the array, if it is as long as all of `lengths`."""
    named = {key: np.ravel(array) for key, array in found.items() if key.lower() in csv_file.SPLIT_NAMES}
    read = {key: csv_file.splits_in(array) for key, array in named.items() if {array.shape} == lengths}
    return {key: splits for key, splits in read.items() if splits is not None}


def _parse(key: str) -> tuple[str | None, str | None]:
    """Return the split and the word for a role in the name of an array that consists of words for these."""
    name = re.sub(r"[^a-z0-9]", "", key.lower())
    match = _SPLIT_FIRST.fullmatch(name) or _ROLE_FIRST.fullmatch(name)
    words = {group: word for group, word in match.groupdict().items() if word} if match else {}
    role = words.pop("role", None)
    return next(iter(words), None), role


def _by_name(found: Found, default: str) -> Names:
    """Return the arrays named 'x_train', 'trainImages', 'X' or 'test'; of several, the one of the more usual name."""
    ranked = []
    for key in found:
        split, role = _parse(key)
        if split or role:
            rank = role is None, split is None, list(_ROLES).index(role or "x")
            ranked.append((rank, (split or default, _ROLES[role or "x"]), key))
    used = {place: key for _, place, key in sorted(ranked, reverse=True)}
    return used if any(role == "images" for _, role in used) else {}


def _by_shape(found: Found, path: Path, split: str) -> Names:
    """Return the only array of images, and the only other array that has a row for each of them."""
    shapes = {key: array.shape for key, array in found.items() if not isinstance(array, str)}
    images = [key for key, shape in shapes.items() if arrays_io.images_in(shape)]
    if len(images) != 1 and len(found) > 1:
        what = "several arrays of images" if images else "no array of images"
        contents = [f" ({array})" if isinstance(array, str) else f" {array.shape} {array.dtype}" for array in found.values()]
        raise DataError(f"{what} in '{path}': {_list(found, contents)}", hint=f"looked for {LOOKED_FOR}")
    [key] = images or found
    count = arrays_io.images_in(shapes.get(key, ()))
    no_labels = {key, *_divisions(found, {(count or 0,)})}
    others = [other for other in shapes if other not in no_labels and other.lower() not in csv_file.NO_LABEL_NAMES]
    labels_of = [other for other in others if shapes[other][:1] == (count,) and len(shapes[other]) <= 2]
    return {(split, "images"): key} | ({(split, "labels"): labels_of[0]} if len(labels_of) == 1 else {})


def _usable(found: Found, key: str, path: Path) -> NDArray[Any]:
    array = found[key]
    if isinstance(array, str):
        place = f"'{key}' in '{path}'" if key else f"'{path}'"
        hint = values.PICKLED if "pickled" in array else "save it again with numpy.savez or numpy.save"
        raise DataError(f"cannot read {place}: {array}", hint=hint)
    return array


def _content(parts: _Parts, path: Path) -> Content:
    counts = {
        split: arrays_io.count_images(array.shape, array.dtype, str(path), limit=MAX_IMAGES)
        for split, array in parts.images.items()
    }
    scales: dict[Any, values.Scale] = {}
    said: list[str] = []
    for dtype in dict.fromkeys(array.dtype for array in parts.images.values()):  # all arrays of a type have the same scale
        ranges = {split: values.extremes(array) for split, array in parts.images.items() if array.dtype == dtype}
        low, high = np.transpose(list(ranges.values()))
        scales[dtype] = values.choose(dtype, float(low.min()), float(high.max()), name=str(path))
        said += [*scales[dtype].notes, *values.dim(float(high.max()), scales[dtype].divisor)]
        if scales[dtype].divisor > 1 and any(0 < top <= 1 for _, top in ranges.values()):
            what = " and ".join(f"{split} images up to {top:g}" for split, (_, top) in ranges.items())
            raise DataError(f"{what}: '{path}'", hint="save both with values in the same range")
    numbers, classes, about_labels = labels.convert(parts.labels, counts, path, parts.names)
    arrays: Arrays = {}
    taken = []
    for split, array in parts.images.items():
        arrays[f"{split}_images"] = scales[array.dtype].to_bytes(array.reshape(counts[split], SIDE, SIDE))
        arrays[f"{split}_labels"] = numbers[split]
        origin = {role: f" from '{key[:40]}'" for (part, role), key in parts.names.items() if part == split and key}
        ending = f"labels{origin.get('labels', '')}" if split in parts.labels else "no labels"
        taken.append(f"{split}: {counted(counts[split], 'image')}{origin.get('images', '')}, {ending}")
    return Content(arrays, classes, ("; ".join(taken), *parts.notes, *said, *about_labels))


def _list(names: Iterable[str], contents: Iterable[str] = itertools.repeat("")) -> str:
    """Return names as text, at most a few of them, each followed by its content."""
    items = [f"'{name[:40]}'{content}" for name, content in zip(names, contents, strict=False)]
    return ", ".join(items[:MAX_NAMES]) + (", ..." if len(items) > MAX_NAMES else "")
