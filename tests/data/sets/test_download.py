"""Whatever a mirror does, an archive is complete and verified under its name, or not there."""

import gzip
import hashlib
import os
import random
import struct
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import pytest

from mnistae.core.errors import DataError, OutputError
from mnistae.data.sets import download
from mnistae.data.sets.download import Archive, Limits, fetch_archive
from tests.support.client import log_result
from tests.support.http_mirror import BEHAVIOURS, Mirror, closed_url

NAME = "train-images-idx3-ubyte.gz"
CONTENT = struct.pack(">IIII", 0x803, 10, 28, 28) + random.Random(0).randbytes(7840)
ARCHIVE = gzip.compress(CONTENT, mtime=0)
FILES = {NAME: ARCHIVE}
LIMITS = Limits(stall=0.3, deadline=3.0, pauses=())
SHORT = replace(LIMITS, deadline=0.8)
PATIENT = Limits(stall=5.0, deadline=10.0, pauses=())
RETRIES = Limits(stall=5.0, deadline=30.0, pauses=(0.05, 0.1))

pytestmark = pytest.mark.usefixtures("hosts")

GOOD = ["good", "slow", "chunked", "unsized", "kept open", "moved", "recompressed"]
BAD = {
    **dict.fromkeys(("html", "wrong bytes", "one bit", "not gzip"), "invalid gzip data"),
    **dict.fromkeys((f"reset at {share} %" for share in (0, 1, 50, 99)), "reset"),
    **dict.fromkeys(("silent", "stall after headers", "stall mid body"), "no data for 0.3 s"),
    "404": "HTTP 404 Not Found",
    "403": "HTTP 403 Forbidden",
    "500": "HTTP 500 Internal Server Error",
    "503": "HTTP 503 Service Unavailable",
    "206": "HTTP 206 Partial Content",
    "not http": "invalid HTTP response",
    "truncated": f"connection closed after {len(ARCHIVE) // 2} of {len(ARCHIVE)} bytes",
    "truncated chunked": "connection closed early",
    "truncated unsized": "truncated gzip stream",
    "drip": "timed out",
    "endless": "larger than 20000 bytes",
    "announced too long": "larger than 20000 bytes",
    "redirect loop": "more than 3 redirects",
    "endless redirect": "more than 3 redirects",
    "redirect to http elsewhere": "redirect to a disallowed URL: HTTPS required",
    "redirect to ftp": "redirect to a disallowed URL: HTTPS required",
    "redirect to file": "HTTP 302 Found",
    "redirect to nonsense": "invalid HTTP response",
    "redirect to nowhere": "HTTP 302 Found",
    "cut gzip": "truncated gzip stream",
    "trailing garbage": "trailing data after the gzip stream",
    "second member": "trailing data after the gzip stream",
    "bomb": "unpacks to more than 8000 bytes",
    "other content": "checksum mismatch (SHA-256)",
    "empty": "truncated gzip stream",
}


