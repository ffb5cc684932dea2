import json
import os
import pickle
import struct
import sys
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import CheckpointError
from mnistae.core.records import Metadata
from mnistae.model.network import Autoencoder
from mnistae.store import format as checkpoint_format
from mnistae.store import importer
from tests.conftest import REFERENCE
from tests.support.canary import Canary

SIZES = ModelConfig(hidden=16, bottleneck=2)
STATE_DICT = "the file must contain the state dict of the lab's network: fc1.weight … fc4.bias"
NO_NETWORK = "no network of the lab's architecture found"
NEITHER = "neither a PyTorch nor a safetensors file"
NO_PYTORCH = "unreadable PyTorch file"
RUNS_CODE = "refused: contains pickled objects other than tensors"


def weights(sizes: ModelConfig = SIZES) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in sizes.shapes().items()}


def rounded(kind: torch.dtype) -> dict[str, Tensor]:
    return {name: tensor.to(kind) for name, tensor in weights().items()}


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in weights().items()}


def changed(name: str, tensor: object) -> dict[str, object]:
    return {**weights(), name: tensor}


def check_import(path: Path, expected: dict[str, Tensor], sizes: ModelConfig = SIZES) -> None:
    """Import the file, and compare all that comes of it."""
    arrays, found = importer.read(path)
    assert found == Metadata(sizes, source=f"import {path.name}")
    assert list(arrays) == list(sizes.shapes())
    for name, array in arrays.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert np.array_equal(array, expected[name].detach().to(torch.float32).numpy())
    again = checkpoint_format.decode_model(checkpoint_format.encode_model(arrays, found))
    assert again[1] == found  # and the store takes it


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(CheckpointError) as failure:
        importer.read(path)
    return failure.value.message.replace(str(path), "FILE"), failure.value.hint


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (weights(), weights()),
        (OrderedDict(reversed(weights().items())), weights()),
        ({name: nn.Parameter(tensor) for name, tensor in weights().items()}, weights()),
        (changed("fc1.weight", weights()["fc1.weight"].t().contiguous().t()), weights()),
        (prefixed("module."), weights()),
        (prefixed("_orig_mod.module."), weights()),
        ({"state_dict": weights(), "epoch": 50, "loss": [0.02, 0.01]}, weights()),
        ({"epoch": 50, "model_state_dict": prefixed("model."), "optimizer_state_dict": {"state": {}}}, weights()),
        (rounded(torch.float64), weights()),
        (rounded(torch.float16), rounded(torch.float16)),
        (rounded(torch.bfloat16), rounded(torch.bfloat16)),
        (Autoencoder(SIZES).state_dict() | weights(), weights()),
    ],
)
def test_what_courses_write(tmp_path: Path, content: object, expected: dict[str, Tensor], zipped: bool) -> None:
    """The lab's weights are found wherever a course's program put them, and come out in float32, to the bit."""
    torch.save(content, tmp_path / "lab.pth", _use_new_zipfile_serialization=zipped)
    check_import(tmp_path / "lab.pth", expected)


@pytest.mark.parametrize("sizes", [ModelConfig(hidden=1, bottleneck=1), ModelConfig(hidden=3, bottleneck=40), ModelConfig()])
def test_other_sizes(tmp_path: Path, sizes: ModelConfig) -> None:
    """The network's sizes follow from the shapes."""
    torch.save(weights(sizes), tmp_path / "other.pt")
    check_import(tmp_path / "other.pt", weights(sizes), sizes)


@pytest.mark.parametrize("padding", range(0, 257, 8))
def test_plain_safetensors(tmp_path: Path, padding: int) -> None:
    """A plain safetensors file is taken, whatever its header's length: a length that begins as a pickle does among them."""
    data = safetensors.torch.save(prefixed("model."), {"note": "x" * padding})
    (tmp_path / "lab.safetensors").write_bytes(data)
    check_import(tmp_path / "lab.safetensors", weights())


