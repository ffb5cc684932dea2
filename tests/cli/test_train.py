"""`mnistae train` from the command line."""

import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mnistae.cli.commands.train import Recipe
from mnistae.core.config import RECIPES
from tests.conftest import Cli, run_cli, run_in_pty


def run_files(home: Path, name: str) -> dict[str, bytes]:
    """Return the bytes of a run's files."""
    return {path.name: path.read_bytes() for path in sorted((home / "checkpoints" / name).iterdir())}


def test_training_leaves_a_whole_run(cli: Cli, tiny: Path, home: Path) -> None:
    """A run prints its path on stdout and a line for each epoch on stderr, and saves four files."""
    answer = cli("train", "--dataset", tiny, "-e", 2, "-b", 256)

    path = home / "checkpoints" / "lab-tiny-b256-seed0" / "model.safetensors"
    assert (answer.code, answer.out) == (0, f"{path}\n"), answer.err
    lines = answer.err.splitlines()
    assert lines[0].startswith("using data set tiny in ")
    assert lines[1].startswith("training 'lab-tiny-b256-seed0' on cpu")
    assert [line[:9] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert list(run_files(home, path.parent.name)) == ["history.csv", "loss.png", "model.safetensors", "state.safetensors"]
    rows = list(csv.reader((path.parent / "history.csv").read_text().splitlines()))
    assert rows[0] == ["epoch", "loss", "learning_rate"]
    assert [row[0] for row in rows[1:]] == ["1", "2"]


def test_same_command_same_bytes(cli: Cli, tiny: Path, home: Path) -> None:
    """Two runs with one seed are equal byte for byte in every file and in their JSON; another seed gives other weights."""
    words = ("train", "--dataset", tiny, "-e", 2, "-b", 256, "--json", "--force")
    first = cli(*words, "--seed", 3, "--name", "a")
    before = run_files(home, "a")
    second = cli(*words, "--seed", 3, "--name", "a")
    other = cli(*words, "--seed", 4, "--name", "b")

    assert (first.code, second.code, other.code) == (0, 0, 0)
    assert first.out == second.out
    assert before == run_files(home, "a")
    assert before["model.safetensors"] != run_files(home, "b")["model.safetensors"]


def test_json_describes_the_run(cli: Cli, tiny: Path) -> None:
    """The document has the checkpoint, the data set, the losses and the active units."""
    document = json.loads(cli("train", "--dataset", tiny, "-e", 2, "-b", 256, "--json", "-q").out)
    assert (document["schema"], document["command"]) == (1, "train")
    assert (document["dataset"], document["epochs"], document["device"]) == ("tiny", 2, "cpu")
    assert [epoch["number"] for epoch in document["history"]] == [1, 2]
    assert document["loss"] == document["history"][-1]["loss"]
    (listed,) = json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"][:1]
    assert document["active_units"] == listed["active_units"]


def test_resume_raises_the_epochs_to_the_same_bytes(cli: Cli, tiny: Path, home: Path) -> None:
    """Two epochs and two more equal four uninterrupted ones, byte for byte; a finished run has nothing to do."""
    words = ("--dataset", tiny, "-b", 256, "-q")
    assert cli("train", *words, "-e", 4, "--name", "whole").code == 0
    assert cli("train", *words, "-e", 2, "--name", "cut").code == 0
    assert cli("train", "--resume", "-e", 4, "-q").code == 0  # the newest run is resumed
    assert run_files(home, "cut") == run_files(home, "whole")

    again = cli("train", "--resume", "--name", "cut")
    assert (again.code, "nothing to do" in again.err) == (0, True)
    assert again.out == f"{home / 'checkpoints' / 'cut' / 'model.safetensors'}\n"
    assert run_files(home, "cut") == run_files(home, "whole")


def test_existing_run_is_kept_unless_forced(cli: Cli, tiny: Path, home: Path, trained: str) -> None:
    """A name that is taken is refused before training and its run is unchanged; --force replaces it."""
    before = run_files(home, trained)
    words = ("train", "--dataset", tiny, "-e", 1, "-b", 256, "--name", trained)
    refused = cli(*words)
    assert (refused.code, refused.out) == (7, "")
    assert refused.err.splitlines()[-2:] == [
        "error: run 'tiny' already exists",
        "hint: use --resume to continue it, --force to replace it, or another --name",
    ]
    assert run_files(home, trained) == before
    assert cli(*words, "--force", "-q").code == 0
    assert run_files(home, trained) != before


RESUME_ERRORS = [
    (("--lr", "0.5"), 2, "cannot change --lr of run 'tiny' on resume: it is '0.001', not '0.5'"),
    (("--bottleneck", "4"), 2, "cannot change --bottleneck of run 'tiny' on resume: it is '8', not '4'"),
    (("--dataset", "glyphs"), 2, "cannot change --dataset of run 'tiny' on resume"),
    (("--force",), 2, "--resume and --force cannot be combined"),
    (("--epochs", "0"), 2, "invalid value for --epochs: 0"),
    (("--name", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("--name", "../x"), 2, "invalid run name: '../x'"),
]


@pytest.mark.parametrize(("words", "code", "message"), RESUME_ERRORS, ids=lambda value: str(value)[:30])
def test_resume_refuses_what_it_cannot_keep(
    cli: Cli, home: Path, trained: str, words: tuple[str, ...], code: int, message: str
) -> None:
    """A resumed run keeps its settings: another value is an error and the run is unchanged."""
    before = run_files(home, trained)
    answer = cli("train", "--resume", *words)
    assert answer.code == code
    assert message in answer.err
    assert run_files(home, trained) == before


def test_resume_refuses_other_data(cli: Cli, tiny: Path) -> None:
    """A data set whose content has changed is refused."""
    assert cli("train", "--dataset", tiny, "-e", 1, "-b", 256, "-q").code == 0
    path = tiny / "train-images-idx3-ubyte"
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)
    answer = cli("train", "--resume", "--epochs", 3)
    assert answer.code == 4
    assert "data set has changed since this run was trained" in answer.err


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_the_same_network(cli: Cli, tiny: Path, home: Path, recipe: str) -> None:
    """A recipe has the same sizes, its own default name, and its settings in the checkpoint; --recipe offers all of them."""
    assert {*Recipe} == {*RECIPES}
    assert cli("train", "--recipe", recipe, "--dataset", tiny, "-e", 1, "-b", 256, "-q").code == 0
    newest, *_ = json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"]
    assert newest["name"].startswith(f"{recipe}-tiny")
    told = json.loads(cli("checkpoints", "show", "--json").out)
    assert told["model"] == {"hidden": 392, "bottleneck": 8}
    expected = dataclasses.replace(RECIPES[recipe], dataset=str(tiny), epochs=1, batch_size=256)
    assert told["training"]["settings"] == expected.to_json()


def test_schedule_that_is_laid_out_cannot_be_prolonged(cli: Cli, tiny: Path, home: Path) -> None:
    """Raising the epochs is refused if the schedule has ended at zero; repeating their number is not."""
    words = ("--recipe", "fast", "--dataset", tiny, "-b", 256, "-e", 2, "--name", "f")
    assert cli("train", *words, "-q").code == 0
    before = run_files(home, "f")
    answer = cli("train", "--resume", "-e", 3)
    assert answer.code == 2
    assert "cannot extend run 'f': its schedule is fixed to 2 epochs" in answer.err
    assert cli("train", "--resume", "-e", 2).code == 0
    assert run_files(home, "f") == before


def test_precision_is_part_of_the_run(cli: Cli, tiny: Path) -> None:
    """bf16 gives another run under another name, close to that of fp32; TF32 needs CUDA."""
    words = ("train", "--dataset", tiny, "-e", 2, "-b", 256, "--json", "-q")
    exact, rounded = json.loads(cli(*words).out), json.loads(cli(*words, "--precision", "bf16").out)
    assert rounded["checkpoint"]["name"] == exact["checkpoint"]["name"].replace("seed0", "bf16-seed0")
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.05)
    assert rounded["loss"] != exact["loss"]
    answer = cli("train", "--dataset", tiny, "--precision", "tf32", "--device", "cpu")
    assert answer.code == 2
    assert "TF32 requires CUDA" in answer.err


