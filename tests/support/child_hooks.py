"""Bad conditions for a child of the fork server: functions for `before` of `ForkServer.start`."""

import importlib
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from tests.support.faults import write_in_place

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"}


def replace(target: str, value: object) -> None:
    """Give MODULE.NAME of the package another value, which has to be picklable."""
    module, _, name = target.rpartition(".")
    inside = vars(importlib.import_module(f"mnistae.{module}"))
    assert name in inside
    inside[name] = value


IN_PLACE = partial(replace, "core.files.atomic.write_bytes", write_in_place)
"""Write files as everybody does, as a negative control of the atomic writer."""


def nothing(*_args: object) -> None:
    """Do nothing: for the place of a function that is left out."""


def interrupt(seconds: float) -> None:
    """Send a handled signal at short intervals: every system call that waits is interrupted."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def audit(log: Path) -> None:
    """Append every attempt to change the file system or to use a socket to `log`, a JSON list [event, path] a line."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith("socket."):
            os.write(out, json.dumps([event, ""]).encode() + b"\n")
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


def limit(**bounds: int) -> None:
    """Set resource limits by name, such as NOFILE or NPROC; AS is what may be added to the memory in use."""
    import resource

    for name, bound in bounds.items():
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if name == "AS" else 0
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (in_use + bound, in_use + bound))


def drop_privileges(user: int) -> None:
    """Become another user, and let matplotlib look for that user's folders again."""
    import matplotlib as mpl

    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    inside = vars(mpl)
    inside["get_configdir"] = lambda: inside["_get_config_or_cache_dir"](inside["_get_xdg_config_dir"])
    inside["get_cachedir"] = lambda: inside["_get_config_or_cache_dir"](inside["_get_xdg_cache_dir"])


def standard_output(kind: str) -> None:
    """Make standard output a pipe without a reader, a closed terminal, or a full disk."""
    if kind != "full":
        reader, writer = os.pipe() if kind == "gone" else os.openpty()
        os.close(reader)
    else:
        writer = os.open("/dev/full", os.O_WRONLY)
    os.dup2(writer, 1)
    os.close(writer)


def clock(kind: str) -> None:
    """Shift the wall clock by decades, stop it, or let it jump at every call; the monotonic clock is unchanged."""
    real, calls = time.time, [0]

    def now() -> float:
        calls[0] += 1
        shifts: dict[str, float] = {
            "ten years ahead": 10 * 365 * 86400.0,
            "ten years behind": -10 * 365 * 86400.0,
            "backwards": -3600.0 * calls[0],
            "to and fro": 86400.0 if calls[0] % 2 else -86400.0,
            "zero": -real(),
        }
        return real() + shifts[kind]

    vars(time)["time"] = now
    vars(time)["time_ns"] = lambda: int(now() * 1e9)


def no_locks(number: int) -> None:
    """Let every lock succeed, or fail with the error number if it is not zero."""
    import fcntl

    def flock(_fd: int, _operation: int) -> None:
        if number:
            raise OSError(number, os.strerror(number))

    vars(fcntl)["flock"] = flock


def no_memory(at: int) -> None:
    """Raise MemoryError in the `at`-th function of the product that is called inside its error boundary."""
    from mnistae.cli import main, signals

    left = [at]
    inside: list[bool] = []

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event != "call" or not module.startswith("mnistae.") or module == signals.__name__:
            return
        left[0] -= bool(inside)
        inside.extend([True] if frame.f_code is main._run.__code__ else [])
        if left[0] == 0:
            sys.setprofile(None)
            raise MemoryError

    sys.setprofile(watch)


def fail_at_step(where: str, at: int, value: str = "nan") -> None:
    """Let the k-th step from 0 run out of memory, or put NaN or an infinity into the loss, gradient, weights or moments."""
    import torch

    from mnistae.training.adam import Adam
    from mnistae.training.step import ManualBackprop

    count = [-1]
    step, update = ManualBackprop.__call__, Adam.step

    def step_with_fault(self: ManualBackprop, *args: Any) -> Any:
        count[0] += 1
        if count[0] == at and where == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        loss = step(self, *args)
        if count[0] == at and where == "gradient":
            self.gradient[17] = float(value)
        return loss * float(value) if count[0] == at and where == "loss" else loss

    def update_with_fault(self: Adam, *args: Any) -> None:
        update(self, *args)
        if count[0] == at and where in {"weights", "first", "second"}:
            with torch.no_grad():
                (self._weights if where == "weights" else getattr(self, where))[17] = float(value)

    setattr(ManualBackprop, "__call__", step_with_fault)  # noqa: B010 - for mypy
    setattr(Adam, "step", update_with_fault)  # noqa: B010 - for mypy


def disable_finite_check() -> None:
    """Remove the check that numbers are finite, as a negative control of the training loop."""
    from mnistae.training import loop

    vars(loop)["math"] = SimpleNamespace(isfinite=lambda _number: True)
    setattr(loop.Trainer, "_is_finite", lambda _self: True)  # noqa: B010 - for mypy
