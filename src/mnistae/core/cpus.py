"""The CPU limit of a container or a batch job: control groups, versions 1 and 2."""

import contextlib
import math
import os
import re
from pathlib import Path, PurePosixPath


def available() -> int:
    """Return the number of CPUs that this process may run on, whatever share of their time it has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable() -> int:
    """Return the number of CPUs that this process may use at once."""
    return min(available(), limit() or available())


def has_thread_count() -> bool:
    """Whether OMP_NUM_THREADS is a number above 0 or a list of them: OpenMP ignores other values."""
    return bool(re.fullmatch(r" *0*[1-9][0-9]{0,8} *(,.*)?", os.environ.get("OMP_NUM_THREADS", "")))


def limit(root: Path = Path("/")) -> int | None:
    """Return the number of CPUs that this process may use at once, rounded up, or None if no control group limits it."""
    shares = []
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _number, controllers, group = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
            base = "cpu" if controllers else "unified" if (root / "sys/fs/cgroup/unified").is_dir() else ""
            place = PurePosixPath(group.lstrip("/"))
            for folder in (place, *place.parents):  # in a container the group itself is missing and only the root exists
                with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                    numbers = " ".join((root / "sys/fs/cgroup" / base / folder / file).read_text() for file in files)
                    quota, period = map(int, numbers.split())  # in microseconds
                    if quota > 0 and period > 0:
                        shares.append(quota / period)
    return max(math.ceil(min(shares)), 1) if shares else None
