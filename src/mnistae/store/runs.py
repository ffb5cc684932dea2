"""The checkpoint store: a folder for each run, found by name or path and listed newest first."""

import contextlib
import errno
import functools
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mnistae.core import paths, records
from mnistae.core.errors import CheckpointError, LockedError, OutputError, UsageError
from mnistae.core.files import atomic, permissions
from mnistae.core.files import read as files
from mnistae.core.files.lock import exclusive_lock
from mnistae.core.records import Metadata, TrainingState, Weights
from mnistae.core.text import csv_text, suggestion
from mnistae.store import builtin, names
from mnistae.store import format as checkpoint_format

T = TypeVar("T")

MODEL = "model.safetensors"
STATE = "state.safetensors"
HISTORY = "history.csv"
LOSS_FIGURE = "loss.png"
RECENT_FILE = ".recent"
"""The pointer file: names of runs, one on each line, the newest first, independent of clocks and names.

It begins with a dot, as no run does.
"""

CHECK = "check the folder's permissions"

LISTED = 7  # names in a hint

_NAME_ONE = "name a run from 'mnistae checkpoints list', or a .safetensors file"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model read from disk and verified. `name` is None for a file outside the store."""

    path: Path
    name: str | None
    weights: Weights
    metadata: Metadata

    @property
    def is_builtin(self) -> bool:
        """Whether it is part of the package."""
        return self.path.parent.parent == builtin.FOLDER

    @property
    def is_raw(self) -> bool:
        """Whether its data set was read with --raw."""
        return bool(self.metadata.training and self.metadata.training.raw)

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of its weights."""
        return records.digest(self.weights)


def folder(name: str) -> Path:
    """Return the folder of the run called `name`, which need not exist. Raises UsageError for a bad name."""
    return paths.checkpoints_dir() / names.check(name)


def exists(name: str) -> bool:
    """Whether the store holds a run of this name, finished or not, readable or not."""
    return not all(files.is_missing(folder(name) / file) for file in (MODEL, STATE))


def run_names() -> list[str]:
    """Return the names of the runs, newest first, then those missing from the pointer file. Raises CheckpointError."""
    try:
        found = {path.name for path in paths.checkpoints_dir().iterdir() if names.is_valid(path.name) and exists(path.name)}
    except OSError as error:
        if error.errno in files.MISSING:  # no store yet
            return []
        raise _cannot_read(paths.checkpoints_dir(), error.strerror) from error
    recent = [name for name in _read_recent() if name in found]
    return recent + sorted(found.difference(recent))


def checkpoint_names() -> list[str]:
    """Return all names that `load` accepts: the runs, then the built-in checkpoints. Raises CheckpointError."""
    found = run_names()
    return found + [name for name in builtin.NAMES if name not in found]


def newest() -> str:
    """Return the name of the newest run. Raises CheckpointError."""
    runs = run_names()
    if not runs:
        hint = "start one with 'mnistae train'"
        raise CheckpointError(f"no checkpoints in '{paths.checkpoints_dir()}' yet", hint=hint)
    return runs[0]


def model_path(reference: str | None) -> Path:
    """Return the model file that `reference` means: a path to a .safetensors file, a name, or None for the newest.

    A name that the store does not have may be a built-in one; an empty store stands for the built-in `lab`.
    """
    if reference is not None and is_path(reference):
        return Path(reference)
    name = reference or next(iter(run_names()), builtin.LAB)
    return (builtin.FOLDER / name if is_builtin(name) else folder(name)) / MODEL


def is_path(reference: str) -> bool:
    """Whether `reference` is a path to a file, not a name in the store."""
    if reference.endswith(".safetensors") or any(separator in reference for separator in "/\\"):
        return True
    is_name = names.is_valid(reference) and (reference in builtin.NAMES or exists(reference))
    return not is_name and os.path.isfile(reference)  # noqa: PTH113 - a Path raises PermissionError


