"""Row A3 of the fault matrix: after a power cut at any moment of a save every file is old or new, and what is done is kept."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.child_hooks import nothing, replace
from tests.support.client import LONG, ForkServer, log_result, trials
from tests.support.disk import Recorder, Tree, states, write_tree
from tests.support.resumable import NEVER, finish, make_case, neither, stored

STORE = "home/checkpoints/"


def recorded(forks: ForkServer, base: Path, home: Path, words: tuple[object, ...], without: tuple[str, ...] = ()) -> Path:
    """Run a command on a copy of the store and return the log of what it did to the disk."""
    shutil.copytree(base, home)
    log = home.parent / f"{home.name}.log"
    gaps = [partial(replace, f"core.files.atomic.{name}", nothing) for name in without]
    ended = forks.run(*words, home=home, save_every=NEVER, before=[*gaps, partial(Recorder, home, log)])
    assert ended.code == 0, ended.err
    return log


def files(tree: Tree) -> dict[str, bytes]:
    """Return the files of the store, but for the locks and what is half written or half removed."""
    return {
        name.removeprefix(STORE): data
        for name, data in tree.items()
        if data is not None and name.startswith(STORE) and "/.locks/" not in name and ".tmp" not in name
    }


def is_bad(tree: Tree, old: dict[str, bytes], new: dict[str, bytes], *, is_over: bool) -> bool:
    """Whether a file is neither old nor new, or, once the command has said that it is done, not new."""
    return files(tree) != new if is_over else bool(neither(files(tree), old, new))


def different(log: Path) -> Iterator[tuple[Tree, bool]]:
    """Yield what may be on the disk after a cut at every moment, each once, and whether the command was over by then."""
    seen = set()
    for tree, is_over in states(log):
        key = (frozenset(files(tree).items()), frozenset(name for name in tree if name.endswith(".tmp")), is_over)
        if key not in seen:
            seen.add(key)
            yield tree, is_over


@pytest.mark.parametrize("kind", ["first save", "overwrite"][: trials(1, 2)])
def test_power_cut_in_a_save(forks: ForkServer, kind: str, data: Path, tmp_path: Path) -> None:
    """In every state that a power cut may leave, all files are old or new, and a resume ends with the exact bytes."""
    case = make_case(forks, kind, tmp_path, data)
    if kind == "first save":
        shutil.rmtree(case.base / "home")  # the folders of a first start are made too
    log = recorded(forks, case.base, tmp_path / "done", case.words)
    old, new = stored(case.base), stored(tmp_path / "done")
    count, digests = 0, dict[frozenset[tuple[str, bytes]], str]()
    for tree, is_over in different(log):
        count += 1
        assert not is_bad(tree, old, new, is_over=is_over)
        key = frozenset(files(tree).items())
        if LONG or key not in digests:  # in the quick set, temporary files make no difference
            write_tree(tmp_path / "cut", tree)
            digests[key] = finish(forks, case, tmp_path / "cut")
            shutil.rmtree(tmp_path / "cut")
    assert set(digests.values()) == case.digests
    for flush in ("_fsync", "fsync_dir"):
        log = recorded(forks, case.base, tmp_path / flush, case.words, (flush,))
        assert any(is_bad(tree, old, new, is_over=is_over) for tree, is_over in different(log))
    log_result("A3", trials=count, control="one of the two fsyncs left out: detected in 2 of 2", note=f"{kind}: {count} states")


def is_half_removed(tree: Tree, old: dict[str, bytes], *, is_over: bool) -> bool:
    """Whether a part of the run `r` is gone and a part is there, or another run is touched, or `r` is there in the end."""
    found = files(tree)
    ours, others = ({name: data for name, data in old.items() if name.startswith(run)} for run in ("r/", "s/"))
    left = {name: data for name, data in found.items() if name.startswith("r/")}
    return left not in ([{}] if is_over else [{}, ours]) or any(found.get(name) != data for name, data in others.items())


def test_power_cut_in_a_removal(forks: ForkServer, data: Path, tmp_path: Path) -> None:
    """In every state that a power cut may leave, the run is there as a whole or gone as a whole, and the other untouched."""
    base = make_case(forks, "resume", tmp_path, data).base
    shutil.copytree(base / STORE / "r", base / STORE / "s")
    old = stored(base)
    words = ("checkpoints", "remove", "r")
    count = 0
    for tree, is_over in different(recorded(forks, base, tmp_path / "done", words)):
        count += 1
        assert not is_half_removed(tree, old, is_over=is_over)
        write_tree(tmp_path / "cut", tree)
        assert forks.run("checkpoints", "verify", home=tmp_path / "cut").code == 0
        shutil.rmtree(tmp_path / "cut")
    unflushed = different(recorded(forks, base, tmp_path / "unflushed", words, ("fsync_dir",)))
    assert any(is_half_removed(tree, old, is_over=is_over) for tree, is_over in unflushed)
    log_result("A3", trials=count, control="the folder's fsync left out: detected in 1 of 1", note=f"removal: {count} states")
