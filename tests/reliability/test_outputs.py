"""Threat T21: the program writes below its output and its data folder, and nowhere else."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.client import LONG, ForkServer, log_result, trials
from tests.support.invocations import INVOCATIONS, create_fixtures

IGNORED = {os.devnull}
"""What may be opened for writing anywhere: nothing is kept there."""


def written(log: Path) -> set[str]:
    """Return the paths that a process tried to change."""
    return {path for _event, path in map(json.loads, log.read_text().splitlines())} - IGNORED


def outside(paths: set[str], *allowed: Path) -> set[str]:
    """Return the paths that are not below a folder. What was opened in the folder for temporary files and is gone is fine."""
    temporary = Path(tempfile.gettempdir())
    found = {path for path in paths if not any(Path(path).is_relative_to(folder) for folder in allowed)}
    return {path for path in found if Path(path) != temporary and (Path(path).parent != temporary or os.path.lexists(path))}


def test_writes_stay_below_output_and_data_folder(
    forks: ForkServer, trained: str, home: Path, digits: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Whatever a command does, it changes nothing but its output, in the folder `made`, and its own home."""
    work = tmp_path / "audited"
    work.mkdir()
    substitutions = create_fixtures(work, "plain", digits, home / "checkpoints" / trained / "model.safetensors")
    tried = [invocation for k, invocation in enumerate(INVOCATIONS) if LONG or invocation.writes or k % 3 == 0]
    for number, invocation in enumerate(tried):
        log = tmp_path / f"audit{number}"
        words, before = invocation.words(substitutions), (("audit", str(log)),)
        ended = forks.run(*words, home=work, env={"MNISTAE_HOME": str(home)}, before=before)
        assert ended.code == invocation.code, (words, ended)
        assert outside(written(log), home, work / "made") == set(), words
    words = ("reconstruct", "1", "-c", trained, "-o", str(tmp_path / "elsewhere" / "x.png"))
    forks.run(*words, home=work, env={"MNISTAE_HOME": str(home)}, before=before)
    assert outside(written(log), home, work / "made") != set()
    control = "a picture written elsewhere: seen 1 time of 1"
    log_result("T21", trials=len(tried), control=control, note="an audit hook watches")


AUDITED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tests.support import child_hooks
child_hooks.audit(sys.argv.pop(1))
from mnistae.__main__ import main
main()
"""


@pytest.mark.parametrize("words", [("reconstruct", "1"), ("train", "--resume", "-e", "3")][: trials(1, 2)], ids=" ".join)
def test_whole_process(trained: str, home: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """From the first import on, a process writes nothing elsewhere either, but for what matplotlib keeps of its fonts."""
    fonts = tmp_path / "fonts"
    environment = {**os.environ, "MNISTAE_HOME": str(home), "MPLCONFIGDIR": str(fonts), "PYTHONDONTWRITEBYTECODE": "1"}
    log = tmp_path / "audit"
    command = [sys.executable, "-c", AUDITED, str(Path(__file__).resolve().parents[2]), str(log), *words]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert written(log)
    assert outside(written(log), home, fonts, tmp_path / "work") == set()
    log_result("T21", trials=1, note="and of whole processes")
