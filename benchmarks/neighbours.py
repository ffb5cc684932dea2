"""Runs at once, and a run beside a busy process: `python benchmarks/neighbours.py [ROUNDS]` prints a table and JSON.

Each row is repeated with OpenMP's idle threads asleep, the program's choice, and spinning, OpenMP's own. The ideal share of K
runs is that of their CPU seconds if all cores were always busy, and no less than one run alone takes; the busy process is
counted as one core. Needs the real MNIST (MNISTAE_DATA_DIR) and a machine without other work.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CORES = len(os.sched_getaffinity(0))
BUSY = [sys.executable, "-c", "while True: pass"]
ROWS = {"1 run": (1, 0), "2 runs": (2, 0), "4 runs": (4, 0), "1 run beside a busy process": (1, 1)}


def measure(home: str, policy: str, runs: int, busy: int) -> tuple[float, float]:
    """Return the mean seconds and the mean CPU seconds of `fast` trainings that start at once."""
    env = {**os.environ, "MNISTAE_HOME": home, "OMP_WAIT_POLICY": policy}
    others = [subprocess.Popen(BUSY) for _ in range(busy)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [str(Path(sys.executable).with_name("mnistae")), "train", "--recipe", "fast", "-q", "--force", "--name"]

    def train(k: int) -> float:
        subprocess.run([*command, f"r{k}"], env=env, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - started

    with ThreadPoolExecutor(runs) as pool:
        seconds = list(pool.map(train, range(runs)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for other in others:
        other.kill()
        other.wait()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return statistics.mean(seconds), cpu / runs


def main() -> None:
    """Measure in rounds, the two policies in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    policies = ("passive", "active")
    found: dict[str, dict[str, list[tuple[float, float]]]] = {row: {policy: [] for policy in policies} for row in ROWS}
    with tempfile.TemporaryDirectory() as home:
        measure(home, "passive", 1, 0)  # the data set's cache
        for _ in range(rounds):
            for row, policy in ((row, policy) for row in ROWS for policy in policies):
                found[row][policy].append(measure(home, policy, *ROWS[row]))
    alone, cpu = (statistics.median(values) for values in zip(*found["1 run"]["passive"], strict=True))
    table = {}
    print(f"{'':29}asleep  ideal  ratio  spinning")
    for row, (runs, busy) in ROWS.items():
        asleep, spinning = (statistics.median(seconds for seconds, _ in found[row][policy]) for policy in policies)
        ideal = max(alone, runs * cpu / max(CORES - busy, 1))
        table[row] = {"asleep": asleep, "ideal": ideal, "ratio": asleep / ideal, "spinning": spinning}
        print(f"{row:29}{asleep:6.2f}  {ideal:5.2f}  {asleep / ideal:5.2f}  {spinning:8.2f}")
    print(json.dumps({"cores": CORES, "rounds": rounds, "rows": table}))


if __name__ == "__main__":
    main()
