"""SIGINT, SIGTERM and SIGHUP: an ending with 128 plus the signal's number, at once or after training has saved its work.

The first signal makes the ending; while that is under way another one changes nothing, so that a second Ctrl-C does not cost
the save; should it take longer than GRACE, another one ends the process on the spot.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

TERMINATION_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

GRACE = 5.0
"""Seconds that an ending may take."""

_IMPORTS = "<frozen importlib._bootstrap>"


class Interrupted(BaseException):
    """Somebody wants the process to end. No Exception: nothing may catch it by accident."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class StopRequest:
    """Whether, and by which signal, somebody asked for the end."""

    def __init__(self) -> None:
        self.number: int | None = None

    def is_set(self) -> bool:
        """Answer the training loop."""
        return self.number is not None


def install() -> None:
    """Let the ending signals end the process on the spot. One that the caller ignores (nohup) stays ignored."""
    for number in TERMINATION_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def raise_on_signal() -> None:
    """From here on the ending signals raise Interrupted, where `install` was called."""
    _swap_handlers(_end, _raise)


def restore_handlers() -> None:
    """Undo `catch`: the work is done, nothing is left to clean up."""
    _swap_handlers(_raise, _end)


@contextlib.contextmanager
def deferred() -> Iterator[StopRequest]:
    """Within the block a signal only makes the request: who runs it sees to the end."""
    request = StopRequest()
    grace_period = _GracePeriod()

    def note(number: int, frame: FrameType | None) -> None:
        if request.is_set():
            grace_period(number, frame)
            return
        grace_period.since = time.monotonic()
        request.number = number

    before = {number: signal.getsignal(number) for number in TERMINATION_SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, grace_period if request.is_set() and handler is _raise else handler)


class _GracePeriod:
    """The handler while an ending is under way."""

    def __init__(self) -> None:
        self.since = time.monotonic()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() - self.since > GRACE:
            _end(number, frame)


def _raise(number: int, frame: FrameType | None) -> None:
    # An import that is cut in its middle may swallow the exception or crash in C; and nothing is unfinished then.
    if _is_importing(frame):
        _end(number, frame)
    _swap_handlers(_raise, _GracePeriod())
    raise Interrupted(number)


def _end(number: int, _frame: FrameType | None) -> None:
    show_cursor()
    os._exit(128 + number)


def show_cursor() -> None:
    """Give the terminal its cursor back: a signal may come where a bar has hidden it and is not yet, or no longer, a bar."""
    with contextlib.suppress(OSError):
        if os.isatty(2) and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
            os.write(2, b"\x1b[?25h")


def _swap_handlers(old: object, new: "signal._HANDLER") -> None:
    for number in TERMINATION_SIGNALS:
        if signal.getsignal(number) is old:
            signal.signal(number, new)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTS:
        frame = frame.f_back
    return frame is not None
