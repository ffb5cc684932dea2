"""Learning rates as functions of the losses."""

import random

import pytest
import torch

from mnistae.core.config import Schedule, TrainConfig
from mnistae.training.schedules import augment_strengths, learning_rates, plateau


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


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        (3, [0.25, 0.5, 0.75, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]),
        (11, [step / 12 for step in range(1, 11)]),  # a run shorter than its warm-up
    ],
)
def test_rates_of_an_epoch(warmup: int, expected: list[float]) -> None:
    """Linear rises during the warm-up and falls to almost 0, from epoch to epoch; plateau gives a whole epoch one rate."""
    config = TrainConfig(epochs=2, schedule=Schedule.LINEAR, warmup=warmup, learning_rate=0.5)
    rates = learning_rates(config, [], 5) + learning_rates(config, [0.1], 5)
    assert rates == pytest.approx([0.5 * multiplier for multiplier in expected])
    assert learning_rates(TrainConfig(), [0.1], 3) == [1e-3] * 3


def test_augmentation_ends_with_the_run() -> None:
    """The strength is constant for half of the run and almost 0 at the last step."""
    config = TrainConfig(epochs=2, augment_std=0.1)
    assert augment_strengths(config, 0, 4) + augment_strengths(config, 1, 4) == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])
    assert augment_strengths(TrainConfig(epochs=2), 1, 2) == [0, 0]