def archive_at(*mirrors: Mirror | str) -> Archive:
    """Return the archive of these tests, as the mirrors (or base addresses) have it."""
    bases = (mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Archive(NAME, tuple(base + NAME for base in bases), 20_000, 8_000, content_sha256=digest)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def assert_only_the_file(folder: Path) -> None:
    assert names_in(folder) == [NAME]
    assert gzip.decompress((folder / NAME).read_bytes()) == CONTENT


def test_every_behaviour_has_its_row() -> None:
    """The table of this file and the mirror's name the same behaviours."""
    assert {*GOOD, *BAD, "proxy"} == BEHAVIOURS.keys()


@pytest.mark.parametrize("behaviour", GOOD)
def test_good_mirror(behaviour: str, folder: Path) -> None:
    """A file that arrives whole, in whatever way HTTP allows, is kept, with nothing beside it."""
    with Mirror(FILES, behaviour) as mirror:
        path = fetch_archive(archive_at(mirror), folder / "new" / "folder", limits=PATIENT)
    assert path == folder / "new" / "folder" / NAME
    assert_only_the_file(path.parent)


@pytest.mark.parametrize("behaviour", BAD)
def test_bad_mirror(behaviour: str, folder: Path, hosts: list[str]) -> None:
    """D1, D2 and T9: where every mirror fails, an error has a reason for each, and no file is left; a good one delivers."""
    with Mirror(FILES, behaviour) as mirror, Mirror(FILES) as good:
        with pytest.raises(DataError) as caught:
            fetch_archive(archive_at(mirror, mirror), folder, limits=SHORT if behaviour == "drip" else LIMITS)
        assert names_in(folder) == []
        fetch_archive(archive_at(mirror, good), folder, limits=replace(LIMITS, pauses=(0.1,) * 9))
        host = mirror.url.split("/")[2]
    assert_only_the_file(folder)
    assert NAME in caught.value.message
    assert caught.value.message.count(f"{host}: ") == 2
    assert caught.value.message.count(BAD[behaviour]) == 2
    assert caught.value.message.isprintable()
    assert "MNISTAE_DATA_DIR" in caught.value.hint
    assert "--dataset glyphs" in caught.value.hint
    assert hosts == []
    log_result("D1", trials=1, note=f"{len(BAD)} kinds of answer, and mirrors that do not exist")
    log_result("D2", trials=1, note="one reason per mirror")
    log_result("T9", trials=2, note="the trials of D1 and D2")


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("closed", "Connection refused"),
        ("https://mirror.invalid/", "mirror.invalid: Name or service not known"),
        ("http://mirror.invalid/", "HTTPS required"),
        ("https://me:secret@mirror.invalid/", "user name in the URL"),
    ],
)
def test_mirror_that_is_not_there(base: str, reason: str, folder: Path) -> None:
    """D1, D2: a mirror that cannot be reached, or may not be asked, is an error without its password; a good one delivers."""
    base = closed_url() if base == "closed" else base
    with pytest.raises(DataError) as caught:
        fetch_archive(archive_at(base), folder, limits=LIMITS)
    assert reason in caught.value.message
    assert "secret" not in caught.value.message
    with Mirror(FILES) as good:
        fetch_archive(archive_at(base, good), folder, limits=LIMITS)
    assert_only_the_file(folder)
    log_result("D1", trials=1)
    log_result("D2", trials=1)


@pytest.mark.parametrize(("behaviour", "requests"), [("503", 3), ("one bit", 3), ("404", 1)])
def test_each_mirror_is_tried_again(behaviour: str, requests: int, folder: Path) -> None:
    """Each mirror is asked again after a pause, a single one too, unless its answer is final."""
    with Mirror(FILES, behaviour) as first, Mirror(FILES, behaviour) as second:
        with pytest.raises(DataError):
            fetch_archive(archive_at(first), folder, limits=RETRIES)
        assert len(first.requests) == requests
        with pytest.raises(DataError):
            fetch_archive(archive_at(first, second), folder, limits=RETRIES)
        assert (len(first.requests), len(second.requests)) == (2 * requests, requests)