def test_a_length_that_begins_as_a_pickle_does() -> None:
    """The test above meets such a length."""
    lengths = [safetensors.torch.save(prefixed("model."), {"note": "x" * padding})[0] for padding in range(0, 257, 8)]
    assert 0x80 in lengths


def test_our_own_file(tmp_path: Path) -> None:
    """A file of ours, say from another machine, keeps its metadata, and is refused when it is damaged."""
    ours = Metadata(SIZES, TrainConfig(seed=9), active_units=1)
    data = checkpoint_format.encode_model({name: tensor.numpy() for name, tensor in weights().items()}, ours)
    path = tmp_path / "renamed.pth"
    path.write_bytes(data)
    assert importer.read(path)[1] == ours
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    expected = "cannot import 'FILE': checksum mismatch"
    assert refusal(path) == (expected, "retrain it, or copy the original again")


def huge() -> Tensor:
    """4 TB that take no place in the file."""
    return torch.zeros(1).expand(10**6, 10**6)


NOT_FINITE = ("'fc3.bias' contains NaN or infinity", "import a checkpoint whose training did not diverge")


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ({}, NO_NETWORK, STATE_DICT),
        ([weights()], NO_NETWORK, STATE_DICT),
        (torch.zeros(3), NO_NETWORK, STATE_DICT),
        ({"a": {"b": weights()}}, NO_NETWORK, STATE_DICT),
        ({"encoder.0.weight": torch.zeros(3)}, NO_NETWORK, STATE_DICT),
        (changed("fc5.weight", torch.zeros(3)), NO_NETWORK, STATE_DICT),
        (prefixed("a.") | prefixed("b."), NO_NETWORK, STATE_DICT),
        ({name: tensor for name, tensor in weights().items() if name != "fc4.bias"}, NO_NETWORK, STATE_DICT),
        (changed("fc1.bias", 3), "'fc1.bias' is not a floating-point tensor", STATE_DICT),
        (changed("fc1.bias", [0.0] * 16), "'fc1.bias' is not a floating-point tensor", STATE_DICT),
        (changed("fc1.bias", torch.zeros(16, dtype=torch.int64)), "'fc1.bias' is not a floating-point tensor", STATE_DICT),
        (changed("fc1.bias", torch.zeros(16, dtype=torch.complex64)), "'fc1.bias' is not a floating-point tensor", STATE_DICT),
        (changed("fc1.bias", torch.empty(16, device="meta")), "'fc1.bias' is not a dense tensor", STATE_DICT),
        (changed("fc1.bias", torch.zeros(17)), "'fc1.bias' has the shape (17,), not (16,)", STATE_DICT),
        (changed("fc1.weight", torch.zeros(16, 28, 28)), "'fc1.weight' has the shape (16, 28, 28), not (16, 784)", STATE_DICT),
        (changed("fc1.weight", huge()), "'fc1.weight' has the shape (1000000, 1000000), not (16, 784)", STATE_DICT),
        (changed("fc2.weight", torch.zeros(16)), "'fc2.weight' is not a matrix", STATE_DICT),
        (
            changed("fc2.weight", huge()),
            "unsupported network size (invalid value for --hidden: 1000000)",
            "must be an integer from 1 to 2048",
        ),
        (
            changed("fc2.weight", torch.zeros(0, 16)),
            "unsupported network size (invalid value for --bottleneck: 0)",
            "must be an integer from 1 to 392",
        ),
        (changed("fc3.bias", torch.full((16,), torch.nan)), *NOT_FINITE),
        (changed("fc3.bias", torch.full((16,), 1e300, dtype=torch.float64)), *NOT_FINITE),
        (Autoencoder(SIZES), RUNS_CODE, "save only the state dict: torch.save(model.state_dict(), FILE)"),
        (changed("fc1.bias", np.zeros(16)), RUNS_CODE, "save only the state dict: torch.save(model.state_dict(), FILE)"),
    ],
)
def test_other_contents(tmp_path: Path, content: object, message: str, hint: str) -> None:
    """What is not one network of the lab's, in finite numbers, is refused with the reason."""
    torch.save(content, tmp_path / "lab.pth")
    assert refusal(tmp_path / "lab.pth") == (f"cannot import 'FILE': {message}", hint)


