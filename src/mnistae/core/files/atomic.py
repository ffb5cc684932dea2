"""Write to a temporary file, fsync, rename: a file is complete or missing. Every file is written this way."""

import contextlib
import errno
import functools
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from mnistae.core.errors import OutputError
from mnistae.core.files import lock

# A file system that cannot reserve space says so with one of these; the write itself then finds out.
_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}

# What `temp_path` returns.
_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{8})\.[0-9a-f]{16}\.tmp", re.DOTALL)

ABANDONED = 86400.0
"""Seconds without a write after which a temporary file counts as left over, where its lock does not tell."""

# Characters of the target's name in the temporary one: 50 of them are at most 200 bytes, which is never too long.
_STEM = 50


class Writer:
    """A temporary file beside its target: `write` to it; `commit` gives it the target's name.

    It is locked until it has that name, which tells other processes, on any machine, that it is in use. A target that is a
    symbolic link stays one: the file it leads to is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = _follow(path)
        self._mode, self._group = _mode_and_group(path)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        while True:
            self.temporary = temp_path(self._target)
            self._fd = os.open(self.temporary, flags, 0o666 if self._mode is None else self._mode)
            lock.hold(self._fd)
            if os.path.lexists(self.temporary):
                return
            os.close(self._fd)  # before it was locked, another process took it for a leftover

    def reserve(self, size: int) -> None:
        """Claim `size` bytes of disk now, so that a full disk is found before the first byte is written."""
        if size <= 0 or not hasattr(os, "posix_fallocate"):
            return
        with _output_errors(self.path):
            try:
                os.posix_fallocate(self._fd, 0, size)
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    raise

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data`."""
        rest = memoryview(data).cast("B")
        with _output_errors(self.path):
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def commit(self) -> None:
        """Make the bytes durable, give them the target's name, and make the name durable."""
        with _output_errors(self.path):
            if self._mode is not None and sys.platform != "win32":  # a replaced file keeps its permissions, whatever the umask
                with contextlib.suppress(OSError):  # one of another group than our own
                    os.fchown(self._fd, -1, self._group)
                os.fchmod(self._fd, self._mode)
            _fsync(self._fd)
            if os.name == "nt":  # an open file cannot be renamed there
                self._close()
            _replace(self.temporary, self._target)
            self._close()
            fsync_dir(self._target.parent)

    def discard(self) -> None:
        """Remove the temporary file, whatever state it is in."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self.temporary)

    def _close(self) -> None:
        # The number is given up first: a failed close must not be tried twice on a number that may be reused.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[Writer]:
    """Open a writer for `path`; at the end of the block the file is there whole, or as it was before.

    Missing parent folders are made. Raises OutputError; any exception of the block leaves nothing behind.
    """
    with _output_errors(path):
        make_dirs(_follow(path).parent)
        writer = Writer(path)
    try:
        yield writer
        writer.commit()
    except BaseException:
        writer.discard()
        raise


def write_bytes(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Replace the file `path` by `data`, whole and durable. Raises OutputError."""
    with open_atomic(path) as writer:
        writer.reserve(len(data))
        writer.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace the file `path` by `text` in UTF-8. Raises OutputError."""
    write_bytes(path, text.encode())


def make_dirs(folder: Path) -> None:
    """Make `folder` and those above it that are missing, their names as durable as a file's. Raises OSError."""
    if folder.is_dir():
        return
    if folder.parent != folder and not os.path.lexists(folder.parent):
        make_dirs(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_dir(folder.parent)


def fsync_dir(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot flush a folder
            raise
    finally:
        os.close(fd)


def temp_path(path: Path) -> Path:
    """Return a new name beside `path`, by which `remove_stale_temps` recognises what was left over."""
    return path.parent / f".{path.name[:_STEM]}.{_machine()}.{secrets.token_hex(8)}.tmp"


def remove_stale_temps(folder: Path, prefix: str = "") -> None:
    """Remove what killed processes left in `folder` under temporary names, those of targets that start with `prefix`.

    What another process is still writing stays. Process numbers do not matter: containers and machines may share the folder.
    """
    start = f".{prefix[:_STEM]}"
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if (found := _TEMPORARY.fullmatch(entry.name)) and entry.name.startswith(start):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(Path(entry.path), machine=found[1])


def remove(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link, whose target stays. Raises OSError.

    Other processes may be removing the same at the same time.
    """
    while os.path.lexists(path):
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                os.unlink(path)


def _remove_if_abandoned(path: Path, *, machine: str) -> None:
    if path.is_dir() and not path.is_symlink():  # a folder is renamed to be removed: anyone may finish that
        remove(path)
        return
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.ExitStack() as stack:
        fds = []
        for _ in range(2):
            fds.append(os.open(path, flags))
            stack.callback(os.close, fds[-1])
        is_old = time.time() - os.fstat(fds[0]).st_mtime > ABANDONED
        is_free = lock.is_free(*fds)
        # on some shares a lock is known on its own machine only
        if (is_old and is_free is not False) or (is_free and machine == _machine()):
            os.unlink(path)  # while it is locked: see Writer


@functools.cache
def _machine() -> str:
    """Return eight hexadecimal digits for the running system, the same in all its containers."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        name = platform.node().encode()
    return f"{zlib.crc32(name):08x}"


def check_writable(path: Path, *, hint: str = "choose another location with -o") -> None:
    """Raise OutputError now if `path` can be seen not to be writable, before any work is spent on it."""
    with _output_errors(path):  # no permission to look there, a name that is too long, a loop of links
        folder = _follow(path).parent.absolute()
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise OutputError(f"cannot write '{path}': '{folder}' is not a folder", hint=hint)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write '{path}': no permission in '{folder}'", hint=hint)
        if _mode_and_group(path)[0] is not None and not os.access(path, os.W_OK):
            raise OutputError(f"cannot write '{path}': no permission", hint=hint)


def _follow(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _mode_and_group(path: Path) -> tuple[int | None, int]:
    """Return permissions and group of the file to be replaced, None and -1 if there is none. Raises OutputError for no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None, -1
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise OutputError(f"'{path}' is a folder, not a file", hint="name a file inside it")
    if not stat.S_ISREG(mode):  # a rename would put a file in the place of a device or a pipe
        raise OutputError(f"'{path}' is not a regular file", hint="pipe the output of -o - into it")
    return stat.S_IMODE(mode), status.st_gid


@contextlib.contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        hint = "free some space or choose another location" if is_full else "choose another location"
        raise OutputError(f"cannot write '{path}': {reason}", hint=hint) from error


def _fsync(fd: int) -> None:
    if sys.platform == "darwin":  # fsync there stops at the drive's cache
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def _replace(source: Path, target: Path) -> None:
    """Rename over `target`; on Windows a scanner may hold it for a moment, so try for a second."""
    for pause in (0.25, 0.25, 0.25, 0.25, 0):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if os.name != "nt" or not pause:
                raise
        time.sleep(pause)
