"""The training loop against a plain PyTorch loop, and resumed runs against whole ones."""

import dataclasses
import itertools
import os
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mnistae.core import seeds
from mnistae.core.config import ModelConfig, Optimizer, Precision, Schedule, TrainConfig
from mnistae.core.errors import DivergedError
from mnistae.core.records import TrainingState
from mnistae.model.network import Autoencoder, initialise
from mnistae.training.loop import Trainer
from tests.support.saved_runs import assert_same

DEVICE = torch.device(os.environ.get("MNISTAE_TEST_DEVICE", "cpu"))
"""The device of the loop. The reference runs on the CPU."""

SIZES = ModelConfig(hidden=64, bottleneck=4)
CONFIG = TrainConfig(epochs=4, batch_size=256)


@pytest.fixture(scope="module")
def images(digits: dict[str, np.ndarray]) -> np.ndarray:
    """The tiny training images (600, 784): two batches of 256 and a rest of 88."""
    return digits["train_images"].reshape(-1, 784)


def trainer(images: np.ndarray, *, state: TrainingState | None = None, **changes: Any) -> Trainer:
    """Return a trainer with some settings changed."""
    config = dataclasses.replace(CONFIG, **changes)
    return Trainer(images, model=SIZES, config=config, device=DEVICE, state=state)


def trained(images: np.ndarray, **changes: Any) -> Trainer:
    """Return a trainer after its last epoch."""
    run = trainer(images, **changes)
    list(run.epochs())
    return run


@pytest.fixture(scope="module")
def plain(images: np.ndarray) -> Trainer:
    """A trainer with the lab's settings after its last epoch."""
    return trained(images)


def reference(images: np.ndarray, config: TrainConfig) -> tuple[list[float], list[float]]:
    """Train with autograd, PyTorch's optimizer and its scheduler; return losses and learning rates."""
    model = Autoencoder(SIZES)
    initialise(model, seed=config.seed)
    kind = torch.optim.AdamW if config.optimizer is Optimizer.ADAMW else torch.optim.Adam
    betas = (config.beta1, config.beta2)
    optimizer = kind(model.parameters(), lr=config.learning_rate, betas=betas, weight_decay=config.weight_decay)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min")
    data = torch.from_numpy(images.copy()).float() / 255
    losses, rates = [], []
    for epoch in range(1, config.epochs + 1):
        generator = torch.Generator().manual_seed(seeds.derive(config.seed, "shuffle", epoch))
        batch_losses = []
        for rows in torch.split(torch.randperm(len(data), generator=generator), config.batch_size):
            x = data[rows]
            loss = functional.mse_loss(model(x), x)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            batch_losses.append(loss.item())
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(sum(batch_losses) / len(batch_losses))
        scheduler.step(losses[-1])
    return losses, rates


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 1},
        {"epochs": 30, "weight_decay": 1.0},
        {"beta1": 0.8, "beta2": 0.97, "optimizer": Optimizer.ADAMW, "weight_decay": 3.0},
    ],
    ids=str,
)
def test_losses_and_rates_are_those_of_a_plain_loop(images: np.ndarray, changes: dict[str, Any]) -> None:
    """Epoch losses agree with a plain PyTorch loop to 1e-6, learning rates exactly, also after a plateau.

    The seed is that of the settings, also for the noise.
    """
    run = trained(images, **changes)
    losses, rates = reference(images, run.config)
    assert [epoch.loss for epoch in run.history] == pytest.approx(losses, abs=1e-6)
    assert [epoch.learning_rate for epoch in run.history] == rates
    assert run._generator.initial_seed() == seeds.derive(run.config.seed, "noise", run.config.epochs)
    if run.config.epochs == 30:
        assert len(set(rates)) > 1  # the plateau was reached


VARIANTS = [
    {"schedule": Schedule.LINEAR, "warmup": 4},
    {"beta1": 0.8},
    {"beta2": 0.95},
    {"bottleneck_bias": 0.5},
    {"output_bias": -2.0},
    {"noise": 0.625},
    {"augment_std": 0.05},
    {"augment_std": 0.05, "noise": 0.1},
    {"optimizer": Optimizer.ADAMW, "weight_decay": 0.1},
    {"precision": Precision.BF16},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_variant_resumes_exactly(images: np.ndarray, plain: Trainer, changes: dict[str, Any]) -> None:
    """Each setting changes the run, and a run stopped after two epochs resumes to the same bits."""
    whole, begun = trained(images, **changes), trainer(images, **changes)
    assert [epoch.number for epoch in itertools.islice(begun.epochs(), 2)] == [1, 2]
    assert_same(trained(images, state=begun.state(), **changes).state(), whole.state())
    assert whole.history != plain.history


def test_noise_is_on_the_inputs_alone(images: np.ndarray) -> None:
    """With noise the inputs are noisy and the targets clean; without it there is one buffer."""
    noisy = trainer(images, noise=0.625)
    inputs, targets = (tensor.cpu() for tensor in noisy._prepare_batch(torch.arange(100, device=DEVICE), 0))
    clean = torch.from_numpy(images[:100].copy())
    assert torch.equal(targets, clean.float())
    assert ((inputs >= 0) & (inputs <= 255)).all()
    dark = inputs[clean == 0] / 255
    assert dark.max() == pytest.approx(0.625, abs=1e-3)
    assert (dark == 0).float().mean() == pytest.approx(0.5, abs=0.01)
    same, also = trainer(images)._prepare_batch(torch.arange(100, device=DEVICE), 0)
    assert same is also


@pytest.mark.parametrize("stop_at", [0, 4])
def test_stop_discards_the_unfinished_epoch(images: np.ndarray, plain: Trainer, stop_at: int) -> None:
    """A run stopped before any step keeps the state after its last whole epoch and resumes from there exactly."""
    asked = iter(range(1000))
    stopped = trainer(images)
    done = list(stopped.epochs(lambda: next(asked) == stop_at))

    assert len(done) == stop_at // 3  # three batches an epoch
    assert_same(trained(images, state=stopped.state()).state(), plain.state())


def test_divergence_leaves_the_last_good_state(images: np.ndarray) -> None:
    """A loss or weight that is not finite ends the run with an error; the previous state is kept."""
    run = trainer(images, epochs=50)
    epochs = run.epochs()
    next(epochs)
    with torch.no_grad():
        run.model.fc4.weight[0, 0] = float("nan")

    with pytest.raises(DivergedError, match="epoch 2"):
        next(epochs)
    state = run.state()
    assert len(state.history) == 1
    assert all(np.isfinite(array).all() for array in state.weights.values())
