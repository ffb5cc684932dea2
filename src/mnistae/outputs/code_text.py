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

MAX_ROW = 1 << 16
"""Limit of a row of a table in characters, over all its lines."""

MAX_JSON = 24 << 20
"""Limit of a JSON value in characters."""

HINT = "codes can be JSON, CSV or a similar table, .npy or .npz, as written by 'mnistae encode', NumPy or pandas"

RIGHT_CHECKPOINT = "use the checkpoint that the codes were encoded with (-c NAME)"

_DECODER = json.JSONDecoder(parse_constant=float, parse_int=float)  # float, to keep -0
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")
_NUMBER = re.compile(r"\s*[-+]?(?:(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)\s*", re.IGNORECASE)
_OTHERS = {"image", "label", "class"}  # columns of our own besides the code
_INK = re.compile(r"\S")
_GROUPED = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")  # perhaps a thousands separator
_MARKS = re.compile(r",|\s[-+.\d]")  # between the cells of other tables
_PRINTED = re.compile(r"\s*(?:(?:array|tensor)\(|\[+\s*[-+.\de]+\s+[-+.\d])")  # by Python, with spaces instead of commas

Note = Callable[[str], None]


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
    stream: io.BufferedReader, *, width: int, name: str, note: Note, origin: Callable[[Any], None] | None = None
) -> Iterator[Sequence[Any]]:
    """Yield the values of each code in a text in UTF-8 or UTF-16, as they arrive; they may be of any type.

    The stream is closed at the end. `width` is the expected number of values: it tells which columns of a table they are.
    `origin` is called with the checkpoint that a JSON document names. Raises DataError.
    """
    start = stream.peek(64)[:64]
    encoding = "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    first = start.decode(encoding, "ignore").lstrip()
    if _PRINTED.match(first):
        raise DataError(f"{name} is the printed text of an array", hint="write the array itself: np.save(FILE, codes)")
    with io.TextIOWrapper(stream, encoding, "replace", newline="") as text:
        if first.startswith(("{", "[")):
            yield from _json_rows(_Lines(text, name, MAX_JSON), width, name, origin)
        else:
            yield from _table_rows(_Lines(text, name, MAX_ROW), width, name, note)


def _json_rows(lines: _Lines, width: int, name: str, origin: Callable[[Any], None] | None) -> Iterator[Sequence[Any]]:
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
                if origin and isinstance(value, dict) and "checkpoint" in value:
                    origin(value["checkpoint"])
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
        elif isinstance(item, dict) and (places := _numbered(list(item), width)):
            code = [list(item.values())[place] for place in places]
            if any(isinstance(one, list | dict) for one in code):
                hint = "write it by rows, with pandas: df.to_json(orient='records')"
                raise DataError(f"JSON by columns in {name}", hint=hint)
            yield code
        else:
            found = (f"keys {', '.join(item)}" if item else "{}") if isinstance(item, dict) else json.dumps(item)
            hint = "expected arrays of numbers, or objects with a key 'code', 'codes' or 'images', or with 'c0', 'c1' and so on"
            raise DataError(f"JSON value without a code in {name}: '{found[:60]}'", hint=hint)


def _table_rows(lines: _Lines, width: int, name: str, note: Note) -> Iterator[Sequence[str]]:
    """Yield the values of each row of a table."""
    first, comments = _start(lines)
    if re.fullmatch(r"\s*\|.*\|\s*", first):
        raise DataError(f"{name} is a Markdown table", hint=HINT)
    cells = [cell.strip() for cell in first.split("|")]  # also of a name that contains "|"
    is_piped = len(cells) >= max(width, 2) and all(_NUMBER.fullmatch(cell) or not _MARKS.search(cell) for cell in cells)
    delimiter = next((mark for mark in (";\t|," if is_piped else ";\t,") if mark in first), " ")
    source: Iterable[str] = itertools.chain([first], lines)
    if delimiter == " ":
        source = (line.strip() for line in source)
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True)
    table = _cells(itertools.chain((line.split(delimiter.rstrip(" ") or None) for line in comments), reader), lines)
    head = list(itertools.islice(table, 3))
    headers, columns = _columns(head, width, name, note) if head else (0, [])
    seen = [row[column] for row in head[headers:] for column in columns if column < len(row)]
    has_commas = are_decimal = False
    for k, row in enumerate(itertools.chain(head[headers:], table)):
        if len(row) != len(head[headers]):
            reason = f"code {k} in {name} is in a row of {len(row)} columns; the first row has {len(head[headers])}"
            raise DataError(reason, hint="is the file truncated, or is a name that contains the delimiter not in quotes?")
        code = [row[column] for column in columns]
        if any("," in cell for cell in code) and all(map(_NUMBER.fullmatch, code)):
            seen += code if k >= len(head) - headers else []
            are_decimal = are_decimal or _are_decimal(seen, name)
            if not has_commas:
                has_commas = True
                note(f"{name}: commas read as decimal points")
            code = [cell.replace(",", ".") for cell in code]
        yield code
    counts = [(lines.empty, "without values skipped"), (lines.kept, "beginning with # read as codes")]
    counts += [(lines.comments[len(row)], "beginning with # skipped as comments") for row in head[headers:][:1]]
    for count, done in counts if head else ():
        if count:
            note(f"{name}: {counted(count, 'row')} {done}")


