"""`traverse`, and the unit ranges that it uses."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnistae.core.arrays import to_float
from mnistae.core.files import atomic
from mnistae.core.records import UnitRange, count_active
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from tests.cli.test_train import run_files
from tests.conftest import Cli, Digits, document
from tests.support.saved_runs import IMPORTED, arrays


def rewritten(name: str, **changes: Any) -> None:
    """Change the metadata of a run's model."""
    found = runs.load(name)
    metadata = dataclasses.replace(found.metadata, **changes)
    atomic.write_bytes(found.path, checkpoint_format.encode_model(found.weights, metadata))


def test_training_keeps_the_ranges(cli: Cli, trained: str, digits: Digits) -> None:
    """The checkpoint has the range of each unit over its training images, and the number of active units."""
    found = runs.load(trained)
    ranges = found.metadata.unit_ranges or ()
    codes = NumpyNetwork.from_weights(found.weights).encode(to_float(digits["train_images"].reshape(-1, 784)))
    assert [unit.high for unit in ranges] == pytest.approx(codes.max(axis=0), rel=1e-4, abs=1e-6)
    assert found.metadata.active_units == count_active(ranges)
    for words in ("summary -c tiny", "checkpoints show tiny"):
        told = document(cli(*words.split(), "--json"))["training"]["unit_ranges"]
        assert told == [[unit.low, unit.high] for unit in ranges]


def test_frames_document_and_table(cli: Cli, trained: str) -> None:
    """The document has the values of the unit, and the table their ends and the image's own."""
    words = ("traverse", 1, "--unit", 2, "-n", 5)
    answer, told = cli(*words), document(cli(*words, "--json"))
    (unit,) = told["units"]
    assert unit["values"] == pytest.approx(np.linspace(unit["low"], unit["high"], 5))
    assert (told["image"], told["dataset"], told["steps"]) == ({"image": "1", "label": 0}, "tiny", 5)
    ends = (unit["low"], unit["high"], told["code"][2])
    shown = [line.split() for line in answer.err.splitlines()[-2:]]
    assert shown == [["unit", "from", "to", "image"], ["2", *(f"{value:.2f}" for value in ends)]]


def test_all_units_are_rows(cli: Cli, trained: str) -> None:
    """Without --unit the array holds the units one after another, the strip in rows, the GIF side by side."""
    for words in ("-o all.npy", "--unit 7 -o one.npy", "-o all.gif", "-f strip -o strip.png"):
        assert cli("traverse", 1, "-n", 3, *words.split()).code == 0
    every, one = np.load("all.npy"), np.load("one.npy")
    assert (every.shape, one.shape) == ((24, 28, 28), (3, 28, 28))
    np.testing.assert_allclose(every[21:], one, atol=1e-6)
    with Image.open("strip.png") as strip, Image.open("all.gif") as gif:
        assert strip.size == (3 * 112, 8 * 112)
        assert (gif.size, gif.n_frames) == ((8 * 112, 112), 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize("changes", [{"training": None, "active_units": None}, {}], ids=["imported", "unfinished"])
def test_ranges_that_are_not_kept_are_measured(cli: Cli, trained: str, tiny: Path, changes: dict[str, None]) -> None:
    """Ranges that are not in the checkpoint are computed from its data set, with a note."""
    expected = document(cli("traverse", 1, "-c", trained, "--json"))["units"]
    rewritten(trained, unit_ranges=None, **changes)
    answer = cli("traverse", 1, "-c", trained, "--json", *(("--dataset", tiny) if changes else ()))
    assert "unit ranges are not stored in this checkpoint; computed from the training images of tiny" in answer.err
    for unit, other in zip(document(answer)["units"], expected, strict=True):
        assert (unit["low"], unit["high"]) == pytest.approx((other["low"], other["high"]), rel=1e-5)


def test_a_picture_needs_no_data_but_for_ranges_that_are_missing(cli: Cli, trained: str) -> None:
    """With ranges in the checkpoint an image file needs no data set; without them a missing data set is exit code 4."""
    assert cli("reconstruct", 1).code == 0
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save("own.png")
    shutil.copy(runs.load(trained).path, "away.safetensors")
    words = ("traverse", "own.png", "--raw", "--dataset", "nowhere/", "-c")
    assert document(cli(*words, "away.safetensors", "--json"))["dataset"] is None
    rewritten(trained, unit_ranges=None)
    assert cli(*words, trained).code == 4


def test_a_dead_unit_is_named_and_stands_still(cli: Cli, tiny: Path) -> None:
    """A dead unit is listed in a warning, with stored or computed ranges, and its frames are all equal."""
    weights = arrays()
    weights["fc2.weight"][1], weights["fc2.bias"][1] = 0, -1
    for ranges, active in (((UnitRange(0.0, 2.0), UnitRange(0.0, 0.0)), 1), (None, None)):
        runs.save_model("half", weights, dataclasses.replace(IMPORTED, unit_ranges=ranges, active_units=active))
        answer = cli("traverse", 1, "--dataset", tiny, "--unit", 1, "-o", "still.npy")
        warnings = [line for line in answer.err.splitlines() if "bottleneck" in line]
        assert warnings == ["warning: 1 of 2 bottleneck units is dead (always zero): unit 1"]
        assert np.ptp(np.load("still.npy"), axis=0).max() == 0


def test_a_finished_run_without_ranges_gets_them(cli: Cli, trained: str, home: Path) -> None:
    """Resuming a run that was killed after its last epoch adds the ranges: the bytes are those of a whole run."""
    before = run_files(home, trained)
    state, metadata = runs.load_state(trained)
    runs.save(trained, state, dataclasses.replace(metadata, unit_ranges=None))
    assert cli("train", "--resume", "--name", trained).code == 0
    assert run_files(home, trained) == before
