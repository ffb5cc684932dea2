import argparse
import collections
import io
import itertools
import json
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.records import Metadata, TrainingState
from mnistae.model.network import Autoencoder
from mnistae.store import export, foreign, importer, variants
from mnistae.store import format as checkpoint_format
from mnistae.store.variants import InputRange, Variant
from tests.conftest import REFERENCE
from tests.support.canary import Canary

SIZES = ModelConfig(hidden=16, bottleneck=2)
SAVE = foreign.SAVE_WEIGHTS
AGAIN = "download or copy it again"


@pytest.fixture(autouse=True)
def no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the trial, which is tested in test_variants.py: it takes longer than an import."""
    monkeypatch.setattr(variants, "try_on_digits", lambda _weights, _assumed: None)


def weights(sizes: ModelConfig = SIZES) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in sizes.shapes().items()}


def arrays() -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in weights().items()}


def renamed(*layers: str, bias: str = ".bias", weight: str = ".weight") -> dict[str, Tensor]:
    """Return the weights with other names for fc1 to fc4."""
    own = {f"fc{number}": layer for number, layer in enumerate(layers, start=1)}
    parts = {"weight": weight, "bias": bias}
    return {f"{own[name[:3]]}{parts[name[4:]]}": tensor for name, tensor in weights().items()}


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in weights().items()}


def changed(name: str, tensor: object) -> dict[str, object]:
    return {**weights(), name: tensor}


def without(*names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights().items() if name not in names}


SEQUENTIAL = renamed("encoder.0", "encoder.2", "decoder.0", "decoder.2")
MODULES = {
    part: {name[8:]: tensor for name, tensor in SEQUENTIAL.items() if name.startswith(part)} for part in ("encoder", "decoder")
}


def mapping(*layers: str) -> tuple[str, ...]:
    return (", ".join(f"{layer} → fc{number}" for number, layer in enumerate(layers, start=1)),)


def under(prefix: str) -> tuple[str, ...]:
    return mapping(*(f"{prefix}fc{number}" for number in range(1, 5)))


def check_import(
    path: Path, expected: dict[str, Tensor], sizes: ModelConfig = SIZES, notes: tuple[str, ...] | None = None
) -> None:
    """Import the file, and compare all that comes of it."""
    found = importer.read(path)
    assert found.metadata == Metadata(sizes, source=f"import {path.name}")
    assert notes in (None, found.notes)
    assert list(found.weights) == list(sizes.shapes())
    for name, array in found.weights.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert np.array_equal(array, expected[name].detach().to(torch.float32).numpy())
    again = checkpoint_format.decode_model(checkpoint_format.encode_model(found.weights, found.metadata))
    assert again[1] == found.metadata  # and the store takes it


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(CheckpointError) as failure:
        importer.read(path)
    return failure.value.message.replace(str(path), "FILE").removeprefix("cannot import 'FILE': "), failure.value.hint


OPTIMIZER = {"state": {n: {"exp_avg": tensor} for n, tensor in enumerate(weights().values())}, "param_groups": [{"lr": 1e-3}]}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (weights(), ()),
        ({name: nn.Parameter(tensor) for name, tensor in weights().items()}, ()),
        (changed("fc1.weight", weights()["fc1.weight"].t().contiguous().t()), ()),
        (prefixed("_orig_mod.module."), under("_orig_mod.module.")),
        ({"epoch": 5, "net": prefixed("model."), "optimizer": OPTIMIZER, "optimizers": [OPTIMIZER]}, under("net/model.")),
        ({"a": {"b": [weights()]}, "loss": [0.02, 0.01]}, under("a/b/0/")),
        (SEQUENTIAL, mapping("encoder.0", "encoder.2", "decoder.0", "decoder.2")),
        (MODULES, mapping("encoder/0", "encoder/2", "decoder/0", "decoder/2")),
        (renamed("1", "2", "3", "4", weight="W", bias="b"), None),
        (renamed("enc_1", "enc_2", "dec_1", "dec_2", weight="_w", bias="_b"), mapping("enc_1", "enc_2", "dec_1", "dec_2")),
        (list(weights().values()), mapping("0", "2", "4", "6")),
        (arrays(), ()),
        ({"net": weights(), "best": np.float64(0.02), "losses": np.arange(3.0), "when": [np.int64(3)]}, None),
        ({"net": weights(), "log": collections.defaultdict(list, loss=[1.0]), "version": torch.__version__}, under("net/")),
        (
            weights() | {"head.weight": torch.zeros(10, 2), "head.bias": torch.zeros(10)},
            ("left out: 'head.weight', 'head.bias'",),
        ),
        ({"best": (one := weights()), "last": one}, under("best/")),
        (one | {name.replace("fc1", "encoder.0"): tensor for name, tensor in one.items() if "fc1" in name}, ()),
        ({"net": weights(), "log": collections.defaultdict(int, a=1), "empty": np.zeros(0), "type": int}, under("net/")),
        ({name: array[None] if array.ndim == 1 else array for name, array in arrays().items()}, ()),
        ({name: array[:, None] if array.ndim == 1 else array for name, array in arrays().items()}, ()),
    ],
    ids=itertools.count(),
)
def test_what_others_write(tmp_path: Path, content: object, notes: tuple[str, ...] | None, zipped: bool) -> None:
    """The network is found whatever its names and wherever it is, in float32 and to the bit, and the mapping is said."""
    torch.save(content, tmp_path / "lab.pth", _use_new_zipfile_serialization=zipped)
    check_import(tmp_path / "lab.pth", weights(), notes=notes)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(tmp_path: Path, kind: torch.dtype) -> None:
    """Weights of other floating-point types are converted to float32."""
    content = {name: tensor.to(kind) for name, tensor in weights().items()}
    torch.save(content, tmp_path / "lab.pth")
    check_import(tmp_path / "lab.pth", content)


@pytest.mark.parametrize(
    "sizes",
    [
        ModelConfig(hidden=1, bottleneck=1),
        ModelConfig(hidden=3, bottleneck=40),
        ModelConfig(hidden=784, bottleneck=4),
    ],
)
@pytest.mark.parametrize("names", [("fc1", "fc2", "fc3", "fc4"), ("encoder.0", "encoder.2", "decoder.0", "decoder.2")])
def test_other_sizes(tmp_path: Path, sizes: ModelConfig, names: tuple[str, ...]) -> None:
    """The network's sizes follow from the shapes; names decide between matrices of one shape, also in alphabetical order."""
    own = weights(sizes)
    data = safetensors.torch.save({name.replace(name[:3], names[int(name[2]) - 1]): tensor for name, tensor in own.items()})
    (tmp_path / "other.safetensors").write_bytes(data)
    check_import(tmp_path / "other.safetensors", own, sizes)


