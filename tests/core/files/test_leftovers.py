import errno
import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnistae.core.files import atomic, lock

WRITERS, SAVES = 4, 100

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")

WRITER = f"""
import sys
from pathlib import Path
from mnistae.core.files import atomic, lock

folder, number = Path(sys.argv[1]), int(sys.argv[2])
if folder.name == "sabotaged":
    lock.is_free = lambda first, second: True
for k in range({SAVES}):
    atomic.remove_stale_temps(folder)
    atomic.write_bytes(folder / f"{{k % 3}}", bytes([number]) * 20_000)
"""


def run_writers(folder: Path) -> list[str]:
    """Let writers that do not see each other's processes share a folder; return their errors."""
    folder.mkdir()
    commands = [[*NAMESPACE, sys.executable, "-c", WRITER, str(folder), str(number)] for number in range(WRITERS)]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [child.communicate()[1] for child in children]
    return [text for text, child in zip(errors, children, strict=True) if child.returncode]


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode != 0,
    reason="process namespaces need root and util-linux",
)
def test_process_namespaces(tmp_path: Path) -> None:
    """Containers that share a folder never remove each other's temporary files; with their locks ignored they do."""
    assert run_writers(tmp_path / "shared") == []
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == ["0", "1", "2"]
    errors = run_writers(tmp_path / "sabotaged")
    assert errors
    assert all("No such file or directory" in text for text in errors)


def refuse(_fd: int, _operation: int) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


LOCKS = {"locks": fcntl.flock, "no locks": refuse, "false locks": lambda _fd, _operation: None}
"""flock(2), the answer of a file system that has no locks, and that of one that grants every lock."""


@pytest.mark.parametrize(
    ("locks", "is_here", "age", "stays"),
    [
        ("locks", True, 0, False),
        *(("locks", False, age, age == 3600) for age in (3600, 90_000)),
        *((locks, True, age, age == 3600) for locks in ("no locks", "false locks") for age in (3600, 90_000)),
    ],
)
def test_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: str, is_here: bool, age: float, stays: bool) -> None:
    """A leftover of this machine is removed at once if its lock is free, any other a day after it was written."""
    leftover, trash = atomic.temp_path(tmp_path / "file"), atomic.temp_path(tmp_path / "run")
    others = [tmp_path / ".file.tmp", tmp_path / ".file.00000000.0123.tmp", tmp_path / "file"]
    for path in (leftover, *others):
        path.touch()
        written = path.stat().st_mtime - age
        os.utime(path, (written, written))
    trash.mkdir()
    (trash / "model").touch()
    monkeypatch.setattr(fcntl, "flock", LOCKS[locks])
    if not is_here:
        monkeypatch.setattr(atomic, "_machine", lambda: "00000000")
    atomic.remove_stale_temps(tmp_path)
    assert (leftover.exists(), trash.exists(), [path.exists() for path in others]) == (stays, False, [True] * 3)


@pytest.mark.parametrize("locks", LOCKS)
def test_file_in_progress_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: str) -> None:
    """What is being written is not removed, whatever the locks are worth, nor what a link leads to."""
    (tmp_path / "kept").touch()
    atomic.temp_path(tmp_path / "link").symlink_to(tmp_path / "kept")
    monkeypatch.setattr(fcntl, "flock", LOCKS[locks])
    with atomic.open_atomic(tmp_path / "file") as writer:
        writer.write(b"data")
        atomic.remove_stale_temps(tmp_path)
    assert ((tmp_path / "file").read_bytes(), (tmp_path / "kept").exists()) == (b"data", True)


def test_removed_before_it_was_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer whose file is taken for a leftover between its creation and its lock makes another."""
    hold = lock.hold
    cleared: list[int] = []

    def clear_first(fd: int) -> None:
        if not cleared:
            atomic.remove_stale_temps(tmp_path)
            cleared.append(fd)
        hold(fd)

    monkeypatch.setattr(lock, "hold", clear_first)
    atomic.write_bytes(tmp_path / "file", b"data")
    assert [path.name for path in tmp_path.iterdir() if path.name != "work"] == ["file"]
    assert cleared


def test_folder_removed_by_several(tmp_path: Path) -> None:
    """Threads that remove the same folder at once all succeed."""
    for _ in range(3):
        for name in range(50):
            (tmp_path / "folder" / f"{name}").mkdir(parents=True)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(atomic.remove, [tmp_path / "folder"] * 4)) == [None] * 4
        assert not (tmp_path / "folder").exists()
