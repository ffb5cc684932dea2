"""SIGINT, SIGTERM and SIGHUP: at once an ending, or during training a wish that the loop grants at its next step."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(BaseException):
    """Somebody wants the process to end. No Exception: nothing may catch it by accident."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class StopRequest:
    """Whether, and by which signal, somebody asked for the end."""

    def __init__(self) -> None:
        self.number: int | None = None

    def is_made(self) -> bool:
        """Answer the training loop."""
        return self.number is not None


def install() -> None:
    """Let the ending signals raise Interrupted. A signal that the caller ignores (nohup) stays ignored."""
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


@contextlib.contextmanager
def deferred() -> Iterator[StopRequest]:
    """Within the block a first signal only makes the request; a second one ends the block at once."""
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        if request.is_made():
            _raise(number, frame)
        request.number = number

    before = {number: signal.getsignal(number) for number in ENDINGS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)
