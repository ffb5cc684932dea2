"""One training step with its derivative written out, in buffers that live as long as the run.

Autograd would allocate some 60 MB of temporaries in each step of 2048 images; on a CPU the page faults alone are a
visible part of the step. The chain rule of four layers is short, so it stands here and a test holds it against autograd.
"""

import torch
from torch import Tensor

from mnistae.config import PIXELS
from mnistae.model import Autoencoder

aten = torch.ops.aten


class Step:
    """Forward pass, mean squared error and gradients for batches of up to `rows` images of one model.

    After a call the gradients lie in the parameters' `grad`, which is where an optimizer looks for them.
    """

    def __init__(self, model: Autoencoder, rows: int) -> None:
        self.model = model
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter)
        like = model.fc1.weight
        hidden, bottleneck = model.config.hidden, model.config.bottleneck
        widths = {
            "h1": hidden,
            "z": bottleneck,
            "h3": hidden,
            "y": PIXELS,
            "d4": PIXELS,
            "d3": hidden,
            "d2": bottleneck,
        }
        self._buffers = {name: like.new_empty(rows, width) for name, width in (widths | {"d1": hidden}).items()}

    @torch.no_grad()
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a tensor () on the device, of inputs (B, 784) against targets (B, 784); set the gradients."""
        m = self.model
        h1, z, h3, y, d4, d3, d2, d1 = (buffer[: len(x)] for buffer in self._buffers.values())
        torch.addmm(m.fc1.bias, x, m.fc1.weight.t(), out=h1).relu_()  # (B, hidden)
        torch.addmm(m.fc2.bias, h1, m.fc2.weight.t(), out=z).relu_()  # (B, bottleneck)
        torch.addmm(m.fc3.bias, z, m.fc3.weight.t(), out=h3).relu_()  # (B, hidden)
        torch.addmm(m.fc4.bias, h3, m.fc4.weight.t(), out=y).sigmoid_()  # (B, 784)

        torch.sub(y, target, out=d4)
        flat = d4.view(-1)
        loss = torch.dot(flat, flat) / d4.numel()
        # d(mean of squares)/dy = 2 (y - target) / numel; the factor goes in before the sigmoid's slope y (1 - y)
        d4.mul_(2 / d4.numel())
        aten.sigmoid_backward(d4, y, grad_input=d4)
        _linear_gradients(m.fc4, h3, d4)
        torch.mm(d4, m.fc4.weight, out=d3)
        aten.threshold_backward(d3, h3, 0, grad_input=d3)
        _linear_gradients(m.fc3, z, d3)
        torch.mm(d3, m.fc3.weight, out=d2)
        aten.threshold_backward(d2, z, 0, grad_input=d2)
        _linear_gradients(m.fc2, h1, d2)
        torch.mm(d2, m.fc2.weight, out=d1)
        aten.threshold_backward(d1, h1, 0, grad_input=d1)
        _linear_gradients(m.fc1, x, d1)
        return loss


def _linear_gradients(layer: torch.nn.Linear, inputs: Tensor, outputs_gradient: Tensor) -> None:
    """Set the gradients of a layer's weight and bias from its inputs (B, in) and its outputs' gradient (B, out)."""
    torch.mm(outputs_gradient.t(), inputs, out=layer.weight.grad)  # (out, in)
    torch.sum(outputs_gradient, 0, out=layer.bias.grad)  # (out,)
