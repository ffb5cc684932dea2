import os
from pathlib import Path

import pytest

from mnistae import __main__ as entry
from mnistae.core import cpus

V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu"


def quota(folder: str, number: int, period: int = 100_000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": f"{number}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {f"{V2}/cpu.max": "max 100000\n"}, None),
        ("0::/\n", {f"{V2}/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {f"{V2}/a/b/cpu.max": "max 100000\n", f"{V2}/a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {f"{V2}/a/b/cpu.max": "200000 100000\n", f"{V2}/a/cpu.max": "300000 100000\n"}, 2),
        ("0::/not/there\n", {f"{V2}/cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {f"{V2}/cpu.max": "100000 0\n"}, None),
        ("0::/\n", {f"{V2}/cpu.max": "20000 100000\n"}, 1),
        ("1:cpu:/\n0::/job\n", {**quota(V1, -1), f"{V2}/unified/job/cpu.max": "100000 100000\n"}, 1),
        ("5:memory:/\n3:cpu,cpuacct:/job\n", quota(f"{V1}/job", 100_000), 1),
        ("3:cpuacct,cpu:/docker/0\n0::/\n", quota(V1, 250_000), 3),
        ("3:cpu:/a/b\n", {**quota(f"{V1}/a", 200_000), **quota(f"{V1}/a/b", 300_000)}, 2),
        ("3:cpu:/a/b\n", {**quota(f"{V1}/a", 200_000), **quota(f"{V1}/a/b", -1)}, 2),
        ("2:cpuset:/\n", quota(V1, 100_000), None),
        ("nonsense\n", {}, None),
    ],
)
def test_limit(tmp_path: Path, groups: str, files: dict[str, str], expected: int | None) -> None:
    """The strictest quota of the process's groups counts, rounded up; without control groups there is no limit."""
    for name, text in {**files, "proc/self/cgroup": groups}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus.limit(tmp_path) == expected


@pytest.mark.parametrize(
    ("limit", "given", "expected"),
    [
        (None, {}, {"OMP_WAIT_POLICY": "passive"}),
        (2, {}, {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "2"}),
        (2, {"OMP_NUM_THREADS": "abc"}, {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "2"}),
        (2, {"OMP_NUM_THREADS": " 8,2"}, {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": " 8,2"}),
        (8, {}, {"OMP_WAIT_POLICY": "passive"}),
        (2, {"OMP_NUM_THREADS": "4", "OMP_WAIT_POLICY": "active"}, {"OMP_NUM_THREADS": "4", "OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads(monkeypatch: pytest.MonkeyPatch, limit: int | None, given: dict[str, str], expected: dict[str, str]) -> None:
    """Idle threads sleep, and there are no more than the limit, unless the user has set something else."""
    environment = dict(given)
    monkeypatch.setattr(cpus, "limit", lambda: limit)
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: range(4), raising=False)
    entry._limit_threads()
    assert environment == expected
