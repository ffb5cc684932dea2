"""Row A2 of the fault matrix: SIGKILL before and after every primitive of a save; the store is old or new, a resume exact."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnistae.core.errors import CheckpointError
from tests.support.client import LONG, ForkServer, log_result
from tests.support.faults import Fault
from tests.support.resumable import NEVER, Case, check_store, finish, leftovers, make_case, neither, stored


@pytest.fixture(scope="module", params=["first save", "overwrite", "resume"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, data: Path) -> Case:
    return make_case(forks, request.param, tmp_path_factory.mktemp("kills"), data)


def primitives(forks: ForkServer, case: Case, home: Path) -> list[tuple[str, str]]:
    """Return the save's primitives in their order, from a run that nothing disturbs."""
    shutil.copytree(case.base, home)
    assert forks.run(*case.words, home=home, save_every=NEVER, log=home / "log").code == 0
    return [tuple(json.loads(line)) for line in (home / "log").read_text().splitlines()]


def kills(ops: list[tuple[str, str]]) -> Iterator[Fault]:
    """Yield the kills: before and after every primitive, or where a file has got its name and once where it is half written."""
    quick = [k for k, (op, _name) in enumerate(ops) if op == "replace"] + [[op for op, _name in ops].index("write")]
    for k in range(len(ops)) if LONG else quick:
        yield Fault("kill", at=k, before=False)
        if LONG:
            yield Fault("kill", at=k)


def killed(forks: ForkServer, case: Case, home: Path, fault: Fault, *, in_place: bool = False) -> Path:
    """Kill the save at one place and return the home it leaves."""
    shutil.copytree(case.base, home)
    before = (("write_in_place", None),) if in_place else ()
    ended = forks.run(*case.words, home=home, save_every=NEVER, faults=(fault,), before=before)
    assert ended.code == -signal.SIGKILL, (fault, ended)
    return home


def check_old_or_new(home: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Every file of the store is as it was before the save or as it is after it, and at most one is half written beside."""
    check_store(home)
    assert not [name for name in neither(stored(home), old, new) if not name.endswith(".tmp")]
    assert len(leftovers(home)) <= 1


def test_killed_at_every_primitive(forks: ForkServer, case: Case, tmp_path: Path) -> None:
    """After a kill at any primitive every file is old or new, and a resume ends with the bytes of an undisturbed run."""
    ops = primitives(forks, case, tmp_path / "done")
    old, new = stored(case.base), stored(tmp_path / "done")
    outcomes: dict[frozenset[tuple[str, bytes]], str] = {}
    faults = list(kills(ops))
    for fault in faults:
        home = killed(forks, case, tmp_path / "killed", fault)
        check_old_or_new(home, old, new)
        key = frozenset(stored(home).items())
        if LONG or key not in outcomes:  # the same store resumes in the same way
            outcomes[key] = finish(forks, case, home)
        assert outcomes[key] in case.digests, fault
        shutil.rmtree(home)
    assert set(outcomes.values()) == case.digests

    files = sum(op == "replace" for op, _name in ops)
    for k in range(files) if LONG else (0,):
        home = killed(forks, case, tmp_path / f"in_place{k}", Fault("kill", "write", at=k), in_place=True)
        with pytest.raises((AssertionError, CheckpointError)):
            check_old_or_new(home, old, new)
    note = f"{case.name}: {len(ops)} primitives, {len(outcomes)} different stores"
    log_result("A2", trials=len(faults), control=f"written in place: seen {files} times of {files}", note=note)
