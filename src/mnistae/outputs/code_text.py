"""The rows of codes in a text: JSON values of several shapes, or a table with or without a header."""

import contextlib
import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mnistae.core.errors import DataError
from mnistae.core.text import counted
from mnistae.outputs.code_columns import HINT, NUMBER, Note, choose, commented_header, numbered

BLOCK = 1024
"""Codes that are read, decoded and written together."""

MAX_ROW = 1 << 16
"""Limit of a row of a table in characters, over all its lines."""

MAX_JSON = 24 << 20
"""Limit of a JSON value in characters."""

BY_ROWS = "write it by rows, with pandas: df.to_json(orient='records')"

_DECODER = json.JSONDecoder(parse_constant=float, parse_int=float)  # float, to keep -0
_SUMMARIES = {"total", "totals", "sum", "count", "std"}  # names of rows that are not codes
_INK = re.compile(r"\S")
_GROUPED = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")  # perhaps a thousands separator
_MARKS = re.compile(r",|\s[-+.\d]")  # between the cells of other tables
_PRINTED = {
    "np.save(FILE, codes)": r"[\[(]*[\w.]*(?:array|tensor|float\d+)\(|parameter containing:|\[+\s*[-+.\deanif]+\s+[-+.\dani]",
    "write.csv(codes, FILE, row.names = FALSE)": r"(?:, , 1\s+)?\[(?:,\d+|\d+,)\]\s|(?:\[\[1\]\]\s+)?\[1\]\s+[-+.\d]",
    "writematrix(codes, 'codes.csv')": r"\w+ =\s*\n|columns \d+ (?:through|and) |\d\.\de[-+]\d+ \*",
    "writedlm(FILE, codes)": r"\d+(?:×\d+|-element) \w|float\d+\[",
}
"""Calls that write an array, and how its printed text begins: in Python, R, MATLAB and Julia."""


class _Lines(Iterator[str]):
    """The lines of a text, with a limit on the characters `used` since the last complete value.

    Counted are rows without values, `empty`, and those that begin with #: `kept`, and `comments` with numbers by their cells.
    """

    def __init__(self, text: io.TextIOWrapper, name: str, limit: int) -> None:
        self.text, self.name, self.limit = text, name, limit
        self.used = self.empty = self.kept = 0
        self.comments: Counter[int] = Counter()

    def __next__(self) -> str:
        line = self.text.readline(self.limit + 1)
        self.used += len(line)
        if self.used > self.limit:
            raise DataError(f"line or code longer than {self.limit:,} characters in {self.name}", hint=HINT)
        if not line:
            raise StopIteration
        return line


def rows(
    stream: io.BufferedReader, *, width: int, name: str, note: Note, check_origin: Callable[[Any], None] | None = None
) -> Iterator[Sequence[Any]]:
    """Yield the values of each code in a text in UTF-8 or UTF-16, as they arrive; they may be of any type.

    The stream is closed at the end. `width` is the expected number of values: it tells which columns of a table they are.
    `check_origin` is called with the checkpoint that a JSON document names. Raises DataError.
    """
    start = stream.peek(64)[:64]
    encoding = "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    first = start.decode(encoding, "ignore").lstrip()
    if call := next((call for call, pattern in _PRINTED.items() if re.match(pattern, first, re.IGNORECASE)), None):
        raise DataError(f"{name} is the printed text of an array", hint=f"write the array itself: {call}")
    with io.TextIOWrapper(stream, encoding, "replace", newline="") as text:
        if first.startswith(("{", "[")):
            yield from _json_rows(_Lines(text, name, MAX_JSON), width, name, check_origin)
        else:
            yield from _table_rows(_Lines(text, name, MAX_ROW), width, name, note)


def _json_rows(lines: _Lines, width: int, name: str, check_origin: Callable[[Any], None] | None) -> Iterator[Sequence[Any]]:
    """Yield the codes of JSON values, each of which may span several lines, or share one with others.

    A value that is not complete is tried again when the text has doubled: the time stays proportional to its length.
    """
    text, tried = "", 0
    for line in itertools.chain(lines, [""]):
        text += line
        if line and not (line.rstrip().endswith(("]", "}")) and len(text) >= 2 * tried):
            continue
        place = 0
        with contextlib.suppress(ValueError, RecursionError):  # incomplete, or too deep
            while found := _INK.search(text, place):
                value, place = _DECODER.raw_decode(text, found.start())
                if check_origin and isinstance(value, dict) and "checkpoint" in value:
                    check_origin(value["checkpoint"])
                yield from _codes_of(value, width, name)
        text = text[place:].lstrip()
        lines.used = tried = len(text)
    if text:
        raise DataError(f"malformed or truncated JSON in {name}: '{text[:40]}'", hint=HINT)


def _codes_of(value: Any, width: int, name: str) -> Iterator[Sequence[Any]]:
    """Yield the codes of a JSON value: an array of numbers, an object with a code, or any nesting of these."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list) and item and all(isinstance(one, list | dict) for one in item):
            stack += reversed(item)
        elif isinstance(item, list):
            yield item
        elif isinstance(item, dict) and (keys := item.keys() & {"code", "codes", "images"}):
            stack.append(item[min(keys)])
        elif isinstance(item, dict) and (places := numbered(list(item), width)):
            code = [list(item.values())[place] for place in places]
            if any(isinstance(one, list | dict) for one in code):
                raise DataError(f"JSON by columns in {name}", hint=BY_ROWS)
            yield code
        else:
            found = (f"keys {', '.join(item)}" if item else "{}") if isinstance(item, dict) else json.dumps(item)
            hint = "expected arrays of numbers, or objects with a key 'code', 'codes' or 'images', or with 'c0', 'c1' and so on"
            is_frame = isinstance(item, dict) and _is_frame(item, width)
            raise DataError(f"JSON value without a code in {name}: '{found[:60]}'", hint=BY_ROWS if is_frame else hint)


def _is_frame(item: dict[str, Any], width: int) -> bool:
    """Whether a JSON object is a data frame: pandas' orients split, table and index, or columns as many as units."""
    values = list(item.values())
    sizes = {len(one) if isinstance(one, list | dict) else -1 for one in values}
    is_even = len(sizes) == 1 and -1 not in sizes
    has_columns = is_even and (len(values) >= width or isinstance(values[0], dict))
    return has_columns or "columns" in item or {"schema", "data"} <= item.keys()


