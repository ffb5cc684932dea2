import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import CheckpointError, LockedError, UsageError
from mnistae.store import runs, verification
from tests.support.client import log_result
from tests.support.saved_runs import METADATA, arrays, refusal, save, state, tree


def test_remove(store: Path) -> None:
    """A removed run is gone with all its files, and the previous one is the newest."""
    save("one", "two")
    runs.remove("two")
    assert (runs.run_names(), runs.newest()) == (["one"], "one")
    assert sorted(path.name for path in store.iterdir()) == [".locks", ".recent", "one"]
    assert refusal(runs.remove, "two") == (CheckpointError, "no such checkpoint: 'two'", "available: one")
    assert refusal(runs.remove, "../one")[0] is UsageError


def test_linked_run(store: Path, tmp_path: Path) -> None:
    """T8: a run whose folder is a link works like any other; its removal removes the link and nothing behind it."""
    save("one")
    shutil.move(store / "one", tmp_path / "elsewhere")
    (store / "one").symlink_to(tmp_path / "elsewhere")
    assert runs.run_names() == ["one"]
    with runs.lock("one"):
        runs.save("one", state(seed=9), METADATA)
    assert np.array_equal(runs.load("one").weights["fc1.bias"], arrays(9)["fc1.bias"])
    assert verification.verify("one") is None
    before = tree(tmp_path / "elsewhere")
    runs.remove("one")
    assert (runs.run_names(), os.path.lexists(store / "one")) == ([], False)
    assert tree(tmp_path / "elsewhere") == before
    assert before.keys() == {runs.MODEL, runs.STATE, runs.HISTORY}
    log_result("T8", trials=1, note="a run, a file of a run and the store as links; removal leaves what a link leads to")


@pytest.mark.parametrize("file", [runs.MODEL, runs.STATE, runs.HISTORY])
def test_linked_file(store: Path, tmp_path: Path, file: str) -> None:
    """T8: a file of a run that is a link is read and written where it leads to, and the link stays."""
    save("one")
    shutil.move(store / "one" / file, tmp_path / file)
    (store / "one" / file).symlink_to(tmp_path / file)
    assert verification.verify("one") is None
    (tmp_path / file).write_bytes(b"")
    save("one")
    assert verification.verify("one") is None
    assert (store / "one" / file).is_symlink()
    assert (tmp_path / file).stat().st_size > 0
    log_result("T8", trials=1)


def test_linked_store(store: Path, tmp_path: Path) -> None:
    """T8: a store that is a link to another place holds its runs there."""
    (tmp_path / "elsewhere").mkdir()
    store.parent.mkdir()
    store.symlink_to(tmp_path / "elsewhere")
    with runs.lock("one"):
        save("one")
    assert runs.load(None).name == "one"
    assert (tmp_path / "elsewhere" / "one" / runs.MODEL).is_file()
    runs.remove("one")
    assert runs.run_names() == []
    assert store.is_symlink()
    log_result("T8", trials=1)


def test_lock() -> None:
    """A run that is held is refused at once, to be held again and to be removed; other runs are free, and later this one."""
    save("one", "two")
    locked = (LockedError, "run 'one' is locked by another process", "wait until it has finished, or choose another --name")
    with runs.lock("one"):
        assert refusal(runs.lock("one").__enter__) == locked
        assert refusal(runs.remove, "one") == locked
        runs.remove("two")
    runs.remove("one")
    assert runs.run_names() == []