def load(reference: str | None) -> Checkpoint:
    """Return the verified checkpoint that `reference` means; None means the newest. Raises CheckpointError, UsageError."""
    if reference == "":
        raise UsageError("empty checkpoint name", hint="leave out -c and MNISTAE_CHECKPOINT to use the newest run")
    path = model_path(reference)
    name = None if reference is not None and is_path(reference) else path.parent.name
    try:
        weights, metadata = _read(path, name, checkpoint_format.decode_model)
    except CheckpointError as error:
        if reference is None and path.parent.parent != builtin.FOLDER:
            error.hint += "; it is the newest run: name another checkpoint"
        raise
    return Checkpoint(path, name, weights, metadata)


def load_state(name: str) -> tuple[TrainingState, Metadata]:
    """Return the verified training state of a run. Raises CheckpointError, UsageError."""
    path = folder(name) / STATE
    # a model without a state: a run that is being replaced has its state first
    is_imported = files.is_missing(path) and not files.is_missing(folder(name) / MODEL)
    if is_imported or is_builtin(name):
        why = "it was imported" if is_imported else "it is built in"
        raise CheckpointError(f"cannot resume '{name}': {why} and has no training state", hint="train a new run")
    return _read(path, name, checkpoint_format.decode_state)


def check_exists(name: str) -> None:
    """Raise CheckpointError if the store holds no run of this name, UsageError if the name is invalid."""
    if is_builtin(name):
        raise CheckpointError(f"'{name}' is built in and cannot be removed", hint="run 'mnistae checkpoints list' for the runs")
    if not exists(name):
        raise _unknown(name, run_names())


def is_builtin(name: str) -> bool:
    """Whether this name refers to a built-in checkpoint."""
    return name in builtin.NAMES and not exists(name)


def check_is_new(name: str, *, force: bool, hint: str) -> None:
    """Raise OutputError if the store holds a run of this name that must not be replaced."""
    if exists(name) and not force:
        raise OutputError(f"run '{name}' already exists", hint=hint)


def save(name: str, state: TrainingState, metadata: Metadata) -> None:
    """Write a run's state, model and history, then the pointer, each atomically."""
    home = folder(name)
    atomic.write_bytes(home / STATE, checkpoint_format.encode_state(state, metadata))
    atomic.write_bytes(home / MODEL, checkpoint_format.encode_model(state.weights, metadata))
    rows = [[epoch.number, epoch.loss, epoch.learning_rate] for epoch in metadata.history]
    atomic.write_text(home / HISTORY, csv_text([["epoch", "loss", "learning_rate"], *rows]))
    mark_newest(name)


def save_model(name: str, weights: Weights, metadata: Metadata) -> Path:
    """Write a model without a training state, and the pointer; return the model's path."""
    home = folder(name)
    atomic.write_bytes(home / MODEL, checkpoint_format.encode_model(weights, metadata))
    try:
        for leftover in (STATE, HISTORY, LOSS_FIGURE):
            (home / leftover).unlink(missing_ok=True)
    except OSError as error:
        raise _cannot("remove", home, error, hint=CHECK) from error
    mark_newest(name)
    return home / MODEL


def remove(name: str) -> None:
    """Remove a run: its folder is renamed, then deleted. Raises CheckpointError, LockedError, OutputError, UsageError."""
    home = folder(name)
    check_exists(name)
    with lock(name):
        check_exists(name)  # another process may have been faster
        trash = atomic.temp_path(home)
        try:
            if not home.is_symlink() and not os.access(home, os.W_OK):  # it could be renamed, and its files would stay
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            home.rename(trash)
            atomic.fsync_dir(home.parent)
            atomic.remove(trash)
        except OSError as error:
            raise _cannot("remove", home, error, hint=CHECK) from error


