"""Learning rates as functions of the losses."""

import random

import pytest
import torch

from mnistae.core.config import Schedule, TrainConfig
from mnistae.training.schedules import augment_strengths, learning_rates, linear_warmup_decay, plateau


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


def test_linear_rises_and_falls() -> None:
    """The multiplier rises during the warm-up, is 1 after it, and would be 0 one step past the end."""
    multipliers = [linear_warmup_decay(step, total=10, warmup=3) for step in range(11)]
    assert multipliers == pytest.approx([0.25, 0.5, 0.75, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7, 0])
    assert linear_warmup_decay(0, total=1, warmup=5) < 1  # a run shorter than its warm-up


def test_rates_of_an_epoch() -> None:
    """Plateau gives all steps of an epoch one rate; linear continues from epoch to epoch."""
    assert learning_rates(TrainConfig(), [0.1], 3) == [1e-3] * 3
    config = TrainConfig(epochs=2, schedule=Schedule.LINEAR, warmup=1, learning_rate=1.0)
    whole = [linear_warmup_decay(step, 6, 1) for step in range(6)]
    assert learning_rates(config, [], 3) + learning_rates(config, [0.1], 3) == whole


def test_augmentation_ends_with_the_run() -> None:
    """The strength is constant for half of the run and almost 0 at the last step."""
    config = TrainConfig(epochs=2, augment_std=0.1)
    assert augment_strengths(config, 0, 4) + augment_strengths(config, 1, 4) == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])
    assert augment_strengths(TrainConfig(epochs=2), 1, 2) == [0, 0]
