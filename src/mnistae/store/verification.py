"""Verification of checkpoints, also while other processes save and remove them."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from mnistae.core.errors import CheckpointError, LockedError, OutputError
from mnistae.core.files import read as files
from mnistae.store import runs

NO_MODEL = "no model"
"""What is wrong with a finished run whose model file is missing."""


def verify(name: str) -> str | None:
    """Return what is wrong with the files of a run or a built-in checkpoint, or None.

    Raises CheckpointError only if there is no such checkpoint, or no longer, and UsageError for an invalid name.
    """
    check = (lambda _name: None) if runs.is_builtin(name) else runs.check_exists
    check(name)
    found = _problem(name, runs.MODEL, runs.load) or _problem(name, runs.STATE, runs.load_state)
    if found is None and _lacks_model(name):
        found = NO_MODEL
    check(name)  # it may have been removed meanwhile
    return found


def verify_all() -> dict[str, str | None]:
    """Return what is wrong with each run and built-in checkpoint, or None; a run that is removed meanwhile is left out."""
    found: dict[str, str | None] = {}
    for name in runs.checkpoint_names():
        with contextlib.suppress(CheckpointError):
            found[name] = verify(name)
    return found


def _lacks_model(name: str) -> bool:
    """Whether the model of a run that has finished is missing, and no process is about to write it."""
    path = runs.model_path(name)
    with contextlib.suppress(CheckpointError, LockedError):
        if not files.is_missing(path):
            return False
        metadata = runs.load_state(name)[1]
        is_finished = metadata.training is not None and len(metadata.history) >= metadata.training.epochs
        if is_finished and files.is_missing(path):  # the lock is taken only now, as a training may need it
            with contextlib.suppress(OutputError), runs.lock(name):  # a store that cannot be written to has no writers
                pass
            return files.is_missing(path)
    return False


def _problem(name: str, file: str, read: Callable[[str], object]) -> str | None:
    """Return what is wrong with a file of a run, None if nothing or no file; one that changes meanwhile is read again."""
    path = runs.model_path(name).parent / file
    while (before := _identity(path)) is not None:
        try:
            read(name)
        except CheckpointError as error:
            if _identity(path) == before:
                return error.message
        else:
            break
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from the one that takes its place, or None if there is neither a file nor a link."""
    try:
        status = path.stat() if path.exists() else path.lstat()
    except PermissionError:  # it cannot be read either, which is the problem to report
        return 0, 0
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
