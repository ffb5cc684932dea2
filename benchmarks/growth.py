"""Scaling of training: `python growth.py IMAGES WIDTH` multiplies the number of images and of hidden units.

Prints JSON: the median seconds of an epoch, and the peak memory above that of `import torch`, in MiB.
"""

import json
import resource
import statistics
import sys
import time

import numpy as np
import torch

from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Split
from mnistae.training.loop import Trainer

EPOCHS = 4


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Train; the first epoch does not count."""
    times, width = int(sys.argv[1]), int(sys.argv[2])
    before = peak()
    images = np.tile(resolve.open_dataset("mnist").images(Split.TRAIN), (times, 1))
    model, config = ModelConfig(hidden=392 * width), TrainConfig(epochs=EPOCHS)
    trainer = Trainer(images, model=model, config=config, device=torch.device("cpu"))
    seconds = []
    started = time.perf_counter()
    for _ in trainer.epochs():
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    found = {"images": times, "width": width, "seconds": statistics.median(seconds[1:]), "mib": peak() - before}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
