"""The checkpoints in the package: found by name where the store has none of that name, and never touched."""

import json
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.config import RECIPES
from mnistae.core.errors import CheckpointError, ExitCode
from mnistae.model import backend
from mnistae.store import builtin, runs, verification
from tests.conftest import Cli
from tests.support.images import five, saved
from tests.support.saved_runs import save


@pytest.mark.parametrize("name", builtin.NAMES)
def test_built_in_checkpoint_is_a_finished_run_of_its_recipe(name: str) -> None:
    """It was trained on MNIST by this project with the recipe of its name, to the last epoch, and all its units live."""
    found = runs.load(name)
    training = found.metadata.training
    assert found.is_builtin
    assert training is not None
    assert training == RECIPES[name]
    assert training.dataset == "mnist"
    assert len(found.metadata.history) == training.epochs
    assert found.metadata.active_units == 8


def test_own_run_goes_before_a_built_in_one() -> None:
    """In an empty store the lab's network is the default; a run that the user calls `lab` is the user's until it is removed."""
    assert (runs.load(None).name, runs.run_names(), runs.checkpoint_names()) == ("lab", [], ["lab", "denoise"])
    assert verification.verify_all() == {"lab": None, "denoise": None}
    save("tiny", "lab")
    assert not runs.load("lab").is_builtin
    assert runs.checkpoint_names() == ["lab", "tiny", "denoise"]
    runs.remove("lab")
    assert runs.load("lab").is_builtin
    assert runs.load(None).name == "tiny"


def test_damaged_built_in_checkpoint_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty store the hint does not speak of the newest run."""
    monkeypatch.setattr(builtin, "FOLDER", tmp_path)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        runs.load(None)
    assert "newest" not in caught.value.hint


def test_built_in_checkpoints_stay(cli: Cli) -> None:
    """They cannot be removed nor resumed, and are listed as what they are; a run that hides one is reported."""
    before = runs.load("lab").path.read_bytes()
    done = cli("checkpoints", "remove", "lab")
    assert (done.code, done.err.splitlines()[0]) == (ExitCode.CHECKPOINT, "error: 'lab' is built in and cannot be removed")
    assert cli("train", "--resume", "--name", "lab").code == ExitCode.CHECKPOINT
    rows = json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"]
    assert [(row["name"], row["state"]) for row in rows] == [("lab", "built-in"), ("denoise", "built-in")]
    assert cli("checkpoints", "verify", "lab").code == 0
    assert runs.load("lab").path.read_bytes() == before
    imports = ("checkpoints", "import", str(runs.load("denoise").path), "--name", "lab", "--force")
    shown = ["hides the built-in checkpoint" in cli(*imports).err for _ in range(2)]
    assert shown == [True, False]


def test_works_right_after_installation(cli: Cli, home: Path) -> None:
    """An own picture is denoised in an empty home, without a network and without data."""
    Path("photo.png").write_bytes(saved(five(side=300)))
    assert not home.exists()
    done = cli("denoise", "photo.png", "--noise", "none")
    assert (done.code, done.out[:18]) == (0, "denoise-photo-none")
    assert Path(done.out.strip()).is_file()
    assert "using built-in checkpoint 'denoise'" in done.err


def test_recipe_denoise_denoises_better(real_mnist: object) -> None:
    """Under the lab's noise the network of the recipe `denoise` is the better one by far, as docs/results.md says."""
    from mnistae.core.arrays import to_float
    from mnistae.data.sets import resolve
    from mnistae.data.sets.dataset import Split
    from mnistae.metrics import quality
    from mnistae.tasks import noise

    images = to_float(resolve.open_dataset("mnist").images(Split.TEST)[:1000])
    noisy = noise.add(images, noise.Noise.UNIFORM, level=0.625, seed=0)
    found = {
        name: float(np.mean(quality.mse(images, backend.load_network(runs.load(name).weights, None).reconstruct(noisy))))
        for name in builtin.NAMES
    }
    assert found["denoise"] < 0.021
    assert found["lab"] > 0.04
