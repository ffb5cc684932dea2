"""All measurements, in rounds, as one page of tables: `python benchmarks/run.py [--quick] [--out FOLDER]`.

Needs the real MNIST (MNISTAE_DATA_DIR) and, for the peers, the group `bench`. Writes bench.md and bench.json.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COURSE_EPOCHS = 50
PEERS = ("mnistae fp32", "mnistae bf16", "course", "course, 2 workers", "Lightning", "Keras 3 (torch)", "scikit-learn")
PROGRAM = str(Path(sys.executable).with_name("mnistae"))
RECIPES = ("fast", "lab", "best", "denoise")
SHELL = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "--help": ["--help"],
    "--version": ["--version"],
    "completion": ["env", "_MNISTAE_COMPLETE=complete_bash", "COMP_WORDS=mnistae tr", "COMP_CWORD=1", PROGRAM],
    "summary": ["summary"],
    "reconstruct 1 --json": ["reconstruct", "1", "--json"],
    "encode 1": ["encode", "1"],
    "reconstruct 1 -o x.png": ["reconstruct", "1", "-o", "x.png"],
    "interpolate 1 2 -o x.gif": ["interpolate", "1", "2", "-o", "x.gif"],
    "encode --split train -f npy": ["encode", "--split", "train", "-f", "npy", "-o", "codes.npy"],
    "decode codes.npy": ["decode", "codes.npy", "-o", "x.npy"],
    "evaluate": ["evaluate"],
    "train --epochs 2": ["train", "--epochs", "2", "--quiet", "--force"],
}
GROWTH = ((1, 1), (4, 1), (16, 1), (1, 4))
"""Factors for the number of images and of hidden units."""


def script(name: str, *words: object) -> dict[str, Any]:
    """Run one of the scripts in this folder; return the JSON document on its last line."""
    done = subprocess.run([sys.executable, HERE / name, *map(str, words)], check=False, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise SystemExit(f"{name} {words}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def measure_floor(rounds: int) -> list[dict[str, Any]]:
    """Milliseconds of a step's parts and its share of the floor's rate by precision; the round of the median rate is shown."""
    found = [[script("floor.py", precision) for precision in ("fp32", "bf16")] for _ in range(rounds)]
    rows = [sorted(runs, key=lambda run: float(run["rate"])) for runs in zip(*found, strict=True)]
    return [{**runs[rounds // 2], "low": runs[0]["rate"], "high": runs[-1]["rate"]} for runs in rows]


def measure_phases(recipe: str) -> list[dict[str, Any]]:
    """Time of each phase of a training command, on the CPU and on a GPU if present. The data set is already cached."""
    asked = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    devices = ["cpu"] if subprocess.run([sys.executable, "-c", asked], check=False).returncode else ["cpu", "cuda"]
    return [script("phases.py", device, recipe) for device in devices]


def measure_epochs(rounds: int) -> dict[str, Any]:
    """Seconds per epoch of each implementation, one process at a time, in rounds; the first epoch is not counted."""
    seconds: dict[str, list[float]] = {peer: [] for peer in PEERS}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for peer in PEERS:
            found = script("peers.py", peer, 3)
            seconds[peer] += found.get("seconds", [])[1:]
            if "missing" in found:
                missing[peer] = found["missing"]
    return {peer: _spread(values) if values else {"missing": missing[peer]} for peer, values in seconds.items()}


def measure_quality(recipes: dict[str, int]) -> dict[str, Any]:
    """Test MSE, seconds of training and active units by recipe, for the requested number of seeds."""
    return {recipe: [script("quality.py", recipe, seed) for seed in range(count)] for recipe, count in recipes.items()}


def measure_growth(rounds: int) -> list[dict[str, Any]]:
    """Seconds of an epoch and peak memory, in rounds, as the data and the network grow."""
    found = [[script("growth.py", *sizes) for sizes in GROWTH] for _ in range(rounds)]
    return [
        {**runs[0], "seconds": statistics.median(run["seconds"] for run in runs), "mib": max(run["mib"] for run in runs)}
        for runs in zip(*found, strict=True)
    ]


def measure_shell(rounds: int) -> dict[str, Any]:
    """Wall time and peak memory of whole commands, in rounds."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(os.environ["MNISTAE_DATA_DIR"]).absolute())
        environment = {**os.environ, "MNISTAE_HOME": f"{folder}/home", "MNISTAE_DATA_DIR": data, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run([PROGRAM, "train", "-e", "1", "-q"], check=True, cwd=folder, env=environment, capture_output=True)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in SHELL}
        for _ in range(rounds + 1):
            for name, words in SHELL.items():
                command = words if words[0] in {sys.executable, "env"} else [PROGRAM, *words]
                found[name].append(_timed(command, folder, environment))
    return {
        name: {**_spread([seconds for seconds, _ in values[1:]]), "peak_mib": max(peak for _, peak in values)}
        for name, values in found.items()
    }


