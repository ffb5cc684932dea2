"""What a terminal can show, and text that keeps to its columns."""

import unicodedata
from dataclasses import dataclass

from mnistae.core.text import escape


@dataclass(frozen=True)
class Canvas:
    """Room for a drawing, in characters, and what may stand in it."""

    width: int
    height: int
    colours: int = 0  # how many it has: 0 for none, 16, 256 or 2**24
    has_blocks: bool = False  # whether it shows characters beyond ASCII


def padded(text: str, width: int) -> str:
    """Return foreign text, made safe, in exactly so many columns: cut or filled up."""
    shown, used = "", 0
    for ch in escape(text):
        columns = 2 if unicodedata.east_asian_width(ch) in "WF" else 1
        if used + columns > width:
            break
        shown, used = shown + ch, used + columns
    return shown + " " * (width - used)
