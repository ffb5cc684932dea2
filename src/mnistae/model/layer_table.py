"""Rows and totals of the layer table, computed from the shapes alone."""

from dataclasses import dataclass

from mnistae.core.config import PIXELS, ModelConfig

BYTES = 4
"""Size of a float32."""

MEBIBYTE = 2**20
"""The megabyte of the lab's table."""


@dataclass(frozen=True)
class Layer:
    """One row: a fully connected layer and its activation function."""

    name: str
    inputs: int
    outputs: int
    activation: str

    @property
    def output_shape(self) -> list[int]:
        """The shape of the layer's output in the lab's notation: any batch, one channel, the width."""
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
    """The rows and totals of the lab's table for one image."""

    rows: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """All parameters; all are trainable."""
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
        """Memory of the layers' outputs for the forward and the backward pass."""
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
