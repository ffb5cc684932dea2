"""Reading a file that somebody else may have made: regular files only, never more than a limit, all at once."""

import errno
import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from mnistae.core.errors import MnistaeError

DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, OSError, RuntimeError, ValueError)
"""What zipfile raises, or lets through, on foreign bytes."""


class UnreadableError(Exception):
    """A file that is missing, too large or no file at all. The message is the reason; callers add what it was for."""


def read_bytes(path: Path, *, limit: int, follow_symlinks: bool = True) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes. Raises UnreadableError, at once and without hanging.

    The bytes are read, not mapped: a file that changes meanwhile cannot kill the process or change what was verified.
    A path that a user names may be a link; a file of our own store is none.
    """
    fd = _open(path, follow_symlinks=follow_symlinks)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise _too_large(limit)
        return _read_all(fd, size, limit)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    finally:
        os.close(fd)


def open_regular(path: Path) -> io.BufferedReader:
    """Return a regular file opened for those who read it a piece at a time. Raises UnreadableError as `read_bytes` does."""
    return io.BufferedReader(io.FileIO(_open(path, follow_symlinks=True)))


def _open(path: Path, *, follow_symlinks: bool) -> int:
    no_link = 0 if follow_symlinks else getattr(os, "O_NOFOLLOW", 0)
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever
        fd = os.open(path, os.O_RDONLY | no_link | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise UnreadableError("there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if no_link and getattr(error, "errno", None) == errno.ELOOP:
            raise UnreadableError("it is a link") from None
        raise UnreadableError(getattr(error, "strerror", None) or str(error)) from error
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise UnreadableError("it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")


def _read_all(fd: int, size: int, limit: int) -> bytes:
    chunks: list[bytes] = []
    total = 0
    # as a rule one piece and an empty one: many would have to be joined, and stand in memory twice
    while chunk := os.read(fd, max(size - total, 1 << 20)):
        total += len(chunk)
        if total > limit:
            raise _too_large(limit)  # it grew while it was read
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> UnreadableError:
    return UnreadableError(f"it is larger than {limit / 2**20:.0f} MiB")


def read_or_raise(path: Path, *, limit: int, family: type[MnistaeError], what: str, hint: str) -> bytes:
    """Return the bytes of `path`, or raise an error of `family` that says what could not be read and why."""
    try:
        return read_bytes(path, limit=limit)
    except UnreadableError as error:
        raise family(f"cannot read {what} '{path}': {error}", hint=hint) from error