def test_plain_safetensors(tmp_path: Path) -> None:
    """A plain safetensors file is taken, also with a header whose length begins as a pickle does."""
    files = [safetensors.torch.save(prefixed("model."), {"note": "x" * padding}) for padding in range(0, 257, 8)]
    (tmp_path / "lab.safetensors").write_bytes(next(data for data in files if data[0] == 0x80))
    check_import(tmp_path / "lab.safetensors", weights())


def test_npz(tmp_path: Path) -> None:
    """Our own export is taken, and arrays without names, compressed; pickled and transposed ones are named."""
    np.savez(tmp_path / "pickled.npz", np.array([arrays()], dtype=object))
    assert refusal(tmp_path / "pickled.npz")[0] == UNREADABLE + "it has pickled objects"
    np.savez(tmp_path / "keras.npz", *(array.T for array in arrays().values()))
    assert refusal(tmp_path / "keras.npz")[1] == f"for Keras, {foreign.SAVE_KERAS}"
    (tmp_path / "own.npz").write_bytes(export.encode(arrays(), "npz"))
    check_import(tmp_path / "own.npz", weights(), notes=())
    np.savez_compressed(tmp_path / "list.npz", *arrays().values())
    check_import(tmp_path / "list.npz", weights(), notes=mapping("arr_0", "arr_2", "arr_4", "arr_6"))


def test_our_own_file(tmp_path: Path) -> None:
    """A file of ours, say from another machine, keeps its metadata, and is refused when it is damaged or converted."""
    ours = Metadata(SIZES, TrainConfig(seed=9), active_units=1)
    data = checkpoint_format.encode_model(arrays(), ours)
    path = tmp_path / "renamed.pth"
    path.write_bytes(data)
    found = importer.read(path)
    assert (found.metadata, found.trial) == (ours, None)
    with pytest.raises(UsageError, match="--input-range -1:1 does not apply to a checkpoint of mnistae"):
        importer.read(path, Variant(InputRange.SYMMETRIC))
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert refusal(path) == ("checksum mismatch", "retrain it, or copy the original again")
    steps = {name: np.zeros((), np.float32) for name in arrays()}
    path.write_bytes(checkpoint_format.encode_state(TrainingState(arrays(), arrays(), arrays(), steps, ()), ours))
    assert np.array_equal(importer.read(path).weights["fc4.bias"], arrays()["fc4.bias"])


def deep(*widths: int) -> dict[str, Tensor]:
    sizes = enumerate(itertools.pairwise(widths))
    return {
        f"{n}.{part}": torch.zeros(o, i)[:, 0] if part == "bias" else torch.zeros(o, i) for n, (i, o) in sizes for part in PARTS
    }


