"""Export to ONNX, NumPy's .npz, and a PyTorch state dict in safetensors."""

import importlib.util
import io

import numpy as np

from mnistae.core.config import PIXELS
from mnistae.core.errors import OutputError
from mnistae.core.records import Weights
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.store import onnx_graph
from mnistae.store.onnx_graph import Part

FORMATS = ("onnx", "npz", "safetensors")

PROBES = 256
"""Number of random inputs on which an ONNX graph must agree with our own network."""

TOLERANCE = 1e-5
"""Largest difference allowed: absolute, or relative to the largest output if that is above 1."""

_BUG = "this is a bug in mnistae or its dependencies; please report it"


def check_can_write(kind: str) -> None:
    """Raise OutputError now if a package that writes or verifies this format is not installed."""
    missing = [name for name in ("onnx", "onnxruntime") if kind == "onnx" and importlib.util.find_spec(name) is None]
    if missing:
        hint = "in a clone of mnistae, run: pip install '.[onnx]'; or export npz or safetensors"
        raise OutputError(f"cannot write ONNX: the package '{missing[0]}' is not installed", hint=hint)


def encode(weights: Weights, kind: str, part: Part = Part.WHOLE) -> bytes:
    """Return the bytes of one of the FORMATS, read back and verified; `part` applies to ONNX only.

    npz and safetensors contain the eight float32 arrays under their plain names and nothing else. Raises OutputError.
    """
    network = NumpyNetwork.from_weights(weights)
    if kind == "onnx":
        return _onnx(network, part)
    arrays = {name: np.asarray(weights[name], "<f4", order="C") for name in network.config.shapes()}  # in this order
    if kind == "npz":
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # NumPy 2.1 would save allow_pickle as an array
        data = stream.getvalue()
        stored = dict(np.load(io.BytesIO(data)))
    else:
        import safetensors.numpy

        data = safetensors.numpy.save(arrays, {"format": "pt"})  # required by some PyTorch tools
        stored = safetensors.numpy.load(data)
    is_same = stored.keys() == arrays.keys() and all(
        stored[name].dtype == array.dtype and np.array_equal(stored[name], array) for name, array in arrays.items()
    )
    if not is_same:
        raise OutputError(f"export failed verification: the {kind} export differs from the checkpoint's arrays", hint=_BUG)
    return data


def _onnx(network: NumpyNetwork, part: Part) -> bytes:
    data = onnx_graph.build(network.weights, network.config, part)
    generator = np.random.default_rng(0)
    inputs = generator.random((PROBES, PIXELS), np.float32)
    if part is Part.DECODER:  # realistic values in new combinations
        inputs = generator.permuted(network.encode(inputs), axis=0)
    compute = {Part.WHOLE: network.reconstruct, Part.ENCODER: network.encode, Part.DECODER: network.decode}[part]
    expected, found = compute(inputs), onnx_graph.run(data, inputs)
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=allowed, equal_nan=True):
        reason = f"the output of onnxruntime for the {part} differs from the checkpoint's"
        raise OutputError(f"export failed verification: {reason}", hint=_BUG)
    return data
