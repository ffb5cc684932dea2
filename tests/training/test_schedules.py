"""Learning rates as functions of the losses."""

import random

import pytest
import torch

from mnistae.training.schedules import plateau


@pytest.mark.parametrize("seed", range(20))
def test_plateau_equals_pytorchs_scheduler(seed: int) -> None:
    """The rate is that of ReduceLROnPlateau('min') with its defaults, to the bit, after each of 150 losses."""
    generator = random.Random(seed)
    falling = generator.choice([0.0, 0.001, 0.05])
    losses = [max(1e-6, 0.1 * (1 - falling) ** k * generator.uniform(0.99, 1.01)) for k in range(150)]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min")

    for k, loss in enumerate(losses):
        assert plateau(1e-3, losses[:k]) == optimizer.param_groups[0]["lr"]
        scheduler.step(loss)