def _timed(command: list[str], folder: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return seconds and peak memory in MiB of one process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def machine() -> dict[str, Any]:
    """Describe the machine and the versions."""
    versions = {}
    for package in ("mnistae", "torch", "torchvision", "numpy", "lightning", "keras", "scikit-learn"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "missing"
    cores = len(os.sched_getaffinity(0))
    return {"date": date.today().isoformat(), "python": platform.python_version(), "cores": cores, **versions}


def table(found: dict[str, Any]) -> str:
    """Return everything as Markdown."""
    lines = [", ".join(f"{key} {value}" for key, value in found["machine"].items())]
    course = found["epochs"]["course"]["median"]
    lines += _heading("an epoch of the lab's recipe", "seconds (low – high)", "against the course")
    for peer, row in found["epochs"].items():
        if "missing" in row:
            lines.append(f"| {peer} | missing: {row['missing']} is not installed | |")
        else:
            lines.append(f"| {peer} | {_seconds(row)} | {course / row['median']:.1f}× |")
    lines += _heading("a step of 2048, milliseconds", "products", "load", "gradients", "optimizer", "of the floor's rate")
    for row in found["floor"]:
        cells = " | ".join(f"{row[part]:.2f}" for part in ("products", "load", "gradients", "optimizer"))
        lines.append(f"| {row['precision']} | {cells} | {row['rate']:.0%} ({row['low']:.0%} – {row['high']:.0%}) |")
    budget = course * COURSE_EPOCHS
    lines += ["", f"The course's way needs {budget:.0f} s for its 50 epochs."]
    lines += _heading(
        "recipe", "epochs", "test MSE by seed, median", "seconds", "of the course's time", "seconds to 0.021064", "active units"
    )
    for recipe, runs in found["quality"].items():
        seconds = statistics.median(run["seconds"] for run in runs)
        errors = " · ".join(f"{run['test_mse']:.5f}" for run in runs)
        errors += f", {statistics.median(run['test_mse'] for run in runs):.5f} | {seconds:.2f} | 1/{budget / seconds:.0f}"
        active = " · ".join(str(run["active_units"]) for run in runs)
        reached = " · ".join("never" if run["reached"] is None else f"{run['reached']:.1f}" for run in runs)
        lines.append(f"| {recipe} | {runs[0]['epochs']} | {errors} | {reached} | {active} |")
    parts = list(found["phases"][0]["seconds"])
    lines += _heading("seconds of `train` on", *parts, "whole", "loss")
    for row in found["phases"]:
        cells = " | ".join(f"{row['seconds'][part]:.2f}" for part in parts)
        lines.append(f"| {row['device']} | {cells} | {row['whole']:.2f} | {row['loss']:.5f} |")
    lines += _heading("images", "hidden units", "seconds an epoch", "peak memory above import torch, MiB")
    for row in found["growth"]:
        lines.append(f"| {row['images']}× | {row['width']}× | {row['seconds']:.2f} | {row['mib']:.0f} |")
    lines += [
        "",
        f"What reliability costs: {found['cost']['loss']:.1%} of the loop's speed; a checkpoint is read and verified in "
        f"{1e3 * found['cost']['load']:.1f} ms, a training state in {1e3 * found['cost']['load_state']:.1f} ms.",
    ]
    lines += _heading("command", "seconds (low – high)", "peak memory, MiB")
    lines += [f"| `{name}` | {_seconds(row)} | {row['peak_mib']:.0f} |" for name, row in found["shell"].items()]
    return "\n".join(lines) + "\n"


def _heading(*names: str) -> list[str]:
    return ["", f"| {' | '.join(names)} |", "|" + "---|" * len(names)]


def _seconds(row: dict[str, float]) -> str:
    return f"{row['median']:.2f} ({row['low']:.2f} – {row['high']:.2f})"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, one seed, without the long recipes")
    parser.add_argument("--recipes", nargs="+", help="which to train; by default all, or fast in the quick form")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    wanted = parser.parse_args()
    rounds, seeds = (1, 1) if wanted.quick else (3, 5)
    found = {
        "machine": machine(),
        "floor": measure_floor(rounds),
        "epochs": measure_epochs(rounds),
        "quality": measure_quality(dict.fromkeys(wanted.recipes or (["fast"] if wanted.quick else RECIPES), seeds)),
        "phases": measure_phases("fast" if wanted.quick else "lab"),
        "cost": script("overhead.py"),
        "growth": measure_growth(1 if wanted.quick else 3),
        "shell": measure_shell(2 if wanted.quick else 7),
        "peak_mib_of_this": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "bench.json").write_text(json.dumps(found, indent=2))
    (wanted.out / "bench.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
