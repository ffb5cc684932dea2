"""Download from untrusted mirrors: an archive is complete and verified under its name, or not there."""

import contextlib
import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import Request

from mnistae.core import paths
from mnistae.core.environment import variable
from mnistae.core.errors import DataError
from mnistae.core.files import atomic
from mnistae.core.files import read as files
from mnistae.core.files.lock import exclusive_lock
from mnistae.core.text import safe_text
from mnistae.data.sets import idx, registry, urls
from mnistae.data.sets.dataset import Progress, no_progress
from mnistae.data.sets.registry import DatasetInfo

CHUNK_SIZE = 1 << 16
MAX_REDIRECTS = 3
EMNIST_ARCHIVE = "gzip.zip"
"""EMNIST comes as one archive of 560 MB that holds all its variants."""

_MANUAL_HINT = "put the files into a folder and set MNISTAE_DATA_DIR to it, or use the built-in digits: --dataset glyphs"


@dataclass(frozen=True)
class Limits:
    """How long the download of one archive may take, in seconds."""

    stall: float = 30.0  # without any data
    deadline: float = 600.0  # for all mirrors and retries, checked after each read; each mirror gets an even share
    pauses: tuple[float, ...] = (1.0, 2.0)  # before each further round over the mirrors


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Archive:
    """A published file, verified by the SHA-256 of what a .gz unpacks to (a mirror may compress it again), or by its MD5."""

    name: str
    urls: tuple[str, ...]  # the same archive on several mirrors, tried in order
    max_bytes: int = 64 * 2**20  # of the archive
    max_content: int = 64 * 2**20  # of what a .gz unpacks to
    content_sha256: str | None = None
    md5: str | None = None


class FetchError(Exception):
    """Why a download from one mirror failed, in a few words."""


class FinalError(FetchError):
    """A failure that a retry would not change."""


def fetch(entry: DatasetInfo, folder: Path, progress: Progress, *, damaged: Sequence[str] = ()) -> None:
    """Download and verify each file of the entry that `folder` lacks or that is `damaged`. Raises DataError, OutputError."""
    if paths.is_offline():
        message = f"data set '{entry.name}' is not installed and downloads are disabled (MNISTAE_OFFLINE)"
        raise DataError(message, hint=f"unset MNISTAE_OFFLINE, {_MANUAL_HINT}")
    if not (names := [*damaged, *idx.missing(folder, entry.files)]):
        return
    sums = {} if entry.sha256 else registry.archive_sums(entry)
    own = variable("MNISTAE_MIRROR")
    mirrors = (urls.mirror_base(own),) if own else entry.mirrors
    if EMNIST_ARCHIVE not in sums:
        for name in names:
            addresses = tuple(f"{mirror}{name}.gz" for mirror in mirrors)
            archive = Archive(f"{name}.gz", addresses, content_sha256=entry.sha256.get(name), md5=sums.get(f"{name}.gz"))
            fetch_archive(archive, folder, progress=progress)
        return
    addresses = tuple(f"{mirror}{EMNIST_ARCHIVE}" for mirror in mirrors)
    archive = Archive(EMNIST_ARCHIVE, addresses, max_bytes=2**30, md5=sums[EMNIST_ARCHIVE])
    limits = Limits(deadline=3600)
    with download_lock(folder / entry.name, limits.deadline):
        if not damaged and not idx.missing(folder, entry.files):  # another process has fetched them meanwhile
            return
        path = fetch_archive(archive, folder, progress=progress, limits=limits)
        try:
            unpack_zip(path, {f"gzip/{name}.gz": f"{name}.gz" for name in names}, folder, max_bytes=entry.max_content)
        except DataError:
            # else, where locks do not work, another process has unpacked and removed it
            if damaged or idx.missing(folder, entry.files):
                raise
        path.unlink(missing_ok=True)


def fetch_archive(archive: Archive, folder: Path, *, progress: Progress = no_progress, limits: Limits = DEFAULT_LIMITS) -> Path:
    """Return `folder/archive.name`, verified and durable, from the first mirror that delivers it.

    A valid file that is already there is kept, a damaged one replaced. Processes that start together fetch it
    once. Raises DataError (no mirror delivers it) and OutputError (the folder cannot be written).
    """
    target = folder / archive.name
    with download_lock(target, limits.deadline):
        try:
            verify(target, archive)
        except FetchError:
            _download(archive, target, limits, progress)
    return target


def verify(path: Path, archive: Archive) -> None:
    """Raise FetchError unless `path` is a regular file with exactly the published content."""
    try:
        if archive.content_sha256:
            content = idx.gunzip(files.read_bytes(path, limit=archive.max_bytes), limit=archive.max_content)
            _compare("SHA-256", hashlib.sha256(content).hexdigest(), archive.content_sha256)
        else:
            with files.open_regular(path) as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            _compare("MD5", digest.hexdigest(), archive.md5)
    except (OSError, files.UnreadableError, idx.IdxError) as error:
        raise FetchError(str(error)) from error


def _compare(kind: str, found: str, published: str | None) -> None:
    if found != published:
        raise FetchError(f"checksum mismatch ({kind})")


@contextlib.contextmanager
def download_lock(target: Path, timeout: float) -> Iterator[None]:
    """Hold the lock of `target` if it can be acquired: it saves duplicate downloads; correctness does not depend on it.

    Removes temporary files of killed downloads of `target`, which may be the beginning of several files' names.
    """
    lock_path = target.parent / f".{target.name}.lock"
    is_held = False
    with contextlib.ExitStack() as stack:
        # It cannot be acquired if it is held for too long, in a read-only folder, on a share without locks.
        with contextlib.suppress(OSError):
            is_held = stack.enter_context(exclusive_lock(lock_path, timeout=timeout))
        try:
            if is_held:
                atomic.remove_stale_temps(target.parent, target.name)
            yield
        finally:
            # removed while the lock is held, so that a process waiting for this file sees that it is gone
            with contextlib.suppress(OSError):
                if is_held:
                    lock_path.unlink()