PARTS = ("weight", "bias")
ALONE = "save the weights of one network alone, 784-h-b-h-784: torch.save(model.state_dict(), FILE)"
NONE = "no network 784-h-b-h-784 found; it contains "
OTHER = "the network may have more than its four layers: "
NO_FLOAT = "'fc1.bias' is not of a floating-point type: "
PARAMETRISED = "its layers are parametrised, as by weight normalisation or pruning: "
TWO = "more than one matrix of shape (16, 784): "
SIZE = "unsupported network size (invalid value for "
BATCH_NORM = {"bn.weight": torch.ones(16), "bn.bias": torch.zeros(16), "bn.running_mean": torch.zeros(16)}
BATCH_NORM_NAMES = "bn.weight (16,), bn.bias (16,), bn.running_mean (16,)"


class Custom:
    """An object of a class that the file's reader may not have."""


REFUSALS: dict[str, list[tuple[object, str | None]]] = {
    foreign.HINT: [
        ({}, NONE + "no arrays"),
        (torch.zeros(3), NONE + "it (3,)"),
        (deep(784, 10), NONE + "0.weight (10, 784), 0.bias (10,)"),
        (changed("fc1.weight", torch.zeros(1).expand(10**6, 10**6)), None),  # 4 TB that take no place in the file
        (changed("fc1.bias", torch.zeros(16, dtype=torch.int64)), NO_FLOAT + "int64"),
        (changed("fc1.bias", torch.empty(16, device="meta")), "'fc1.bias' is not a dense tensor"),
        (changed("fc1.bias", torch.zeros(17)), "'fc1.bias' has the shape (17,), not (16,)"),
    ],
    "save zeros where a layer has no bias": [
        (without("fc1.bias", "fc2.bias"), "no bias found for 'fc1', 'fc2'"),
        (changed("fc1.bias", 3), "no bias found for 'fc1'"),
    ],
    ALONE: [
        (prefixed("a.") | {f"b.{name}": tensor + 1 for name, tensor in weights().items()}, TWO + "'a.fc1', 'b.fc1'"),
        (deep(784, 16, 2, 16, 784) | {f"b.{k}": v for k, v in deep(784, 9, 3, 9, 784).items()}, None),
    ],
    "only networks of four linear layers, 784-h-b-h-784, can be imported": [
        (deep(784, 32, 16, 2, 16, 32, 784), "there are more than four layers: 2.weight (2, 16), 3.weight (16, 2)"),
        (weights() | BATCH_NORM, f"the network has batch normalisation: {BATCH_NORM_NAMES}"),
        (changed("conv.weight", torch.zeros(3, 1, 3, 3)), OTHER + "conv.weight (3, 1, 3, 3)"),
    ],
    "apply it before saving, with remove_parametrizations, remove_weight_norm, remove_spectral_norm or prune.remove": [
        (without("fc1.weight") | {"fc1.weight_g": torch.zeros(16, 1)}, PARAMETRISED + "fc1.weight_g (16, 1)"),
    ],
    f"for Keras, {foreign.SAVE_KERAS}": [
        ({name: array.T for name, array in arrays().items()}, "all matrices are transposed, as those of Keras and JAX"),
    ],
    "must be an integer from 1 to 2,048": [(deep(784, 2049, 2, 2049, 784), SIZE + "--hidden: 2049)")],
    "must be an integer from 1 to 392": [(deep(784, 1000, 500, 1000, 784), SIZE + "--bottleneck: 500)")],
    "import a checkpoint whose training did not diverge": [
        (changed("fc3.bias", torch.full((16,), number, dtype=torch.float64)), "'fc3.bias' contains NaN or infinity")
        for number in (torch.nan, 1e300)
    ],
    SAVE: [
        (Autoencoder(SIZES), "it is a whole pickled model of type 'mnistae.model.network.Autoencoder'"),
        ({"m": Autoencoder(SIZES)}, "refused: 'm' is a whole pickled model of type 'mnistae.model.network.Autoencoder'"),
        ({"cfg": {"args": argparse.Namespace(z=8)}}, "refused: 'cfg/args' is a pickled object of type 'argparse.Namespace'"),
        ({"net": weights(), "own": [Custom()]}, f"refused: 'own/0' is a pickled object of type '{__name__}.Custom'"),
        ({"net": weights(), "steps": range(3)}, "refused: 'steps' is a pickled object of type 'builtins.range'"),
        ([0.5] * 5000, "it contains too many objects"),
    ],
}


@pytest.mark.parametrize("hint", REFUSALS, ids=itertools.count())
def test_other_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hint: str) -> None:
    """What is not one network of the lab's, in finite numbers, is refused with the reason."""
    monkeypatch.setattr(foreign, "MAX_OPERATIONS", 5000)  # the same at a 100th of the size
    for content, message in REFUSALS[hint]:
        torch.save(content, tmp_path / "lab.pth")
        found = refusal(tmp_path / "lab.pth")
        assert found == (message or found[0], hint)


