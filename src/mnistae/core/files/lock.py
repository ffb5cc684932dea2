"""A lock between processes on one machine."""

import contextlib
import errno
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

    with contextlib.ExitStack() as stack:
        is_held = True
        try:
            # a soft lock would outlive a holder that is killed
            stack.enter_context(FileLock(path, fallback_to_soft=False).acquire(timeout=timeout))
        except OSError as error:  # filelock's Timeout is one, without a number
            if error.errno not in _UNSUPPORTED:
                raise
            is_held = False
        yield is_held
