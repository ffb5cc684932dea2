"""Which columns of a table are the code: those that a header names, those after an index, or all."""

import re
import string
from collections.abc import Callable, Sequence

from mnistae.core.errors import DataError
from mnistae.data.sets.csv_file import INDEX_NAMES, LABEL_NAMES, SPLIT_NAMES

HINT = "codes can be JSON, CSV or a similar table, .npy or .npz, as written by 'mnistae encode', NumPy or pandas"

RIGHT_CHECKPOINT = "use the checkpoint that the codes were encoded with (-c NAME)"

NUMBER = re.compile(r"\s*[-+]?(?:(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")
_OTHERS = {"image", "label", "class"}  # columns of our own besides the code
_NO_UNITS = {*INDEX_NAMES, *LABEL_NAMES, *SPLIT_NAMES, "image", "row", "number", "num", "no", "nr", "n", "i", "sample"}
_LETTERS = ",".join(string.ascii_lowercase)

Note = Callable[[str], None]


def commented_header(comments: Sequence[str], delimiter: str, row: Sequence[str], width: int) -> list[list[str]]:
    """Return the comment above a table whose first row is a code; nothing if it does not name an index, a label or a unit."""
    names = [cell.strip() for line in comments[-1:] for cell in line.lstrip("# ").split(delimiter.rstrip(" ") or None)]
    is_code = any(map(NUMBER.fullmatch, row)) and not numbered(row, width)
    if not is_code or len(names) != len(row) or any(map(NUMBER.fullmatch, names)):
        return []
    ends = names[:1] if delimiter == " " else names  # the last word of a sentence may be digit
    return [names] if any(map(_NUMBERED.fullmatch, names)) or _has_index_or_label(ends) else []


def choose(head: Sequence[list[str]], width: int, name: str, note: Note) -> tuple[int, Sequence[int]]:
    """Return the number of header rows, 0 or 1, of a table that begins with `head`, and the columns of the code."""
    has_numbers = any(NUMBER.fullmatch(cell) for row in head for cell in row)
    named = _header(head, width, name, note) if has_numbers else None
    body = head[1 if named else 0 :]
    if not (has_numbers and body):
        raise DataError(f"no codes in {name}, only text such as '{','.join(head[0])[:60]}'", hint=HINT)
    shift = len(body[0]) - (len(head[0]) if named else width)  # 1 with an index that no header names
    index = [row[0] for row in body]
    counts = [[str(start + k) for k in range(len(index))] for start in (0, 1)]
    if shift == 1 and ((len(index) > 1 and index in counts) or not any(map(NUMBER.fullmatch, index))):
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
    places: Sequence[int] | None = numbered(first, width)
    if places and all(map(str.isdecimal, first)):
        is_long = width > (2 if first[0] == "0" else 3)
        is_header = len(head) > 1 and (is_long or not any(map(str.isdecimal, head[1])))
        note(f"{name}: first row '{','.join(first)}' read as a {'header' if is_header else 'code'}")
        return places if is_header else None
    is_named = places and ({"", *_OTHERS} & {*first} or (width > 1 and not first[places[0]].isdecimal()))
    if not is_named and any(NUMBER.fullmatch(cell) for k, cell in enumerate(first) if k not in (places or ())):
        return None
    if places is None:
        places = range(0 if first[0] else 1, len(first))
        has_others = any(map(_NUMBERED.fullmatch, first)) or _OTHERS & {*first} or _has_index_or_label(first[places.start :])
        if len(places) != width or has_others:
            hint = f"{RIGHT_CHECKPOINT}, or name the columns of the code c0 to c{width - 1}"
            raise DataError(
                f"the header of {name} does not name the {width} columns of a code: '{','.join(first)[:60]}'", hint=hint
            )
    skipped = [cell or "(unnamed)" for k, cell in enumerate(first) if k not in places and cell not in _OTHERS]
    if skipped or first[places[0]] != "c0":
        about = f", skipped: {', '.join(skipped)}" if skipped else ""
        note(f"{name}: columns '{first[places[0]]}' to '{first[places[-1]]}' read{about}")
    return places


def _has_index_or_label(names: Sequence[str]) -> bool:
    """Whether the first or last name is that of an index, a label or a split, such as row or image_id; not x and y."""
    words = {re.split(r"[\W_]+", name.lower().strip("#._ "))[-1] for name in (names[0], names[-1])}
    return bool(words & _NO_UNITS) and ",".join(names).lower() not in _LETTERS


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


def numbered(names: Sequence[str], width: int) -> list[int] | None:
    """Return the places of the names that are 0 to `width` - 1, or 1 to `width`, after one prefix, in this order; or None.

    The prefix is 'c', or else the only one that fits.
    """
    groups: dict[str, list[tuple[int, int]]] = {}
    for place, text in enumerate(names):
        match = _NUMBERED.fullmatch(text.strip())
        if match and not (match[1] and NUMBER.fullmatch(text)):  # 0.1 and 1e+00 are no names
            groups.setdefault(match[1], []).append((int(match[2]), place))
    wanted = (list(range(width)), list(range(1, width + 1)))
    found = {prefix: sorted(group) for prefix, group in groups.items()}
    fitting = {prefix: [place for _, place in group] for prefix, group in found.items() if [k for k, _ in group] in wanted}
    return fitting.get("c") or (next(iter(fitting.values())) if len(fitting) == 1 else None)
