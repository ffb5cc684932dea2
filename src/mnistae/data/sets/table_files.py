"""Data sets in a folder of array or CSV files, such as mnist_train.csv and mnist_test.csv."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mnistae.core.errors import DataError
from mnistae.data.sets import tables
from mnistae.data.sets.dataset import Arrays, Content

_TABLE = re.compile(r"[^.].*\.(npz|npy|(csv|tsv)(\.gz)?)", re.IGNORECASE)
_OF_SPLIT = re.compile(r"(?<![a-z])(train|training|test|testing|t10k)(?![a-z])", re.IGNORECASE)


def find(folder: Path) -> list[Path]:
    """Return the array and CSV files in `folder`, without those of the labels that belong to other files."""
    found = sorted(folder / name for name in os.listdir(folder) if _TABLE.fullmatch(name))  # noqa: PTH208
    labels = {path for file in found for path in tables.members(file)[1:]}
    return [path for path in found if path not in labels]


def read(files: Sequence[Path]) -> Content:
    """Return the data set in these files; where names say train or test, in those. Raises DataError."""
    named = [path for path in files if _OF_SPLIT.search(path.name)] or list(files)
    arrays: Arrays = {}
    notes: list[str] = []
    classes: tuple[str, ...] | None = None
    for path in named:
        content = tables.read(path)
        if arrays.keys() & content.arrays.keys() or classes not in {None, content.classes}:
            what = "data of the same split" if arrays.keys() & content.arrays.keys() else "data of different classes"
            raise DataError(f"{what} in '{named[0]}' and '{path}'", hint="give one of them, or name them train and test")
        arrays |= content.arrays
        classes = content.classes
        notes += [f"'{path.name}': {note}" for note in content.notes]
    notes += [f"left out '{path.name}'" for path in files if path not in named]
    return Content(arrays, classes or (), tuple(notes))
