"""Download from mirrors that nobody vouches for: an archive is whole and right under its name, or not there."""

import contextlib
import hashlib
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mnistae.core import paths
from mnistae.core.errors import DataError, UsageError
from mnistae.core.files import atomic
from mnistae.core.files import read as files
from mnistae.core.text import safe_text
from mnistae.data.sets.transport import PIECE, Attempt, Limits, RefusedError, answer, objection_to, pieces

_MANUAL_HINT = "put the files into a folder and set MNISTAE_DATA_DIR to it, or use --dataset glyphs"


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Archive:
    """A published file. One whose name ends in `.gz` must be exactly one complete gzip stream, nothing after it."""

    name: str
    urls: tuple[str, ...]  # the same archive on several mirrors, tried in order
    max_bytes: int  # of the archive
    max_content: int  # of what a .gz unpacks to
    content_sha256: str | None = None  # of what a .gz unpacks to, since a mirror may compress anew
    md5: str | None = None  # of the archive, where nothing better is published

    def __post_init__(self) -> None:
        if self.name != Path(self.name).name or self.name in {"", ".."}:
            raise ValueError(f"not a file name: {self.name!r}")
        if not (self.content_sha256 or self.md5):
            raise ValueError(f"{self.name} has no sum to check it by")


Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known; a new mirror starts at 0 again


def no_progress(_received: int, _total: int | None) -> None:
    """Show nothing."""


def fetch(archive: Archive, folder: Path, *, on_progress: Progress = no_progress, limits: Limits = DEFAULT_LIMITS) -> Path:
    """Return `folder/archive.name`, verified and durable, from the first mirror that delivers it.

    A sound file that is already there is kept, a damaged one replaced. Processes that start together fetch it
    once. Raises DataError (offline, or no mirror delivers it) and OutputError (the folder cannot be written).
    """
    if paths.is_offline():
        message = f"'{archive.name}' is missing and MNISTAE_OFFLINE forbids to download it"
        raise DataError(message, hint=f"unset MNISTAE_OFFLINE, {_MANUAL_HINT}")
    target = folder / archive.name
    with download_lock(target, limits.deadline):
        if not is_valid(target, archive):
            _fetch_from_any(target, archive, limits, on_progress)
    return target


def is_valid(path: Path, archive: Archive) -> bool:
    """Whether `path` is a readable file with exactly the published content."""
    check = _Check(archive)
    try:
        if not path.is_file():  # a pipe would block for ever
            return False
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                check.feed(piece)
        check.finish()
    except (OSError, RefusedError):
        return False
    return True


def checked_mirror(url: str) -> str:
    """Return the base address of a mirror with one slash at its end. Raises UsageError."""
    objection = objection_to(url)
    if objection is None and ("?" in url or "#" in url):
        objection = "it has a query or a fragment"
    if objection is not None:
        shown = safe_text(url.rpartition("@")[2])  # a password stays out of bug reports
        hint = "give an address such as https://example.org/mnist/"
        raise UsageError(f"cannot use the mirror '{shown}': {objection}", hint=hint)
    return url.rstrip("/") + "/"


def unpack_zip(archive_path: Path, members: Mapping[str, str], folder: Path, *, max_bytes: int) -> None:
    """Extract `members` (name in the zip → file name in `folder`), none larger than `max_bytes`.

    Each is whole or not there. Raises DataError for a damaged zip, OutputError where a file cannot be written.
    """
    with _naming_damage(archive_path):
        archive = zipfile.ZipFile(archive_path)
    with archive:
        for member, name in members.items():
            with atomic.open_atomic(folder / name) as writer:
                for piece in _unpacked(archive, member, archive_path, max_bytes):
                    writer.write(piece)


@contextlib.contextmanager
def download_lock(target: Path, patience: float) -> Iterator[None]:
    """Hold the lock of `target` if it can be had: it saves second downloads, and nothing else depends on it.

    What killed downloads of it left is swept. `target` may be the beginning of several files' names.
    """
    import filelock

    lock_path = target.parent / f".{target.name}.lock"
    with contextlib.ExitStack() as stack:
        # None to be had: held for too long, a folder that is read-only, a share that knows no locks.
        with contextlib.suppress(OSError, NotImplementedError):
            stack.enter_context(filelock.FileLock(lock_path).acquire(timeout=patience))
            stack.callback(_unlink, lock_path)  # while it is held: who waits for this file sees that it is gone
            atomic.remove_stale_temps(target.parent, target.name)
        yield


