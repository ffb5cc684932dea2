"""What the streams are connected to, and what can be shown there."""

import contextlib
import errno
import locale
import os
import stat
import sys
from typing import IO, TYPE_CHECKING, TextIO

from mnistae.core.environment import OFF

if TYPE_CHECKING:
    from rich.console import Console


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a stream is open and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def can_redraw() -> bool:
    """Whether a live bar can be drawn on stderr: on a capable terminal, in the foreground, and not in a notebook or in CI."""
    if not is_terminal(sys.stderr) or os.environ.get("TERM") in {"dumb", "unknown"}:
        return False
    if "JPY_PARENT_PID" in os.environ or os.environ.get("CI", "").lower() not in OFF:
        return False
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # not our controlling terminal
            return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    return True


def error_console() -> "Console":
    """Return a rich console on stderr."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False)


def supports_unicode(stream: TextIO) -> bool:
    """Whether a stream and the locale support characters beyond ASCII.

    In the C locale Python still writes UTF-8, so the stream's encoding alone is not enough.
    """
    encodings = [stream.encoding or "", "utf-8" if os.name == "nt" else locale.getencoding()]
    return all(encoding.lower().startswith("utf") for encoding in encodings)


def is_hangup(error: OSError) -> bool:
    """Whether a write failed because the terminal was closed: the error may arrive before SIGHUP does."""
    if error.errno != errno.EIO:
        return False
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return any(stat.S_ISCHR(os.fstat(stream.fileno()).st_mode) for stream in (sys.stdout, sys.stderr))
    return False
