"""Where things live. Worked out at each call, never at import; `MNISTAE_HOME` wins."""

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from mnistae.core.errors import UsageError

APP = "mnistae"


def checkpoints_dir() -> Path:
    """The folder of the checkpoint store, one sub-folder a run."""
    return _root("checkpoints", platformdirs.user_data_dir)


def datasets_dir() -> Path:
    """The folder that downloads go to, one sub-folder a data set."""
    return _root("datasets", platformdirs.user_data_dir)


def cache_dir() -> Path:
    """The folder of things that can be made again: verified arrays, the built-in digits."""
    return _root("cache", platformdirs.user_cache_dir)


def user_data_dir() -> Path | None:
    """The user's own copy of the data, named by `MNISTAE_DATA_DIR`; read, never written."""
    folder = os.environ.get("MNISTAE_DATA_DIR")
    return Path(folder).absolute() if folder else None


def is_offline() -> bool:
    """Whether `MNISTAE_OFFLINE` forbids the network."""
    value = os.environ.get("MNISTAE_OFFLINE", "").strip().lower()
    if value in {"", "0", "false", "no", "off"}:
        return False
    if value in {"1", "true", "yes", "on"}:
        return True
    raise UsageError(f"MNISTAE_OFFLINE is neither yes nor no: '{value}'", hint="set it to 1 or 0")


def _root(kind: str, default: Callable[..., str]) -> Path:
    home = os.environ.get("MNISTAE_HOME")
    if home:
        return Path(home).absolute() / kind
    try:
        folder = Path(default(APP, appauthor=False))
    except RuntimeError:  # no HOME and no passwd entry; older versions of platformdirs leave a literal "~"
        folder = Path("~")
    if not folder.is_absolute():
        raise UsageError("this user has no home folder", hint="set MNISTAE_HOME to a folder for data and checkpoints")
    return folder if kind == "cache" else folder / kind
