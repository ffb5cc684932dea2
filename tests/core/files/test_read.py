import os
import re
import socket
import sys
from pathlib import Path

import pytest

from mnistae.core.errors import CheckpointError
from mnistae.core.files import read as files

MIB = 2**20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="special files and error texts of Linux")


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of several sizes and things that are not files."""
    folder = tmp_path / "zoo"
    (folder / "folder").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name, size in {"empty": 0, "byte": 1, "full": MIB, "over": MIB + 1, "huge": 2**40}.items():
        with Path(name).open("wb") as file:
            file.truncate(size)
    os.mkfifo("fifo")
    for link, target in {"link": "byte", "loop": "loop"}.items():
        Path(link).symlink_to(target)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    return folder


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("name", "size", "error"),
    [
        ("empty", 0, None),
        ("byte", 1, None),
        ("full", MIB, None),
        ("link", 1, None),
        ("over", None, "it is larger than 1 MiB"),
        ("huge", None, "it is larger than 1 MiB"),
        ("missing", None, "there is no such file"),
        ("folder", None, "it is a folder"),
        ("fifo", None, "it is not a regular file"),
        ("socket", None, "No such device or address"),
        ("loop", None, "Too many levels of symbolic links"),
        ("/proc/self/mem", None, "Input/output error"),
        ("a\0b", None, "embedded null byte"),
        ("a\ud800", None, "'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed"),
    ],
)
def test_read_bytes(zoo: Path, name: str, size: int | None, error: str | None) -> None:
    """A regular file within the limit is read; anything else is refused at once, with the reason, and closed."""
    before = open_files()
    if error is None:
        assert files.read_bytes(Path(name), limit=MIB) == bytes(size or 0)
    else:
        with pytest.raises(files.UnreadableError, match=f"^{re.escape(error)}$"):
            files.read_bytes(Path(name), limit=MIB)
    assert open_files() == before


def test_read_or_raise(tmp_path: Path) -> None:
    """The bytes of several chunks are read unchanged; the reason for an error is reported in the caller's family of errors."""
    data, what = os.urandom(2 * MIB + 12345), "the checkpoint"
    (tmp_path / "file").write_bytes(data)
    assert files.read_or_raise(tmp_path / "file", limit=3 * MIB, family=CheckpointError, what=what, hint="do this") == data
    with pytest.raises(CheckpointError) as failure:
        files.read_or_raise(tmp_path, limit=MIB, family=CheckpointError, what=what, hint="do this")
    assert failure.value.message == f"cannot read the checkpoint '{tmp_path}': it is a folder"
    assert failure.value.hint == "do this"
