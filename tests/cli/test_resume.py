"""Runs that are started and continued by one command: time limits, shell loops, job arrays."""

import functools
import os
import re
import subprocess
from pathlib import Path

import pytest

from mnistae.cli import app
from mnistae.store import runs
from tests.cli.test_train import run_files
from tests.conftest import Cli

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

SIZES = ("-b", 256, "--hidden", 16)


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


@pytest.mark.parametrize(("words", "is_newest"), [((), True), (("--name", "tiny"), False)])
def test_newest_run_that_cannot_be_resumed(cli: Cli, trained: str, home: Path, words: tuple[str, ...], is_newest: bool) -> None:
    """The hint says how the run was chosen if it was not named."""
    (home / "checkpoints" / trained / "state.safetensors").write_bytes(b"")
    answer = cli("train", "--resume", *words)
    assert (answer.code, "; it is the newest run: choose another one with --name\n" in answer.err) == (3, is_newest)


def test_run_started_by_another_process(cli: Cli, trained_store: Path, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was missing at first and is there once it is locked is continued, not refused as one that exists."""
    exists, answers = runs.exists, iter([False])
    monkeypatch.setattr(runs, "exists", lambda name: next(answers, exists(name)))
    answer = cli("train", "--resume", "--name", trained, "--dataset", trained_store.parent / "tiny", "-e", 3)
    assert (answer.code, "resuming 'tiny' after 2 epochs" in answer.err) == (0, True), answer.err


PROGRAMS = {
    "mnistae": 'echo "$@" >> calls; [ $(wc -l < calls) -ge 3 ] || exit $CODE',
    "srun": 'exec "$@"',
    "scontrol": 'echo "$@" >> requeued',
}
"""Programs that keep a list of their calls; the first two calls of `mnistae` end with $CODE."""


@pytest.mark.skipif(os.name == "nt", reason="commands of sh")
@pytest.mark.parametrize(
    ("start", "code", "command", "calls", "is_requeued"),
    [
        ("while", 75, "train --resume --name long --recipe best --time 55m", 3, False),
        *(
            ("sbatch", code, "train --resume --name seed-3 --recipe lab --seed 3 --time 55m", 1, is_requeued)
            for code, is_requeued in ((75, True), (138, True), (6, False))
        ),
    ],
)
def test_repetition(
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
    code: int,
    command: str,
    calls: int,
    is_requeued: bool,
) -> None:
    """The README's shell loop repeats its command after 75, its SLURM array after SIGUSR1 (138) too, and only then.

    What a run does after SIGUSR1 is tested in test_shell.py.
    """
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CODE": f"{code}", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "1"}
    options, _, script = documented(start).rpartition(" --wrap ")
    assert options in {"", "sbatch --array=0-9 --time=60 --signal=USR1@60 --requeue"}
    subprocess.run(["sh", "-c", script.strip("'")], env=os.environ | variables, check=True, timeout=100)
    assert Path("calls").read_text() == f"{command}\n" * calls
    assert Path("requeued").exists() == is_requeued
    load = app.load
    monkeypatch.setattr(app, "load", lambda name: functools.wraps(load(name))(lambda **_given: None))
    assert cli(*command.split()).code == 0  # its options are valid
