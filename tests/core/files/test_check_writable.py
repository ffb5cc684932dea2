import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnistae.core.errors import OutputError
from mnistae.core.files import atomic

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions and links as on POSIX")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder that the current user may not enter; root becomes nobody meanwhile."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0)
    if os.geteuid() != 0:
        yield folder
        return
    os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(0)


def test_no_permission(nobody: Path) -> None:
    """A place without permission is an expected error, when it is checked and when it is written."""
    for attempt in (atomic.check_writable, lambda path: atomic.write_bytes(path, b"new")):
        with pytest.raises(OutputError) as failure:
            attempt(nobody / "deeper" / "file")
        assert failure.value.message.startswith(f"cannot write '{nobody}/deeper/file': ")
        assert "ermission" in failure.value.message


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("new", None),
        ("file", None),
        ("dangling", None),
        ("a/b/new", None),
        ("folder", "'{name}' is a folder, not a file"),
        (".", "'{name}' is a folder, not a file"),
        ("to-folder", "'{name}' is a folder, not a file"),
        ("file/new", "cannot write '{name}': '{here}/file' is not a folder"),
        ("file/a/b/new", "cannot write '{name}': '{here}/file' is not a folder"),
        ("dangling/new", "cannot write '{name}': '{here}/dangling' is not a folder"),
        ("loop/new", "cannot write '{name}': '{here}/loop' is not a folder"),
        ("x" * 256, "cannot write '{name}': File name too long"),
    ],
)
def test_check_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: str | None) -> None:
    """Errors that can be foreseen are raised before the work; the check itself changes nothing."""
    here = tmp_path / "out"
    (here / "folder").mkdir(parents=True)
    (here / "file").write_bytes(b"old")
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
