"""Data sets as CSV: one image of 784 pixels per row, with or without a header, a label and an index."""

import codecs
import csv
import gzip
import io
import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import PIXELS
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.data.sets.labels import is_number

MAX_TEXT = 2**29  # bytes, unpacked; 60,000 images of MNIST are 110 MB
MAX_LINE = 2**16
ROWS = 4096  # rows converted together

LABEL_NAMES = ("label", "labels", "class", "target", "y", "digit", "category")
INDEX_NAMES = ("", "unnamed: 0", "index", "idx", "id", "imageid", "#")

HINT = f"give one image per row: {PIXELS} columns of pixels, and if there are labels, one column before or after them"


Table = tuple[NDArray[np.generic], NDArray[np.str_] | None, tuple[str, ...]]
"""Pixels (N, 784), labels (N,) as text if there are any, and what the columns were taken for."""

Line = tuple[int, str]


def read(path: Path) -> Table:
    """Return the table in a CSV file, which may be compressed by gzip. Raises DataError."""
    try:
        with files.open_regular(path) as file:
            is_packed = file.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(file) if is_packed else file as stream:
                return _read(_lines(stream, path), path)
    except files.UnreadableError as error:
        raise DataError(f"cannot read the data set '{path}': {error}", hint=HINT) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read the data set '{path}': damaged or truncated ({error})", hint=HINT) from error


def _lines(stream: io.BufferedReader | gzip.GzipFile, path: Path) -> Iterator[Line]:
    """Yield the lines that are not blank."""
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


def _read(lines: Iterator[Line], path: Path) -> Table:
    head = list(itertools.islice(lines, 2))
    if not head:
        raise DataError(f"'{path}' is empty", hint=HINT)
    if head[0][1].startswith(("\ufffd\ufffd", "\0")):
        raise DataError(f"cannot read the data set '{path}': it is not UTF-8 text", hint="save it as CSV in UTF-8")
    separator = next((mark for mark in ";\t|," if mark in head[-1][1]), None)
    first, last = _cells(head[0][1], separator), _cells(head[-1][1], separator)
    extra = len(last) - PIXELS
    if not 0 <= extra <= 2:
        raise DataError(f"'{path}' has {len(last):,} columns, expected {PIXELS} pixels, a label and an index", hint=HINT)
    has_header = _is_header(first, last if len(head) > 1 else [])
    rows = itertools.chain(head[has_header:], lines)
    blocks, edges, numbers = [], [], []
    while block := list(itertools.islice(rows, ROWS)):
        cut = [_cut(line, separator, extra, path) for line in block]
        blocks.append(_numbers([inner for inner, _ in cut], block, separator, extra, path))
        edges += [outer for _, outer in cut]
        numbers += [number for number, _ in block]
    if not blocks:
        raise DataError(f"no images in '{path}': it has only a header", hint=HINT)
    names = [name.lower().strip("# ") for name in first] if has_header else []
    names = ["", *names] if len(names) == len(last) - 1 else names  # as R writes the names of rows
    names = names if len(names) == len(last) else []
    return _table(np.concatenate(blocks), np.array(edges, str).reshape(len(edges), -1), numbers, names, path)