def mark_newest(name: str) -> None:
    """Make `name` the newest run."""
    if _read_recent()[:1] != [name]:
        others = [other for other in run_names() if other != name]
        atomic.write_text(paths.checkpoints_dir() / RECENT_FILE, "".join(f"{run}\n" for run in [name, *others]))


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a run and clear away what killed processes left of it. Raises LockedError at once if another process holds it.

    The lock only saves work: without it, as on a share that has no locks, every file would still be whole.
    """
    home, path = folder(name), paths.checkpoints_dir() / ".locks" / f"{name}.lock"
    with contextlib.ExitStack() as stack:
        try:
            atomic.make_dirs(path.parent)
            stack.enter_context(exclusive_lock(path, timeout=0))
        except TimeoutError:
            hint = "wait until it has finished, or choose another --name"
            raise LockedError(f"run '{name}' is locked by another process", hint=hint) from None
        except OSError as error:
            raise _cannot("write", path, error, hint="set MNISTAE_HOME to a folder you own") from error
        atomic.remove_stale_temps(home)
        atomic.remove_stale_temps(home.parent)
        yield


def _cannot_read(path: Path, reason: object) -> CheckpointError:
    return CheckpointError(f"cannot read '{path}': {reason}", hint=permissions.hint(path, CHECK))


def _cannot(verb: str, path: Path, error: OSError, *, hint: str) -> OutputError:
    if isinstance(error, PermissionError):
        hint = permissions.hint(path, hint, is_write=True)
    return OutputError(f"cannot {verb} '{path}': {error.strerror or error}", hint=hint)


def _read(path: Path, name: str | None, decode: Callable[[bytes], T]) -> T:
    """Return what a file of the run `name`, or a file outside the store, contains. Raises CheckpointError."""
    if files.is_missing(path):
        if name is None:
            hint = "run 'mnistae checkpoints list' for the names of runs"
            raise CheckpointError(f"no such checkpoint file: '{path}'", hint=hint)
        if exists(name):  # killed after its first state, before its first model
            hint = f"resume it with 'mnistae train --resume --name {name}'"
            raise CheckpointError(f"run '{name}' has no model yet", hint=hint)
        raise _unknown(name, checkpoint_names())
    try:
        data = files.read_bytes(path, limit=checkpoint_format.MAX_FILE)
    except files.UnreadableError as error:
        if permissions.is_denied(path):
            raise _cannot_read(path, error) from error
        from mnistae.store import foreign  # needed for a refusal only

        hint = _NAME_ONE
        if name is None and path.is_file() and checkpoint_format.MAX_FILE < path.stat().st_size <= foreign.MAX_FILE:
            command = f"mnistae checkpoints import {shlex.quote(str(path))}"
            hint = f"if it contains weights from another program, import it first: {command}"
        raise CheckpointError(f"cannot use checkpoint '{path}': {error}", hint=hint) from error
    try:
        return decode(data)
    except CheckpointError as error:
        from mnistae.store import foreign  # needed for a refusal only

        kind = foreign.SAFETENSORS if name is not None else foreign.identify(data)
        if kind != foreign.SAFETENSORS and (kind != foreign.UNKNOWN or path.suffix != ".safetensors"):
            raise foreign.not_ours(path, kind, otherwise=_NAME_ONE) from error
        raise CheckpointError(f"cannot use checkpoint '{path}': {error.message}", hint=error.hint) from error


def _unknown(name: str, available: list[str]) -> CheckpointError:
    more = f" and {len(available) - LISTED} more: mnistae checkpoints list" if len(available) > LISTED else ""
    hint = f"available: {', '.join(available[:LISTED])}{more}" if available else "no runs yet: 'mnistae train' creates one"
    return CheckpointError(f"no such checkpoint: '{name}'", hint=suggestion(name, available, otherwise=hint))


def _read_recent() -> list[str]:
    path = paths.checkpoints_dir() / RECENT_FILE
    try:
        data = files.read_bytes(path, limit=2**20)
    except files.UnreadableError as error:
        if permissions.is_denied(path):
            raise _cannot_read(path, error) from error
        return []
    return list(dict.fromkeys(data.decode("ascii", "replace").splitlines()))
