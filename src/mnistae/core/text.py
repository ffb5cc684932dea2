"""Untrusted text made safe for a terminal, file names made from arguments, and CSV."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence

MAX_CHARACTERS = 200
MAX_STEM = 80


def safe_text(text: object) -> str:
    r"""Return `text` without a character that could steer a terminal.

    Whatever is not printable (C0, DEL, C1, bidirectional overrides, zero-width characters, surrogates,
    line separators) becomes `\xNN`, `\uNNNN` or `\UNNNNNNNN`; past 200 characters the text is cut.
    """
    shown = escape(str(text)[: MAX_CHARACTERS + 1])
    return shown if len(shown) <= MAX_CHARACTERS else shown[: MAX_CHARACTERS - 1] + "…"


def escape(text: str) -> str:
    """Return all of `text` with every character that is not printable spelled out."""
    return "".join(ch if ch.isprintable() else _escape(ch) for ch in text)


def _escape(ch: str) -> str:
    code = ord(ch)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def slug(words: Sequence[str]) -> str:
    """Return a file name's stem that follows from `words`: the same words, the same stem.

    Long lists are cut and closed with a digest of the whole, so that two of them do not share a name.
    """
    stem = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("._") or "x" for word in words)
    if len(stem) <= MAX_STEM:
        return stem
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{stem[:MAX_STEM]}-{digest}"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, a line each."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