def _cells(text: str, separator: str | None) -> list[str]:
    try:
        cells = next(csv.reader([text], delimiter=separator)) if separator else text.split()
    except csv.Error:  # a carriage return within the line
        cells = text.split(separator)
    return [cell.strip().replace(",", ".") for cell in cells]


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first row is a header: names above numbers, fewer names than columns, or the numbers of the columns."""
    if len(first) != len(second):
        return bool(second) or sum(map(is_number, first)) < PIXELS
    inner = [cell.strip() for cell in first[2:-2]]
    if all(cell.isdigit() for cell in inner) and {int(b) - int(a) for a, b in itertools.pairwise(inner)} == {1}:
        return True
    return any(not is_number(name) and is_number(value) for name, value in zip(first, second, strict=True))


def _cut(line: Line, separator: str | None, extra: int, path: Path) -> tuple[str, list[str]]:
    """Return a row without `extra` columns at either side, and those columns."""
    number, text = line[0], line[1] if separator == "," else line[1].replace(",", ".")  # decimal commas
    *left, rest = text.split(separator, extra) if extra else [text]
    inner, *right = rest.rsplit(separator, extra) if extra else [rest]
    if len(left) + len(right) != 2 * extra:
        raise _fault(number, f"{len(_cells(text, separator))} columns, expected {PIXELS + extra}", path)
    return inner, [cell.strip().strip("\"'") for cell in (*left, *right)]


def _numbers(inner: list[str], block: Sequence[Line], separator: str | None, extra: int, path: Path) -> NDArray[np.generic]:
    """Return rows as bytes if all are whole numbers up to 255, else as float32. Raises DataError."""
    try:
        values = np.loadtxt(inner, np.float32, comments=None, delimiter=separator, quotechar='"', ndmin=2)
        is_complete = values.shape == (len(block), PIXELS - extra)
    except ValueError:
        is_complete = False
    if not is_complete:
        raise _first_fault(block, separator, extra, path)
    return _whole(values)


def _whole(values: Array) -> NDArray[np.generic]:
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.uint8)
    return whole if np.array_equal(whole, values) else values


def _first_fault(block: Sequence[Line], separator: str | None, extra: int, path: Path) -> DataError:
    for number, text in block:
        cells = _cells(text, separator)
        if len(cells) != PIXELS + extra:
            return _fault(number, f"{len(cells)} columns, expected {PIXELS + extra}", path)
        odd = next((k for k in range(extra, PIXELS) if not is_number(cells[k])), None)
        if odd is not None:
            return _fault(number, f"'{cells[odd][:40]}' in column {odd + 1} is not a number", path)
    return _fault(block[0][0], "unreadable rows from here", path)


def _fault(number: int, reason: str, path: Path) -> DataError:
    return DataError(f"cannot read the data set '{path}': line {number}: {reason}", hint=HINT)


def _table(
    inner: NDArray[np.generic], edges: NDArray[np.str_], numbers: Sequence[int], names: Sequence[str], path: Path
) -> Table:
    """Put the columns together: which of those at the edges are pixels follows from their names, else from their values."""
    extra = edges.shape[1] // 2
    if not extra:
        return inner, None, ("all columns are pixels",)
    places = [*range(extra), *range(PIXELS, PIXELS + extra)]
    named = [names[place] if names else None for place in places]
    before = max(range(extra + 1), key=lambda count: (*_likelihood(edges, named, count), count))
    kept = slice(before, before + extra)
    for number, row in zip(numbers, edges[:, kept].tolist(), strict=True):
        if (odd := next((k for k, cell in enumerate(row) if not is_number(cell)), None)) is not None:
            column = places[before + odd] + 1
            raise _fault(number, f"'{row[odd][:40]}' in column {column} is not a number", path)
    outer = _whole(edges[:, kept].astype(np.float32))
    pixels = np.hstack([outer[:, : extra - before], inner, outer[:, extra - before :]])
    labels: NDArray[np.str_] | None = None
    notes: list[str] = []
    for k in sorted({*range(2 * extra)} - {*range(*kept.indices(2 * extra))}):
        role = _role(named[k], edges[:, k], is_lone=extra == 1, has_index=any("index" in note for note in notes))
        labels = edges[:, k] if role == "labels" and labels is None else labels
        notes.append(f"column {places[k] + 1} read as {role}")
    return pixels, labels, tuple(notes)


def _likelihood(edges: NDArray[np.str_], names: Sequence[str | None], before: int) -> tuple[int, int]:
    """Return how many columns are known by name, and how constant the others are, if `before` columns come before the pixels.

    The pixels at the corners of images are nearly constant; labels are not.
    """
    extra = edges.shape[1] // 2
    kept = range(before, before + extra)
    known = sum(names[k] in (*LABEL_NAMES, *INDEX_NAMES) for k in range(2 * extra) if k not in kept)
    counts = [Counter(edges[:, k].tolist()) for k in kept]
    return known, sum(max((number for text, number in count.items() if is_number(text)), default=0) for count in counts)


def _role(name: str | None, column: NDArray[np.str_], *, is_lone: bool, has_index: bool) -> str:
    """Return what a column that has no pixels is: labels, an index, or nothing."""
    if name in LABEL_NAMES:
        return "labels"
    if not any(column.tolist()):
        return "empty"
    digits = column.tolist()
    is_count = all(text.isdigit() for text in digits) and {int(b) - int(a) for a, b in itertools.pairwise(digits)} <= {1}
    if name in INDEX_NAMES or (is_count and not has_index and (len(digits) > 10 or not is_lone)):
        return "index"
    return "labels"
