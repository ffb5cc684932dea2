"""Threat T21: the program writes below its output and its data folder, and nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import ForkServer, log_result, trials

COMMANDS: list[tuple[str, ...]] = [
    ("summary",),
    ("summary", "-c", "r"),
    ("reconstruct", "1", "2", "-o", "{out}/a.png"),
    ("reconstruct", "1", "--json"),
    ("denoise", "1", "-c", "r", "-o", "{out}/b.svg"),
    ("interpolate", "1", "2", "-o", "{out}/new/c.gif"),
    ("interpolate", "1", "2", "-f", "npy", "-o", "-"),
    ("evaluate",),
    ("doctor",),
    ("checkpoints", "list"),
    ("checkpoints", "show"),
    ("checkpoints", "path"),
    ("checkpoints", "verify"),
    ("checkpoints", "import", "{home}/checkpoints/r/model.safetensors", "--name", "s"),
    ("checkpoints", "remove", "s"),
    ("datasets", "list"),
    ("datasets", "fetch", "mnist"),
    ("datasets", "verify", "{data}"),
    ("train", "--resume", "-e", "2"),
    ("train", "--dataset", "{data}", "-e", "1", "-b", "256", "--name", "../out"),
    ("train", "--dataset", "{data}", "-e", "1", "-b", "256", "--hidden", "8", "--force", "--name", "r"),
]
REFUSED = {"mnist": 4, "../out": 2}
"""The exit codes for missing data and a bad name; everything else works."""

IGNORED = {os.devnull}
"""What may be opened for writing anywhere: nothing is kept there."""


def written(log: Path) -> set[str]:
    """Return the paths that a process tried to change."""
    return {path for _event, path in map(json.loads, log.read_text().splitlines())} - IGNORED


def outside(paths: set[str], *allowed: Path) -> set[str]:
    return {path for path in paths if not any(Path(path).is_relative_to(folder) for folder in allowed)}


@pytest.fixture
def store(forks: ForkServer, data: Path, tmp_path: Path) -> Path:
    """A home with one run."""
    words = ("train", "--dataset", data, "-e", 1, "-b", 256, "--hidden", 8, "--name", "r", "-q")
    assert forks.run(*words, home=tmp_path).code == 0
    return tmp_path / "home"


def test_writes_stay_below_output_and_data_folder(forks: ForkServer, store: Path, data: Path, tmp_path: Path) -> None:
    """Whatever a command does, it changes nothing but its output, or its working folder by default, and its own home."""
    out = tmp_path / "out"
    out.mkdir()
    substitutions = {"out": out, "home": store, "data": data}
    for number, words in enumerate(COMMANDS):
        log, work = tmp_path / f"audit{number}", tmp_path / f"work{number}"
        arguments = [word.format(**substitutions) for word in words]
        ended = forks.run(*arguments, home=work, env={"MNISTAE_HOME": str(store)}, before=(("audit", str(log)),))
        assert ended.code == REFUSED.get(words[-1], 0), (words, ended)
        named = any("{out}" in word for word in words) or words[0] not in {"reconstruct", "denoise", "interpolate"}
        assert outside(written(log), store, out if named else work) == set(), words

    log, stray = tmp_path / "audit", tmp_path / "elsewhere" / "x.png"
    hooks = (("audit", str(log)),)
    forks.run("reconstruct", "1", "-o", stray, home=tmp_path / "stray", env={"MNISTAE_HOME": str(store)}, before=hooks)
    assert outside(written(log), store, out) != set()
    log_result(
        "T21",
        trials=len(COMMANDS),
        control="a picture written elsewhere: seen 1 time of 1",
        note="an audit hook watches",
    )


AUDITED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tests.support import child_hooks
child_hooks.audit(sys.argv.pop(1))
from mnistae.__main__ import main
main()
"""


@pytest.mark.parametrize("words", [("reconstruct", "1"), ("train", "--resume", "-e", "2")][: trials(1, 2)], ids=" ".join)
def test_whole_process(store: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """From the first import on, a process writes nothing elsewhere either, but for what matplotlib keeps of its fonts."""
    fonts = tmp_path / "fonts"
    environment = {**os.environ, "MNISTAE_HOME": str(store), "MPLCONFIGDIR": str(fonts), "PYTHONDONTWRITEBYTECODE": "1"}
    log = tmp_path / "audit"
    command = [sys.executable, "-c", AUDITED, str(Path(__file__).resolve().parents[2]), str(log), *words]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert written(log)
    assert outside(written(log), store, fonts, tmp_path / "work") == set()
    log_result("T21", trials=1, note="and of whole processes")