def test_sparse(tmp_path: Path) -> None:
    """A sparse tensor is refused, not unfolded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls the layout a beta
        torch.save(changed("fc1.weight", torch.zeros(16, 784).to_sparse_csr()), tmp_path / "lab.pth")
        assert refusal(tmp_path / "lab.pth") == ("cannot import 'FILE': 'fc1.weight' is not a dense tensor", STATE_DICT)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_malicious_pickle(tmp_path: Path, zipped: bool) -> None:
    """A pickle that would run code is refused and does not run it; read as everybody does, it does."""
    mark, path = tmp_path / "mark", tmp_path / "lab.pth"
    torch.save(changed("x", Canary(mark)), path, _use_new_zipfile_serialization=zipped)
    hint = "save only the state dict: torch.save(model.state_dict(), FILE)"
    assert refusal(path) == (f"cannot import 'FILE': {RUNS_CODE}", hint)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()


def packed(path: Path, content: object, compression: int) -> None:
    """Save with torch and repack the archive."""
    torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks to more than the limit is refused before torch unpacks it."""
    monkeypatch.setattr(importer, "MAX_FILE", 2**20)  # the same at a 256th of the size
    packed(tmp_path / "bomb.pth", changed("fc1.bias", torch.zeros(2**20)), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pth").stat().st_size < 2**20
    assert refusal(tmp_path / "bomb.pth") == ("cannot import 'FILE': it unpacks to more than 1 MiB", STATE_DICT)


def safetensors_of(kind: str, bits: int) -> bytes:
    header = json.dumps({"a": {"dtype": kind, "shape": [8], "data_offsets": [0, bits]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(bits)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", NEITHER),
        (b"hello\n", NEITHER),
        (bytes(1000), NEITHER),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), NEITHER),
        (struct.pack("<Q", 2**63) + b"{}", NEITHER),
        (struct.pack("<Q", 2) + b"{}", NO_NETWORK),
        (safetensors_of("I64", 64), NO_NETWORK),
        (safetensors_of("F4", 4), NEITHER),
        (safetensors_of("F8_E8M0", 8), NEITHER),
        (safetensors_of("Q9", 8), NEITHER),
        (b"PK\x03\x04" + bytes(100), NO_PYTORCH),
        (b"PK\x05\x06" + bytes(18), NEITHER),
        (pickle.dumps({"a": 1}), NO_PYTORCH),
        (b"\x80", NO_PYTORCH),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, message: str) -> None:
    """A file of another kind is refused with the reason."""
    (tmp_path / "file").write_bytes(data)
    assert refusal(tmp_path / "file") == (f"cannot import 'FILE': {message}", STATE_DICT)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_cut_short(tmp_path: Path, zipped: bool) -> None:
    """A file that ends early is refused, wherever it ends."""
    path = tmp_path / "lab.pth"
    torch.save(weights(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for end in [*range(0, 1000, 29), *range(1000, len(data), 9973), len(data) - 1]:
        path.write_bytes(data[:end])
        refusal(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the reasons are Linux's")
def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no file, or too large a one, is refused at once."""
    monkeypatch.setattr(importer, "MAX_FILE", 2**20)  # the same at a 256th of the size
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "big").touch()
    os.truncate(tmp_path / "big", importer.MAX_FILE + 1)
    for name, reason in {
        ".": "it is a folder",
        "fifo": "it is not a regular file",
        "big": "it is larger than 1 MiB",
        "missing": "there is no such file",
    }.items():
        assert refusal(tmp_path / name) == (f"cannot read the checkpoint 'FILE': {reason}", STATE_DICT)


def test_reference() -> None:
    """The weights that the lab was reported with are imported to the bit."""
    if not REFERENCE.is_file():
        pytest.skip(f"the lab's own weights are not at {REFERENCE}")
    check_import(REFERENCE, torch.load(REFERENCE, weights_only=True), ModelConfig())