@pytest.mark.parametrize("has_it", [True, False])
def test_bfloat16_without_instructions_is_warned_about(
    cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch, *, has_it: bool
) -> None:
    """bf16 on a CPU without bfloat16 instructions is warned about, and nothing else is."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_it)  # stands for another processor
    warning = "warning: this CPU has no bfloat16 instructions"
    words = ("train", "--dataset", tiny, "-e", 1)
    assert (warning in cli(*words, "--precision", "bf16").err) is not has_it
    assert warning not in cli(*words).err


def test_divergence_ends_with_six_and_keeps_the_other_runs(cli: Cli, tiny: Path, home: Path, trained: str) -> None:
    """A huge learning rate is exit code 6 with a hint, and the other runs are unchanged."""
    before = run_files(home, trained)
    answer = cli("train", "--dataset", tiny, "-e", 5, "-b", 256, "--lr", "1e38", "--name", "wild")
    assert answer.code == 6
    assert "diverged" in answer.err
    assert answer.err.splitlines()[-1].startswith("hint: lower --lr")
    assert run_files(home, trained) == before
    assert cli("checkpoints", "verify").code == 0


def test_divergence_in_the_last_update_is_found(cli: Cli, tiny: Path, home: Path) -> None:
    """Finite weights with non-finite outputs are exit code 6 and leave no run."""
    answer = cli("train", "--dataset", tiny, "-e", 1, "-b", 600, "--lr", "1e30", "--name", "div")
    assert answer.code == 6, answer.err
    assert "RuntimeWarning" not in answer.err
    assert not (home / "checkpoints" / "div").exists()


def test_quiet_says_nothing(cli: Cli, tiny: Path) -> None:
    """With -q stderr is empty."""
    answer = cli("train", "--dataset", tiny, "-e", 1, "-q")
    assert (answer.code, answer.err) == (0, "")


def test_dead_units_are_warned_about(cli: Cli, tiny: Path) -> None:
    """Units that are always zero are counted and listed."""
    answer = cli("train", "--dataset", tiny, "-e", 2, "-b", 256, "-z", 64)
    assert answer.code == 0
    assert "bottleneck units are dead (always zero): units " in answer.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_keeps_the_last_whole_epoch(tiny: Path, home: Path, cli: Cli, number: int, code: int) -> None:
    """A signal during training exits with 128 plus its number; the run verifies, and resumes to the same bytes."""
    words = ["train", "--dataset", str(tiny), "-e", "4000", "-b", "256"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mnistae", *words, "--name", "cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while b"epoch    3/" not in (line := process.stderr.readline()):
        assert line, "the run ended by itself"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert b"resume with: mnistae train --resume --name cut" in err
    assert cli("checkpoints", "verify").code == 0
    done = json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"][0]["epochs"]
    assert done >= 3
    wanted = str(done + 2)
    assert cli("train", "--resume", "--name", "cut", "-e", wanted, "-q").code == 0
    assert cli(*words[:3], "-e", wanted, "-b", 256, "--name", "whole", "-q").code == 0
    assert run_files(home, "cut") == run_files(home, "whole")


def test_two_trainers_of_one_name_are_one(tiny: Path, cli: Cli) -> None:
    """Of two processes that train under one name, the second exits with 8 at once."""
    command = [sys.executable, "-m", "mnistae", "train", "--dataset", str(tiny), "-e", "3000", "-b", "256", "--name", "one"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert first.stderr is not None
    while b"epoch" not in first.stderr.readline():
        pass
    second = run_cli(*command[3:])
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)

    assert second.returncode == 8
    assert second.stderr.decode().splitlines()[-2:] == [
        "error: run 'one' is locked by another process",
        "hint: wait until it has finished, or choose another --name",
    ]
    assert first.returncode == 130
    assert cli("checkpoints", "verify").code == 0


def test_training_survives_a_closed_pipe(tiny: Path, cli: Cli) -> None:
    """A run whose output streams are closed is still trained and saved."""
    read, write = os.pipe()
    os.close(read)
    words = ("train", "--dataset", tiny, "-e", 2, "-b", 256, "--name", "alone")
    done = run_cli(*words, stdout=write, stderr=write)
    os.close(write)
    assert done.returncode == 141
    assert json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"][0]["state"] == "finished"


def test_terminal_gets_a_bar_that_is_cleared(tiny: Path) -> None:
    """On a terminal a live bar shows epoch, loss, rate, speed and time left, and restores the cursor."""
    words = ("train", "--dataset", tiny, "-e", 60, "-b", 256)
    code, text = run_in_pty(*words, TERM="xterm-256color", COLUMNS="100")
    assert code == 0
    assert "/60" in text
    assert "images/s" in text
    assert "lr 0.001" in text
    assert re.search(r"\d:\d\d:\d\d", text)
    assert "\x1b[2K" in text[text.rindex("60/60") :]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
