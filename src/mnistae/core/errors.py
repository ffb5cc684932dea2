"""The one family of expected failures. Everything else keeps its traceback."""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process answers to its caller. The README has the same table."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CHECKPOINT = 3
    DATA = 4
    DEVICE = 5
    DIVERGED = 6
    OUTPUT = 7
    LOCKED = 8
    SIGHUP = 129
    SIGINT = 130
    SIGPIPE = 141
    SIGTERM = 143


class MnistaeError(Exception):
    """An expected failure: one line that says what happened, and a hint that names the next step."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MnistaeError):
    """An argument, an option or an environment variable that makes no sense."""

    exit_code = ExitCode.USAGE


class CheckpointError(MnistaeError):
    """A checkpoint that is missing, damaged or not ours."""

    exit_code = ExitCode.CHECKPOINT


class DataError(MnistaeError):
    """Data that is missing, damaged or unreachable."""

    exit_code = ExitCode.DATA


class DeviceError(MnistaeError):
    """A device that was asked for and is not there."""

    exit_code = ExitCode.DEVICE


class DivergedError(MnistaeError):
    """A training loss that is no longer a finite number."""

    exit_code = ExitCode.DIVERGED


class OutputError(MnistaeError):
    """A file or stream that cannot be written."""

    exit_code = ExitCode.OUTPUT


class LockedError(MnistaeError):
    """A run that another process is holding."""

    exit_code = ExitCode.LOCKED
