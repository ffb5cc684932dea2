"""Row G4 of the fault matrix: a rule-based state machine drives the store, and a model of what is durable checks it."""

import multiprocessing
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mnistae.core.errors import CheckpointError
from mnistae.core.files import atomic
from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from tests.support import child_workers
from tests.support.client import LONG, log_result, trials
from tests.support.faults import killed_at, write_in_place

NAMES = st.sampled_from(["a", "b", "C.1"])
pytestmark = pytest.mark.timeout(3600 if LONG else 120)


class Store(RuleBasedStateMachine):
    """The store under test, with a model of what it must hold.

    `models` and `states` have for each name the numbers that the file may hold: one, or two after a crash; None stands for
    no file, "damaged" for one that must be refused. `order` lists the runs, newest first; None if it is unknown.
    """

    second: ProcessPoolExecutor

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="mnistae-store-"))
        self.home = self.root / "home"
        (self.root / "outside").mkdir()  # it must not change
        (self.root / "outside" / "file").write_text("mine")
        os.environ["MNISTAE_HOME"] = str(self.home)
        self.models: dict[str, set[Any]] = {}
        self.states: dict[str, set[Any]] = {}
        self.order: list[str] | None = []
        self.number = 0
        self.clock = time.time
        self.sound: dict[Path, tuple[bytes, set[Any]]] = {}  # what a damaged file held, and its number

    def teardown(self) -> None:
        vars(time)["time"] = self.clock
        shutil.rmtree(self.root)

    @rule(name=NAMES, by_another_process=st.booleans())
    def save(self, name: str, by_another_process: bool) -> None:
        """Save a run as training does, in this process or in another."""
        self.number += 1
        if by_another_process:
            listed = self.second.submit(child_workers.save_in, self.home, name, self.number).result()
            assert listed == runs.run_names()
        else:
            with runs.lock(name):
                assert not self.leftovers(name), "the lock's holder removes what killed writers left"
                child_workers.save(name, self.number)
        self.models[name] = self.states[name] = {self.number}
        self._to_front(name)

    @rule(name=NAMES, at=st.integers(0, 40))
    def save_and_die(self, name: str, at: int) -> None:
        """Die at a primitive of a save: each file is as it was or new."""
        self.number += 1
        with killed_at(at), runs.lock(name):
            child_workers.save(name, self.number)
        for files in (self.models, self.states):
            files[name] = files.get(name, {None}) | {self.number}
        self._observe(name)
        self.order = None if self.order is None or runs.run_names() != self.order else self.order

    @precondition(lambda self: self._names())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove a run: nothing of it is left."""
        name = data.draw(st.sampled_from(self._names()))
        runs.remove(name)
        assert not os.path.lexists(runs.folder(name))
        assert not self.leftovers(name)
        self._forget(name)

    @precondition(lambda self: self._names())
    @rule(data=st.data(), at=st.integers(0, 12))
    def remove_and_die(self, data: st.DataObject, at: int) -> None:
        """Die while a run is removed: it is there as a whole, or not at all."""
        name = data.draw(st.sampled_from(self._names()))
        before = self._files(name)
        with killed_at(at):
            runs.remove(name)
        if runs.folder(name).exists():
            assert self._files(name) == before
        else:
            self._forget(name)

    @precondition(lambda self: self._names())
    @rule(data=st.data(), bit=st.integers(0, 7), at=st.floats(0, 1, exclude_max=True))
    def corrupt(self, data: st.DataObject, bit: int, at: float) -> None:
        """Flip a bit of a file: it is refused until it is saved again."""
        name = data.draw(st.sampled_from(self._names()))
        file, kept = data.draw(st.sampled_from([(runs.MODEL, self.models), (runs.STATE, self.states)]))
        path = runs.folder(name) / file
        if not path.exists():
            return
        before = path.read_bytes()
        content = bytearray(before)
        content[int(at * len(content))] ^= 1 << bit
        path.write_bytes(content)
        if kept[name] != {("damaged", before)}:
            self.sound[path] = before, kept[name]
        whole, numbers = self.sound[path]
        kept[name] = numbers if content == whole else {("damaged", bytes(content))}

    @precondition(lambda self: (self.home / "checkpoints" / runs.RECENT_FILE).exists())
    @rule(bit=st.integers(0, 6), at=st.floats(0, 1, exclude_max=True))
    def corrupt_pointer(self, bit: int, at: float) -> None:
        """Flip a bit of the pointer: the order is lost, but no run."""
        path = self.home / "checkpoints" / runs.RECENT_FILE
        content = bytearray(path.read_bytes())
        if content:
            content[int(at * len(content))] ^= 1 << bit
            path.write_bytes(content)
            self.order = None

    @precondition(lambda self: self._names())
    @rule(data=st.data())
    def point(self, data: st.DataObject) -> None:
        """Make a run the newest."""
        name = data.draw(st.sampled_from(self._names()))
        runs.mark_newest(name)
        self._to_front(name)

    @rule(years=st.integers(-30, 30), shuffle=st.booleans())
    def jump_in_time(self, years: int, shuffle: bool) -> None:
        """The clock and the times of the files do not matter."""
        now = self.clock() + years * 365 * 86400
        vars(time)["time"] = lambda: now
        for path in self.home.rglob("*") if shuffle else ():
            os.utime(path, (secrets.randbelow(2**31), secrets.randbelow(2**31)))

    @invariant()
    def holds_what_is_durable(self) -> None:
        """Every run is listed once, newest first, and every file holds what it must."""
        listed = runs.run_names()
        assert sorted(listed) == sorted(self._names())
        if self.order is not None:
            assert listed == self.order
        for name in listed:
            self._observe(name)
        assert {path.name for path in self.root.iterdir()} <= {"home", "outside"}
        assert [path.name for path in (self.root / "outside").iterdir()] == ["file"]
        assert (self.root / "outside" / "file").read_text() == "mine"

    def leftovers(self, name: str) -> list[Path]:
        """Return the temporary files and folders of a run and of the store."""
        return [*runs.folder(name).glob(".*.tmp"), *runs.folder(name).parent.glob(".*.tmp")]

    def _files(self, name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in runs.folder(name).iterdir() if path.suffix != ".tmp"}

    def _names(self) -> list[str]:
        return [name for name in self.models if self.models[name] != {None} or self.states[name] != {None}]

    def _to_front(self, name: str) -> None:
        if self.order is None:
            listed = runs.run_names()
            assert listed[0] == name
            self.order = listed
        self.order = [name, *(other for other in self.order if other != name)]

    def _forget(self, name: str) -> None:
        del self.models[name], self.states[name]
        self.order = self.order and [other for other in self.order if other != name]

    def _observe(self, name: str) -> None:
        """Check that each file of a run holds one of the allowed numbers, and allow only that one from now on."""
        for kept, file, read in (
            (self.models, runs.MODEL, child_workers.model_number),
            (self.states, runs.STATE, child_workers.state_number),
        ):
            path = runs.folder(name) / file
            found: Any = None
            if path.exists():
                try:
                    found = read(name)
                except CheckpointError:
                    found = ("damaged", path.read_bytes())
            assert found in kept[name], f"{file} of {name} holds {found!r:.80}, not one of {kept[name]!r:.200}"
            kept[name] = {found}


@pytest.fixture(autouse=True, scope="module")
def second() -> Iterator[None]:
    """A second process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as Store.second:
        yield


