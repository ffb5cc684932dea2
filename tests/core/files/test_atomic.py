"""The atomic writer. Failing calls, limits, kills and power cuts are tested in tests/reliability."""

import errno
import os
import stat
from pathlib import Path

import pytest

from mnistae.core.errors import OutputError
from mnistae.core.files import atomic
from tests.support.faults import Fault, injected

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the faults are those of POSIX")

OLD, NEW = b"old" * 1000, b"new" * 5000


NO_SPACE_CALL = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
UNSUPPORTED = [*(("posix_fallocate", 0, code) for code in NO_SPACE_CALL), ("fsync", 1, errno.EINVAL)]


@pytest.mark.parametrize(("name", "k", "code"), UNSUPPORTED)
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
