"""Labels of the user's own data sets: numbers, texts or one-hot rows, converted to bytes."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Bytes
from mnistae.core.errors import DataError

MAX_TEXT = 1024
"""Bytes of a label."""


def convert(
    given: Mapping[str, NDArray[np.generic]], counts: Mapping[str, int]
) -> tuple[dict[str, Bytes], tuple[str, ...], tuple[str, ...]]:
    """Return the labels (N,) of each split, the names of the classes if the labels are texts, and what is to be said.

    `counts` are the numbers of images. What is no class is NO_LABEL. Raises DataError if a split has more or fewer labels.
    """
    notes: list[str] = []
    rows = {split: _flat(array, split, counts[split], notes) for split, array in given.items()}
    texts = [_texts(row) for row in rows.values() if row is not None and row.dtype.kind in "US"]
    names = sorted({text for text in np.concatenate(texts).tolist() if text}) if texts else []
    is_mixed = any(row is not None and row.dtype.kind not in "US" for row in rows.values())  # numbers beside texts
    classes = () if is_mixed or all(is_number(name) for name in names) else tuple(names[:NO_LABEL])
    found = {
        split: np.full(count, NO_LABEL, np.uint8) if (row := rows.get(split)) is None else _bytes(row, split, classes, notes)
        for split, count in counts.items()
    }
    return found, classes, tuple(notes)


def _flat(array: NDArray[np.generic], split: str, count: int, notes: list[str]) -> NDArray[np.generic] | None:
    """Return labels of any shape as (N,); None if they are no classes."""
    rows = array.reshape(-1) if array.size == count else array
    if len(found := np.atleast_1d(rows)) != count:
        raise DataError(f"{count} {split} images but {len(found)} labels", hint="give one per image, or leave them out")
    if rows.ndim == 1 and rows.dtype.itemsize <= MAX_TEXT:
        return rows
    if rows.ndim == 2 and rows.dtype.kind in "buif" and (rows.max(axis=1) == 1).all() and ((rows != 0).sum(axis=1) == 1).all():
        notes.append(f"{split} labels read from one-hot rows of {rows.shape[1]}")
        return np.asarray(rows.argmax(axis=1))
    notes.append(f"{split} labels left out: shape {array.shape} is neither one class per image nor one-hot")
    return None


def _texts(row: NDArray[np.generic]) -> NDArray[np.str_]:
    text = row if row.dtype.kind == "U" else np.char.decode(row.astype(np.bytes_), "utf-8", "replace")
    return np.char.strip(np.char.strip(text.astype(np.str_)), "\"'")


def _bytes(row: NDArray[np.generic], split: str, classes: tuple[str, ...], notes: list[str]) -> Bytes:
    if row.dtype.kind in "US":
        row = _texts(row)
        places = {name: place for place, name in enumerate(classes)}
        row = np.array([places.get(text, -1) if classes else number(text) for text in row.tolist()])
    if row.dtype.kind not in "buif":
        notes.append(f"{split} labels of type {row.dtype} left out")
        return np.full(len(row), NO_LABEL, np.uint8)
    numbers = row.astype(np.float64)
    is_class = (numbers >= 0) & (numbers < NO_LABEL) & (numbers == np.floor(numbers))
    if not is_class.all():
        notes.append(f"{np.count_nonzero(~is_class):,} {split} labels left out: not a whole number from 0 to {NO_LABEL - 1}")
    return np.where(is_class, numbers, NO_LABEL).astype(np.uint8)


def is_number(text: str) -> bool:
    """Whether a text is a number, or 'nan' in any spelling."""
    return not math.isnan(number(text)) or text.strip(" +-").lower() == "nan"


def number(text: str) -> float:
    """Return the number that a text is, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