def play(examples: int, steps: int) -> None:
    """Run the state machine, with the same examples each time."""
    # shrinking takes more time than it is worth
    rules = settings(max_examples=examples, stateful_step_count=steps, derandomize=True, phases=[Phase.generate])
    run_state_machine_as_test(Store, settings=rules)


def test_store() -> None:
    """G4: whatever is done to the store, and wherever processes die, it holds what is durable and nothing else."""
    examples, steps = trials(3, 200), trials(40, 50)
    play(examples, steps)
    log_result("G4", trials=examples * steps, note=f"{examples} examples of up to {steps} steps")


class Agreeing(str):
    """A digest that equals every other one."""

    __hash__ = str.__hash__

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return False


def test_store_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """G4, the negative control: files written in place, no sweep, and no digest are each detected within a few examples."""
    real = checkpoint_format._digest
    defects: dict[str, tuple[object, str, object]] = {
        "files written in place": (atomic, "write_bytes", write_in_place),
        "leftovers not removed": (atomic, "remove_stale_temps", lambda _folder: None),
        "digest not compared": (checkpoint_format, "_digest", lambda *parts: Agreeing(real(*parts))),
    }
    for module, name, defect in defects.values():
        with monkeypatch.context() as patch:
            patch.setattr(module, name, defect)
            with pytest.raises((AssertionError, BaseExceptionGroup)):
                play(100, 40)
    log_result("G4", trials=0, control=f"{', '.join(defects)}: detected in {len(defects)} of {len(defects)}")