def _download(archive: Archive, target: Path, limits: Limits, progress: Progress) -> None:
    end = time.monotonic() + limits.deadline
    failures: dict[int, FetchError] = {}  # by mirror, the first of each
    for pause in (0.0, *limits.pauses):
        left = [i for i in range(len(archive.urls)) if not isinstance(failures.get(i), FinalError)]
        if failures and (not left or time.monotonic() + pause >= end):
            break
        time.sleep(pause)
        for number, i in enumerate(left):
            now = time.monotonic()
            share = (end - now) / (len(left) - number)  # no mirror can starve the next one
            try:
                _download_from(archive.urls[i], limits.stall, now + share, archive, target, progress)
            except FetchError as error:
                failures.setdefault(i, error)
            else:
                return
    hosts = [url.partition("://")[2].partition("/")[0].rpartition("@")[2] for url in archive.urls]
    reasons = "; ".join(f"{safe_text(hosts[i])}: {safe_text(error)}" for i, error in failures.items())
    raise DataError(f"cannot download '{archive.name}': {reasons}", hint=_MANUAL_HINT)


def _download_from(url: str, stall: float, end: float, archive: Archive, target: Path, progress: Progress) -> None:
    # The writer comes first: a folder that is not writable is found before any mirror is contacted.
    with atomic.open_atomic(target) as writer, contextlib.closing(_stream(url, stall, end)) as stream:
        received = 0
        for chunk, total in stream:
            received += len(chunk)
            if max(received, total or 0) > archive.max_bytes:
                raise FetchError(f"larger than {archive.max_bytes} bytes")
            if not chunk:
                writer.reserve(total or 0)
            writer.write(chunk)
            progress(archive.name, received, total)
        verify(writer.temporary, archive)


def _stream(url: str, stall: float, end: float) -> Generator[tuple[bytes, int | None], None, None]:
    """Yield nothing, then the body of a response chunk by chunk, each with the total length if known. Raises FetchError."""
    if problem := urls.problem_of(url):
        raise FinalError(problem)
    request = Request(url, headers={"User-Agent": "mnistae"})  # noqa: S310 - checked above
    proxies = urllib.request.ProxyHandler({} if urls.is_loopback(urlsplit(url).hostname) else None)
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    response: http.client.HTTPResponse
    timeout = min(stall, end - time.monotonic())
    if timeout <= 0:
        raise FetchError("timed out")
    try:
        with urllib.request.build_opener(proxies, tls, _Redirects).open(request, timeout=timeout) as response:
            if response.status != http.HTTPStatus.OK:
                raise _http_error(response.status)
            total, received = response.length, 0
            yield b"", total
            # Counted here: `read1` of Python 3.11 does not, and would wait for a mirror that keeps the connection open.
            while received != total:
                chunk = response.read1(CHUNK_SIZE if total is None else min(CHUNK_SIZE, total - received))
                if not chunk and total is None:
                    return
                if not chunk:
                    raise FetchError(f"connection closed after {received} of {total} bytes")
                if time.monotonic() >= end:
                    raise FetchError("timed out")
                received += len(chunk)
                yield chunk, total
    except urllib.error.HTTPError as error:
        error.close()
        raise _http_error(error.code) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(_reason(error, timeout)) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to allowed URLs, at most MAX_REDIRECTS, and none from https to http."""

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        """Follow a redirect without reading its body, which may have any length."""
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # as in the base class

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the next request. Raises FetchError."""
        if problem := urls.problem_of(newurl):
            raise FinalError(f"redirect to a disallowed URL: {problem}")
        if req.type == "https" and urlsplit(newurl).scheme == "http":
            raise FinalError("redirect from https to http")
        if sum(getattr(req, "redirect_dict", {}).values()) >= MAX_REDIRECTS:
            raise FinalError(f"more than {MAX_REDIRECTS} redirects")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error: Exception, timeout: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no data for {timeout:.2g} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {cause.verify_message}"
    if isinstance(cause, http.client.IncompleteRead):
        return "connection closed early"
    return (cause.strerror or str(cause)) if isinstance(cause, OSError) else "invalid HTTP response"


def _http_error(code: int) -> FetchError:
    is_final = 400 <= code < 500 and code not in {http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS}
    family = FinalError if is_final else FetchError
    return family(f"HTTP {code} {http.client.responses.get(code, '')}".strip())


def unpack_zip(path: Path, members: Mapping[str, str], folder: Path, *, max_bytes: int) -> None:
    """Extract `members` (name in the zip → file name in `folder`), none larger than `max_bytes`.

    Each is complete or not there. Raises DataError for a damaged zip, OutputError where a file cannot be written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member, name in members.items():
                info = archive.getinfo(member)  # its size is the most that is unpacked; other methods buffer without a cap
                if info.file_size > max_bytes or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise zipfile.BadZipFile(f"'{member}' is too large or not deflated")
                with archive.open(info) as source, atomic.open_atomic(folder / name) as writer:
                    while chunk := source.read(CHUNK_SIZE):
                        writer.write(chunk)
    except files.DAMAGED_ZIP as error:
        raise DataError(f"cannot unpack '{path}': {safe_text(error)}", hint="delete it and fetch the data set again") from error
