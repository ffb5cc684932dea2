"""Expected errors. Anything else is a bug and keeps its traceback."""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Process exit codes, as documented in the README."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CHECKPOINT = 3
    DATA = 4
    DEVICE = 5
    DIVERGED = 6
    OUTPUT = 7
    LOCKED = 8
    UNFINISHED = 75
    SIGHUP = 129
    SIGINT = 130
    SIGPIPE = 141
    SIGTERM = 143


class MnistaeError(Exception):
    """An expected error: one line that says what is wrong, and a hint that names the next step."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MnistaeError):
    """An invalid argument, option or environment variable."""

    exit_code = ExitCode.USAGE


class CheckpointError(MnistaeError):
    """A checkpoint that is missing, damaged or not made by mnistae."""

    exit_code = ExitCode.CHECKPOINT


class DataError(MnistaeError):
    """Data that is missing, damaged or unreachable."""

    exit_code = ExitCode.DATA


class DeviceError(MnistaeError):
    """The requested device is not available."""

    exit_code = ExitCode.DEVICE


class DivergedError(MnistaeError):
    """The training loss is not finite."""

    exit_code = ExitCode.DIVERGED


class OutputError(MnistaeError):
    """A file or stream cannot be written."""

    exit_code = ExitCode.OUTPUT


class UnfinishedError(MnistaeError):
    """A run has reached its time limit, is saved and can be continued: EX_TEMPFAIL of sysexits.h."""

    exit_code = ExitCode.UNFINISHED


class LockedError(MnistaeError):
    """A run is locked by another process."""

    exit_code = ExitCode.LOCKED
