"""The atomic writer. Failing calls, limits, kills and power cuts are tested in tests/reliability."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistae.core.errors import OutputError
from mnistae.core.files import atomic
from tests.support.faults import Fault, injected

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the faults, permissions and links are those of POSIX")

OLD, NEW = b"old" * 1000, b"new" * 5000


def test_unsupported_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that can neither reserve space nor flush a folder is written to all the same."""
    reserving = [Fault("error", "posix_fallocate", errno=code) for code in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)]
    for number, fault in enumerate([*reserving, Fault("error", "fsync", at=1, errno=errno.EINVAL)]):
        with injected(fault):
            atomic.write_bytes(tmp_path / f"{number}", NEW)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)  # as on some platforms
    atomic.write_bytes(tmp_path / "4", NEW)
    assert all((tmp_path / f"{number}").read_bytes() == NEW for number in range(5))


def test_missing_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A root that is missing, as a Windows drive can be, is an error of the system."""
    monkeypatch.setattr(os.path, "lexists", lambda _path: False)
    monkeypatch.setattr(Path, "is_dir", lambda _path: False)
    with pytest.raises(OSError, match="exists"):  # here there is a root
        atomic.make_dirs(Path("/"))


def test_block_that_fails(tmp_path: Path) -> None:
    """Whatever ends the block, the old file stays, no temporary file does, and the exception propagates."""
    path = tmp_path / "out" / "file"
    atomic.write_bytes(path, OLD)

    def write_and_fail() -> None:
        with atomic.open_atomic(path) as writer:
            writer.write(NEW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert (path.read_bytes(), list(path.parent.iterdir())) == (OLD, [path])


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    """While a file is being written, its name leads to the previous content, and a closed writer cannot be written to."""
    path = tmp_path / "file"
    atomic.write_text(path, "old")
    with atomic.open_atomic(path) as writer:
        writer.write(memoryview(NEW).cast("I"))
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == NEW
    with pytest.raises(OutputError, match="Bad file descriptor"):
        writer.write(b"more")


@pytest.mark.parametrize("target", ["present", "missing"])
def test_link_is_followed(tmp_path: Path, target: str) -> None:
    """A link stays a link: the file that it leads to is written, in its own folder."""
    folder, link = tmp_path / "elsewhere", tmp_path / "out" / "link"
    atomic.write_bytes(folder / "present", OLD)
    link.parent.mkdir()
    link.symlink_to(folder / target)
    atomic.check_writable(link)
    atomic.write_bytes(link, NEW)
    assert (folder / target).read_bytes() == NEW
    assert (list(link.parent.iterdir()), link.is_symlink()) == ([link], True)


@pytest.mark.parametrize("name", ["a/b/c/file", "x" * 255, "漢" * 85, "-rf", "a\nb"])
def test_names(tmp_path: Path, name: str) -> None:
    """Missing folders are made, and every name that the file system takes can be written."""
    atomic.check_writable(tmp_path / name)
    atomic.write_bytes(tmp_path / name, NEW)
    assert (tmp_path / name).read_bytes() == NEW


@pytest.mark.parametrize("write", [atomic.check_writable, lambda path: atomic.write_bytes(path, b"new")])
def test_no_permission(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """A place without permission is an expected error, when it is checked and when it is written."""
    path = tmp_path / "locked" / "deeper" / "file"
    (tmp_path / "locked").mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(OutputError, match=f"cannot write '{path}': (no p|P)ermission"):
            write(path)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("file", None),
        ("dangling", None),
        ("a/b/new", None),
        ("folder", "'{name}' is a folder, not a file"),
        ("to-folder", "'{name}' is a folder, not a file"),
        ("file/a/b/new", "cannot write '{name}': '{here}/file' is not a folder"),
        ("loop/new", "cannot write '{name}': '{here}/loop' is not a folder"),
        ("x" * 256, "cannot write '{name}': File name too long"),
    ],
)
def test_check_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: str | None) -> None:
    """Errors that can be foreseen are raised before the work; the check itself changes nothing."""
    here = tmp_path / "out"
    atomic.write_bytes(here / "file", OLD)
    (here / "folder").mkdir()
    for link, target in {"to-folder": "folder", "dangling": "nowhere", "loop": "loop"}.items():
        (here / link).symlink_to(target)
    monkeypatch.chdir(here)
    before = set(here.iterdir())
    if error is None:
        atomic.check_writable(Path(name))
    else:
        with pytest.raises(OutputError) as failure:
            atomic.check_writable(Path(name))
        assert failure.value.message == error.format(name=name, here=here)
    assert set(here.iterdir()) == before
