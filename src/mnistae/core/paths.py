"""The folders for data, checkpoints and caches, determined at each call. `MNISTAE_HOME` takes precedence."""

import contextlib
from pathlib import Path

import platformdirs

from mnistae.core.environment import OFF, variable
from mnistae.core.errors import UsageError

APP = "mnistae"


def checkpoints_dir() -> Path:
    """The folder of the checkpoint store, one subfolder for each run."""
    return _folder("checkpoints")


def datasets_dir() -> Path:
    """The folder of downloads, one subfolder for each data set."""
    return _folder("datasets")


def cache_dir() -> Path:
    """The folder of files that can be recreated: verified arrays, the built-in digits."""
    return _folder("cache")


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


def _folder(name: str) -> Path:
    home = variable("MNISTAE_HOME")
    if home:
        return Path(home).absolute() / name
    with contextlib.suppress(RuntimeError):  # no HOME and no passwd entry
        own = platformdirs.PlatformDirs(APP, appauthor=False)
        folder = own.user_cache_path if name == "cache" else own.user_data_path / name
        if folder.is_absolute():
            return folder
    raise UsageError("cannot determine the home directory", hint="set MNISTAE_HOME to a folder for data and checkpoints")
