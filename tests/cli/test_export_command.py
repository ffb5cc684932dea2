"""`checkpoints export`: files and notes."""

import json
from pathlib import Path

import pytest

from mnistae.store import runs
from mnistae.store.export import FORMATS
from tests.conftest import Cli
from tests.store.test_export import need_onnx


@pytest.mark.parametrize("kind", FORMATS)
def test_the_suffix_tells_the_format(cli: Cli, trained: str, kind: str) -> None:
    """The path is printed, the same command writes the same bytes, and the document describes the file."""
    if kind == "onnx":
        need_onnx()
    assert cli("checkpoints", "export", trained, "-o", f"x.{kind}").out == f"x.{kind}\n"
    first = Path(f"x.{kind}").read_bytes()
    told = json.loads(cli("checkpoints", "export", "-o", f"x.{kind}", "--json").out)
    assert Path(f"x.{kind}").read_bytes() == first
    assert told["checkpoint"] == {"name": trained, "path": str(runs.model_path(trained))}
    assert (told["command"], told["output"]) == ("checkpoints export", f"x.{kind}")
    assert (told["format"], told["part"]) == (kind, "whole")
    answer = cli("checkpoints", "export", trained, "-f", kind, "-o", "no-suffix", "-q")
    assert (answer.code, answer.err) == (0, "")
    assert Path("no-suffix").read_bytes() == first


def test_parts_name_their_input_and_output(cli: Cli, trained: str) -> None:
    """The note on stderr names input and output of the graph."""
    need_onnx()
    for part, ends in {"encoder": "images (n, 784) to codes", "decoder": "codes (n, 8) to reconstructions"}.items():
        answer = cli("checkpoints", "export", "-o", f"{part}.onnx", "--part", part)
        assert (answer.code, answer.err.splitlines()[0]) == (0, "using the newest run 'tiny'")
        assert answer.err.splitlines()[1].startswith(f"verified with onnxruntime: {ends} (n, ")


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
