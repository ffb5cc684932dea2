import argparse
import io
import itertools
import json
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from mnistae.model.network import Autoencoder
from mnistae.store import foreign
from tests.support.hostile import Canary
from tests.support.weight_files import SIZES, arrays, prefixed, refusal, unnamed, weights, zipped

SAVE = foreign.SAVE_WEIGHTS
AGAIN = "download or copy it again"


def without(*names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights().items() if name not in names}


def deep(*widths: int) -> dict[str, Tensor]:
    sizes = enumerate(itertools.pairwise(widths))
    return {
        f"{n}.{part}": torch.zeros(o, i)[:, 0] if part == "bias" else torch.zeros(o, i)
        for n, (i, o) in sizes
        for part in ("weight", "bias")
    }


ALONE = "save the weights of one network alone, 784-h-b-h-784: torch.save(model.state_dict(), FILE)"
NONE = "no network 784-h-b-h-784 found; it contains "
BATCH_NORM = {"bn.weight": torch.ones(16), "bn.bias": torch.zeros(16), "bn.running_mean": torch.zeros(16)}


def safetensors_of(kind: str, bits: int) -> bytes:
    header = json.dumps({"a": {"dtype": kind, "shape": [8], "data_offsets": [0, bits]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(bits)


def saved(content: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


DAMAGED = "it is a safetensors file that is truncated or damaged"
ODD_ZIP = "it is a truncated or damaged zip archive, as PyTorch and NumPy write them"
UNREADABLE = "it is an .npz of arrays that cannot be read: "


REFUSALS: dict[str, list[tuple[object, str | None]]] = {  # bytes are a file, anything else is what torch.save writes
    foreign.HINT: [
        (b"hello\n", "it is in an unknown format"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG image"),
        (b"\x08\x07\x12\x07pytorch", "it is an ONNX model"),
        (struct.pack("<Q", 2**63) + b"{}", "it is a safetensors file with too large a header"),
        (struct.pack("<Q", 2) + b"{}", NONE + "no arrays"),
        (safetensors_of("I64", 64), NONE + "a (8,)"),
        (safetensors_of("F4", 4), DAMAGED),
        (safetensors_of("Q9", 8), DAMAGED),
        (safetensors.torch.save(weights())[:-1], DAMAGED),
        (struct.pack("<Q", 2**19) + (b"[" * 2**18 + b"]" * 2**18), "it is in an unknown format"),
        (zipped({"x/data.pkl": b"", "x/y/data.pkl": b""}), "it is a PyTorch file that cannot be read: several pickles"),
        (zipped({"x/data.pkl": b"\x80\x02N."}), "it is a PyTorch file that is truncated, damaged or has unusual contents"),
        (zipped({"x.npy": b"\x93NUMPY"}, zipfile.ZIP_LZMA), UNREADABLE + "x.npy has an unsupported compression method"),
        (zipped({"x.npy": b"\x93NUMPY"}), UNREADABLE + "unreadable .npy header"),
        (zipped({"x.npy": b"", "y.npy": b""}).replace(b"y.npy", b"x.npy"), UNREADABLE + "two members have the same name"),
        ({}, NONE + "no arrays"),
        (torch.zeros(3), NONE + "it (3,)"),
        (deep(784, 10), NONE + "0.weight (10, 784), 0.bias (10,)"),
        (weights() | {"fc1.weight": torch.zeros(1).expand(10**6, 10**6)}, None),  # 4 TB that take no place in the file
        (weights() | {"fc1.bias": torch.zeros(16, dtype=torch.int64)}, "'fc1.bias' is not of a floating-point type: int64"),
        (weights() | {"fc1.bias": torch.empty(16, device="meta")}, "'fc1.bias' is not a dense tensor"),
        (weights() | {"fc1.bias": torch.zeros(17)}, "'fc1.bias' has the shape (17,), not (16,)"),
    ],
    "name each bias like its matrix, as in fc1.weight and fc1.bias; save zeros where a layer has none": [
        (without("fc1.bias") | {"c1": torch.zeros(16)}, "no bias found for 'fc1', among c1 (16,)"),
        (without("fc1.bias", "fc2.bias"), "no bias found for 'fc1', 'fc2'"),
        (weights() | {"fc1.bias": 3}, "no bias found for 'fc1'"),
        (unnamed("m3 m2 m1 m4 v1 v2 v3 v4"), None),
        (unnamed("m1 m2 m3 m4 v3 v2 v1 v4"), None),
        (unnamed("d e m o p q r s"), None),
        ([unnamed("3 2 1 4 5 6 7 8")[name] for name in "12345678"], None),
    ],
    ALONE: [
        (
            prefixed("a.") | {f"b.{name}": tensor + 1 for name, tensor in weights().items()},
            "more than one matrix of shape (16, 784): 'a.fc1', 'b.fc1'",
        ),
        (deep(784, 16, 2, 16, 784) | {f"b.{k}": v for k, v in deep(784, 9, 3, 9, 784).items()}, None),
    ],
    "number the layers in their order, as in fc1 to fc4": [
        (
            {f"{('down1', 'down2', 'up1', 'up2')[int(k[0])]}{k[1:]}": v for k, v in deep(784, 9, 9, 9, 784).items()},
            "'down2', 'up1' have the same shape, and their order is unclear",
        ),
        ([*reversed(deep(784, 9, 9, 9, 784).values())], "'3', '5' have the same shape, and their order is unclear"),
    ],
    "only networks of four linear layers, 784-h-b-h-784, can be imported": [
        (weights() | {"logvar.weight": torch.zeros(2, 16)}, "more than one matrix of shape (2, 16): 'fc2', 'logvar'"),
        (weights() | {"mean": torch.zeros(1, 784)}, "the network may have more than its four layers: mean (1, 784)"),
        ([*weights().items(), ("act", torch.ones(1))], "the network may have more than its four layers: 8/1 (1,)"),
        (deep(784, 32, 16, 2, 16, 32, 784), "there are more than four layers: 2.weight (2, 16), 3.weight (16, 2)"),
        (weights() | BATCH_NORM, "the network has batch normalisation: bn.weight (16,), bn.bias (16,), bn.running_mean (16,)"),
        (
            weights() | {"conv.weight": torch.zeros(3, 1, 3, 3)},
            "the network may have more than its four layers: conv.weight (3, 1, 3, 3)",
        ),
    ],
    "apply it before saving, with remove_parametrizations, remove_weight_norm, remove_spectral_norm or prune.remove": [
        (
            without("fc1.weight") | {"fc1.weight_g": torch.zeros(16, 1)},
            "its layers are parametrised, as by weight normalisation or pruning: fc1.weight_g (16, 1)",
        )
    ],
    f"for Keras, {foreign.SAVE_KERAS}": [
        ({name: array.T for name, array in arrays().items()}, "all matrices are transposed, as in Keras and JAX")
    ],
    "must be an integer from 1 to 2,048": [
        (deep(784, 2049, 2, 2049, 784), "unsupported network size (invalid value for --hidden: 2049)")
    ],
    "must be an integer from 1 to 392": [
        (deep(784, 1000, 500, 1000, 784), "unsupported network size (invalid value for --bottleneck: 500)")
    ],
    "import a checkpoint whose training did not diverge": [
        (weights() | {"fc3.bias": torch.full((16,), number, dtype=torch.float64)}, "'fc3.bias' contains NaN or infinity")
        for number in (torch.nan, 1e300)
    ],
    "rename one; a slash is read as a dot": [
        (weights() | {"fc1/bias": torch.zeros(16)}, "two arrays have the name 'fc1.bias'"),
        ({0: torch.zeros(3), "0": torch.ones(3)}, "two arrays have the name '0'"),
    ],
    SAVE: [
        (zipped({"x/data.pkl": b"", "x/constants.pkl": b""}), "it is a TorchScript archive, which contains a program"),
        (
            zipped({"x/archive_format": b"", "x/models/model.json": b"", "x/data/sample_inputs/model.pt": b""}),
            "it is an exported PyTorch program (.pt2)",
        ),
        (zipped({"serialized_exported_program.json": b""}), "it is an exported PyTorch program (.pt2)"),
        (pickle.dumps({"a": 1}), "it is a Python pickle"),
        (
            saved(nn.Linear(2, 2), _use_new_zipfile_serialization=False),
            "refused: it contains pickled objects of type 'torch.nn.modules.linear.Linear'",
        ),
        (Autoencoder(SIZES), "it is a whole pickled model of type 'mnistae.model.network.Autoencoder'"),
        ({"m": Autoencoder(SIZES)}, "refused: 'm' is a whole pickled model of type 'mnistae.model.network.Autoencoder'"),
        ({"cfg": {"args": argparse.Namespace(z=8)}}, "refused: 'cfg/args' is a pickled object of type 'argparse.Namespace'"),
        ({"net": weights(), "steps": range(3)}, "refused: 'steps' is a pickled object of type 'builtins.range'"),
        ([0.5] * 5000, "it contains too many objects"),
        ([torch.zeros(3)] * 101, "it contains too many arrays"),
        (weights() | {"x": Canary(Path("mark"))}, f"refused: it contains pickled objects of type '{Path.__module__}.Path'"),
    ],
    AGAIN: [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a Git LFS pointer (run 'git lfs pull')"),
        (b"<!DOCTYPE html><html>", "it is a web page or XML document"),
        (b"PK\x03\x04" + bytes(100), ODD_ZIP),
        (saved(weights())[:20_000], ODD_ZIP),
    ],
    foreign.SAVE_KERAS: [(b"\x89HDF\r\n\x1a\n" + bytes(100), "it is an HDF5 file")],
    "save the arrays by name: np.savez(FILE, **arrays)": [(b"\x93NUMPY\x01\0", "it is an .npy array")],
    "unpack it, and give the file in it": [
        (zipped({"empty program": b""}), "it is a zip archive of 'empty program'"),
        (bytes(257) + b"ustar\x0000", "it is a tar archive"),
        (b"BZh91AY&SY", "it is a bzip2 archive"),
    ],
    "save it again with torch.save and its default protocol": [
        (saved(weights(), pickle_protocol=4), "it is written with pickle protocol 4, which cannot be read safely")
    ],
}


@pytest.mark.parametrize("hint", REFUSALS, ids=itertools.count())
def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hint: str) -> None:
    """What is not one network of the lab's, in finite numbers, is refused with the reason, and other files are named."""
    monkeypatch.setattr(foreign, "MAX_OPERATIONS", 5000)  # the same at a 100th of the size
    monkeypatch.setattr(foreign, "MAX_ARRAYS", 100)
    for content, message in REFUSALS[hint]:
        (tmp_path / "file").write_bytes(content if isinstance(content, bytes) else saved(content))
        found = refusal(tmp_path / "file")
        assert found == (message or found[0], hint)
    assert refusal(tmp_path) == ("cannot read the weights 'FILE': it is a folder", foreign.HINT)


def test_sparse_and_quantised(tmp_path: Path) -> None:
    """A sparse or quantised tensor is refused, not unfolded."""
    with warnings.catch_warnings(action="ignore"):  # torch calls the one a beta and the other deprecated
        sparse = torch.zeros(16, 784).to_sparse_csr()
        low = torch.quantize_per_tensor(torch.zeros(16, 784), 0.1, 0, torch.qint8)
    for tensor, reason in ((sparse, "is not a dense tensor"), (low, "is not of a floating-point type: qint8")):
        torch.save(weights() | {"fc1.weight": tensor}, tmp_path / "lab.pth")
        assert refusal(tmp_path / "lab.pth") == (f"'fc1.weight' {reason}", foreign.HINT)


def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks to more than the limit is refused before it is unpacked."""
    monkeypatch.setattr(foreign, "MAX_FILE", 2**20)  # the same at a 256th of the size
    bomb = bytes(2**20 + 1)
    for data in (zipped({"x.npy": bomb}), zipped({"x/data.pkl": b"N", "x/data/0": bomb})):
        (tmp_path / "bomb").write_bytes(data)
        message, hint = refusal(tmp_path / "bomb")
        assert message.endswith(" that cannot be read: it unpacks to more than 1 MiB")
        assert hint == foreign.HINT


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_cut_short(tmp_path: Path, zipped: bool) -> None:
    """A file that ends early is refused, wherever it ends."""
    path = tmp_path / "lab.pth"
    torch.save(weights(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for end in [*range(0, 1000, 29), *range(1000, len(data), 9973), len(data) - 1]:
        path.write_bytes(data[:end])
        refusal(path)


def test_program_that_torch_wrote(tmp_path: Path) -> None:
    """A compiled program is named, and what torch warns of does not reach the user."""
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))  # type: ignore[no-untyped-call]  # unannotated
    assert "TorchScript" in refusal(tmp_path / "script.pt")[0]
