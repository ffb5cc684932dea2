"""One training step with its derivative written out, in buffers that live as long as the run.

Autograd would allocate some 60 MB of temporaries in each step of 2048 images; on a CPU the page faults alone are a visible
part of the step. The chain rule of four layers is short, so it stands here, and a test holds it against autograd.
"""

from typing import cast

import torch
from torch import Tensor

from mnistae.config import PIXELS
from mnistae.model import Autoencoder

aten = torch.ops.aten


class Step:
    """Forward pass, mean squared error and gradients for batches of up to `rows` images of one model.

    After a call the gradients lie in the parameters' `grad`, which is where an optimizer looks for them. Activations and
    products are of the type `dtype`, weights, biases, their gradients and the loss are float32.
    """

    def __init__(self, model: Autoencoder, rows: int, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self._layers = [_Layer(layer, dtype) for layer in (model.fc1, model.fc2, model.fc3, model.fc4)]
        hidden, bottleneck = model.config.hidden, model.config.bottleneck
        like = model.fc1.weight.detach()
        # Outputs of the four layers, and the loss's derivatives by what goes into their activations.
        self._outputs = [like.new_empty(rows, width, dtype=dtype) for width in (hidden, bottleneck, hidden, PIXELS)]
        self._slopes = [torch.empty_like(output) for output in self._outputs]
        self._error = like.new_empty(rows, PIXELS)

    @torch.no_grad()
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a tensor () on the device, of inputs (B, 784) of `dtype` against float32 targets (B, 784)."""
        fc1, fc2, fc3, fc4 = self._layers
        h1, z, h3, y = (buffer[: len(x)] for buffer in self._outputs)
        d1, d2, d3, d4 = (buffer[: len(x)] for buffer in self._slopes)
        for layer in self._layers:
            layer.refresh()
        fc1.forward(x, out=h1).relu_()  # (B, hidden)
        fc2.forward(h1, out=z).relu_()  # (B, bottleneck)
        fc3.forward(z, out=h3).relu_()  # (B, hidden)
        fc4.forward(h3, out=y).sigmoid_()  # (B, 784)

        error = torch.sub(y, target, out=self._error[: len(x)])  # (B, 784)
        flat = error.view(-1)
        loss = torch.dot(flat, flat) / error.numel()
        # d(mean of squares)/dy = 2 (y - target) / numel; the sigmoid's slope is y (1 - y), that of ReLU 0 or 1
        torch.mul(error, 2 / error.numel(), out=d4)
        aten.sigmoid_backward(d4, y, grad_input=d4)
        fc4.backward(h3, d4, out=d3)
        aten.threshold_backward(d3, h3, 0, grad_input=d3)
        fc3.backward(z, d3, out=d2)
        aten.threshold_backward(d2, z, 0, grad_input=d2)
        fc2.backward(h1, d2, out=d1)
        aten.threshold_backward(d1, h1, 0, grad_input=d1)
        fc1.backward(x, d1)
        return loss


class _Layer:
    """The products of one fully connected layer, in the step's type."""

    def __init__(self, layer: torch.nn.Linear, dtype: torch.dtype) -> None:
        self._parameters = (layer.weight, layer.bias)
        for parameter in self._parameters:
            parameter.grad = torch.empty_like(parameter)
        self._is_copy = dtype != layer.weight.dtype
        # Either the parameters themselves, or copies in the step's type that follow them.
        self._weight, self._bias = (parameter.detach().to(dtype) for parameter in self._parameters)
        self._weight_gradient = torch.empty_like(self._weight) if self._is_copy else cast(Tensor, layer.weight.grad)

    def refresh(self) -> None:
        """Take over what the optimizer has changed."""
        if self._is_copy:
            for copy, parameter in zip((self._weight, self._bias), self._parameters, strict=True):
                copy.copy_(parameter)

    def forward(self, x: Tensor, *, out: Tensor) -> Tensor:
        """Return x (B, inputs) times the weight, plus the bias: (B, outputs)."""
        return torch.addmm(self._bias, x, self._weight.t(), out=out)

    def backward(self, x: Tensor, slope: Tensor, *, out: Tensor | None = None) -> None:
        """Set the parameters' gradients from the inputs (B, inputs) and the derivative by the outputs (B, outputs).

        `out` (B, inputs) gets the derivative by the inputs, if anybody wants it.
        """
        weight, bias = self._parameters
        torch.mm(slope.t(), x, out=self._weight_gradient)
        if self._weight_gradient is not weight.grad:
            cast(Tensor, weight.grad).copy_(self._weight_gradient)
        torch.sum(slope, 0, dtype=torch.float32, out=bias.grad)
        if out is not None:
            torch.mm(slope, self._weight, out=out)
