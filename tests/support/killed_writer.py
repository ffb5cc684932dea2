"""Processes that die during a save or a removal, and a second process that does not."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mnistae.core.files import atomic
from tests.support.faults import PRIMITIVES


class SimulatedKill(BaseException):
    """The process is dead from now on."""


ROOT = Path(__file__).resolve().parents[2]


class KilledWriter:
    """`os` for the atomic writer of a process that dies before its `at`-th primitive, and does nothing more."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.opened: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._mortal(name, real) if name in PRIMITIVES else real

    def _mortal(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise SimulatedKill
            result = real(*args, **options)
            if name == "open":
                self.opened.add(result)
            if name == "close":
                self.opened.discard(args[0])
            return result

        return call


@contextlib.contextmanager
def killed_at(at: int) -> Iterator[None]:
    """Simulate a kill before the `at`-th primitive of the block. The removal of each file of a folder counts as one."""
    shim = KilledWriter(at)

    def rmtree(folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            shim.unlink(path)
        folder.rmdir()

    vars(atomic)["os"] = shim
    vars(atomic)["shutil"] = type("shutil", (), {"rmtree": staticmethod(rmtree)})
    try:
        yield
    except SimulatedKill:
        pass
    finally:
        vars(atomic)["os"], vars(atomic)["shutil"] = os, shutil
        for fd in shim.opened:
            os.close(fd)


class PeerProcess:
    """A second process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.child_workers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def ask(self, home: Path, name: str = "", k: int = 0) -> list[str]:
        """Let it save a run, if one is named, and list the store."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(home), name, k]) + "\n")
        self._process.stdin.flush()
        listed: list[str] = json.loads(self._process.stdout.readline())
        return listed

    def end(self) -> None:
        """Wait for its end."""
        self._process.communicate(timeout=30)
