"""One run of a recipe on MNIST: `python quality.py RECIPE SEED [PRECISION] [DEVICE]` prints JSON.

Seconds are those of the loop alone, the measurements after each epoch not counted; `reached` is when the test MSE first was
that of the lab's own weights or better.
"""

import dataclasses
import json
import sys
import time

from mnistae.core import config as configs
from mnistae.core.arrays import to_float
from mnistae.core.config import ModelConfig, Precision
from mnistae.core.records import count_active
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Split
from mnistae.metrics import quality
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.tasks import inference, noise
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise
from mnistae.training.loop import Trainer
from mnistae.training.run import prepare_device

BOUND = 0.021064
"""Test MSE of the lab's own weights."""


def main() -> None:
    """Train, and measure after each epoch."""
    recipe, seed, precision, device = [*sys.argv[1:], *("fp32", "cpu")[len(sys.argv) - 3 :]]
    config = dataclasses.replace(configs.recipe(recipe), seed=int(seed), precision=Precision(precision))
    used = prepare_device(device, config.precision)
    data = resolve.open_dataset("mnist")
    images, test = data.images(Split.TRAIN), to_float(data.images(Split.TEST))
    given = noise.add(test, Noise.UNIFORM, level=DEFAULT_LEVELS[Noise.UNIFORM], seed=0) if config.noise else test
    trainer = Trainer(images, model=ModelConfig(), config=config, device=used)
    seconds, reached = 0.0, None
    started = time.perf_counter()
    for epoch in trainer.epochs():
        seconds += time.perf_counter() - started
        if reached is None or epoch.number == config.epochs:
            network = NumpyNetwork.from_weights(trainer.state().weights)
            error = float(quality.mse(test, network.reconstruct(given)).mean())
            reached = seconds if reached is None and error <= BOUND else reached
        started = time.perf_counter()
    alive = count_active(inference.unit_ranges(inference.encode_uint8(network, images)))
    settings = {"recipe": recipe, "seed": config.seed, "precision": precision, "device": device, "epochs": config.epochs}
    found = {"test_mse": error, "seconds": seconds, "loss": epoch.loss, "reached": reached, "active_units": alive}
    print(json.dumps({**settings, **found}))


if __name__ == "__main__":
    main()
