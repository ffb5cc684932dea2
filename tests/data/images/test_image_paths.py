"""Paths of pictures: links are followed, and what is no ordinary file is refused at once."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.images import arrays_io, formats
from mnistae.data.images.decode import read_bytes, read_path
from tests.support.images import five, saved

PNG = saved(five())


def nothing(_: Path) -> None:
    pass


def a_folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def a_large_picture(path: Path) -> None:
    path.write_bytes(PNG)
    os.truncate(path, formats.MAX_FILE_BYTES + 1)


@pytest.mark.skipif(os.name == "nt", reason="these kinds of file are Unix's")
@pytest.mark.parametrize(
    ("make", "message", "reason"),
    [
        (nothing, "no such image: ", ""),
        (os.mkfifo, "cannot read ", ": it is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot read ", ": it is not a regular file"),
        (a_folder, "cannot read ", ": it is a folder"),
        (a_socket, "cannot read ", f": {os.strerror(errno.ENXIO)}"),
        (a_loop, "cannot read ", f": {os.strerror(errno.ELOOP)}"),
        (lambda path: path.symlink_to("/proc/self/mem"), "cannot read ", f": {os.strerror(errno.EIO)}"),
        (a_huge_file, "cannot read ", ": it is larger than 2 MiB"),
        (a_large_picture, "image too large: ", ""),
    ],
    ids=["missing", "pipe", "device", "folder", "socket", "loop", "memory", "sparse", "large"],
)
@pytest.mark.timeout(20)
def test_what_is_no_ordinary_file_is_refused_at_once(
    make: Callable[[Path], object], message: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing hangs, and nothing without an end is read: the error names the path."""
    monkeypatch.chdir(tmp_path)  # a socket's name has to be short
    monkeypatch.setattr(arrays_io, "MAX_BYTES", 2 << 20)
    monkeypatch.setattr(formats, "MAX_FILE_BYTES", 1 << 20)
    path = tmp_path / "it.png"
    make(path)
    with pytest.raises(DataError) as caught:
        read_path(path)
    assert caught.value.message == f"{message}'{path}'{reason}"


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000, "a.png/b.png"])
def test_a_path_that_cannot_be_is_a_data_error(name: str, tmp_path: Path) -> None:
    """A path that the system refuses to look at is an expected failure too."""
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(DataError):
        read_path(tmp_path / name)


def test_a_link_to_a_picture_is_followed(tmp_path: Path) -> None:
    """Users may have links, and no suffix."""
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "link").symlink_to("a.png")
    assert np.array_equal(read_path(tmp_path / "link").images, read_bytes(PNG, name="a").images)
