"""Data sets in a folder of array and CSV files: which files are read, and as which split."""

import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnistae.core.config import PIXELS
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.data.images import arrays_io
from mnistae.data.sets import csv_file, tables
from mnistae.data.sets.dataset import Arrays, Content, mentions

MAX_TABLES = 100  # in a folder


def read(paths: Sequence[Path]) -> Content:
    """Return the data set in these files; where names say train or test, in those. Raises DataError.

    If they have no test split, it is the first other file that mentions one, such as val.csv.
    """
    named = [path for path in paths if mentions(path.name, ignored=tables.VAGUE)]
    named = named or [path for path in paths if not mentions(path.name)] or list(paths)
    others = [path for path in paths if path not in named and mentions(path.name)]
    of_test = {path for path in named if mentions(path.name, ignored=tables.VAGUE) == {"test"}}
    contents = {}
    for path in named:
        try:
            contents[path] = tables.read(path, has_test=bool(of_test - {path}))
        except DataError as error:
            with contextlib.suppress(DataError):
                if tables.LABELS.search(path.name) and not arrays_io.images_in(tables.labels_in(path).shape):
                    error.hint = "give matching names to the files of images and labels, such as images.npy and labels.npy"
            raise
    content = _joined(contents)
    for path in others if "test_images" not in content.arrays else []:
        with contextlib.suppress(DataError):  # no images, or of other classes
            content = _joined(contents | {path: tables.read(path, "test")})
            named.append(path)
            break
    left_out = (f"left out '{path.name}'" for path in paths if path not in named)
    return Content(content.arrays, content.classes, (*content.notes, *left_out))


def _joined(contents: Mapping[Path, Content]) -> Content:
    """Return the splits of several files as one data set. Raises DataError."""
    arrays: Arrays = {}
    sources: dict[str, Path] = {}
    notes: list[str] = []
    classes: tuple[str, ...] | None = None
    for path, content in contents.items():
        earlier = next((sources[role] for role in content.arrays if role in sources), None)
        if earlier or classes not in {None, content.classes}:
            what = "the same split" if earlier else "different classes"
            what = f"data of {what} in '{earlier or next(iter(contents))}' and '{path}'"
            way_out = "name them train and test" if earlier else "number the classes"
            raise DataError(what, hint=f"give one of them, or {way_out}")
        arrays |= content.arrays
        sources |= dict.fromkeys(content.arrays, path)
        classes = content.classes
        notes += [f"'{path.name}': {note}" for note in content.notes]
    return Content(arrays, classes or (), tuple(notes))


def find(folder: Path) -> list[Path]:
    """Return the array and CSV files in `folder`, without those of the labels that belong to other files."""
    found = sorted(folder / name for name in os.listdir(folder) if tables.TABLE.fullmatch(name))  # noqa: PTH208
    if len(found) > MAX_TABLES:
        raise DataError(f"{len(found):,} array files in '{folder}'", hint="join the images of each split in one array")
    labels = {path for file in found for path in tables.members(file)[1:]}
    return [path for path in found if path not in labels]


def splits(folder: Path) -> list[str]:
    """Return the names of files of arrays, and of tables as wide as an image, in `folder` that mention a split."""
    names = sorted(name for name in os.listdir(folder) if tables.TABLE.fullmatch(name) and mentions(name))  # noqa: PTH208
    return [name for name in names if not tables.TEXT.fullmatch(name) or _is_wide(folder / name)]


def _is_wide(path: Path) -> bool:
    """Whether one of the first lines of a table has enough columns."""
    with contextlib.suppress(files.UnreadableError, OSError, EOFError, zlib.error), files.open_regular(path) as file:
        with gzip.open(file) if path.suffix.lower() == ".gz" else file as stream:
            lines = stream.read(csv_file.HEAD * csv_file.MAX_LINE).splitlines()[: csv_file.HEAD]
        return any(len(re.findall(rb"[;\t|, ]", line)) >= PIXELS - 1 for line in lines)
    return False
