"""Untrusted text made safe for a terminal, file names made from arguments, and CSV."""

import csv
import difflib
import hashlib
import io
import unicodedata
from collections.abc import Iterable, Sequence

MAX_CHARACTERS = 200
MAX_STEM = 80
"""Bytes of a file name's stem, without its digest."""

_KEPT = ("L", "M", "N", "So", "Sk")  # letters, marks, numbers, emoji


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: '1 class', '2,000 classes', '3 images'."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def quoted(names: Iterable[str]) -> str:
    """Return names as text, at most four of them, and how many more there are."""
    ordered = list(names)
    return ", ".join(f"'{name}'" for name in ordered[:4]) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")


def suggestion(name: str, valid: Iterable[str], *, otherwise: str) -> str:
    """Return the hint for an unknown name: the valid one that is most like it, or else this text."""
    names = {one.lower(): one for one in valid}
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"did you mean '{names[close[0]]}'?" if close else otherwise


def safe_text(text: object) -> str:
    r"""Return `text` without characters that could control a terminal, cut to 200 characters.

    What is not printable (C0, DEL, C1, bidirectional overrides, zero-width characters, surrogates, line separators)
    becomes `\n`, `\xNN`, `\uNNNN` or `\UNNNNNNNN`.
    """
    shown = escape(str(text)[: MAX_CHARACTERS + 1])
    return shown if len(shown) <= MAX_CHARACTERS else shown[: MAX_CHARACTERS - 1] + "…"


def safe_repr(value: object) -> str:
    """Return the repr of a value that a caller passed, as `safe_text`."""
    try:
        return safe_text(repr(value))
    except ValueError:  # an int of more digits than sys.get_int_max_str_digits()
        return f"<{type(value).__name__} too long to print>"


def escape(text: str) -> str:
    """Return `text` with every character that is not printable escaped as in Python."""
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in text)


def slug(words: Sequence[str], *, identity: Sequence[str] | None = None) -> str:
    """Return a file name's stem derived from `words`: letters of all scripts, digits and symbols stay, the rest becomes _.

    It ends with a digest of `identity` if that is given, and of the words if it is too long for a file name.
    """
    kept = ["".join(ch if ch in "._" or unicodedata.category(ch).startswith(_KEPT) else " " for ch in word) for word in words]
    stem = "-".join("_".join(word.strip("._ ").split()) or "x" for word in kept)
    short = stem.encode()[:MAX_STEM].decode(errors="ignore")
    if identity is None and short == stem:
        return stem
    digest = hashlib.sha256("\0".join(identity or words).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{short}-{digest}"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, a line each."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
