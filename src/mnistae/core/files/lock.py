"""Locks between processes that share a file system, by flock(2)."""

import contextlib
import errno
import sys
from collections.abc import Iterator
from pathlib import Path

_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""How a file system says that it has no locks."""


@contextlib.contextmanager
def exclusive_lock(path: Path, *, timeout: float) -> Iterator[bool]:
    """Hold the kernel's lock on the file `path`, which ends with its holder; yield False where the file system has no locks.

    Raises TimeoutError if another holder keeps it for `timeout` seconds, and OSError if the file cannot be opened.
    """
    from filelock import FileLock

    held = None
    try:
        held = FileLock(path, fallback_to_soft=False).acquire(timeout=timeout)  # a soft lock would outlive a killed holder
    except OSError as error:  # filelock's Timeout is one, without a number
        if error.errno not in _UNSUPPORTED:
            raise
    with held or contextlib.nullcontext():
        yield held is not None


def hold(fd: int) -> None:
    """Lock an open file until it is closed, if the file system has locks."""
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)


def is_free(first: int, second: int) -> bool | None:
    """Whether nobody holds the lock of a file that is open twice, None if its locks do not work; if so, `first` locks it."""
    if sys.platform != "win32":
        import fcntl

        try:  # NFS lets a file that is open for reading be locked for readers only
            fcntl.flock(first, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return None  # two holders at once: some network file systems grant every lock
