"""Bounded reads of untrusted files: regular files only, never more than a limit, read into memory at once."""

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

NOT_REGULAR = "it is not a regular file"  # but a pipe, a socket or a device

_CHUNK = 2**20

MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors that mean that there is no such file. Any other leaves that open."""


class UnreadableError(Exception):
    """A file that is missing, too large or not a file. The message is the reason; callers add what it was for."""


def is_missing(path: Path) -> bool:
    """Whether there is no file, folder or link of this name. What this user may not look at is not missing."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in MISSING
    return False


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes. Raises UnreadableError, at once and without hanging.

    The bytes are read, not mapped: a file that changes meanwhile cannot kill the process or change what was verified.
    """
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            # one byte more than it should have; some virtual file systems give every file the size 0
            data = b"" if size > limit else file.read(min(max(size, _CHUNK), limit) + 1)
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error
    if size > limit or len(data) > limit:
        raise UnreadableError(f"it is larger than {limit / 2**20:.0f} MiB")
    if len(data) > max(size, _CHUNK):
        raise UnreadableError("it grew while it was read")
    return data


def open_regular(path: Path) -> io.BufferedReader:
    """Return a regular file opened for reading a chunk at a time. Raises UnreadableError as `read_bytes` does."""
    try:
        # opening a FIFO without a writer would block
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115
    except FileNotFoundError:
        raise UnreadableError("there is no such file") from None
    except IsADirectoryError:
        raise UnreadableError("it is a folder") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UnreadableError(getattr(error, "strerror", None) or str(error)) from error
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise UnreadableError(NOT_REGULAR)


def read_or_raise(path: Path, *, limit: int, family: type[MnistaeError], what: str, hint: str) -> bytes:
    """Return the bytes of `path`, or raise an error of `family` that says what could not be read and why."""
    try:
        return read_bytes(path, limit=limit)
    except UnreadableError as error:
        raise family(f"cannot read {what} '{path}': {error}", hint=hint) from error
