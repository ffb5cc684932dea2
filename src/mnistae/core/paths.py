"""The folders for data, checkpoints and caches, determined at each call. `MNISTAE_HOME` takes precedence."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import platformdirs

from mnistae.core.environment import OFF, variable
from mnistae.core.errors import UsageError

APP = "mnistae"


def checkpoints_dir() -> Path:
    """The folder of the checkpoint store, one subfolder for each run."""
    return _root("checkpoints", platformdirs.user_data_dir)


def datasets_dir() -> Path:
    """The folder of downloads, one subfolder for each data set."""
    return _root("datasets", platformdirs.user_data_dir)


def cache_dir() -> Path:
    """The folder of files that can be recreated: verified arrays, the built-in digits."""
    return _root("cache", platformdirs.user_cache_dir)


def user_data_dir() -> Path | None:
    """The user's own copy of the data, set by `MNISTAE_DATA_DIR`; it is never written to."""
    folder = variable("MNISTAE_DATA_DIR")
    return Path(folder).absolute() if folder else None


def is_offline() -> bool:
    """Whether `MNISTAE_OFFLINE` disables downloads."""
    value = (variable("MNISTAE_OFFLINE") or "").lower()
    if value in OFF:
        return False
    if value in {"1", "true", "yes", "on"}:
        return True
    raise UsageError(f"invalid MNISTAE_OFFLINE: '{value}'", hint="set it to 1 or 0")


def _root(kind: str, default: Callable[..., str]) -> Path:
    home = variable("MNISTAE_HOME")
    if home:
        return Path(home).absolute() / kind
    with contextlib.suppress(RuntimeError):  # no HOME and no passwd entry
        folder = Path(default(APP, appauthor=False))
        if folder.is_absolute():
            return folder if kind == "cache" else folder / kind
    raise UsageError("cannot determine the home directory", hint="set MNISTAE_HOME to a folder for data and checkpoints")
