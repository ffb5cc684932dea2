import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnistae.core.errors import CheckpointError, LockedError, OutputError, UsageError
from mnistae.store import runs
from tests.support.saved_runs import IMPORTED, arrays, refusal, save, tree


@pytest.fixture
def store(home: Path) -> Path:
    return home / "checkpoints"


def test_remove(store: Path) -> None:
    """A removed run is gone with all its files, and the one before it is the newest."""
    save("one", "two")
    runs.remove("two")
    assert (runs.run_names(), runs.newest()) == (["one"], "one")
    assert sorted(path.name for path in store.iterdir()) == [".locks", ".recent", "one"]
    assert refusal(runs.remove, "two") == (CheckpointError, "no such checkpoint: 'two'", "there are: one, lab, denoise")
    assert refusal(runs.remove, "../one")[0] is UsageError


def test_linked_folder(store: Path, tmp_path: Path) -> None:
    """A link in a run's place is never written through nor removed; what it points to stays as it is."""
    save("one")
    shutil.move(store / "one", tmp_path / "outside")
    (store / "one").symlink_to(tmp_path / "outside")
    before = tree(tmp_path / "outside")
    expected = (OutputError, f"'{store}/one' is a link, not a folder of the store", "remove the link")
    assert refusal(save, "one") == expected
    assert refusal(runs.save_model, "one", arrays(), IMPORTED) == expected
    assert refusal(runs.remove, "one") == expected
    assert refusal(runs.lock("one").__enter__) == expected
    for read in (runs.load, runs.load_state):  # nor read
        assert refusal(read, "one") == (CheckpointError, *expected[1:])
    assert tree(tmp_path / "outside") == before
    assert (store / "one").is_symlink()


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[bytes]"]:
    """Another process, holding the run `one`."""
    script = "import sys; from mnistae.store import runs\nwith runs.lock('one'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_lock(store: Path, holder: "subprocess.Popen[bytes]") -> None:
    """A run that another process holds is busy at once; others are free, and so is this one when the holder is killed."""
    save("one", "two")
    busy = (LockedError, "another process is working on the run 'one'", "wait for it, or choose another --name")
    started = time.monotonic()
    assert refusal(runs.lock("one").__enter__) == busy
    assert refusal(runs.remove, "one") == busy
    assert time.monotonic() - started < 5
    assert runs.run_names() == ["two", "one"]
    with runs.lock("two"):
        assert refusal(runs.lock("two").__enter__)[0] is LockedError  # in this process too
    holder.kill()
    holder.wait()
    with runs.lock("one"):
        pass
    runs.remove("one")


@pytest.mark.parametrize(("kind", "reason"), [("link", "Too many levels of symbolic links"), ("folder", "Is a directory")])
def test_planted_lock(store: Path, tmp_path: Path, kind: str, reason: str) -> None:
    """A link or a folder in a lock's place is refused; what the link points to is neither made nor changed."""
    place = store / ".locks" / "one.lock"
    place.parent.mkdir(parents=True)
    if kind == "link":
        place.symlink_to(tmp_path / "target")
    else:
        place.mkdir()
    expected = (OutputError, f"cannot write '{place}': {reason}", "set MNISTAE_HOME to a folder you own")
    assert refusal(runs.lock("one").__enter__) == expected
    assert not (tmp_path / "target").exists()
