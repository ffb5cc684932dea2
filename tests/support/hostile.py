"""Text that controls a terminal or could be taken for markup, a check that none of it was printed, and a pickle that acts."""

import re
from pathlib import Path

from tests.support.client import Result

STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd\ud800-\udfff]")
"""Every control character except the line feed, characters that change the writing direction or have no width, surrogates,
and the replacement character.
"""

HOSTILE = [
    "\x1b]52;c;ZXZpbA==\x07",  # writes the clipboard
    "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",  # a link
    "\x1b]0;root#\x07",  # the window's title
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1bP+q544e\x1b\\",  # asks the terminal for an answer
    "\x1b[31mred\x1b[0m\x1b[?1049h",
    "\x9b31m\x9d0;x\x9c\x90q\x9c",  # the same in one character each
    "exe.\u202egnp\u2066x\u2069",
    "loss 0.1\rloss 9.9\b\b\b",
    "bell\a\x00nul\x7f",
    "one\ntwo\u2028three\u2029\x0b\x0c\x1c\x85",
    "a\u200bb\ufeffc\u200e",
    "\udcff\udc9b31m\ud800",
    "\x1b",
    "\x1b" * 500,
]
MARKUP = [
    "[red]x[/red]",
    "[/foo]",
    "[/]",
    "[link=file:etc]x[/link]",
    "\\[",
    "[bold",
    "[@click=app.quit]x",
    ":smile:",
    "$x$ {y}",
]


def steers(result: Result) -> bool:
    """Whether any output of a command could control a terminal."""
    return STEERING.search(result.out + result.err) is not None


class Canary:
    """An object that makes the file `mark` when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)
