"""`mnistae train` from the command line."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from mnistae.cli.commands.train import Recipe
from mnistae.core.config import RECIPES
from tests.conftest import Cli


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


def test_same_command_same_bytes(cli: Cli, tiny: Path, home: Path) -> None:
    """Two runs with one seed are equal byte for byte in every file and in their JSON; another seed gives other losses."""
    words = ("train", "--dataset", tiny, "-e", 2, "-b", 256, "--json", "--force", "-q", "--name", "a")
    first = cli(*words, "--seed", 3)
    before = run_files(home, "a")
    assert (first.code, first.err) == (0, "")
    assert cli(*words, "--seed", 3) == first
    assert run_files(home, "a") == before
    document = json.loads(first.out)
    assert (document["schema"], document["command"]) == (1, "train")
    assert (document["dataset"], document["epochs"], document["device"]) == ("tiny", 2, "cpu")
    assert [epoch["number"] for epoch in document["history"]] == [1, 2]
    assert document["loss"] == document["history"][-1]["loss"]
    listed, *_ = json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"]
    assert document["active_units"] == listed["active_units"]
    assert json.loads(cli(*words, "--seed", 4).out)["history"] != document["history"]


def test_resume_raises_the_epochs_to_the_same_bytes(cli: Cli, tiny: Path, home: Path) -> None:
    """Two epochs and two more equal four uninterrupted ones, byte for byte."""
    words = ("--dataset", tiny, "-b", 256, "-q")
    assert cli("train", *words, "-e", 4, "--name", "whole").code == 0
    assert cli("train", *words, "-e", 2, "--name", "cut").code == 0
    assert cli("train", "--resume", "-e", 4, "-q").code == 0  # the newest run is resumed
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
    assert told["training"]["settings"] == dataclasses.asdict(expected)


def test_schedule_that_is_laid_out_cannot_be_prolonged(cli: Cli, tiny: Path, home: Path) -> None:
    """Raising the epochs is refused if the schedule has ended at zero; repeating their number is not."""
    words = ("--recipe", "fast", "--dataset", tiny, "-b", 256, "-e", 2, "--name", "f")
    assert cli("train", *words, "-q").code == 0
    before = run_files(home, "f")
    answer = cli("train", "--resume", "-e", 3)
    assert answer.code == 2
    assert "cannot extend run 'f': its schedule is fixed to 2 epochs" in answer.err
    assert cli("train", "--resume", "-e", 1).err.endswith("hint: train a new run: --epochs 1 and another --name\n")
    assert cli("train", "--resume", "-e", 2).code == 0
    assert run_files(home, "f") == before


def test_precision_is_part_of_the_run(cli: Cli, tiny: Path) -> None:
    """bf16 gives another run under another name, close to that of fp32."""
    words = ("train", "--dataset", tiny, "-e", 2, "-b", 256, "--json", "-q")
    exact, rounded = json.loads(cli(*words).out), json.loads(cli(*words, "--precision", "bf16").out)
    assert rounded["checkpoint"]["name"] == exact["checkpoint"]["name"].replace("seed0", "bf16-seed0")
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.05)
    assert rounded["loss"] != exact["loss"]


@pytest.mark.parametrize(
    ("words", "has_bfloat16", "cpus", "warnings"),
    [
        ("--precision bf16", False, 2, ["this CPU has no bfloat16 instructions: bf16 is many times slower than fp32"]),
        ("--precision bf16", True, 2, []),
        ("--threads 2", False, 2, []),
        ("--threads 2", False, 1, ["more threads than CPUs: training may be many times slower than with --threads 1"]),
    ],
)
def test_slow_training_is_warned_about(
    cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch, words: str, has_bfloat16: bool, cpus: int, warnings: list[str]
) -> None:
    """bf16 without bfloat16 instructions and more threads than CPUs train at a fraction of the speed."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_bfloat16)  # another processor
    monkeypatch.setattr("mnistae.core.cpus.usable", lambda: cpus)
    answer = cli("train", "--dataset", tiny, "-e", 1, *words.split())
    found = [line for line in answer.err.splitlines() if "warning:" in line and "dead" not in line]
    assert (answer.code, found) == (0, [f"warning: {warning}" for warning in warnings])


def test_dead_units_are_warned_about(cli: Cli, tiny: Path) -> None:
    """Units that are always zero are counted and listed."""
    answer = cli("train", "--dataset", tiny, "-e", 2, "-b", 256, "-z", 64)
    assert answer.code == 0
    assert "bottleneck units are dead (always zero): units " in answer.err