def _table_rows(lines: _Lines, width: int, name: str, note: Note) -> Iterator[Sequence[str]]:
    """Yield the values of each row of a table."""
    first, comments = _start(lines)
    if re.fullmatch(r"\s*\|.*\|\s*", first):
        raise DataError(f"{name} is a Markdown table", hint=HINT)
    cells = [cell.strip() for cell in first.split("|")]  # also of a name that contains "|"
    is_piped = len(cells) >= max(width, 2) and all(NUMBER.fullmatch(cell) or not _MARKS.search(cell) for cell in cells)
    delimiter = next((mark for mark in (";\t|," if is_piped else ";\t,") if mark in first), " ")
    source: Iterable[str] = itertools.chain([first], lines)
    if delimiter == " ":
        source = (line.strip() for line in source)
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True)
    table = _cells(itertools.chain((line.split(delimiter.rstrip(" ") or None) for line in comments), reader), lines)
    head = list(itertools.islice(table, 3))
    if not head:
        return
    head = [*commented_header(comments, delimiter, head[0], width), *head]
    headers, columns = choose(head, width, name, note)
    size = len(head[headers])
    codes = _codes_in(itertools.chain(head[headers:], table), size, columns, name)
    yield from _with_points(codes, name, note)
    counts = [(lines.empty, "without values skipped"), (lines.kept, "beginning with # read as codes")]
    counts += [(lines.comments[size], "beginning with # skipped as comments")]
    for count, done in counts:
        if count:
            note(f"{name}: {counted(count, 'row')} {done}")


def _codes_in(table: Iterable[list[str]], size: int, columns: Sequence[int], name: str) -> Iterator[list[str]]:
    """Yield the cells of each code in the rows of a table of `size` columns."""
    for k, row in enumerate(table):
        if len(row) != size:
            reason = f"code {k} in {name} is in a row of {len(row)} columns; the first row has {size}"
            raise DataError(reason, hint="is the file truncated, or is a name that contains the delimiter not in quotes?")
        if row[0].lower().rstrip(":") in _SUMMARIES:
            raise DataError(f"row '{row[0]}' in {name} is not a code", hint="remove this row")
        yield [row[column] for column in columns]


def _with_points(codes: Iterator[list[str]], name: str, note: Note) -> Iterator[list[str]]:
    """Yield codes, read in blocks, with points in place of decimal commas. Raises DataError."""
    comma, has_points = "", False  # a number with a decimal comma, or else the only one with any comma
    while block := list(itertools.islice(codes, BLOCK)):
        changed = [code for code in block if any("," in cell for cell in code) and all(map(NUMBER.fullmatch, code))]
        if not comma or _GROUPED.fullmatch(comma):
            has_points = has_points or any("." in cell for code in block for cell in code)
            commas = [cell for cell in itertools.chain([comma], *changed) if "," in cell]
            found = _decimal(commas, name, has_points=has_points)
            if found and not comma:
                note(f"{name}: commas read as decimal points")
            comma = found
        for code in changed:
            code[:] = [cell.replace(",", ".") for cell in code]
        yield from block


def _decimal(commas: Sequence[str], name: str, *, has_points: bool) -> str:
    """Return a number whose comma is certainly a decimal point, or else the only number with a comma, or ''.

    Raises DataError for several numbers such as '9,125', or for one beside numbers with points.
    """
    certain = next((cell for cell in commas if not _GROUPED.fullmatch(cell)), "")
    if not certain and (len(commas) > 1 or (commas and has_points)):
        reason = f"unclear whether commas are decimal points or thousands separators in {name}: '{commas[0]}'"
        hint = "write the numbers without thousands separators, and with decimal points or with four decimals"
        raise DataError(reason, hint=hint)
    return certain or "".join(commas)


def _start(lines: _Lines) -> tuple[str, list[str]]:
    """Return the first line of a table, and the comments above it."""
    comments = []
    for line in lines:
        if line.startswith("#"):
            comments.append(line)
        elif line.strip() and not line.startswith("sep="):
            return line, comments
    return "", comments


def _cells(reader: Iterable[list[str]], lines: _Lines) -> Iterator[list[str]]:
    """Yield the rows of a table without blank lines, comments, and empty cells at the end of the first row or beyond it.

    Where the first column is image, a name may begin with #.
    """
    first: list[str] = []
    for cells in reader:  # without csv.Error, as lines are limited
        row = [cell.strip() for cell in cells]
        lines.used = 0
        lines.empty += len(row) > 1 and not any(row)
        size = max((count for count, cell in enumerate(row, 1) if cell), default=0)
        row = row[: max(size, len(first))]
        is_marked = any(row) and row[0].startswith("#")
        is_image = first[:1] == ["image"] and len(row) == len(first)
        if is_marked and not is_image:
            lines.comments[len(row)] += any(map(NUMBER.fullmatch, row[1:]))
        elif any(row):
            first = first or row
            lines.kept += is_marked
            yield row
