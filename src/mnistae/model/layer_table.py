"""Rows and totals of the layer table, worked out from the shapes alone: no model is built and no device touched."""

from dataclasses import dataclass

from mnistae.core.config import PIXELS, ModelConfig

BYTES = 4
"""A number of the network is a float32."""

MEBIBYTE = 2**20
"""The lab's table calls 2²⁰ bytes a megabyte."""


@dataclass(frozen=True)
class Layer:
    """One row: a fully connected layer and the function after it."""

    name: str
    inputs: int
    outputs: int
    activation: str

    @property
    def output_shape(self) -> list[int]:
        """The shape of the layer's output as the lab prints it: any batch, one channel, the width."""
        return [-1, 1, self.outputs]

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.inputs * self.outputs + self.outputs

    @property
    def mult_adds(self) -> int:
        """Multiply-adds of the matrix product for one image."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class LayerTable:
    """The rows and, as properties, the totals of the lab's table for one image."""

    rows: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """All parameters; every one of them is trainable."""
        return sum(row.parameters for row in self.rows)

    @property
    def mult_adds(self) -> int:
        """Multiply-adds of a forward pass."""
        return sum(row.mult_adds for row in self.rows)

    @property
    def input_bytes(self) -> int:
        """Memory of one image."""
        return PIXELS * BYTES

    @property
    def pass_bytes(self) -> int:
        """Memory of the layers' outputs, once for the forward and once for the backward pass."""
        return 2 * sum(row.outputs for row in self.rows) * BYTES

    @property
    def parameter_bytes(self) -> int:
        """Memory of the parameters."""
        return self.parameters * BYTES

    @property
    def total_bytes(self) -> int:
        """Input, passes and parameters together."""
        return self.input_bytes + self.pass_bytes + self.parameter_bytes


def tabulate(config: ModelConfig) -> LayerTable:
    """Return the layer table of the network with these sizes."""
    widths = (PIXELS, config.hidden, config.bottleneck, config.hidden, PIXELS)
    activations = ("ReLU", "ReLU", "ReLU", "Sigmoid")
    rows = (
        Layer(f"fc{number}", inputs, outputs, activation)
        for number, inputs, outputs, activation in zip(range(1, 5), widths, widths[1:], activations, strict=False)
    )
    return LayerTable(tuple(rows))
