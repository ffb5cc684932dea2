"""Adam on one vector, against PyTorch's optimizers."""

import pytest
import torch

from mnistae.core.config import Optimizer, TrainConfig
from mnistae.training.adam import Adam

KINDS = {Optimizer.ADAM: torch.optim.Adam, Optimizer.ADAMW: torch.optim.AdamW}


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_pytorchs_optimizer(kind: Optimizer) -> None:
    """Thirty steps with moving rates and a decay that matters end where PyTorch's optimizer does."""
    config = TrainConfig(optimizer=kind, beta1=0.8, beta2=0.97, weight_decay=0.3)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator)
    weights, gradient = start.clone(), torch.empty_like(start)
    ours = Adam(weights, gradient, config)
    parameter = torch.nn.Parameter(start.clone())
    theirs = KINDS[kind]([parameter], lr=1.0, betas=(0.8, 0.97), weight_decay=0.3)
    for k in range(30):
        gradient.copy_(torch.randn(1000, generator=generator))
        parameter.grad = gradient.clone()
        theirs.param_groups[0]["lr"] = 0.1 / (k + 1)
        theirs.step()
        ours.step(0.1 / (k + 1))

    torch.testing.assert_close(weights, parameter.detach(), atol=1e-6, rtol=1e-5)
    assert float(ours.steps) == 30
    assert not torch.allclose(weights, start, atol=0.1)
