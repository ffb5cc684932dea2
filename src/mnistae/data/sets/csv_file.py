"""Data sets as CSV: one image of 784 pixels per row, with or without a header, a label and an index."""

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.config import PIXELS
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.data.sets.labels import is_number

MAX_TEXT = 2**29  # bytes, unpacked; 60,000 images of MNIST are 110 MB
MAX_LINE = 2**16
ROWS = 4096  # rows converted together
HEAD = 5  # lines of which the first may be comments
LABELS_BELOW = 100  # a pixel at a corner that is not constant has higher values

LABEL_NAMES = ("label", "labels", "class", "target", "y", "digit", "category")
INDEX_NAMES = ("", "unnamed: 0", "index", "idx", "id", "imageid", "#")

HINT = f"give one image per row: {PIXELS} columns of pixels, and if there are labels, one column before or after them"

Table = tuple[NDArray[Any], NDArray[np.str_] | None, tuple[str, ...]]
"""Pixels (N, 784), labels (N,) as text if there are any, and what the columns were taken for."""

Line = tuple[int, str]


def read(path: Path) -> Table:
    """Return the table in a CSV file, which may be compressed by gzip. Raises DataError."""
    lines, separator = _lines(path)
    head = [_cells(text, separator) for _, text in lines[:HEAD]]
    start = next((k for k, cells in enumerate(head) if len(cells) >= PIXELS), 0)
    first, second = (*head[start:], ["0"] * len(head[start]))[:2]
    extra = len(second) - PIXELS
    if not 0 <= extra <= 2:
        raise DataError(f"'{path}' has {len(second):,} columns, expected {PIXELS} pixels, a label and an index", hint=HINT)
    has_header = _is_header(first, second)
    rows = lines[start + has_header :]
    if not rows:
        raise DataError(f"no images in '{path}': it has only a header", hint=HINT)
    for number, text in rows:
        if text.count(separator) != len(second) - 1 and (count := len(_cells(text, separator))) != len(second):
            raise _fault(number, f"{count} columns, expected {len(second)}", path)
    names: list[str | None] = [name.lower().strip("# ") for name in first] if has_header else []
    names = ["", *names] if len(names) == len(second) - 1 else names  # as R writes the names of rows
    names = names if len(names) == len(second) else [None] * len(second)
    outer = {}
    if extra:
        places = [*range(extra), *range(PIXELS, PIXELS + extra)]
        outer = dict(zip(places, _load(rows, "U128", separator, places, path).T, strict=True))
    before = max(range(extra + 1), key=lambda count: (*_likelihood(outer, names, extra, count), count))
    columns = range(before, before + PIXELS)
    blocks = [_load(rows[k : k + ROWS], np.float32, separator, columns, path) for k in range(0, len(rows), ROWS)]
    others = {place: column for place, column in outer.items() if place not in columns}
    return np.concatenate(blocks), *_roles(others, names, path)


def read_labels(path: Path) -> NDArray[np.str_]:
    """Return the labels in a CSV file of one column, with or without a header. Raises DataError."""
    lines, separator = _lines(path)
    rows = [_cells(text, separator) for _, text in lines]
    if any(len(row) != 1 for row in rows):
        raise DataError(f"labels of more than one column: '{path}'", hint="save one label per row")
    texts = [cell.strip("\"'") for [cell] in rows]
    return np.array(texts[texts[0].lower() in LABEL_NAMES or (not is_number(texts[0]) and is_number(texts[-1])) :])


def _lines(path: Path) -> tuple[list[Line], str]:
    """Return the lines that are not blank, and what separates their columns; decimal commas are replaced by points."""
    try:
        with files.open_regular(path) as file:
            is_packed = file.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(file) if is_packed else file as stream:
                lines = list(_texts(stream, path))
    except files.UnreadableError as error:
        raise DataError(f"cannot read the data set '{path}': {error}", hint=HINT) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read the data set '{path}': damaged or truncated ({error})", hint=HINT) from error
    if not lines:
        raise DataError(f"'{path}' is empty", hint=HINT)
    if lines[0][1].startswith(("\ufffd\ufffd", "\0")):
        raise DataError(f"cannot read the data set '{path}': it is not UTF-8 text", hint="save it as CSV in UTF-8")
    separator = next((mark for mark in ";\t|," if mark in lines[:HEAD][-1][1]), " ")
    if separator == " ":
        lines = [(number, " ".join(text.split())) for number, text in lines]
    return lines if separator == "," else [(number, text.replace(",", ".")) for number, text in lines], separator


