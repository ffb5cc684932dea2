"""Faults in the primitives of the atomic writer: errors, kills and delays at the k-th call.

The writer calls `os` by its name, so a stand-in for `os` inside `core.files.atomic` reaches every primitive.
Used in a child of the fork server, or in a test's own process.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PRIMITIVES = ("open", "fchmod", "write", "posix_fallocate", "fsync", "close", "replace", "unlink")


@dataclass(frozen=True)
class Fault:
    """A fault at the `at`-th call (from 0) of the primitive `op`, or of any if that is empty; -1 is every call.

    `action`: "error" raises `errno`; "kill" ends the process by SIGKILL `before` the call or after it; "stop" raises
    SimulatedKill at this call and all that follow; "short" writes one byte; "slow" waits for `seconds`.
    """

    action: str
    op: str = ""
    at: int = 0
    before: bool = True
    errno: int = 0
    seconds: float = 0.5


class SimulatedKill(BaseException):
    """The process is dead from now on."""


class Shim:
    """`os` with faults. `calls` lists the primitives that were called, with their files' names; `opened`, the open files."""

    def __init__(self, faults: Sequence[Fault], log: Path | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self._faults, self._log = faults, log and log.open("a", buffering=1)
        self.opened: dict[int, str] = {}
        self._counts = Counter[str]()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._faulty(name, real) if name in PRIMITIVES else real

    def _faulty(self, op: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self._note(op, args)
            due = {fault.action: fault for fault in self._faults if fault.op in {"", op} and self._is_due(fault)}
            _act(op, args, due)
            if "short" in due and op == "write":
                args = (args[0], args[1][:1])
            result = real(*args, **options)
            if op == "open":
                self.opened[result] = os.fspath(args[0])
            if op == "close":
                self.opened.pop(args[0], None)
            if "kill" in due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    def _is_due(self, fault: Fault) -> bool:
        number = self._counts[fault.op] - 1
        return fault.at in {-1, number} or (fault.action == "stop" and fault.at < number)

    def _note(self, op: str, args: tuple[Any, ...]) -> None:
        self._counts.update(("", op))
        target = args[1] if op == "replace" else args[0]
        name = self.opened.get(target, "?") if isinstance(target, int) else os.fspath(target)
        self.calls.append((op, name))
        if self._log:
            self._log.write(json.dumps([op, name]) + "\n")


def _act(op: str, args: tuple[Any, ...], due: dict[str, Fault]) -> None:
    """Do what is due before the call."""
    if fault := due.get("error"):
        if op == "close":  # a close that fails closes all the same
            os.close(*args)
        raise OSError(fault.errno, os.strerror(fault.errno))
    if "stop" in due:
        raise SimulatedKill
    if "kill" in due and due["kill"].before:
        os.kill(os.getpid(), signal.SIGKILL)
    if "slow" in due:
        time.sleep(due["slow"].seconds)


def inject(*faults: Fault, log: Path | None = None) -> None:
    """Inject faults into this process until it ends. `log` gets the names of the primitives in their order."""
    from mnistae.core.files import atomic

    vars(atomic)["os"] = Shim(faults, log)


@contextlib.contextmanager
def injected(*faults: Fault) -> Iterator[Shim]:
    """Inject the faults into this process for the duration of a block."""
    from mnistae.core.files import atomic

    shim = Shim(faults)
    vars(atomic)["os"] = shim
    try:
        yield shim
    finally:
        vars(atomic)["os"] = os


@contextlib.contextmanager
def killed_at(at: int) -> Iterator[None]:
    """Simulate a kill before the `at`-th primitive of the block. The removal of each file of a folder counts as one."""
    from mnistae.core.files import atomic

    with injected(Fault("stop", at=at)) as shim:

        def rmtree(folder: Path) -> None:
            for path in sorted(folder.iterdir()):
                shim.unlink(path)
            folder.rmdir()

        vars(atomic)["shutil"] = SimpleNamespace(rmtree=rmtree)
        try:
            yield
        except SimulatedKill:
            pass
        finally:
            vars(atomic)["shutil"] = shutil
            for fd in shim.opened:
                os.close(fd)


def write_in_place(path: Path, data: bytes) -> None:
    """Write without a temporary file: the negative control of the atomic writer, with the same errors."""
    from mnistae.core.errors import OutputError
    from mnistae.core.files import atomic

    primitives = vars(atomic)["os"]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = primitives.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        primitives.write(fd, data)
        primitives.fsync(fd)
        primitives.close(fd)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror}", hint="") from error
