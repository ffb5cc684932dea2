"""`checkpoints export`: files, pipes and errors."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnistae.store import runs
from mnistae.store.export import FORMATS
from tests.conftest import Cli, run_cli


def need_onnx() -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'mnistae[onnx]'")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_suffix_tells_the_format(cli: Cli, trained: str, kind: str) -> None:
    """The path is printed, the same command writes the same bytes, and the document describes the file."""
    if kind == "onnx":
        need_onnx()
    assert cli("checkpoints", "export", trained, "-o", f"x.{kind}").out == f"x.{kind}\n"
    first = Path(f"x.{kind}").read_bytes()
    told = json.loads(cli("checkpoints", "export", "-o", f"x.{kind}", "--json").out)
    assert Path(f"x.{kind}").read_bytes() == first
    assert told == {
        "schema": 1,
        "command": "checkpoints export",
        "checkpoint": {"name": trained, "path": str(runs.model_path(trained))},
        "format": kind,
        "part": "whole",
        "output": f"x.{kind}",
    }
    answer = cli("checkpoints", "export", trained, "-f", kind, "-o", "no-suffix", "-q")
    assert (answer.code, answer.err) == (0, "")
    assert Path("no-suffix").read_bytes() == first


def test_exports_can_be_imported(cli: Cli, trained: str) -> None:
    """An exported state dict is imported again and has the same weights."""
    assert cli("checkpoints", "export", trained, "-o", "plain.safetensors").code == 0
    assert cli("checkpoints", "import", "plain.safetensors", "--name", "again").code == 0
    before, after = runs.load(trained).weights, runs.load("again").weights
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_parts_name_their_input_and_output(cli: Cli, trained: str) -> None:
    """The note on stderr names input and output of the graph."""
    need_onnx()
    ends = {
        "whole": "images (n, 784) to reconstructions (n, 784)",
        "encoder": "images (n, 784) to codes (n, 8)",
        "decoder": "codes (n, 8) to reconstructions (n, 784)",
    }
    for part, text in ends.items():
        answer = cli("checkpoints", "export", "-o", f"{part}.onnx", "--part", part)
        assert (answer.code, answer.err) == (0, f"using the newest run 'tiny'\nverified with onnxruntime: {text}, float32\n")


def test_an_export_goes_through_a_pipe(trained: str) -> None:
    """With -o - only the bytes of the file go to stdout."""
    done = run_cli("checkpoints", "export", trained, "-f", "npz", "-o", "-")
    assert done.returncode == 0, done.stderr
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
        assert len(archive.files) == 8


def test_no_torch_is_imported(trained: str) -> None:
    """Every format is written and verified without importing torch."""
    program = """
import sys
sys.argv = ["mnistae", "checkpoints", "export", "-o", sys.argv[1]]
from mnistae.__main__ import main
try:
    main()
except SystemExit as ending:
    assert not ending.code
print(sorted({"torch", "torchvision", "matplotlib"} & set(sys.modules)), file=sys.stderr)
"""
    for kind in sorted(FORMATS, key="onnx".__eq__):  # that one last: where it is not installed, it skips
        if kind == "onnx":
            need_onnx()
        done = subprocess.run([sys.executable, "-c", program, f"x.{kind}"], check=True, capture_output=True, timeout=60)
        assert done.stderr.decode().splitlines()[-1] == "[]"


def test_a_checkpoint_is_not_replaced_by_its_export(cli: Cli, trained: str) -> None:
    """Neither the model nor its training state is overwritten, not even through a link."""
    model = runs.model_path(trained)
    before = model.read_bytes()
    Path("link.safetensors").symlink_to(model)
    for place in (model, model.with_name(runs.STATE), "link.safetensors"):
        answer = cli("checkpoints", "export", trained, "-o", place)
        assert (answer.code, answer.out) == (2, "")
        assert "output would overwrite the input" in answer.err
    assert cli("checkpoints", "export", model, "-o", model).code == 2
    assert model.read_bytes() == before
    assert cli("checkpoints", "verify").code == 0


def test_a_missing_extra_is_one_clear_line(cli: Cli, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnx the command exits with 7 and says what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    answer = cli("checkpoints", "export", "-o", "x.onnx")
    assert (answer.code, answer.out) == (7, "")
    assert answer.err.splitlines() == [
        "error: cannot write ONNX: the package 'onnx' is not installed",
        "hint: run: pip install 'mnistae[onnx]', or export npz or safetensors",
    ]
    assert not list(Path().iterdir())


def test_a_damaged_checkpoint_is_not_exported(cli: Cli, trained: str) -> None:
    """A damaged checkpoint is not exported."""
    model = runs.model_path(trained)
    model.write_bytes(model.read_bytes()[:-1] + b"\x7f")
    answer = cli("checkpoints", "export", "-o", "x.npz")
    assert (answer.code, answer.out) == (3, "")
    assert not list(Path().iterdir())
