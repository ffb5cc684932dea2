"""The network as an ONNX graph, built without torch, and its execution in onnxruntime."""

from enum import StrEnum

import numpy as np

import mnistae
from mnistae.core.arrays import Array
from mnistae.core.config import PIXELS, ModelConfig
from mnistae.core.records import Weights

OPSET, IR_VERSION = 13, 7
"""The oldest versions with today's Gemm, Relu and Sigmoid: runtimes since 2020 read the file."""


class Part(StrEnum):
    """Part of the network."""

    WHOLE = "whole"
    ENCODER = "encoder"
    DECODER = "decoder"


LAYERS = {
    Part.WHOLE: ("fc1", "fc2", "fc3", "fc4"),
    Part.ENCODER: ("fc1", "fc2"),
    Part.DECODER: ("fc3", "fc4"),
}

TensorSpec = tuple[str, int]
"""Name and width of a graph's input or output, which is float32 and of shape (n, width), for any n."""


def io_specs(part: Part, config: ModelConfig) -> tuple[TensorSpec, TensorSpec]:
    """Return the input and the output of a part. The encoder's output is the decoder's input, by name and width."""
    first: TensorSpec = ("codes", config.bottleneck) if part is Part.DECODER else ("images", PIXELS)
    last: TensorSpec = ("codes", config.bottleneck) if part is Part.ENCODER else ("reconstructions", PIXELS)
    return first, last


def build(weights: Weights, config: ModelConfig, part: Part) -> bytes:
    """Return an ONNX file of a part of the network. Same weights and version, same bytes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    first, last = io_specs(part, config)
    nodes, tensors, value = [], [], first[0]
    for layer in LAYERS[part]:
        names = [f"{layer}.weight", f"{layer}.bias"]
        tensors += [numpy_helper.from_array(np.asarray(weights[name], "<f4", order="C"), name) for name in names]
        nodes.append(helper.make_node("Gemm", [value, *names], [f"{layer}.sum"], name=layer, transB=1))
        value = last[0] if layer == LAYERS[part][-1] else f"{layer}.activation"
        activation = "Sigmoid" if layer == "fc4" else "Relu"
        nodes.append(helper.make_node(activation, [f"{layer}.sum"], [value], name=f"{layer}.{activation.lower()}"))
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])] for name, width in (first, last))
    model = helper.make_model(
        helper.make_graph(nodes, f"autoencoder_{part}", inputs, outputs, tensors),
        producer_name="mnistae",
        producer_version=mnistae.__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def run(data: bytes, values: Array) -> Array:
    """Return what onnxruntime, on the CPU, computes from `values` (n, width) with the graph in an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    array: Array = session.run(None, {session.get_inputs()[0].name: values})[0]
    return array
