"""The two streams: results on stdout, everything else on stderr."""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from mnistae.cli import terminal
from mnistae.core import environment
from mnistae.core.errors import OutputError
from mnistae.core.text import escape, safe_text
from mnistae.outputs.terminal.canvas import Canvas

if TYPE_CHECKING:
    from mnistae.data.sets.dataset import Progress

SCHEMA = 1
"""Version of every JSON document; it increases when a field is removed or changes its meaning."""

Preview = Callable[[Canvas], Sequence[str]]
"""Renders lines for a terminal. They may contain colour codes, so they are not escaped: foreign text in them must be."""


class StdoutClosedError(Exception):
    """The reader of our stdout has closed it."""


@dataclass(frozen=True)
class Reporter:
    """The output of one command."""

    command: str
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Suppress everything on stderr except errors.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False

    def __post_init__(self) -> None:
        for name, known in environment.misspelt().items():
            self.warn(f"unknown environment variable '{name}', did you mean '{known}'?")

    def info(self, text: str) -> None:
        """Write a line to stderr."""
        if not self.quiet:
            eprint(text)

    def warn(self, text: str) -> None:
        """Write a warning to stderr."""
        self.info(f"warning: {text}")

    def table(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows to stderr; the first one holds the headings."""
        for line in format_table(rows):
            self.info(line)

    def preview(self, render: Preview) -> None:
        """Show a preview on stderr if that is a terminal; otherwise nothing is rendered."""
        if not self.quiet and terminal.is_terminal(sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(_draw(render, sys.stderr))  # one write: others may use the same terminal
                sys.stderr.flush()

    def result(self, lines: Sequence[str], document: Mapping[str, Any], render: Preview | None = None) -> None:
        """Write the result to stdout: the document with --json, else the preview on a terminal, else the lines."""
        if self.as_json:
            write_json({"schema": SCHEMA, "command": self.command, **document})
        elif render is not None and terminal.is_terminal(sys.stdout):
            write_bytes(_draw(render, sys.stdout).encode("utf-8", "surrogateescape"))
        else:
            write("".join(f"{line}\n" for line in lines))

    @contextlib.contextmanager
    def progress(self, *, is_bytes: bool = True) -> "Iterator[Progress]":
        """Yield a function that reports progress: as a bar of bytes or steps on a terminal, elsewhere as one line per item."""
        report_once = functools.cache(self.info)
        if self.quiet or not terminal.can_redraw():
            yield lambda what, _done, _total: report_once(what)
            return
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from mnistae.cli import foreground

        amount = DownloadColumn() if is_bytes else MofNCompleteColumn()
        display = terminal.error_console()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
        bar, tasks = Progress(*columns, console=display), {}
        with foreground.live(bar, display) as is_visible:

            def show(what: str, done: int, total: int | None) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(safe_text(what), total=total)
                bar.update(tasks[what], completed=done, total=total)
                if not is_visible():
                    report_once(what)

            yield show


def eprint(text: str) -> None:
    """Write one line to stderr, escaped for a terminal. A closed stderr is not an error."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{escape(text)}\n")
        sys.stderr.flush()


def print_error(message: str, hint: str) -> None:
    """Write an error and its hint to stderr."""
    eprint(f"error: {message}")
    eprint(f"hint: {hint}")


def write(text: str) -> None:
    """Write text to stdout. Raises StdoutClosedError, OutputError."""
    shown = "\n".join(escape(line) for line in text.split("\n")) if terminal.is_terminal(sys.stdout) else text
    write_bytes(shown.encode("utf-8", "surrogateescape"))


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout, in ASCII; NaN and infinity become null."""
    finite = json.loads(json.dumps(document), parse_constant=lambda _constant: None)
    text = json.dumps(finite, indent=2)
    write(text.replace("\x7f", "\\u007f") + "\n")  # DEL is the one control character that JSON does not escape


def write_bytes(data: bytes) -> None:
    """Write all of the bytes to stdout. Raises StdoutClosedError, OutputError."""
    stream = sys.stdout
    if stream is None or stream.closed:
        raise OutputError("stdout is closed", hint="redirect it, or write to a file with -o")
    try:
        stream.flush()
        rest = memoryview(data)
        while rest:  # with PYTHONUNBUFFERED a write may be partial
            rest = rest[stream.buffer.write(rest) :]
        stream.buffer.flush()
    except BrokenPipeError:
        raise StdoutClosedError from None
    except OSError as error:
        if terminal.is_hangup(error):
            raise
        raise OutputError(f"cannot write to stdout: {error.strerror}", hint="is the disk full?") from error


def format_table(rows: Sequence[Sequence[object]], *, has_headings: bool = True) -> list[str]:
    """Return rows of cells as lines with aligned columns: text to the left, numbers below a heading to the right.

    Cells are escaped: they may contain foreign text, and tables are meant to be read even when piped.
    """
    from rich.cells import cell_len

    columns = []
    for column in zip(*rows, strict=True):
        cells = [escape(str(cell)) for cell in column]
        digits = [cell.replace(",", "").replace(".", "", 1).lstrip("-") for cell in cells[1:] if cell not in {"", "-"}]
        is_number = has_headings and len(cells) > 1 and all(map(str.isdigit, digits))
        width = max(map(cell_len, cells))
        spaces = [" " * (width - cell_len(cell)) for cell in cells]
        columns.append([space + cell if is_number else cell + space for cell, space in zip(cells, spaces, strict=True)])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]


def _draw(render: Preview, stream: TextIO) -> str:
    """Return a preview as text for this terminal, of whose height a few lines are left for the command's other output."""
    from rich.console import Console

    display = Console(file=stream)
    colours = {"standard": 16, "256": 256, "truecolor": 2**24}.get(display.color_system or "", 0)
    canvas = Canvas(
        width=min(display.width, 1000),
        height=min(max(display.height - 5, 8), 200),
        colours=0 if display.no_color else colours,
        has_blocks=terminal.supports_unicode(stream) and not display.legacy_windows,
    )
    return "".join(f"{line}\n" for line in render(canvas))
