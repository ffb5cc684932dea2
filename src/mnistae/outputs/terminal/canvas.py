"""The capabilities of a terminal, and text of a fixed width."""

import unicodedata
from dataclasses import dataclass

from mnistae.core.text import escape

ANSI_COLOURS = (36, 33, 35, 32, 34, 31)  # cyan, yellow, magenta, green, blue, red


@dataclass(frozen=True)
class Canvas:
    """The size of a drawing in characters, and the capabilities of its terminal."""

    width: int
    height: int
    colours: int = 0  # number of colours: 0, 16, 256 or 2**24
    has_blocks: bool = False  # whether it supports characters beyond ASCII

    def coloured(self, text: str, number: int) -> str:
        """Return a text in one of six colours, by its number; without colours, unchanged."""
        return f"\x1b[{ANSI_COLOURS[number % len(ANSI_COLOURS)]}m{text}\x1b[0m" if self.colours else text


def padded(text: str, width: int) -> str:
    """Return foreign text, escaped, cut or padded to exactly `width` columns."""
    shown, used = "", 0
    for ch in escape(text):
        columns = 2 if unicodedata.east_asian_width(ch) in "WF" else 1
        if used + columns > width:
            break
        shown, used = shown + ch, used + columns
    return shown + " " * (width - used)