def _texts(stream: io.BufferedReader | gzip.GzipFile, path: Path) -> Iterator[Line]:
    size = 0
    for number in itertools.count(1):
        line = stream.readline(MAX_LINE + 1)
        size += len(line)
        if len(line) > MAX_LINE or size > MAX_TEXT:
            what = f"line {number} is longer than {MAX_LINE >> 10} KiB" if len(line) > MAX_LINE else "it is too large"
            raise DataError(f"cannot read the data set '{path}': {what}", hint=f"{HINT}; at most {MAX_TEXT >> 20} MiB")
        if not line:
            return
        text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").strip("\r\n")
        if text.strip():
            yield number, text


def _cells(text: str, separator: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=separator))]
    except csv.Error:  # a carriage return within the line
        return text.split(separator)


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first row is a header: names above numbers, fewer names than columns, or the numbers of the columns."""
    inner = first[2:-2]
    is_count = all(cell.isdigit() for cell in inner) and {int(b) - int(a) for a, b in itertools.pairwise(inner)} == {1}
    is_above = any(not is_number(name) and is_number(value) for name, value in zip(inner, second[2:-2], strict=False))
    return len(first) != len(second) or is_count or is_above


def _likelihood(
    outer: dict[int, NDArray[np.str_]], names: Sequence[str | None], extra: int, before: int
) -> tuple[int, int, int]:
    """Return how likely it is that `before` columns come before the pixels: by the names, by the values of the other columns.

    The pixels at the corners of images are nearly constant; labels and indices are not.
    """
    inner = {_letters(name) for name in names[extra:PIXELS]}
    others = [place for place in outer if not before <= place < before + PIXELS]
    known = sum(names[k] in (*LABEL_NAMES, *INDEX_NAMES) or inner != {_letters(names[k])} for k in others)
    counts = [Counter(outer[place].tolist()) for place in outer if place not in others]
    constant = sum(max((number for text, number in count.items() if is_number(text)), default=0) for count in counts)
    return known if inner != {None} else 0, sum(_is_text_or_count(outer[place]) for place in others), constant


def _letters(name: str | None) -> str | None:
    return name and re.sub(r"[0-9'\"]", "", name)


def _is_text_or_count(column: NDArray[np.str_]) -> bool:
    """Whether a column has texts, or an index, or few whole numbers, and so is no column of pixels."""
    values = set(column.tolist())
    if len(values) == len(column) or not all(map(is_number, values)):
        return True
    return len(values) > 1 and all(float(text).is_integer() and float(text) < LABELS_BELOW for text in values)


def _load(rows: Sequence[Line], dtype: Any, separator: str, columns: Sequence[int], path: Path) -> NDArray[Any]:
    """Return these columns; numbers as bytes if all are whole and up to 255, else as float32. Raises DataError."""
    texts = [text for _, text in rows]
    try:
        values = np.loadtxt(texts, dtype, comments=None, delimiter=separator, quotechar='"', ndmin=2, usecols=columns)
    except ValueError as error:
        reason, number = "unreadable rows from here", rows[0][0]
        if match := re.fullmatch(r"could not convert string (['\"].*) to float32 at row (\d+), column (\d+)\.", str(error)):
            reason, number = f"{match[1][:40]} in column {match[3]} is not a number", rows[int(match[2])][0]
        raise _fault(number, reason, path) from error
    if dtype == "U128":
        return np.char.strip(values, " \"'")
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.uint8)
    return whole if np.array_equal(whole, values) else values


def _fault(number: int, reason: str, path: Path) -> DataError:
    return DataError(f"cannot read the data set '{path}': line {number}: {reason}", hint=HINT)


def _roles(
    columns: dict[int, NDArray[np.str_]], names: Sequence[str | None], path: Path
) -> tuple[NDArray[np.str_] | None, tuple[str, ...]]:
    """Return the labels among the columns that have no pixels, and what each column was taken for. Raises DataError."""
    named = [place for place in columns if names[place] in LABEL_NAMES][:1]
    roles: dict[int, str] = {}
    for place, column in columns.items():
        is_distinct = len(set(column.tolist())) == len(column) and (len(columns) > 1 or len(column) > 10)
        is_index = names[place] in INDEX_NAMES or (is_distinct and "index" not in roles.values())
        roles[place] = "empty" if not any(column.tolist()) else "index" if is_index and place not in named else "labels"
    found = named or [place for place, role in roles.items() if role == "labels"]
    if len(found) > 1:
        what = f"{PIXELS + len(columns)} columns, but it is not certain which has the labels: '{path}'"
        raise DataError(what, hint="add a header in which it is named 'label', or remove the column that is no pixel or label")
    roles |= {place: "other values" for place, role in roles.items() if role == "labels" and place not in found}
    notes = [f"column {place + 1} read as {role}" for place, role in roles.items()] or ["all columns are pixels"]
    return columns[found[0]] if found else None, tuple(notes)