def test_sparse_and_quantised(tmp_path: Path) -> None:
    """A sparse or quantised tensor is refused, not unfolded."""
    with warnings.catch_warnings(action="ignore"):  # torch calls the one a beta and the other deprecated
        sparse = torch.zeros(16, 784).to_sparse_csr()
        low = torch.quantize_per_tensor(torch.zeros(16, 784), 0.1, 0, torch.qint8)
    for tensor, reason in ((sparse, "is not a dense tensor"), (low, "is not of a floating-point type: qint8")):
        torch.save(changed("fc1.weight", tensor), tmp_path / "lab.pth")
        assert refusal(tmp_path / "lab.pth") == (f"'fc1.weight' {reason}", foreign.HINT)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_malicious_pickle(tmp_path: Path, zipped: bool) -> None:
    """A pickle that would run code is refused and does not run it; read as everybody does, it does."""
    mark, path = tmp_path / "mark", tmp_path / "lab.pth"
    torch.save(changed("x", Canary(mark)), path, _use_new_zipfile_serialization=zipped)
    message, hint = refusal(path)
    assert message.startswith("refused: ")
    assert hint == SAVE
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()


def safetensors_of(kind: str, bits: int) -> bytes:
    header = json.dumps({"a": {"dtype": kind, "shape": [8], "data_offsets": [0, bits]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(bits)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def saved(content: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


DAMAGED = "it is a safetensors file that is truncated or damaged"
ODD_ZIP = "it is a truncated or damaged zip archive, as PyTorch and NumPy write them"
UNREADABLE = "it is an .npz of arrays that cannot be read: "
PROGRAM = "it is an exported PyTorch program (.pt2)"


FILES: dict[str, list[tuple[bytes, str]]] = {
    AGAIN: [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a Git LFS pointer (run 'git lfs pull')"),
        (b"<!DOCTYPE html><html>", "it is a web page or XML document"),
        (b"PK\x03\x04" + bytes(100), ODD_ZIP),
        (saved(weights())[:20_000], ODD_ZIP),
    ],
    foreign.HINT: [
        (b"hello\n", "it is of an unknown format"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG image"),
        (b"\x08\x07\x12\x07pytorch", "it is an ONNX model"),
        (struct.pack("<Q", 2**63) + b"{}", "it is a safetensors file with too large a header"),
        (struct.pack("<Q", 2) + b"{}", NONE + "no arrays"),
        (safetensors_of("I64", 64), NONE + "a (8,)"),
        (safetensors_of("F4", 4), DAMAGED),
        (safetensors_of("Q9", 8), DAMAGED),
        (safetensors.torch.save(weights())[:-1], DAMAGED),
        (zipped({"x/data.pkl": b"", "x/y/data.pkl": b""}), "it is a PyTorch file that cannot be read: several pickles"),
        (zipped({"x/data.pkl": b"\x80\x02N."}), "it is a PyTorch file that is truncated, damaged or has unusual contents"),
        (zipped({"x.npy": b"\x93NUMPY"}, zipfile.ZIP_LZMA), UNREADABLE + "x.npy has an unsupported compression method"),
        (zipped({"x.npy": b"\x93NUMPY"}), UNREADABLE + "unreadable .npy header"),
    ],
    SAVE: [
        (zipped({"x/data.pkl": b"", "x/constants.pkl": b""}), "it is a TorchScript archive, which contains a program"),
        (zipped({"x/archive_format": b""}), PROGRAM),
        (pickle.dumps({"a": 1}), "it is a Python pickle"),
    ],
    foreign.SAVE_KERAS: [(b"\x89HDF\r\n\x1a\n" + bytes(100), "it is an HDF5 file")],
    "save the arrays by name: np.savez(FILE, **arrays)": [(b"\x93NUMPY\x01\0", "it is an .npy array")],
    "unpack it, and give the file in it": [(zipped({"notes.txt": b""}), "it is a zip archive of 'notes.txt'")],
    "save it again with torch.save and its default protocol": [
        (saved(weights(), pickle_protocol=4), "it is written with pickle protocol 4, which cannot be read safely")
    ],
}


@pytest.mark.parametrize("hint", FILES, ids=itertools.count())
def test_other_files(tmp_path: Path, hint: str) -> None:
    """A file of another kind is refused, and named."""
    for data, message in FILES[hint]:
        (tmp_path / "file").write_bytes(data)
        assert refusal(tmp_path / "file") == (message, hint)
    assert refusal(tmp_path) == ("cannot read the weights 'FILE': it is a folder", foreign.HINT)


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


def test_reference() -> None:
    """The weights that the lab was reported with are imported to the bit."""
    if not REFERENCE.is_file():
        pytest.skip(f"the lab's own weights are not at {REFERENCE}")
    check_import(REFERENCE, torch.load(REFERENCE, weights_only=True), ModelConfig())
