"""One run of a recipe on the real MNIST: `python quality.py RECIPE SEED [PRECISION] [DEVICE]` prints JSON.

Seconds are those of the loop alone, the measurements after each epoch not counted; `reached` is when the test MSE first was
that of the lab's own weights or better.
"""

import dataclasses
import json
import sys
import time

import numpy as np

from mnistae import config as configs
from mnistae import inference, metrics, noise
from mnistae.coder import Coder
from mnistae.config import ModelConfig, Precision
from mnistae.datasets import sources
from mnistae.datasets.dataset import Split, to_float
from mnistae.noise import LEVELS, Noise
from mnistae.records import count_living
from mnistae.training.loop import Trainer
from mnistae.training.session import use_device

BOUND = 0.021064
"""Test MSE of the lab's own weights."""


def main() -> int:
    """Train, and measure after each epoch."""
    recipe, seed, precision, device = [*sys.argv[1:], *("fp32", "cpu")[len(sys.argv) - 3 :]]
    config = dataclasses.replace(configs.recipe(recipe), seed=int(seed), precision=Precision(precision))
    used = use_device(device, config.precision)
    data = sources.open_dataset("mnist")
    images, test = data.images(Split.TRAIN), to_float(data.images(Split.TEST))
    given = noise.add(test, Noise.UNIFORM, level=LEVELS[Noise.UNIFORM], seed=0) if config.noise else test
    trainer = Trainer(images, model=ModelConfig(), config=config, device=used)
    seconds, reached = 0.0, None
    started = time.perf_counter()
    for epoch in trainer.epochs():
        seconds += time.perf_counter() - started
        if reached is None or epoch.number == config.epochs:
            error = mean_error(trainer, given, test)
            reached = seconds if reached is None and error <= BOUND else reached
        started = time.perf_counter()
    coder = Coder.from_weights(trainer.state().weights)
    alive = count_living(inference.unit_ranges(inference.encode_bytes(coder, images)))
    found = {
        "recipe": recipe,
        "seed": config.seed,
        "precision": precision,
        "device": device,
        "test_mse": error,
        "seconds": seconds,
    }
    print(
        json.dumps(
            {**found, "loss": trainer.history[-1].loss, "reached": reached, "living_units": alive, "epochs": config.epochs}
        )
    )
    return 0


def mean_error(trainer: Trainer, given: np.ndarray, wanted: np.ndarray) -> float:
    """Return the test MSE of the last finished epoch's weights."""
    return float(metrics.mse(wanted, Coder.from_weights(trainer.state().weights).reconstruct(given)).mean())


if __name__ == "__main__":
    sys.exit(main())
