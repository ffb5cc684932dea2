"""The files of a folder: images by suffix, hidden and system files skipped, others counted, each folder visited once."""

import os
from pathlib import Path

import pytest

from mnistae.core.errors import DataError
from mnistae.data.images import files

NAMES = (
    *("b.PNG", "a.tiff", "sub/c.webp", "sub/deep/d.avif", "notes.TXT", "sub/x.heic", "sub/y.heic", "LICENSE"),
    *(".hidden.png", "._b.png", ".ipynb_checkpoints/b.png", "__MACOSX/b.png", "Thumbs.db", "desktop.ini", "sub/.DS_Store"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with NAMES, and a link in it that leads back to it."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sub" / "loop").symlink_to("..")
    return tmp_path


def test_find(folder: Path) -> None:
    """Images are listed in a fixed order, other visible files counted by suffix."""
    images, others = files.find(str(folder), recursive=True)
    assert images == [str(folder / name) for name in ("a.tiff", "b.PNG", "sub/c.webp", "sub/deep/d.avif")]
    assert others == "2 .heic, 1 without suffix, 1 .txt"


def test_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be read is refused, one with too many files before all are listed."""
    with pytest.raises(DataError, match="cannot read folder 'missing': No such file"):
        files.find("missing", recursive=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, os.walk.__name__, lambda *_args, **_options: [("removed", [], [])])
        with pytest.raises(DataError, match="cannot read folder 'removed': No such file"):
            files.find(str(folder), recursive=True)
    folder.joinpath(*"d" * files.MAX_DEPTH).mkdir(parents=True)
    files.find(str(folder), recursive=True)
    folder.joinpath(*"d" * (files.MAX_DEPTH + 1)).mkdir()
    with pytest.raises(DataError, match="more than 100 nested folders in "):
        files.find(str(folder), recursive=True)
    monkeypatch.setattr(files, "MAX_FILES", 3)
    with pytest.raises(DataError, match="more than 3 files in "):
        files.find(str(folder), recursive=True)