def _fetch_from_any(target: Path, archive: Archive, limits: Limits, on_progress: Progress) -> None:
    end = time.monotonic() + limits.deadline
    reasons = []
    for index, url in enumerate(archive.urls):
        now = time.monotonic()
        share = (end - now) / (len(archive.urls) - index)
        try:
            _fetch_from(Attempt(url, limits, now + share), target, archive, on_progress)
        except RefusedError as reason:
            reasons.append(f"{_host(url)}: {safe_text(reason)}")
        else:
            return
    raise DataError(f"cannot download '{archive.name}': {'; '.join(reasons) or 'no mirror is known'}", hint=_MANUAL_HINT)


def _fetch_from(attempt: "Attempt", target: Path, archive: Archive, on_progress: Progress) -> None:
    # The writer comes first: a folder that cannot be written is found before anybody is asked.
    with atomic.open_atomic(target) as writer, answer(attempt) as response:
        check = _Check(archive)
        total = response.length
        if total is not None and total > archive.max_bytes:
            raise RefusedError(f"longer than {archive.max_bytes} bytes")
        writer.reserve(total or 0)
        on_progress(0, total)
        for piece in pieces(response, total, attempt):
            check.feed(piece)
            writer.write(piece)
            on_progress(check.received, total)
        check.finish()


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


class _Check:
    """The limits and sums of an archive, fed with its bytes in order. Raises RefusedError."""

    def __init__(self, archive: Archive) -> None:
        self.received = 0
        self._archive = archive
        self._unpacked = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._gzip = zlib.decompressobj(wbits=31) if archive.name.endswith(".gz") else None

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.received += len(piece)
        if self.received > self._archive.max_bytes:
            raise RefusedError(f"longer than {self._archive.max_bytes} bytes")
        self._md5.update(piece)
        if self._gzip is None:
            self._sha256.update(piece)
        else:
            self._unpack(self._gzip, piece)

    def finish(self) -> None:
        """Compare the sums."""
        if self._gzip is not None and not self._gzip.eof:
            raise RefusedError("its gzip stream is cut off")
        if self._archive.content_sha256 not in {None, self._sha256.hexdigest()}:
            raise RefusedError("its content is not the published one (SHA-256)")
        if self._archive.md5 not in {None, self._md5.hexdigest()}:
            raise RefusedError("it is not the published archive (MD5)")

    def _unpack(self, gzip: "zlib._Decompress", piece: bytes) -> None:
        while piece and not gzip.eof:
            try:
                content = gzip.decompress(piece, PIECE)
            except zlib.error as error:
                raise RefusedError("it is not a sound gzip stream") from error
            piece = gzip.unconsumed_tail
            self._sha256.update(content)
            self._unpacked += len(content)
            if self._unpacked > self._archive.max_content:
                raise RefusedError(f"it unpacks to more than {self._archive.max_content} bytes")
        if piece or gzip.unused_data:
            raise RefusedError("there is something after its gzip stream")


def _host(url: str) -> str:
    return safe_text(url.partition("://")[2].partition("/")[0].rpartition("@")[2] or url)


def _unpacked(archive: zipfile.ZipFile, member: str, path: Path, max_bytes: int) -> Iterator[bytes]:
    size = 0
    with _naming_damage(path), archive.open(member) as source:
        # The other methods unpack a portion without a cap.
        if archive.getinfo(member).compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise zipfile.BadZipFile(f"{member} is not packed by deflate")
        while piece := source.read(PIECE):
            size += len(piece)
            if size > max_bytes:
                raise zipfile.BadZipFile(f"{member} unpacks to more than {max_bytes} bytes")
            yield piece


@contextlib.contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    # A border where foreign bytes are parsed: zipfile lets the errors of struct, zlib and others through.
    except files.DAMAGED_ZIP as error:
        message = f"cannot unpack '{path}': {safe_text(error)}"
        raise DataError(message, hint="delete that file and fetch the data set again") from error
