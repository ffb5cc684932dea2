"""Locks that keep two processes off the same run."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from mnistae.core.errors import LockedError, MnistaeError, OutputError
from mnistae.core.files import atomic

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""How a file system says that it has no locks at all."""


@contextlib.contextmanager
def run_lock(home: Path, place: Path) -> Iterator[None]:
    """Hold the run in the folder `home` by the lock file `place`. Raises LockedError at once if another process holds it.

    The lock is the kernel's and ends with its holder. It only saves work: without it, as on a share that has no locks,
    every file would still be whole. Its holder clears away what killed processes have left.
    """
    for path in (home, place.parent):
        refuse_link(path)
    with contextlib.ExitStack() as stack:
        if _acquire(home.name, place, stack):
            atomic.remove_stale_temps(home)
            atomic.remove_stale_temps(home.parent)
        yield


def _acquire(name: str, place: Path, stack: contextlib.ExitStack) -> bool:
    """Hold the lock at `place` until `stack` is left; return False where there are no locks."""
    from filelock import FileLock, Timeout

    try:
        atomic.make_dirs(place.parent, 0o700)
        # a soft lock would outlive a holder that is killed
        stack.enter_context(FileLock(place, fallback_to_soft=False).acquire(timeout=0))
    except Timeout:
        raise LockedError(
            f"another process is working on the run '{name}'", hint="wait for it, or choose another --name"
        ) from None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise OutputError(f"cannot write '{place}': {error.strerror}", hint="set MNISTAE_HOME to a folder you own") from error
    return True


def refuse_link(path: Path, family: type[MnistaeError] = OutputError) -> None:
    """Raise an error of `family` if a path of the store is a link, which may lead anywhere."""
    if os.path.islink(path):  # noqa: PTH114 - Path's raises for a name too long
        raise family(f"'{path}' is a link, not a folder of the store", hint="remove the link")
