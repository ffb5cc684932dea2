"""Rows and totals of the layer table, computed from the shapes alone."""

import itertools
from dataclasses import dataclass

from mnistae.core.config import PIXELS, ModelConfig

BYTES = 4
"""Size of a float32."""

MEBIBYTE = 2**20
"""The megabyte of the lab's table."""


@dataclass(frozen=True)
class Layer:
    """One row: a fully connected layer with its weights and biases, and its activation function."""

    name: str
    activation: str
    output_shape: list[int]  # in the lab's notation: any batch, one channel, the width
    parameters: int


@dataclass(frozen=True)
class LayerTable:
    """The rows and totals of the lab's table for one image."""

    rows: tuple[Layer, ...]
    parameters: int  # all are trainable
    mult_adds: int  # multiply-adds of the matrix products of a forward pass
    input_bytes: int
    pass_bytes: int  # the layers' outputs for the forward and the backward pass
    parameter_bytes: int
    total_bytes: int


def tabulate(config: ModelConfig) -> LayerTable:
    """Return the layer table of the network with these sizes."""
    widths = (PIXELS, config.hidden, config.bottleneck, config.hidden, PIXELS)
    weights = [inputs * outputs for inputs, outputs in itertools.pairwise(widths)]
    activations = ("ReLU", "ReLU", "ReLU", "Sigmoid")
    rows = tuple(
        Layer(f"fc{number}", activation, [-1, 1, outputs], count + outputs)
        for number, activation, outputs, count in zip(range(1, 5), activations, widths[1:], weights, strict=True)
    )
    parameters = sum(row.parameters for row in rows)
    sizes = (PIXELS * BYTES, 2 * sum(widths[1:]) * BYTES, parameters * BYTES)
    return LayerTable(rows, parameters, sum(weights), *sizes, sum(sizes))
