import errno
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mnistae.core.errors import OutputError
from mnistae.core.files import atomic

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the faults are those of POSIX")

OLD, NEW = b"old" * 1000, b"new" * 5000
PRIMITIVES = ("open", "posix_fallocate", "write", "fsync", "close", "replace")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE)

Write = Callable[[Path, bytes], None]


class Faults:
    """The primitives of `os` that the writer uses: each call is noted down, and the k-th of one kind fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail: str = "", k: int = 0, code: int = 0) -> None:
        self.calls: list[str] = []
        self.is_renamed = False
        for name in PRIMITIVES:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name), k if name == fail else -1, code))

    def _wrap(self, name: str, real: Callable[..., Any], k: int, code: int) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            is_due = self.calls.count(name) == k
            self.calls.append(name)
            if is_due and name != "close":
                raise OSError(code, os.strerror(code))
            answer = real(*args, **options)
            if is_due:  # a close that fails closes all the same
                raise OSError(code, os.strerror(code))
            self.is_renamed |= name == "replace"
            return answer

        return call


def in_place(path: Path, data: bytes) -> None:
    """Write as everybody does: the sabotage."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, data)
        os.fsync(fd)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror}", hint="") from error
    finally:
        os.close(fd)


def check_old_or_new(write: Write, path: Path, name: str, code: int) -> int:
    """Let each call of one primitive fail in turn; return how often that was, once nothing failed any more."""
    for k in range(10):
        path.unlink(missing_ok=True)
        for before in (None, OLD):
            if before is not None:
                path.write_bytes(before)
            with pytest.MonkeyPatch.context() as patch:
                faults = Faults(patch, name, k, code)
                try:
                    write(path, NEW)
                except OutputError as error:
                    failure: OutputError | None = error
                else:
                    failure = None
            if failure is None:
                assert path.read_bytes() == NEW
                return k
            after = path.read_bytes() if path.exists() else None
            assert after == (NEW if faults.is_renamed else before)
            assert {file.name for file in path.parent.iterdir()} <= {path.name}
            assert failure.message == f"cannot write '{path}': {os.strerror(code)}"
    pytest.fail(f"{name} is called too often")


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("name", "calls"), [("open", 2), ("posix_fallocate", 1), ("write", 1), ("fsync", 2), ("close", 2), ("replace", 1)]
)
def test_old_or_new(tmp_path: Path, name: str, calls: int, code: int) -> None:
    """Whichever call fails, the file is whole, old or new, nothing lies beside it, and the reason is told."""
    folder = tmp_path / "out"
    folder.mkdir()
    assert check_old_or_new(atomic.write_bytes, folder / "file", name, code) == calls


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_old_or_new_control(tmp_path: Path, name: str) -> None:
    """A writer that writes in place does not pass the test above."""
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(AssertionError):
        check_old_or_new(in_place, folder / "file", name, errno.ENOSPC)


def is_durable(tmp_path: Path) -> bool:
    """Whether the bytes are flushed before the rename and the name after it."""
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch)
        atomic.write_bytes(tmp_path / "file", NEW)
    return [call for call in faults.calls if call in {"write", "fsync", "replace"}] == ["write", "fsync", "replace", "fsync"]


@pytest.mark.skipif(sys.platform == "darwin", reason="F_FULLFSYNC stands for fsync there")
def test_order(tmp_path: Path) -> None:
    """The bytes are flushed before the file gets its name, and the name after."""
    assert is_durable(tmp_path)


@pytest.mark.parametrize("flush", ["_fsync", "fsync_dir"])
def test_order_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush: str) -> None:
    """Without one of the two flushes the test above fails."""
    monkeypatch.setattr(atomic, flush, lambda _target: None)
    assert not is_durable(tmp_path)


