"""What an export holds: read by the programs it is for, it is the checkpoint."""

import io
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig
from mnistae.core.errors import OutputError
from mnistae.core.records import Weights
from mnistae.model.network import Autoencoder, initialise
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.store import export, onnx_graph
from mnistae.store.onnx_graph import Part
from tests.support.saved_runs import refusal

SMALL = ModelConfig(hidden=24, bottleneck=5)
REPORT = "this is a bug in mnistae or its dependencies; please report it"


def network(config: ModelConfig, seed: int = 0) -> tuple[Autoencoder, dict[str, Array]]:
    """Return the same network as a torch module and as arrays."""
    model = Autoencoder(config)
    initialise(model, seed=seed)
    return model, {name: tensor.detach().numpy().copy() for name, tensor in model.named_parameters()}


def need_onnx() -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[onnx]'")


@pytest.mark.parametrize("config", [ModelConfig(), SMALL, ModelConfig(hidden=1, bottleneck=1)])
def test_onnx_computes_what_the_network_does(config: ModelConfig) -> None:
    """On 1,000 images onnxruntime agrees to 1e-5: the codes with our network, the images with torch."""
    need_onnx()
    model, weights = network(config)
    images = np.random.default_rng(3).random((1000, 784), np.float32)
    whole, encoder, decoder = (export.encode(weights, "onnx", part) for part in Part)
    codes, outputs = onnx_graph.run(encoder, images), onnx_graph.run(whole, images)
    np.testing.assert_allclose(codes, NumpyNetwork.from_weights(weights).encode(images), atol=1e-5)
    np.testing.assert_allclose(onnx_graph.run(decoder, codes), outputs, atol=1e-6)
    for count in (0, 1):  # the batch is free
        np.testing.assert_allclose(onnx_graph.run(whole, images[:count]), outputs[:count], atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(outputs, model(torch.from_numpy(images)).numpy(), atol=1e-5)


@pytest.mark.parametrize("part", Part)
def test_onnx_says_what_goes_in_and_out(part: Part) -> None:
    """Inputs and outputs have names, float32 and the shape (n, width); nothing but the part's own layers is stored."""
    need_onnx()
    import onnx

    model = onnx.load_from_string(export.encode(network(SMALL)[1], "onnx", part))
    for found, (name, width) in zip((model.graph.input, model.graph.output), onnx_graph.io_specs(part, SMALL), strict=True):
        (value,) = found
        axes = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        assert (value.name, value.type.tensor_type.elem_type, axes) == (name, onnx.TensorProto.FLOAT, ["n", width])
    stored = [tensor.name for tensor in model.graph.initializer]
    assert stored == [name for name in SMALL.shapes() if name.partition(".")[0] in onnx_graph.LAYERS[part]]


@settings(max_examples=10)
@given(hidden=st.integers(1, 40), bottleneck=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_arrays_come_back_to_the_bit(hidden: int, bottleneck: int, seed: int) -> None:
    """NumPy reads the npz without pickles; PyTorch's module takes the safetensors as its state dict."""
    config = ModelConfig(hidden=hidden, bottleneck=bottleneck)
    model, weights = network(config, seed)
    with np.load(io.BytesIO(export.encode(weights, "npz")), allow_pickle=False) as archive:
        assert list(archive) == list(config.shapes())
        for name, array in archive.items():
            np.testing.assert_array_equal(array, weights[name], strict=True)
    tensors = safetensors.torch.load(export.encode(weights, "safetensors"))
    other = Autoencoder(config)
    other.load_state_dict(tensors, strict=True)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), model.parameters(), strict=True))


def test_only_arrays_are_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy 2.1 saves every keyword of savez, also one that is an option of later versions."""
    savez = Mock(wraps=np.savez)
    monkeypatch.setattr(np, "savez", savez)
    export.encode(network(SMALL)[1], "npz")
    assert list(savez.call_args.kwargs) == list(SMALL.shapes())


@pytest.mark.parametrize("kind", export.FORMATS)
def test_same_weights_same_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the clock nor the arrays' order, among themselves or in memory, is in an export."""
    if kind == "onnx":
        need_onnx()
    weights = network(SMALL)[1]
    first = export.encode(weights, kind)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert export.encode({name: np.asfortranarray(weights[name]) for name in reversed(weights)}, kind) == first


@pytest.mark.parametrize("part", Part)
def test_a_graph_that_computes_something_else_is_refused(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one number of the graph off by a hundredth, the export is not let through."""
    need_onnx()
    weights = network(SMALL)[1]
    build = onnx_graph.build

    def faulty(weights: Weights, config: ModelConfig, part: Part) -> bytes:
        name = f"{onnx_graph.LAYERS[part][-1]}.bias"
        bias = weights[name].copy()
        bias[0] += 0.01
        return build({**weights, name: bias}, config, part)

    monkeypatch.setattr(onnx_graph, "build", faulty)
    message = f"export failed verification: the output of onnxruntime for the {part} differs from the checkpoint's"
    assert refusal(export.encode, weights, "onnx", part) == (OutputError, message, REPORT)


@pytest.mark.parametrize("change", ["a bit", "one more", "one less"])
@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_arrays_that_change_on_the_way_are_refused(kind: str, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one bit or one array changed between writing and reading back, the export is not let through."""
    weights = network(SMALL)[1]
    changed = {name: array.copy() for name, array in weights.items()}
    bias = changed.pop("fc4.bias") if change == "one less" else changed["fc4.bias"]
    bias.view(np.uint32)[5] ^= change == "a bit"
    changed |= {"other": bias} if change == "one more" else {}
    monkeypatch.setattr(np if kind == "npz" else safetensors.numpy, "load", lambda _stored: changed)
    message = f"export failed verification: the {kind} export differs from the checkpoint's arrays"
    assert refusal(export.encode, weights, kind) == (OutputError, message, REPORT)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, ONNX is refused before any work; the other formats need nothing more."""
    need_onnx()
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    message = f"cannot write ONNX: the package '{package}' is not installed"
    hint = "in a clone of mnistae, run: pip install '.[onnx]'; or export npz or safetensors"
    assert refusal(export.check_can_write, "onnx") == (OutputError, message, hint)
    export.check_can_write("npz")
    export.check_can_write("safetensors")
