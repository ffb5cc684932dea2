"""The two streams: results on standard output, everything for people on standard error."""

import contextlib
import json
import locale
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TextIO

from mnistae.core.errors import OutputError, UsageError
from mnistae.core.text import escape, safe_text
from mnistae.outputs.terminal.canvas import Canvas

if TYPE_CHECKING:
    from rich.console import Console

    from mnistae.data.sets.dataset import Progress

SCHEMA = 1
"""Version of every JSON document; it grows when a field goes away or changes its meaning."""


Preview = Callable[[Canvas], Sequence[str]]
"""What draws into the room of a terminal: lines, which may carry colours and therefore no foreign text as it stands."""


class StdoutClosedError(Exception):
    """Whoever read our standard output does so no more."""


class Reporter:
    """One command's way to its user."""

    def __init__(self, command: str, *, quiet: bool, as_json: bool) -> None:
        self.command = command
        self.quiet = quiet
        self.as_json = as_json

    def note(self, text: str) -> None:
        """Tell something on standard error."""
        if not self.quiet:
            eprint(text)

    def warn(self, text: str) -> None:
        """Warn on standard error."""
        if not self.quiet:
            eprint(f"warning: {text}")

    def table(self, rows: Sequence[Sequence[object]]) -> None:
        """Show rows, the first of them headings, on standard error."""
        if not self.quiet:
            for line in format_table(rows):
                eprint(line)

    def draw(self, drawing: Preview) -> None:
        """Show a drawing on standard error if somebody looks at it there; elsewhere nothing is drawn at all."""
        if not self.quiet and is_terminal(sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(_joined(drawing(_canvas(sys.stderr))))  # at once: others may write to the same terminal
                sys.stderr.flush()

    def result(self, lines: Sequence[str], document: Mapping[str, Any], drawing: Preview | None = None) -> None:
        """Write the result to standard output: the lines, or the drawing on a terminal, or with --json the document."""
        if self.as_json:
            write_json({"schema": SCHEMA, "command": self.command, **document})
        elif drawing is not None and is_terminal(sys.stdout):
            write_bytes(_joined(drawing(_canvas(sys.stdout))).encode("utf-8", "surrogateescape"))
        else:
            write(_joined(lines))

    @contextlib.contextmanager
    def progress(self) -> "Iterator[Progress]":
        """Give a function that shows a bar for data on their way, on a terminal, or a line for each thing elsewhere."""
        if self.quiet or not is_terminal(sys.stderr):
            yield self._lines()
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=error_console(), transient=True) as bar:
            tasks: dict[str, Any] = {}

            def show(what: str, done: int, total: int | None) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(safe_text(what), total=total)
                bar.update(tasks[what], completed=done, total=total)

            yield show

    def _lines(self) -> "Progress":
        seen: set[str] = set()

        def show(what: str, _done: int, _total: int | None) -> None:
            if what not in seen:
                seen.add(what)
                self.note(what)

        return show


def eprint(text: str) -> None:
    """Write one line to standard error, made safe for a terminal. That nobody can read it is no reason to fail."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{escape(text)}\n")
        sys.stderr.flush()


def print_error(message: str, hint: str) -> None:
    """Tell on standard error what failed, and what may help."""
    eprint(f"error: {message}")
    eprint(f"hint: {hint}")


def write(text: str) -> None:
    """Write text to standard output. Raises ReaderGoneError, OutputError."""
    shown = "\n".join(escape(line) for line in text.split("\n")) if is_terminal(sys.stdout) else text
    write_bytes(shown.encode("utf-8", "surrogateescape"))


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to standard output, in ASCII; a number that is not finite becomes null."""
    text = json.dumps(_finite(document), indent=2, allow_nan=False)
    write(text.replace("\x7f", "\\u007f") + "\n")  # DEL is the one control character that JSON leaves as it is


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output, all of them. Raises ReaderGoneError, OutputError."""
    stream = sys.stdout
    if stream is None or stream.closed:
        raise OutputError("standard output is closed", hint="give the result somewhere to go")
    try:
        stream.flush()
        rest = memoryview(data)
        while rest:  # PYTHONUNBUFFERED leaves a stream that takes what the pipe takes
            rest = rest[stream.buffer.write(rest) :]
        stream.buffer.flush()
    except BrokenPipeError:
        raise StdoutClosedError from None
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}", hint="is the disk full?") from error


def check_stdout_takes_bytes(*, as_json: bool) -> None:
    """Raise UsageError if `-o -` makes no sense here."""
    if as_json:
        raise UsageError("--json and -o - both want standard output", hint="leave one of them out")
    if is_terminal(sys.stdout):
        raise UsageError("'-o -' writes the bytes of a file, and standard output is a terminal", hint="pipe it, or name a file")


def format_table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Return rows of cells as lines with aligned columns: text to the left, numbers to the right.

    A cell may carry foreign text, and a table is for people, who may look at it through a pipe.
    """
    cells = [[escape(str(cell)) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    is_number = [all(_reads_as_number(cell) for cell in column) for column in zip(*cells[1:], strict=True)]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, is_number or [False] * len(widths), strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether somebody looks at this stream."""
    return stream is not None and not stream.closed and stream.isatty()


def error_console() -> "Console":
    """Return rich's console on standard error."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False)


def supports_unicode(stream: TextIO) -> bool:
    """Whether a stream, and whoever set the locale, takes characters beyond ASCII.

    In the C locale Python writes UTF-8 all the same, so the stream's encoding alone does not tell.
    """
    encodings = [stream.encoding or "", "utf-8" if os.name == "nt" else locale.getencoding()]
    return all(encoding.lower().startswith("utf") for encoding in encodings)


def _canvas(stream: TextIO) -> Canvas:
    """Return the room that a terminal has for a drawing, some lines left for what else a command says."""
    from rich.console import Console

    terminal = Console(file=stream)
    colours = {"standard": 16, "256": 256, "truecolor": 2**24}.get(terminal.color_system or "", 0)
    return Canvas(
        width=min(terminal.width, 1000),
        height=min(max(terminal.height - 4, 8), 200),
        colours=0 if terminal.no_color else colours,
        has_blocks=supports_unicode(stream) and not terminal.legacy_windows,
    )


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _reads_as_number(cell: str) -> bool:
    return cell in {"", "-"} or cell.replace(",", "").replace(".", "", 1).lstrip("-").isdigit()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
