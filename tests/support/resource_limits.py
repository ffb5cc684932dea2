"""What it costs to read foreign bytes: CPU seconds and peak memory."""

import gc
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.support.client import LONG

T = TypeVar("T")

MOST_SECONDS, MOST_BYTES = 1.0 if LONG else 5.0, 64 * 2**20
"""The limits of one call. `check` runs on machines that do other work, so its time limit is only an order of magnitude."""

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Costs:
    """The highest cost of many calls. Each may take MOST_SECONDS of CPU time and MOST_BYTES."""

    def __init__(self) -> None:
        gc.collect()  # freeing what earlier tests left behind can take a second, which is no cost of these calls
        self.calls = 0
        self.seconds = 0.0
        self.bytes = 0

    def of(self, call: Callable[..., T], *args: object) -> T:
        """Make a call, and keep its cost if it is the highest so far."""
        gc.freeze()  # a garbage collection over the heap of the whole test session is no cost of this call
        start = time.process_time()
        before = _reset_peak()
        try:
            return call(*args)
        finally:
            self.bytes = max(self.bytes, _peak() - before)
            self.seconds = max(self.seconds, time.process_time() - start)
            self.calls += 1
            gc.unfreeze()

    @property
    def are_low(self) -> bool:
        """Whether every call kept to both limits."""
        return self.calls > 0 and self.seconds <= MOST_SECONDS and self.bytes <= MOST_BYTES

    def __str__(self) -> str:
        return f"at most {self.seconds:.3f} s and {self.bytes / 2**20:.1f} MiB each"


def _reset_peak() -> int:
    """Reset the peak; return the memory in use."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # proc_pid_clear_refs(5): the peak becomes the resident size of now
        return _resident("VmHWM")
    tracemalloc.start()
    return 0


def _peak() -> int:
    if _CLEAR.exists():
        return _resident("VmHWM")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _resident(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024  # the file says kB and means KiB