@pytest.mark.parametrize(
    ("name", "k", "code"),
    [
        ("posix_fallocate", 0, errno.EOPNOTSUPP),
        ("posix_fallocate", 0, errno.EINVAL),
        ("posix_fallocate", 0, errno.ENOSYS),
        ("fsync", 1, errno.EINVAL),
    ],
)
def test_what_a_file_system_cannot(tmp_path: Path, name: str, k: int, code: int) -> None:
    """A file system that can neither reserve space nor flush a folder is written to all the same."""
    with pytest.MonkeyPatch.context() as patch:
        Faults(patch, name, k, code)
        atomic.write_bytes(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


def test_no_reservation_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without posix_fallocate is written to as well."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    atomic.write_bytes(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.parametrize("data", [b"", b"x", NEW, bytearray(NEW), memoryview(NEW), memoryview(NEW).cast("I")])
def test_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | bytearray | memoryview) -> None:
    """A disk that takes 7 bytes at a time gets all of them."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, rest: write(fd, rest[:7]))
    atomic.write_bytes(tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == bytes(data)


def test_file_size_limit(tmp_path: Path) -> None:
    """A limit set by the system is an expected failure: the old file stays, and nothing lies beside it."""
    path = tmp_path / "out" / "file"
    path.parent.mkdir()
    path.write_bytes(OLD)
    script = """import sys; from pathlib import Path; from mnistae.core.files import atomic
atomic.write_bytes(Path(sys.argv[1]), bytes(8192))"""
    answer = subprocess.run(
        [sys.executable, "-c", script, path],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        check=False,
    )
    assert answer.stderr.decode().endswith(f"OutputError: cannot write '{path}': File too large\n")
    assert (path.read_bytes(), list(path.parent.iterdir())) == (OLD, [path])


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, MemoryError, ValueError])
def test_block_that_fails(tmp_path: Path, ending: type[BaseException]) -> None:
    """Whatever ends the block, the old file stays, nothing lies beside it, and the exception goes its way."""
    path = tmp_path / "out" / "file"
    path.parent.mkdir()
    path.write_bytes(OLD)

    def write_and_fail() -> None:
        with atomic.open_atomic(path) as writer:
            writer.write(NEW)
            raise ending

    with pytest.raises(ending):
        write_and_fail()
    assert (path.read_bytes(), list(path.parent.iterdir())) == (OLD, [path])


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    """While a file is written, its name shows what was there before, and a closed writer takes no more."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with atomic.open_atomic(path) as writer:
        writer.write(NEW[:100])
        assert path.read_bytes() == OLD
        writer.write(NEW[100:])
    assert path.read_bytes() == NEW
    with pytest.raises(OutputError, match="Bad file descriptor"):
        writer.write(b"more")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o000, 0o666)])
def test_umask(tmp_path: Path, mask: int, mode: int) -> None:
    """A file's rights follow from the umask."""
    before = os.umask(mask)
    try:
        atomic.write_text(tmp_path / "file", "ä")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert (tmp_path / "file").read_bytes() == "ä".encode()


@pytest.mark.parametrize("target", ["present", "missing"])
def test_link_is_followed(tmp_path: Path, target: str) -> None:
    """A link stays a link: the file that it leads to is written, in its own folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "present").write_bytes(OLD)
    link = tmp_path / "out" / "link"
    link.parent.mkdir()
    link.symlink_to(folder / target)
    atomic.check_writable(link)
    atomic.write_bytes(link, NEW)
    assert link.is_symlink()
    assert (folder / target).read_bytes() == NEW
    assert list(link.parent.iterdir()) == [link]


@pytest.mark.parametrize("name", ["a/b/c/file", "x" * 255, "漢" * 85, "🙂" * 63, "-rf", "with space", "a\nb"])
def test_names(tmp_path: Path, name: str) -> None:
    """Missing folders are made, and every name that the file system takes can be written."""
    atomic.check_writable(tmp_path / name)
    atomic.write_bytes(tmp_path / name, NEW)
    assert (tmp_path / name).read_bytes() == NEW


@pytest.mark.parametrize(("failures", "waits"), [(0, 0), (2, 2), (4, 4), (5, None)])
def test_scanner_on_windows(monkeypatch: pytest.MonkeyPatch, failures: int, waits: int | None) -> None:
    """On Windows a target that somebody holds is tried again for a second, then given up."""
    answers = [PermissionError(13, "held")] * failures
    slept: list[float] = []

    def replace(_source: Path, _target: Path) -> None:
        if answers:
            raise answers.pop()

    monkeypatch.setattr(atomic, "os", SimpleNamespace(name="nt", replace=replace))
    monkeypatch.setattr(time, "sleep", slept.append)
    if waits is None:
        with pytest.raises(PermissionError):
            atomic._replace(Path("a"), Path("b"))
        return
    atomic._replace(Path("a"), Path("b"))
    assert slept == [0.25] * waits
