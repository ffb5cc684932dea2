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

import pytest

from mnistae.core.errors import OutputError
from mnistae.core.files import atomic
from tests.support.faults import Fault, injected, write_in_place

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the faults are those of POSIX")

OLD, NEW = b"old" * 1000, b"new" * 5000
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE)

Write = Callable[[Path, bytes], None]


def check_old_or_new(write: Write, path: Path, name: str, code: int) -> int:
    """Let each call of one primitive fail in turn; return the number of its calls."""
    for k in range(10):
        for before in (None, OLD):
            path.unlink(missing_ok=True)
            if before is not None:
                path.write_bytes(before)
            reason = None
            with injected(Fault("error", name, at=k, errno=code)) as shim:
                try:
                    write(path, NEW)
                except OutputError as error:
                    reason = error.message
            calls = [op for op, _name in shim.calls]
            has_failed = calls.count(name) > k
            is_renamed = "replace" in calls and not (has_failed and name == "replace")
            assert reason == (f"cannot write '{path}': {os.strerror(code)}" if has_failed else None)
            assert (path.read_bytes() if path.exists() else None) == (NEW if is_renamed else before)
            assert {file.name for file in path.parent.iterdir()} <= {path.name}
        if not has_failed:
            return k
    pytest.fail(f"{name} is called too often")


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("name", "calls"), [("open", 2), ("posix_fallocate", 1), ("write", 1), ("fsync", 2), ("close", 2), ("replace", 1)]
)
def test_old_or_new(tmp_path: Path, name: str, calls: int, code: int) -> None:
    """Whichever call fails, the file is whole, old or new, without a temporary file beside it, and the reason is reported."""
    folder = tmp_path / "out"
    folder.mkdir()
    assert check_old_or_new(atomic.write_bytes, folder / "file", name, code) == calls


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_old_or_new_control(tmp_path: Path, name: str) -> None:
    """A writer that writes in place fails the test above."""
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(AssertionError):
        check_old_or_new(write_in_place, folder / "file", name, errno.ENOSPC)


def is_durable(tmp_path: Path) -> bool:
    """Whether the bytes are flushed before the rename and the name after it."""
    with injected() as shim:
        atomic.write_bytes(tmp_path / "file", NEW)
    calls = [op for op, _name in shim.calls if op in {"write", "fsync", "replace"}]
    return calls == ["write", "fsync", "replace", "fsync"]


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
def test_unsupported_operations(tmp_path: Path, name: str, k: int, code: int) -> None:
    """A file system that can neither reserve space nor flush a folder is written to all the same."""
    with injected(Fault("error", name, at=k, errno=code)):
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
    """A limit set by the system is an expected error: the old file stays, and no temporary file."""
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
    """Whatever ends the block, the old file stays, no temporary file does, and the exception propagates."""
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
    """While a file is being written, its name leads to the previous content, and a closed writer cannot be written to."""
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
    """A new file's permissions follow from the umask."""
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
    """On Windows a target that is in use is tried again for a second."""
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
