import collections
import itertools
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import UsageError
from mnistae.core.records import Metadata, TrainingState
from mnistae.store import export, foreign, importer, variants
from mnistae.store import format as checkpoint_format
from mnistae.store.variants import InputRange, Variant
from tests.support.weight_files import SIZES, arrays, prefixed, refusal, unnamed, weights


@pytest.fixture(autouse=True)
def no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the trial, which is tested in test_variants.py: it takes longer than an import."""
    monkeypatch.setattr(variants, "try_on_digits", lambda _weights, _assumed: None)


def renamed(*layers: str, bias: str = ".bias", weight: str = ".weight") -> dict[str, Tensor]:
    """Return the weights with other names for fc1 to fc4."""
    own = {f"fc{number}": layer for number, layer in enumerate(layers, start=1)}
    parts = {"weight": weight, "bias": bias}
    return {f"{own[name[:3]]}{parts[name[4:]]}": tensor for name, tensor in weights().items()}


SEQUENTIAL = renamed("encoder.0", "encoder.2", "decoder.0", "decoder.2")
MODULES = {
    part: {name[8:]: tensor for name, tensor in SEQUENTIAL.items() if name.startswith(part)} for part in ("encoder", "decoder")
}


def mapping(*layers: str) -> tuple[str, ...]:
    return (", ".join(f"{layer} → fc{number}" for number, layer in enumerate(layers, start=1)),)


def under(prefix: str) -> tuple[str, ...]:
    return mapping(*(f"{prefix}fc{number}" for number in range(1, 5)))


def check(path: Path, expected: dict[str, Tensor], sizes: ModelConfig = SIZES, notes: tuple[str, ...] | None = None) -> None:
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


OPTIMIZER = {"state": {n: {"exp_avg": tensor} for n, tensor in enumerate(weights().values())}, "param_groups": [{"lr": 1e-3}]}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (weights(), ()),
        ({name: nn.Parameter(tensor) for name, tensor in weights().items()}, ()),
        (weights() | {"fc1.weight": weights()["fc1.weight"].t().contiguous().t()}, ()),
        (prefixed("_orig_mod.module."), under("_orig_mod.module.")),
        ({"epoch": 5, "net": prefixed("model."), "optimizer": OPTIMIZER, "optimizers": [OPTIMIZER]}, under("net/model.")),
        ({"a": {"b": [weights()]}, "loss": [0.02, 0.01]}, under("a/b/0/")),
        (SEQUENTIAL, mapping("encoder.0", "encoder.2", "decoder.0", "decoder.2")),
        (MODULES, mapping("encoder/0", "encoder/2", "decoder/0", "decoder/2")),
        (renamed("1", "2", "3", "4", weight="W", bias="b"), None),
        (renamed("fc1", "fc2", "fc3", "fc4", weight="", bias="_bias"), ()),
        (renamed("enc_1", "enc_2", "dec_1", "dec_2", weight="_w", bias="_b"), mapping("enc_1", "enc_2", "dec_1", "dec_2")),
        (list(weights().values()), mapping("0 with 1", "2 with 3", "4 with 5", "6 with 7")),
        (sorted(weights().values(), key=lambda tensor: -tensor.ndim), mapping("0 with 4", "1 with 5", "2 with 6", "3 with 7")),
        (unnamed("down code back final v1 v2 v3 v4"), None),
        (
            [torch.rand(50), *weights().values(), torch.rand(10, 10)],
            (*mapping("1 with 2", "3 with 4", "5 with 6", "7 with 8"), "left out: '0', '9'"),
        ),
        ([torch.rand(50), *sorted(weights().values(), key=lambda tensor: -tensor.ndim)], None),
        *(((weights(), torch.rand(n, *shape)), None) for n, *shape in ((16,), (1,), (8, 1, 28, 28))),
        ((torch.rand(16), list(weights().values()), torch.rand(10, 10)), None),
        ([*weights().items(), torch.rand(8, 1, 28, 28)], None),
        ([weights(), {"conv.weight": torch.zeros(8, 1, 3, 3)}], None),
        ([*MODULES.values(), torch.rand(9, 28, 28)], (*mapping("0/0", "0/2", "1/0", "1/2"), "left out: '2'")),
        (weights() | {"losses": torch.rand(50)}, ("left out: 'losses'",)),
        (arrays(), ()),
        ({"net": weights(), "best": np.float64(0.02), "losses": np.arange(3.0), "when": [np.int64(3)]}, None),
        ({"net": weights(), "log": collections.defaultdict(list, loss=[1.0]), "version": torch.__version__}, under("net/")),
        (
            weights() | {"head.weight": torch.zeros(10, 2), "head.bias": torch.zeros(10)},
            ("left out: 'head.weight', 'head.bias'",),
        ),
        ({"best": (one := weights()), "last": one}, under("best/")),
        ({"best": one, "last": {name.replace(".", "_"): tensor for name, tensor in one.items()}}, under("best/")),
        ([list(one.values()), list(one.values())], None),
        ({f"{place}{name.replace('.', '_')}": tensor for place in ("", "best_") for name, tensor in one.items()}, ()),
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
    check(tmp_path / "lab.pth", weights(), notes=notes)


@pytest.mark.parametrize("zeros", [np.zeros(SIZES.hidden, np.float32), torch.zeros(SIZES.hidden)], ids=["array", "tensor"])
def test_one_array_under_two_names(tmp_path: Path, zeros: object) -> None:
    """Two layers may share an array, such as one of zeros."""
    shared = weights() | {"fc1.bias": zeros, "fc3.bias": zeros}
    for content in (shared, list(shared.items())):
        torch.save(content, tmp_path / "lab.pth")
        check(tmp_path / "lab.pth", weights() | dict.fromkeys(("fc1.bias", "fc3.bias"), torch.zeros(SIZES.hidden)))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(tmp_path: Path, kind: torch.dtype) -> None:
    """Weights of other floating-point types are converted to float32."""
    content = {name: tensor.to(kind) for name, tensor in weights().items()}
    torch.save(content, tmp_path / "lab.pth")
    check(tmp_path / "lab.pth", content)


@pytest.mark.parametrize("sizes", [ModelConfig(*sizes) for sizes in ((1, 1), (3, 40), (784, 4), (9, 9))], ids=str)
def test_other_sizes(tmp_path: Path, sizes: ModelConfig) -> None:
    """The network's sizes follow from the shapes; names decide between matrices of one shape, or a PyTorch file's order."""
    own = weights(sizes)
    for names in (
        ("fc1", "fc2", "fc3", "fc4"),
        ("encoder.0", "encoder.2", "decoder.0", "decoder.2"),
        ("fc1_hidden", "fc2_bottleneck", "fc3_hidden", "fc4_output"),
        ("net2.block1.fc", "net2.block2.proj", "net2.block3.fc", "net2.block4.fc"),
    ):
        data = safetensors.torch.save({name.replace(name[:3], names[int(name[2]) - 1]): own[name] for name in own})
        (tmp_path / "other.safetensors").write_bytes(data)
        check(tmp_path / "other.safetensors", own, sizes)
    in_order = {name.replace(name[:3], ("hidden1", "code", "hidden2", "out")[int(name[2]) - 1]): own[name] for name in own}
    for content in (in_order, list(own.values()), [*list(own.values())[::2], *list(own.values())[1::2]]):
        torch.save(content, tmp_path / "list.pth")
        check(tmp_path / "list.pth", own, sizes)


def test_plain_safetensors(tmp_path: Path) -> None:
    """A plain safetensors file is taken, also with a header whose length begins as a pickle does."""
    files = [safetensors.torch.save(prefixed("model."), {"note": "x" * padding}) for padding in range(0, 257, 8)]
    (tmp_path / "lab.safetensors").write_bytes(next(data for data in files if data[0] == 0x80))
    check(tmp_path / "lab.safetensors", weights())


def test_safetensors_without_names_for_parts(tmp_path: Path) -> None:
    """Names that do not tell a matrix from a bias are paired in alphabetical order; a slash is like a dot."""
    parts = {"weight": "net/matrix{}", "bias": "net/offset{}"}
    data = {parts[name[4:]].format(name[2]): tensor for name, tensor in weights().items()}
    (tmp_path / "lab.safetensors").write_bytes(safetensors.torch.save(data))
    check(tmp_path / "lab.safetensors", weights(), notes=mapping(*(f"net.matrix{n} with net.offset{n}" for n in range(1, 5))))


def test_npz(tmp_path: Path) -> None:
    """Our own export is taken, and arrays without names, compressed; pickled and transposed ones are named."""
    np.savez(tmp_path / "pickled.npz", np.array([arrays()], dtype=object))
    assert refusal(tmp_path / "pickled.npz")[0] == "it is an .npz of arrays that cannot be read: it contains pickled objects"
    np.savez(tmp_path / "keras.npz", *(array.T for array in arrays().values()))
    assert refusal(tmp_path / "keras.npz")[1] == f"for Keras, {foreign.SAVE_KERAS}"
    (tmp_path / "own.npz").write_bytes(export.encode(arrays(), "npz"))
    check(tmp_path / "own.npz", weights(), notes=())
    listed = mapping(*(f"arr_{n} with arr_{n + 1}" for n in range(0, 8, 2)))
    np.savez_compressed(tmp_path / "list.npz", *arrays().values())
    check(tmp_path / "list.npz", weights(), notes=listed)
    np.savez(tmp_path / "list.npz", *(array if array.ndim == 2 else array[:, None] for array in arrays().values()))
    check(tmp_path / "list.npz", weights(), notes=listed)


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
    assert refusal(path) == ("checksum mismatch", "retrain or import it again, or restore a copy")
    steps = {name: np.zeros((), np.float32) for name in arrays()}
    state = checkpoint_format.encode_state(TrainingState(arrays(), arrays(), arrays(), steps, ()), ours)
    path.write_bytes(state)
    assert np.array_equal(importer.read(path).weights["fc4.bias"], arrays()["fc4.bias"])
    path.write_bytes(state[:-1] + bytes([state[-1] ^ 1]))
    assert refusal(path) == ("checksum mismatch", "retrain or import it again, or restore a copy")
