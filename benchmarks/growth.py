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


def main() -> None:
    """Train; the first epoch does not count."""
    times, width = int(sys.argv[1]), int(sys.argv[2])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    images = np.tile(resolve.open_dataset("mnist").images(Split.TRAIN), (times, 1))
    model, config = ModelConfig(hidden=392 * width), TrainConfig(epochs=EPOCHS)
    trainer = Trainer(images, model=model, config=config, device=torch.device("cpu"))
    ends = [time.perf_counter(), *(time.perf_counter() for _ in trainer.epochs())]
    seconds = np.diff(ends).tolist()
    mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"images": times, "width": width, "seconds": statistics.median(seconds[1:]), "mib": mib}))


if __name__ == "__main__":
    main()
