"""Data sets as CSV: one image of 784 pixels per row, with or without a header, a label and an index."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.config import PIXELS
from mnistae.core.errors import DataError
from mnistae.core.files import kinds
from mnistae.core.text import counted
from mnistae.data.sets.dataset import SPLIT_WORDS, mentions
from mnistae.data.sets.labels import is_number

MAX_TEXT = 2**29  # bytes, unpacked; 60,000 images of MNIST are 110 MB
MAX_LINE = 2**16
MAX_CELL = 128  # characters of a label
ROWS = 4096  # rows converted together
HEAD = 5  # lines of which the first may be comments
LABELS_BELOW = 100  # a pixel at a corner that is not constant has higher values

MARKS = ";\t|,"

OTHER_LABEL_NAMES = {"letter", "character", "char", "symbol", "class_name", "class_label", "classes", "targets", "digits"}
"""The names of columns of labels if no column has one of the more usual names."""

LABEL_NAMES = {"label", "labels", "class", "target", "y", "digit", "category"} | OTHER_LABEL_NAMES
NO_LABEL_NAMES = {"split", "splits", "subset", "usage", "partition", "fold", "phase", "is_train", "is_test"}
SPLIT_NAMES = {"set", "dataset", "train", "test"} | NO_LABEL_NAMES
INDEX_NAMES = ("", "unnamed: 0", "index", "idx", "id", "imageid", "#")

ROW_NAMES = ("r", "row", "rows", "y", "line", "h", "height")
COLUMN_NAMES = ("c", "col", "cols", "column", "columns", "x", "w", "width")
_WORD = re.compile(r"(?:pixel|pix)?([a-z]{0,9})[^a-z0-9]{0,3}[0-9]{1,9}")  # before a number in the name of a column of pixels

HINT = f"give one image per row: {PIXELS} columns of pixels, and if there are labels, one column before or after them"

Line = tuple[int, str]


@dataclass(frozen=True)
class _Sheet:
    """The rows below the header, and the names of the columns if there are any, else None for each."""

    rows: Sequence[Line]
    names: Sequence[str | None]
    separator: str
    path: Path

    def pixels(self, columns: Sequence[int]) -> NDArray[Any]:
        """Return columns as bytes if all are whole numbers up to 255, else as float32. Raises DataError."""
        blocks: list[NDArray[Any]] = []
        for done in range(0, len(self.rows), ROWS):
            values = self.load(self.rows[done : done + ROWS], np.float32, columns)
            with np.errstate(invalid="ignore"):
                whole = values.astype(np.uint8)
            blocks.append(whole if np.array_equal(whole, values) else values)
        return np.concatenate(blocks)

    def load(self, rows: Sequence[Line], dtype: Any, columns: Sequence[int]) -> NDArray[Any]:
        """Return columns of rows as an array. Raises DataError."""
        has_commas = self.separator != "," and dtype is np.float32  # decimal commas; those in labels may mean something else
        texts = [text.replace(",", ".") if has_commas else text for _, text in rows]
        try:
            return np.loadtxt(texts, dtype, None, self.separator, ndmin=2, usecols=columns, quotechar='"')
        except ValueError as error:
            match = re.fullmatch(r"could not convert string ['\"].* to float32 at row (\d+), column (\d+)\.", str(error))
            number, text = rows[int(match[1]) if match else 0]
            cell = _cells(text, self.separator)[int(match[2]) - 1][:40] if match else ""
            reason = f"'{cell}' in column {match[2]} is not a number" if match else "unreadable rows from here"
            raise self.fault(number, reason) from error

    def fault(self, number: int, reason: str) -> DataError:
        """Return the error of a line."""
        return DataError(f"cannot read the data set '{self.path}': line {number}: {reason}", hint=HINT)


def read(data: bytes, path: Path) -> tuple[NDArray[Any], NDArray[np.str_] | None, NDArray[np.str_] | None, tuple[str, ...]]:
    """Return pixels (N, 784), labels (N,) and splits (N,) as text if there are any, and what the columns were taken for.

    A split is 'train', 'test', 'validation' or empty. `data` is the content of the CSV file `path`, which may be compressed by
    gzip. Raises DataError.
    """
    sheet = _sheet(data, path)
    extra = len(sheet.names) - PIXELS
    outer: dict[int, NDArray[np.str_]] = {}
    cut: dict[int, NDArray[np.bool_]] = {}
    if places := [*range(extra), *range(PIXELS, PIXELS + extra)]:
        cells = sheet.load(sheet.rows, f"U{MAX_CELL}", places)
        cut = dict(zip(places, (np.char.str_len(cells) == MAX_CELL).T, strict=True))
        texts = [_pointed(cell, sheet.separator) for cell in np.char.strip(cells, " \"'").flat]
        outer = dict(zip(places, np.reshape(texts, cells.shape).T, strict=True))
    judged = {place: _judge(place, column, sheet.names) for place, column in outer.items()}
    modes = {place: Counter(column.tolist()).most_common(1)[0][1] for place, column in outer.items()}

    # Pixels at corners are nearly constant; where nothing shows which column is the label, it is the first.
    likelihoods = []
    for before in range(extra + 1):
        certain = sum(certainty for place, (certainty, _) in judged.items() if not before <= place < before + PIXELS)
        constant = sum(mode for place, mode in modes.items() if before <= place < before + PIXELS)
        likelihoods.append((certain, constant, before))
    start = max(likelihoods)[-1]
    columns = range(start, start + PIXELS)
    if inner := [place for place in columns if sheet.names[place] in LABEL_NAMES]:
        if inner[0] in {columns[0], columns[-1]}:
            raise DataError(f"{PIXELS - 1} columns of pixels, expected {PIXELS}: '{path}'", hint=HINT)
        what = f"column {inner[0] + 1} ('{sheet.names[inner[0]]}') is among the pixels: '{path}'"
        raise DataError(what, hint="move it before or after them")
    roles = {place: role for place, (_, role) in judged.items() if place not in columns}
    place, notes = _choose(roles, sheet)
    if place is not None and cut[place].any():
        raise sheet.fault(sheet.rows[int(cut[place].argmax())][0], f"a label has {MAX_CELL} characters or more")
    ordered, order = _in_order(columns, sheet.names)
    splits = next((splits_in(outer[place]) for place, role in roles.items() if role == "splits"), None)
    return sheet.pixels(ordered), None if place is None else outer[place], splits, notes + order


def splits_in(column: NDArray[np.str_]) -> NDArray[np.str_] | None:
    """Return the split (N,) that each text mentions: 'train', 'test', 'validation', or '' if the text is empty.

    Return None if a text mentions no split or several, or if all are empty.
    """
    found = {cell: mentions(str(cell)) for cell in {*column.tolist()}}
    if {len(splits) for cell, splits in found.items() if cell} != {1}:
        return None
    return np.array([next(iter(found[cell]), "") for cell in column.tolist()])


def _in_order(columns: Sequence[int], names: Sequence[str | None]) -> tuple[list[int], tuple[str, ...]]:
    """Return columns of pixels in the order of the numbers in their names, 1x2 before 1x10, and a note if that is another.

    An order by rows or by columns is kept, unless words such as r0c0 and x0y0 say which number is the row.
    """
    numbers = {tuple(map(int, re.findall(r"[0-9]{1,9}", names[place] or ""))): place for place in columns}
    by_row, by_column = sorted(numbers), sorted(numbers, key=lambda own: own[::-1])
    letters = {re.sub("[^a-z]", "", names[place] or "") for place in columns}
    if len(numbers) < len(columns) or len(letters) > 1:
        return list(columns), ()
    first, second = ["", "", *_WORD.findall(names[columns[0]] or "")][-2:]
    is_row_first = first in ROW_NAMES and second in COLUMN_NAMES
    is_column_first = first in COLUMN_NAMES and second in ROW_NAMES
    wanted = by_column if is_column_first else by_row
    if [*numbers] == wanted or ([*numbers] == by_column and not is_row_first):
        return list(columns), ()
    meaning = f", read as {'column and row' if is_column_first else 'row and column'}" if len(by_row[0]) == 2 else ""
    note = f"pixels sorted by the numbers in the names of their columns{meaning}"
    return [numbers[own] for own in wanted], (note,)


def _choose(roles: dict[int, str], sheet: _Sheet) -> tuple[int | None, tuple[str, ...]]:
    """Return which of the columns without pixels has the labels, and what each was taken for. Raises DataError."""
    usual = [place for place in roles if sheet.names[place] in LABEL_NAMES - OTHER_LABEL_NAMES]
    likely = [place for place, role in roles.items() if role == "labels"]
    named = [place for place in likely or roles if sheet.names[place] in OTHER_LABEL_NAMES]
    found = usual[:1] or named[:1] or likely
    if len(found) > 1:
        what = f"{len(sheet.names)} columns, but it is unclear which one holds the labels: '{sheet.path}'"
        raise DataError(what, hint="add a header in which it is named 'label', or remove the column that is no pixel or label")
    roles |= {place: "labels" for place in found if roles[place] == "index"}
    others = [place for place, role in roles.items() if role == "labels" and place not in found]
    others += [place for place, role in roles.items() if role == "splits"][1:]
    roles |= {place: "other values" + (f": '{sheet.names[place]}'" if sheet.names[place] else "") for place in others}
    notes = [f"column {place + 1} read as {role}" for place, role in roles.items()] or ["all columns are pixels"]
    return found[0] if found else None, tuple(notes)


def read_labels(data: bytes, path: Path) -> NDArray[np.str_]:
    """Return the labels in a CSV file of one column, or of an index and one; a header is optional. Raises DataError."""
    lines, separator = _lines(data, path)
    rows = [[_pointed(cell.strip("\"'"), separator) for cell in _cells(text, separator)] for _, text in lines]
    is_first = rows[0][0].lower() in LABEL_NAMES and rows[0][-1].lower() not in LABEL_NAMES
    label, index = (0, -1) if is_first else (-1, 0)
    if {len(row) for row in rows} not in ({1}, {2}) or (len(rows[0]) == 2 and len({row[index] for row in rows}) < len(rows)):
        raise DataError(f"more than one column of labels in '{path}'", hint="save one label per row")
    texts = [row[label] for row in rows]
    is_name = texts[0].lower() in LABEL_NAMES and not (texts[0].lower() in OTHER_LABEL_NAMES and texts[0] in texts[1:])
    return np.array(texts[is_name or (not is_number(texts[0]) and is_number(texts[-1])) :])


def _sheet(data: bytes, path: Path) -> _Sheet:
    lines, separator = _lines(data, path)
    head = [[_pointed(cell, separator) for cell in _cells(text, separator)] for _, text in lines[:HEAD]]
    start = next((k for k, cells in enumerate(head) if len(cells) >= PIXELS), 0)
    first, second = (*head[start:], ["0"] * len(head[start]))[:2]
    width = len(second)
    if not PIXELS <= width <= PIXELS + 2:
        expected = f"expected {PIXELS} of pixels, with or without a label and an index"
        raise DataError(f"'{path}' has {counted(width, 'column')}, {expected}", hint=HINT)
    # A header has names above numbers, fewer names than columns, or the numbers of the columns.
    inner = first[2:-2]
    is_count = all(cell.isdigit() for cell in inner) and len(set(inner)) == len(inner)
    is_above = any(not is_number(name) and is_number(value) for name, value in zip(inner, second[2:-2], strict=False))
    has_header = len(first) != width or is_count or is_above
    names = [name.lower().strip("# ") for name in first] if has_header else []
    if len(names) == width - 1:  # R names the rows, others end each with a separator
        names = ["", *names] if second[-1] else [*names, ""]
    sheet = _Sheet(lines[start + has_header :], names if len(names) == width else [None] * width, separator, path)
    if not sheet.rows:
        raise DataError(f"no images in '{path}': it has only a header", hint=HINT)
    for number, text in sheet.rows:
        if text.count(separator) != width - 1 and (count := len(_cells(text, separator))) != width:
            raise sheet.fault(number, f"{counted(count, 'column')}, expected {width}")
    return sheet


def _lines(data: bytes, path: Path) -> tuple[list[Line], str]:
    """Return the lines that are not blank, and what separates their columns."""
    stream = io.BytesIO(data)
    try:
        with gzip.open(stream) if data.startswith(kinds.GZIP) else stream as file:
            is_wide = file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
            file.seek(0)
            lines = list(_texts(file, "utf-16" if is_wide else "utf-8", path))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read the data set '{path}': damaged or truncated ({error})", hint=HINT) from error
    if not lines:
        raise DataError(f"'{path}' is empty", hint=HINT)
    if lines[0][1].startswith("\ufffd\ufffd") or "\0" in lines[0][1]:
        raise DataError(f"cannot read the data set '{path}': it is not UTF-8 text", hint="save it as CSV in UTF-8")
    sample = lines[:HEAD][-1][1]
    least = PIXELS - 1 if any(sample.count(mark) >= PIXELS - 1 for mark in MARKS) else 1  # labels may have such marks
    separator = next((mark for mark in MARKS if sample.count(mark) >= least), " ")
    if separator == " ":
        lines = [(number, " ".join(text.split())) for number, text in lines]
    return lines, separator


def _pointed(cell: str, separator: str) -> str:
    """Return a number with a decimal point in place of a decimal comma; a text keeps its commas."""
    pointed = cell.replace(",", ".")
    return pointed if separator != "," and is_number(pointed) else cell


def _texts(file: io.BytesIO | gzip.GzipFile, encoding: str, path: Path) -> Iterator[Line]:
    stream = io.TextIOWrapper(file, encoding, "replace")
    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), ""), 1):
        if len(line) > MAX_LINE or file.tell() > MAX_TEXT:
            what = f"line {number} is longer than {MAX_LINE >> 10} KiB" if len(line) > MAX_LINE else "it is too large"
            raise DataError(f"cannot read the data set '{path}': {what}", hint=f"{HINT}; at most {MAX_TEXT >> 20} MiB")
        text = line.removeprefix("\ufeff").rstrip("\n")  # also within the file, where files were joined
        if text.strip():
            yield number, text


def _cells(text: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text], delimiter=separator))]


def _judge(place: int, column: NDArray[np.str_], names: Sequence[str | None]) -> tuple[int, str]:
    """Return how certain it is that a column has no pixels, and what it has then."""
    name, cells = names[place], set(column.tolist())
    are_words = all(re.fullmatch(SPLIT_WORDS, cell) for cell in cells)
    is_split = name not in LABEL_NAMES and (are_words or (name in SPLIT_NAMES and splits_in(column) is not None))
    is_text = not all(map(is_number, cells))
    is_distinct = len(cells) == len(column) > 10
    is_small = not is_text and len(cells) > 1 and all(float(cell) in range(LABELS_BELOW) for cell in cells)
    is_index = name in INDEX_NAMES or (is_distinct and name not in LABEL_NAMES - OTHER_LABEL_NAMES)
    role = "empty" if cells == {""} else "splits" if is_split else "index" if is_index else "labels"
    if role == "labels" and name in NO_LABEL_NAMES:
        role = f"other values: '{name}'"
    letters = [own and re.sub(r"[0-9'\"]", "", own) for own in (name, *names[2:PIXELS])]
    is_named = name in {*LABEL_NAMES, *INDEX_NAMES, *SPLIT_NAMES} or letters[0] not in letters[1:]
    return 10 * is_named + (1 if is_distinct else 2 * (is_text or is_small)), role
