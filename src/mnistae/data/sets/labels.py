"""Labels of the user's own data sets: numbers, texts or one-hot rows, converted to bytes."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Bytes
from mnistae.core.errors import DataError
from mnistae.core.text import counted, quoted

MAX_TEXT = 1024
"""Bytes of a label."""

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def convert(
    given: Mapping[str, NDArray[Any]], counts: Mapping[str, int], path: Path, sources: Mapping[tuple[str, str], str]
) -> tuple[dict[str, Bytes], tuple[str, ...], tuple[str, ...]]:
    """Return the labels (N,) of each split, the names of the classes if the labels are strings, and notes.

    `counts` are the numbers of images in `path`, `sources` the names of arrays or files by split and role. What is no class is
    NO_LABEL. Raises DataError if a split has more or fewer labels.
    """
    notes: list[str] = []
    rows: dict[str, NDArray[Any]] = {}
    for split, array in given.items():
        length = len(np.atleast_1d(array))
        if counts[split] not in {array.size, length}:
            source = f" from '{name}'" if (name := sources.get((split, "labels"))) else ""
            message = f"{counts[split]} {split} images in '{path}' but {counted(length, 'label')}{source}"
            raise DataError(message, hint="give one label per image, or none")
        if (row := _flat(array, split, counts[split], notes)) is None:
            continue
        rows[split] = np.char.decode(row, "utf-8", "replace") if row.dtype.kind == "S" else row
    texts = {split: [text.strip(" \t\r\n\"'") for text in row.tolist()] for split, row in rows.items() if row.dtype.kind == "U"}
    names = [{*row} - {""} for row in texts.values()]
    places: dict[str, int] = {}
    classes: tuple[str, ...] = ()
    if len(texts) < len(rows):  # numbers beside texts have no names
        places = {name: label for own in names for name in own if (label := _class_number(name)) is not None}
        notes += _shared(places)
    elif not all(is_number(name) for own in names for name in own):
        places, classes, said = number_classes(names)
        notes += said
    rows |= {split: np.array([places.get(text, number(text)) for text in row]) for split, row in texts.items()}
    found = {split: np.full(count, NO_LABEL, np.uint8) for split, count in counts.items()}
    for split, row in rows.items():
        is_class = (row >= 0) & (row < NO_LABEL) & (row == np.floor(row))
        found[split][is_class] = row[is_class]
        if count := np.count_nonzero(~is_class):
            notes.append(f"{count:,} {split} labels left out: not whole numbers from 0 to {NO_LABEL - 1}")
    return found, classes, tuple(notes)


def number_classes(splits: Collection[Set[str]]) -> tuple[dict[str, int], tuple[str, ...], list[str]]:
    """Return the label of each class, the names of all labels unless they are just numbers, and notes.

    `splits` are the names of the classes in each split. A number such as '7' or '07' is its own label, and the words 'zero' to
    'nine' are digits; other names follow in alphabetical order. With more than 255 classes there are no labels.
    """
    ordered = sorted(set().union(*splits))
    apart = sorted({name for names in splits for name in _repeated(names)})
    numbers = {name: _class_number(name) for name in ordered if name not in apart}
    labels = {name: label for name, label in numbers.items() if label is not None}
    others = [name for name in ordered if name not in labels]
    notes = _shared(labels)
    notes += [f"different classes, although another name in the split is the same number: {quoted(apart)}"] if apart else []
    labels |= {name: label for label, name in enumerate(others, max(labels.values(), default=-1) + 1)}
    if max(labels.values(), default=0) >= NO_LABEL:
        return {}, (), []
    words = [name for name in labels if name.lower() in DIGIT_WORDS]
    if not words and not others:
        return labels, (), notes
    known = {label: name for name, label in labels.items()}
    names = tuple(known.get(label, str(label)) for label in range(max(known) + 1))
    return labels, DIGIT_WORDS if len(words) == len(labels) else names, notes


def _shared(labels: Mapping[str, int]) -> list[str]:
    """Return a note on names of classes that have the same label, such as '1' and 'one', if there are any."""
    counts = Counter(labels.values())
    same = sorted((name for name in labels if counts[labels[name]] > 1), key=lambda name: (labels[name], name))
    return [f"different names of the same class: {quoted(same)}"] if same else []


def _class_number(name: str) -> int | None:
    """Return the label that the name of a class is: a number of up to three digits, or a word for a digit.

    Longer names with leading zeros, such as '00120', are codes of characters rather than labels.
    """
    if name.lower() in DIGIT_WORDS:
        return DIGIT_WORDS.index(name.lower())
    return int(name) if re.fullmatch("[0-9]{1,3}", name) and int(name) < NO_LABEL else None


def _repeated(names: Set[str]) -> Iterator[str]:
    """Yield the names of classes, such as '01' and 'one', that are the same number as another of these names, '1'."""
    first: dict[int, str] = {}
    for name in sorted(names, key=lambda name: (name != str(_class_number(name)), name)):
        label = _class_number(name)
        if label is not None and first.setdefault(label, name.lower()) != name.lower():
            yield name


def _flat(array: NDArray[Any], split: str, count: int, notes: list[str]) -> NDArray[Any] | None:
    """Return labels of any shape as (N,), None if they are no classes."""
    rows = array.reshape(-1) if array.size == count else array
    if rows.ndim == 1 and rows.dtype.kind in "buifUS" and rows.dtype.itemsize <= MAX_TEXT:
        return rows
    is_matrix = rows.ndim == 2 and rows.size > 0 and rows.dtype.kind in "buif"
    if is_matrix and (rows.max(axis=1) == 1).all() and ((rows != 0).sum(axis=1) == 1).all():
        notes.append(f"{split} labels read from one-hot rows of {rows.shape[1]}")
        return np.asarray(rows.argmax(axis=1))
    notes.append(
        f"{split} labels left out: shape {array.shape}, type {array.dtype}: neither numbers nor strings nor one-hot rows"
    )
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number, or 'nan' in any spelling that float() accepts."""
    return not math.isnan(number(text)) or re.fullmatch("[+-]?nan", text.strip().lower()) is not None


def number(text: str) -> float:
    """Return the number that a text is, NaN if it is none; float() would read '1_0' as 10."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
