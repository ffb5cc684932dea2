"""The capabilities of a terminal, and text of a fixed width."""

import unicodedata
from dataclasses import dataclass

from mnistae.core.text import escape


@dataclass(frozen=True)
class Canvas:
    """The size of a drawing in characters, and the capabilities of its terminal."""

    width: int
    height: int
    colours: int = 0  # number of colours: 0, 16, 256 or 2**24
    has_blocks: bool = False  # whether it supports characters beyond ASCII


def padded(text: str, width: int) -> str:
    """Return foreign text, escaped, cut or padded to exactly `width` columns."""
    shown, used = "", 0
    for ch in escape(text):
        columns = 2 if unicodedata.east_asian_width(ch) in "WF" else 1
        if used + columns > width:
            break
        shown, used = shown + ch, used + columns
    return shown + " " * (width - used)