@pytest.mark.parametrize("pauses", [(0.05,), ()])
def test_mirror_that_fails_once(pauses: tuple[float, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that passes costs a pause; without retries it would end the download."""
    answers = iter([BEHAVIOURS["503"], BEHAVIOURS["good"]])
    monkeypatch.setitem(BEHAVIOURS, "fails once", lambda *request: next(answers)(*request))  # noqa: PLW0108 - the next one each time
    with Mirror(FILES, "fails once") as mirror, nullcontext() if pauses else pytest.raises(DataError, match="HTTP 503"):
        fetch_archive(archive_at(mirror), folder, limits=replace(LIMITS, pauses=pauses))
    assert names_in(folder) == ([NAME] if pauses else [])


def test_no_time_left(folder: Path) -> None:
    """Once the time is over, no mirror is contacted."""
    with Mirror(FILES) as mirror, pytest.raises(DataError, match="timed out"):
        fetch_archive(archive_at(mirror), folder, limits=Limits(deadline=0.0))
    assert mirror.requests == []


def test_without_the_check_wrong_content_would_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D1: the table above is sensitive: with the comparison of sums taken out, other content is kept."""
    monkeypatch.setattr(download, "_compare", lambda *_: None)
    with Mirror(FILES, "other content") as mirror:
        path = fetch_archive(archive_at(mirror), folder, limits=LIMITS)
    assert gzip.decompress(path.read_bytes()) != CONTENT
    log_result("D1", trials=0, control="the comparison of sums left out: detected in 1 of 1")


@pytest.mark.parametrize(("planted", "requests"), [(ARCHIVE, 0), (b"garbage", 1), (gzip.compress(CONTENT[::-1], mtime=0), 1)])
def test_file_under_the_final_name(planted: bytes, requests: int, folder: Path) -> None:
    """A file is kept if it is right; else it is replaced by one that is, or stays where no mirror delivers."""
    (folder / NAME).write_bytes(planted)
    with nullcontext() if requests == 0 else pytest.raises(DataError):
        fetch_archive(archive_at(closed_url()), folder, limits=LIMITS)
    assert (folder / NAME).read_bytes() == planted
    with Mirror(FILES) as mirror:
        fetch_archive(archive_at(mirror), folder, limits=PATIENT)
        assert len(mirror.requests) == requests
    assert_only_the_file(folder)


def test_folder_that_cannot_be_written(folder: Path) -> None:
    """A folder that cannot be written is reported before any mirror is contacted."""
    (folder / "file").write_text("")
    with Mirror(FILES) as mirror:
        with pytest.raises(OutputError):
            fetch_archive(archive_at(mirror, mirror), folder / "file" / "folder", limits=LIMITS)
        assert mirror.requests == []


def test_full_disk_does_not_ask_the_next_mirror(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full ends the download: another mirror would not help."""

    def full(*_args: Any) -> int:
        raise OSError(28, "No space left on device")

    with Mirror(FILES, "unsized") as mirror:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="No space left"):
            fetch_archive(archive_at(mirror, mirror), folder, limits=PATIENT)
        monkeypatch.undo()
        assert len(mirror.requests) == 1
    assert names_in(folder) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_what_the_caller_raises_passes_through(error: type[BaseException], folder: Path) -> None:
    """An interrupt or a failing progress bar ends the download, without another mirror and without leftover files."""

    def interrupted(_name: str, received: int, _total: int | None) -> None:
        if received:
            raise error

    with Mirror(FILES) as mirror:
        with pytest.raises(error):
            fetch_archive(archive_at(mirror, mirror), folder, progress=interrupted, limits=PATIENT)
        assert len(mirror.requests) == 1
    assert names_in(folder) == []


def test_progress(folder: Path) -> None:
    """Progress counts the archive's bytes from 0 to all of them."""
    seen: list[tuple[str, int, int | None]] = []
    with Mirror(FILES) as mirror:
        fetch_archive(archive_at(mirror), folder, progress=lambda *counts: seen.append(counts), limits=PATIENT)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((NAME, 0, len(ARCHIVE)), (NAME, len(ARCHIVE), len(ARCHIVE)))
    seen.clear()
    with Mirror(FILES, "chunked") as mirror:
        fetch_archive(archive_at(mirror), folder / "again", progress=lambda *counts: seen.append(counts), limits=PATIENT)
    counts = [received for _, received, _ in seen]
    assert len(counts) > 2  # in pieces
    assert counts == sorted(set(counts))
    assert seen[-1] == (NAME, len(ARCHIVE), None)


def test_lock_that_is_never_released(folder: Path) -> None:
    """A lock that is never released delays a download, but does not prevent it."""
    limits = replace(PATIENT, deadline=1.0)
    with filelock.FileLock(folder / f".{NAME}.lock"), Mirror(FILES) as mirror:
        thread = threading.Thread(target=fetch_archive, args=(archive_at(mirror), folder), kwargs={"limits": limits})
        started = time.monotonic()
        thread.start()
        thread.join(60.0)
        assert time.monotonic() - started >= limits.deadline
        assert (folder / NAME).read_bytes() == ARCHIVE


def test_lock_file_that_is_a_link(folder: Path) -> None:
    """A link planted for the lock leads nowhere."""
    (folder / f".{NAME}.lock").symlink_to(folder / "victim")
    with Mirror(FILES) as mirror:
        fetch_archive(archive_at(mirror), folder, limits=PATIENT)
    assert not (folder / "victim").exists()
    assert (folder / NAME).read_bytes() == ARCHIVE
