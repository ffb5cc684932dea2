"""Runs that are started and continued by one command: time limits, shell loops, job arrays."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnistae.store import runs
from tests.cli.test_train import run_files
from tests.conftest import Cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SIZES = ("-b", 256, "--hidden", 16)

PROGRAMS = {
    "mnistae": f'exec "{sys.executable}" -m mnistae "$@"',
    "srun": 'echo $$ > "$STEP"; exec "$@"',
    "scontrol": '[ "$1" = requeue ] && touch "$REQUEUED"',
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has `mnistae` and what a cluster has."""
    (tmp_path / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


def documented(start: str) -> str:
    """Return the README's command that starts so."""
    found = re.search(rf"^{start}.*$", README, re.MULTILINE)
    assert found
    return found[0]


def test_time_limit(cli: Cli, tiny: Path, home: Path) -> None:
    """A run that would exceed its time limit is saved after an epoch; the same command continues it, to the same bytes."""
    words = ("train", "--resume", "--dataset", tiny, *SIZES, "-e", 3)
    assert cli(*words, "--name", "whole", "--time", "1h").code == 0
    limited = (*words, "--name", "cut", "--time", "1s")  # the end of a run alone is allowed more
    answers = [cli(*limited) for _ in range(3)]
    assert [answer.code for answer in answers] == [75, 75, 0]
    assert ["there is no run 'cut' yet: starting it" in answer.err for answer in answers] == [True, False, False]
    assert ["resuming 'cut' after 2 epochs" in answer.err for answer in answers] == [False, False, True]
    assert answers[1].out == ""
    assert answers[1].err.splitlines()[-2:] == [
        "error: time limit '1s' reached: run 'cut' is saved with 2 of 3 epochs",
        "hint: run it again: mnistae train --resume --name cut --time 1s",
    ]
    assert run_files(home, "cut") == run_files(home, "whole")


def test_run_that_another_process_has_started(
    cli: Cli, trained_store: Path, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was missing at first and is there once it is locked is continued, not refused as one that exists."""
    exists, answers = runs.exists, iter([False])
    monkeypatch.setattr(runs, "exists", lambda name: next(answers, exists(name)))
    answer = cli("train", "--resume", "--name", trained, "--dataset", trained_store.parent / "tiny", "-e", 3)
    assert (answer.code, "resuming 'tiny' after 2 epochs" in answer.err) == (0, True), answer.err


@pytest.mark.skipif(os.name == "nt", reason="a loop of sh")
def test_shell_loop(env: dict[str, str], tmp_path: Path) -> None:
    """The README's shell loop repeats its command as long as that exits with 75."""
    program = '#!/bin/sh\necho "$@" >> calls\n[ $(wc -l < calls) -eq 3 ] || exit 75\n'
    (tmp_path / "bin" / "mnistae").write_text(program)
    subprocess.run(["sh", "-c", documented("while")], env=env, check=True, timeout=100)
    assert Path("calls").read_text() == "train --resume --name long --recipe best --time 55m\n" * 3


def sbatch(script: str, task: int, env: dict[str, str], step: Path, requeued: Path) -> int:
    """Run a task as SLURM does: send its step SIGUSR1 in the first attempt, repeat it when requeued; return the attempts."""
    env = {**env, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_JOB_ID": "1", "STEP": str(step), "REQUEUED": str(requeued)}
    for attempt in range(1, 10):
        # The run cannot end before the signal: the lines of its epochs fill the pipe, which is read byte by byte.
        with subprocess.Popen(["sh", "-c", script], env=env, stderr=subprocess.PIPE, bufsize=0, pipesize=4096) as job:
            assert job.stderr is not None
            epochs = (line for line in job.stderr if line.startswith(b"epoch"))
            if attempt == 1 and next(epochs):
                os.kill(int(step.read_text()), signal.SIGUSR1)
            list(epochs)
        if not requeued.exists():
            assert job.returncode == 0
            return attempt
        requeued.unlink()
    pytest.fail("requeued for ever")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_job_array(cli: Cli, tiny: Path, home: Path, env: dict[str, str], tmp_path: Path) -> None:
    """A task of the README's SLURM array is requeued after a signal, and ends with the bytes of an uninterrupted run."""
    words = f"--dataset {tiny} {' '.join(map(str, SIZES))} -e 100"
    options, script = documented("sbatch").split(" --wrap ")
    assert options == "sbatch --array=0-9 --time=60 --signal=USR1@60 --requeue"
    assert "--recipe lab" in script
    assert cli("train", *words.split(), "--seed", 3, "--name", "whole", "-q").code == 0
    assert sbatch(script.strip("'").replace("--recipe lab", words), 3, env, tmp_path / "step", tmp_path / "requeued") == 2
    assert run_files(home, "seed-3") == run_files(home, "whole")
