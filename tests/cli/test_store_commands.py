"""`mnistae checkpoints`, `mnistae datasets` and `mnistae doctor`."""

import json
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.config import ModelConfig
from mnistae.data.sets import registry
from tests.conftest import Cli


def weights(config: ModelConfig) -> dict[str, object]:
    """Return a random state dict."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in config.shapes().items()}


def test_import_list_show_path_verify_remove(cli: Cli, home: Path) -> None:
    """An imported file is listed, shown, found, verified and removed with all its files."""
    import torch

    torch.save(weights(ModelConfig(hidden=20, bottleneck=3)), "MLP.3.pth")
    imported = cli("checkpoints", "import", "MLP.3.pth")
    path = home / "checkpoints" / "MLP.3" / "model.safetensors"
    assert (imported.code, imported.out) == (0, f"{path}\n")
    assert imported.err.splitlines()[0] == "imported 784-20-3-20-784 as 'MLP.3'"
    assert imported.err.splitlines()[1].startswith("warning: MSE ")  # random weights
    rows = [line.split() for line in cli("checkpoints", "list").out.splitlines()]
    assert rows[1] == ["MLP.3", "20", "3", "-", "-", "-", "-", "imported"]
    assert cli("checkpoints", "path").out == f"{path}\n"
    assert cli("checkpoints", "path", path).out == f"{path}\n"
    assert "import MLP.3.pth" in cli("checkpoints", "show", "MLP.3").out
    verified = json.loads(cli("checkpoints", "verify", "--json").out)["checkpoints"]
    assert verified == [{"name": name, "state": "ok"} for name in ("MLP.3", "lab", "denoise")]
    assert cli("train", "--resume", "--name", "MLP.3").code == 3
    removed = cli("checkpoints", "remove", "MLP.3")
    assert (removed.code, removed.out) == (0, "MLP.3\n")
    assert "MLP.3" not in cli("checkpoints", "list").out
    assert [entry.name for entry in (home / "checkpoints").iterdir() if entry.is_dir()] == [".locks"]


def test_newest_run_is_the_default(cli: Cli, trained: str) -> None:
    """Commands take the newest run, unless the environment or an option names another; the option wins."""
    import torch

    torch.save(weights(ModelConfig(hidden=20, bottleneck=3)), "new.pth")
    assert cli("checkpoints", "import", "new.pth").code == 0
    assert "/new/" in cli("checkpoints", "path").out
    assert cli("checkpoints", "remove", "new").code == 0
    assert f"/{trained}/" in cli("checkpoints", "path").out


def test_checkpoint_variable_is_beaten_by_the_option(cli: Cli, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNISTAE_CHECKPOINT names the checkpoint unless an option does."""
    monkeypatch.setenv("MNISTAE_CHECKPOINT", "nobody")
    assert cli("evaluate").code == 3
    assert cli("evaluate", "-c", trained).code == 0


def test_datasets_are_found_and_verified(cli: Cli, tiny: Path) -> None:
    """Every data set is listed; a folder and an .npz file are verified."""
    listed = json.loads(cli("datasets", "list", "--json").out)["datasets"]
    assert [row["name"] for row in listed] == list(registry.NAMES)
    told = json.loads(cli("datasets", "verify", tiny, "--json").out)
    assert told["images"] == {"train": 600, "test": 100}
    np.savez("own.npz", x_train=np.zeros((5, 28, 28), np.uint8), y_train=np.arange(5))
    own = cli("datasets", "verify", "own.npz")
    assert own.code == 0
    assert "5 images" in own.out


def test_verify_reads_the_files_not_the_cache(cli: Cli, tiny: Path) -> None:
    """Damage that keeps a file's size and time is found by verify, which ignores the cache."""
    import os

    assert cli("datasets", "verify", tiny).code == 0
    path = tiny / "train-labels-idx1-ubyte"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    answer = cli("datasets", "verify", tiny)
    assert answer.code == 4
    assert "is damaged: label" in answer.err


def test_real_mnist_where_it_lies(cli: Cli, real_mnist: Path) -> None:
    """The user's own copy is found and verified in place."""
    assert cli("datasets", "path").out == f"{real_mnist}\n"
    told = json.loads(cli("datasets", "verify", "--json").out)
    assert told["images"] == {"train": 60_000, "test": 10_000}


def test_doctor_tells_what_a_bug_report_needs(cli: Cli, trained: str, home: Path) -> None:
    """Versions, devices, environment, paths, data and store, each with its state."""
    told = json.loads(cli("doctor", "--json").out)
    assert list(told) == ["schema", "command", "versions", "devices", "environment", "paths", "datasets", "checkpoints"]
    assert told["devices"]["cpu"].startswith("works: cpu")
    assert told["paths"]["checkpoints"] == str(home / "checkpoints")
    assert told["checkpoints"] == dict.fromkeys(("tiny", "lab", "denoise"), "ok")
    assert told["datasets"]["mnist"] == "not installed"
