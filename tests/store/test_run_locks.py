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


@pytest.mark.parametrize("linked", ["one", ""], ids=["run", "store"])
def test_linked_folder(store: Path, tmp_path: Path, linked: str) -> None:
    """T8: a run or a store that is a link works like any other; removing the run leaves what is behind a run's link."""
    save("one")
    shutil.move(store / linked, tmp_path / "elsewhere")
    (store / linked).symlink_to(tmp_path / "elsewhere")
    assert runs.run_names() == ["one"]
    with runs.lock("one"):
        runs.save("one", state(seed=9), METADATA)
    assert np.array_equal(runs.load("one").weights["fc1.bias"], arrays(9)["fc1.bias"])
    assert verification.verify("one") is None
    before = tree(tmp_path / "elsewhere")
    assert {Path(name).name for name in before} - {".recent"} == {runs.MODEL, runs.STATE, runs.HISTORY}
    runs.remove("one")
    assert (runs.run_names(), os.path.lexists(store / "one"), store.is_symlink()) == ([], False, not linked)
    assert tree(tmp_path / "elsewhere") == (before if linked else {".recent": b"one\n"})
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