def _are_decimal(cells: Sequence[str], name: str) -> bool:
    """Whether the commas in numbers are certainly decimal points; a single '9,125' leaves that open. Raises DataError."""
    commas = [cell for cell in cells if "," in cell]
    if not all(map(_GROUPED.fullmatch, commas)):
        return True
    if len(commas) > 1 or any("." in cell for cell in cells):
        reason = f"unclear whether commas are decimal points or thousands separators in {name}: '{commas[0]}'"
        raise DataError(reason, hint="write the numbers with decimal points and without thousands separators")
    return False


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
    """Yield the rows of a table without blank lines and comments; where the first column is image, a name may begin with #."""
    first: list[str] = []
    for cells in reader:  # without csv.Error, as lines are limited
        row = [cell.strip() for cell in cells]
        lines.used = 0
        lines.empty += len(row) > 1 and not any(row)
        is_marked = any(row) and row[0].startswith("#")
        is_image = first[:1] == ["image"] and len(row) == len(first)
        if is_marked and not is_image:
            lines.comments[len(row)] += any(map(_NUMBER.fullmatch, row[1:]))
        elif any(row):
            first = first or row
            lines.kept += is_marked
            yield row


def _columns(head: Sequence[list[str]], width: int, name: str, note: Note) -> tuple[int, Sequence[int]]:
    """Return the number of header rows, 0 or 1, of a table that begins with `head`, and the columns of the code."""
    has_numbers = any(_NUMBER.fullmatch(cell) for row in head for cell in row)
    named = _header(head, width, name, note) if has_numbers else None
    body = head[1 if named else 0 :]
    if not (has_numbers and body):
        raise DataError(f"no codes in {name}, only text such as '{','.join(head[0])[:60]}'", hint=HINT)
    shift = len(body[0]) - (len(head[0]) if named else width)  # 1 with an index that no header names
    index = [row[0] for row in body]
    counts = [[str(start + k) for k in range(len(index))] for start in (0, 1)]
    if shift == 1 and not any(row[-1] for row in body):  # a delimiter ends each row
        shift = 0
    elif shift == 1 and ((len(index) > 1 and index in counts) or not any(map(_NUMBER.fullmatch, index))):
        note(f"{name}: first column skipped as an index ('{index[0]}')")
    elif shift:
        raise wrong_width(0, len(body[0]), width, name)
    return len(head) - len(body), [shift + place for place in named or range(width)]


def _header(head: Sequence[list[str]], width: int, name: str, note: Note) -> Sequence[int] | None:
    """Return the columns of the code that the first row names, or None if that row is a code.

    A row of counts, 0, 1, 2 and so on, as pandas writes it, is a header; but a short one, which may be a code, only above a row
    without whole numbers. A header without numbers names the code, after an index without a name.
    """
    first = head[0]
    places: Sequence[int] | None = _numbered(first, width)
    if places and all(map(str.isdecimal, first)):
        is_long = width > (2 if first[0] == "0" else 3)
        is_header = len(head) > 1 and (is_long or not any(map(str.isdecimal, head[1])))
        note(f"{name}: first row '{','.join(first)}' read as a {'header' if is_header else 'code'}")
        return places if is_header else None
    is_named = places and ({"", *_OTHERS} & {*first} or (width > 1 and not first[places[0]].isdecimal()))
    if not is_named and any(_NUMBER.fullmatch(cell) for k, cell in enumerate(first) if k not in (places or ())):
        return None
    if places is None:
        places = range(0 if first[0] else 1, len(first))
        if len(places) != width or any(map(_NUMBERED.fullmatch, first)) or _OTHERS & {*first}:
            hint = f"{RIGHT_CHECKPOINT}, or name the columns of the code c0 to c{width - 1}"
            raise DataError(f"no code of {width} values in the header of {name}: '{','.join(first)[:60]}'", hint=hint)
    skipped = [cell or "(unnamed)" for k, cell in enumerate(first) if k not in places and cell not in _OTHERS]
    if skipped or first[places[0]] != "c0":
        about = f", skipped: {', '.join(skipped)}" if skipped else ""
        note(f"{name}: columns '{first[places[0]]}' to '{first[places[-1]]}' read{about}")
    return places


def wrong_width(index: int, found: int, width: int, name: str) -> DataError:
    """Return the error of a code of `found` values where the checkpoint has a bottleneck of `width`."""
    hint = RIGHT_CHECKPOINT if found > 1 else HINT
    if found == 1:
        hint += "; put all numbers of a code in one row"
    elif found == 2 * width:
        hint += "; if the decimal points are commas, separate the values by semicolons"
    elif found in {width + 1, width + 2}:
        hint += f"; if only some of the columns are the code, name them c0 to c{width - 1} in a header"
    values = f"{found} value{'s' * (found != 1)}"
    return DataError(f"code {index} in {name} has {values}, expected {width} (the checkpoint's bottleneck)", hint=hint)


def _numbered(names: Sequence[str], width: int) -> list[int] | None:
    """Return the places of the names that are 0 to `width` - 1, or 1 to `width`, after one prefix, in this order; or None.

    The prefix is 'c', or else the only one that fits.
    """
    groups: dict[str, list[tuple[int, int]]] = {}
    for place, text in enumerate(names):
        match = _NUMBERED.fullmatch(text.strip())
        if match and not (match[1] and _NUMBER.fullmatch(text)):  # 0.1 and 1e+00 are no names
            groups.setdefault(match[1], []).append((int(match[2]), place))
    wanted = (list(range(width)), list(range(1, width + 1)))
    found = {prefix: sorted(group) for prefix, group in groups.items()}
    fitting = {prefix: [place for _, place in group] for prefix, group in found.items() if [k for k, _ in group] in wanted}
    return fitting.get("c") or (next(iter(fitting.values())) if len(fitting) == 1 else None)
