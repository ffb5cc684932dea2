"""`mnistae checkpoints`, `mnistae datasets` and `mnistae doctor`."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistae.cli.commands import doctor
from mnistae.core.config import ModelConfig
from mnistae.data.sets import registry
from tests.conftest import Cli


def test_import_list_show_path_verify_remove(cli: Cli, trained: str, home: Path) -> None:
    """An imported file is listed, shown, found as the newest run, verified and removed with all its files."""
    shapes, generator = ModelConfig(hidden=20, bottleneck=3).shapes(), torch.Generator().manual_seed(0)
    torch.save({name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}, "MLP.3.pth")
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
    assert verified == [{"name": name, "state": "ok"} for name in ("MLP.3", "tiny", "lab", "denoise")]
    assert cli("train", "--resume", "--name", "MLP.3").code == 3
    removed = cli("checkpoints", "remove", "MLP.3")
    assert (removed.code, removed.out) == (0, "MLP.3\n")
    assert "MLP.3" not in cli("checkpoints", "list").out
    assert cli("checkpoints", "path").out == f"{home}/checkpoints/tiny/model.safetensors\n"
    assert {entry.name for entry in (home / "checkpoints").iterdir() if entry.is_dir()} == {".locks", "tiny"}


def test_verify_reads_the_files_not_the_cache(cli: Cli, tiny: Path) -> None:
    """Every data set is listed. Damage that keeps a file's size and time is found by verify, which ignores the cache."""
    listed = json.loads(cli("datasets", "list", "--json").out)["datasets"]
    assert [row["name"] for row in listed] == list(registry.NAMES)
    assert "600" in cli("datasets", "verify", tiny).out
    path = tiny / "train-labels-idx1-ubyte"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    answer = cli("datasets", "verify", tiny)
    assert (answer.code, "is damaged: label" in answer.err) == (4, True)


def test_doctor_tells_what_a_bug_report_needs(cli: Cli, trained: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions, devices, environment, paths, data and store, each with its state; packages that cannot be imported, too."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    answer = cli("doctor", "--json", "-q")
    told = json.loads(answer.out)
    assert ", cannot be imported: ModuleNotFoundError: " in told["versions"]["torchvision"]
    assert (told["versions"]["numpy"], answer.err) == (np.__version__, "")
    assert list(told) == ["schema", "command", "versions", "devices", "environment", "paths", "datasets", "checkpoints"]
    assert told["devices"]["cpu"].startswith("works: cpu")
    assert told["paths"]["checkpoints"] == str(home / "checkpoints")
    assert told["checkpoints"] == dict.fromkeys(("tiny", "lab", "denoise"), "ok")
    assert told["datasets"]["mnist"] == "not installed"
    Path("torch.py").write_text("raise OSError('no CUDA')")
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(doctor, "MODULES", ("torch",))
    told = json.loads(cli("doctor", "--json").out)
    assert told["versions"]["torch"].endswith(", cannot be imported: OSError: no CUDA")
    assert told["devices"]["cpu"] == "torch cannot be imported: OSError: no CUDA"
