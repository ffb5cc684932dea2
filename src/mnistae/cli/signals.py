"""Signals end the process, at once or after training has saved its work; SIGINT, SIGTERM and SIGHUP by that signal itself.

A shell that sees a command end by SIGINT stops its own loop as well. The schedulers of clusters send SIGUSR1, SIGUSR2 or
SIGXCPU ahead of a time limit; after those the exit code is 128 plus the signal's number.

The first signal starts the shutdown. Further ones are ignored meanwhile, so that a second Ctrl-C does not cost the save; if the
shutdown takes longer than GRACE, the next one ends the process at once.
"""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
TERMINATION_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]

GRACE = 5.0
"""Seconds that a shutdown may take."""

_IMPORTS = "<frozen importlib._bootstrap>"


class Interrupted(BaseException):
    """A signal asks the process to end. Not an Exception, so that nothing catches it by accident."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class StopRequest:
    """The signal that has asked for the end, if any: a handler that ignores further signals until GRACE is over."""

    number: int | None = None
    _deadline = math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.number is None:
            self.number, self._deadline = number, time.monotonic() + GRACE
        elif time.monotonic() > self._deadline:
            _end(number, frame)


def install() -> None:
    """Let the signals end the process at once. One that the parent ignores (nohup) stays ignored."""
    for number in TERMINATION_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    if sys.platform != "win32":
        signal.signal(signal.SIGQUIT, _end)  # Ctrl-\
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, _suspend)  # Ctrl-Z


@contextlib.contextmanager
def as_exceptions() -> Iterator[None]:
    """Let the signals raise Interrupted within the block, if `install` has been called."""
    _swap_handlers(_end, _raise)
    yield
    _swap_handlers(_raise, _end)


@contextlib.contextmanager
def deferred() -> Iterator[StopRequest]:
    """Let a signal within this block, inside of one of `as_exceptions`, only set the request: the block has to end itself."""
    request = StopRequest()
    _swap_handlers(_raise, request)
    try:
        yield request
    finally:
        if request.number is None:
            _swap_handlers(request, _raise)
        if request.number is not None:  # perhaps since the line above
            _swap_handlers(_raise, request)


def _raise(number: int, frame: FrameType | None) -> None:
    # An import may swallow the exception or crash in C code; and during one there is no work to save.
    caller = frame
    while caller is not None and caller.f_code.co_filename != _IMPORTS:
        caller = caller.f_back
    if caller is not None:
        _end(number, frame)
    request = StopRequest()
    request(number, frame)
    _swap_handlers(_raise, request)
    raise Interrupted(number)


def exit_with(code: int) -> NoReturn:
    """End the process with an exit code; with that of SIGINT, SIGTERM or SIGHUP by the signal."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except OSError:  # what cannot be written is discarded: the interpreter's own last flush would fail and exit with 120
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, stream.fileno())
            os.close(devnull)
    if code - 128 in TERMINATION_SIGNALS:
        _end(code - 128, None)
    sys.exit(code)


def _end(number: int, _frame: FrameType | None) -> None:
    show_cursor()
    if sys.platform != "win32" and number in {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(128 + number)


def _suspend(number: int, _frame: FrameType | None) -> None:
    show_cursor()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)  # the process stops here until SIGCONT; then a bar draws itself again
    signal.signal(number, _suspend)


def show_cursor() -> None:
    """Show the terminal's cursor, which a progress bar may have hidden."""
    with contextlib.suppress(OSError):
        if os.isatty(2) and os.environ.get("TERM") not in {"dumb", "unknown"}:
            os.write(2, b"\x1b[?25h")


def _swap_handlers(old: object, new: "signal._HANDLER") -> None:
    for number in TERMINATION_SIGNALS:
        if signal.getsignal(number) is old:
            signal.signal(number, new)
