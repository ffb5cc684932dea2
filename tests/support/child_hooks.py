"""Hooks that a child of the fork server runs before the command, for `before=(("NAME", argument),)` of `ForkServer.start`."""

import json
import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import faults

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"}


def write_in_place(_argument: object) -> None:
    """Write files as everybody does, as a negative control of the atomic writer."""
    from mnistae.core.files import atomic

    vars(atomic)["write_bytes"] = faults.write_in_place


def without(functions: list[str]) -> None:
    """Replace functions of the atomic writer by ones that do nothing."""
    from mnistae.core.files import atomic

    for function in functions:
        assert callable(vars(atomic)[function])
        vars(atomic)[function] = lambda *_args: None


def interrupt(seconds: float) -> None:
    """Send a handled signal at short intervals: every system call that waits is interrupted."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def audit(log: str) -> None:
    """Append every attempt to change the file system to `log`, a JSON list [event, path] a line."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def note(event: str, args: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(args[2], int) and args[2] & WRITES
        if not is_write and event not in CHANGES:
            return
        folder = args[1] if event in {"os.remove", "os.rmdir"} else -1
        targets = args[:2] if event in {"os.rename", "os.link", "os.symlink"} else args[:1]
        for target in targets:
            if not isinstance(target, int):
                path = Path(os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else "", os.fsdecode(target))  # noqa: PTH115
                os.write(out, json.dumps([event, str(path.absolute())]).encode() + b"\n")

    sys.addaudithook(note)


class Recorder:
    """Records every change below a folder, with the data, for disk.py to replay."""

    def __init__(self, root: str, log: str) -> None:
        self._root, self._log = root, Path(log).open("wb")  # noqa: SIM115 - until the process ends
        self._names: dict[int, str] = {}
        for name in ("open", "write", "posix_fallocate", "fsync", "mkdir", "rename", "replace", "unlink", "remove", "rmdir"):
            setattr(os, name, self._recorded(name, getattr(os, name)))

    def _recorded(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            path = self._path(args[0], options.get("dir_fd"))
            is_new = not os.path.lexists(path)
            result = real(*args, **options)
            if name == "open":
                self._names[result] = path
            if path.startswith(self._root):
                self._note(name, path, args, is_new=is_new, result=result)
            return result

        return call

    def _path(self, target: Any, folder: int | None) -> str:
        if isinstance(target, int):
            return self._names.get(target, "")
        return str(
            Path(self._names[folder], os.fsdecode(target)) if folder is not None else Path(os.fsdecode(target)).absolute()
        )

    def _note(self, name: str, path: str, args: tuple[Any, ...], *, is_new: bool, result: Any) -> None:
        if name == "open":
            if is_new:
                self._take_snapshot("create", path)
            elif args[1] & os.O_TRUNC:
                self._take_snapshot("truncate", path)
        elif name == "write":
            self._take_snapshot("write", path, bytes(args[1][:result]))
        elif name == "posix_fallocate":
            self._take_snapshot("reserve", path, args[2])
        elif name in {"rename", "replace"}:
            self._take_snapshot("rename", path, str(Path(os.fsdecode(args[1])).absolute()))
        else:
            self._take_snapshot({"remove": "unlink"}.get(name, name), path)

    def _take_snapshot(self, *op: object) -> None:
        pickle.dump(op, self._log)
        self._log.flush()


def record_disk(root_and_log: list[str]) -> None:
    """Record what this process changes below a folder."""
    Recorder(*root_and_log)
