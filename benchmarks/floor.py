"""The floor of a training step: its five large matrix products alone, and the whole step beside them, in turns.

`python floor.py [PRECISION]` prints JSON: milliseconds of the products, of the step, and of the parts of the step.
"""

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from mnistae.config import ModelConfig, Precision, TrainConfig
from mnistae.training.loop import Trainer

BATCH, HIDDEN, PIXELS = 2048, 392, 784
ROUNDS = 60


def products(dtype: torch.dtype) -> Callable[[], None]:
    """Return the forward products of fc1 and fc4, their weight gradients and fc4's input gradient, on fixed arrays."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator).to(dtype)

    x, h, d4, d1 = draw(BATCH, PIXELS), draw(BATCH, HIDDEN), draw(BATCH, PIXELS), draw(BATCH, HIDDEN)
    w1, w4 = draw(HIDDEN, PIXELS), draw(PIXELS, HIDDEN)
    outs = [
        torch.empty(*shape, dtype=dtype) for shape in ((BATCH, HIDDEN), (BATCH, PIXELS), (HIDDEN, PIXELS), (PIXELS, HIDDEN))
    ]
    d3 = torch.empty(BATCH, HIDDEN, dtype=dtype)

    def run() -> None:
        torch.mm(x, w1.t(), out=outs[0])
        torch.mm(h, w4.t(), out=outs[1])
        torch.mm(d1.t(), x, out=outs[2])
        torch.mm(d4.t(), h, out=outs[3])
        torch.mm(d4, w4, out=d3)

    return run


def main() -> int:
    """Measure in turns, so that both meet the same machine. The benchmark looks inside the loop on purpose."""
    precision = Precision(sys.argv[1] if len(sys.argv) > 1 else "fp32")
    images = np.random.default_rng(0).integers(0, 256, (60_000, PIXELS), dtype=np.uint8)
    trainer = Trainer(images, model=ModelConfig(), config=TrainConfig(precision=precision), device=torch.device("cpu"))
    order = torch.randperm(len(images))
    bare = products(torch.bfloat16 if precision is Precision.BF16 else torch.float32)
    parts: dict[str, list[float]] = {"products": [], "load": [], "gradients": [], "optimizer": []}

    def timed(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        parts[name].append(1e3 * (time.perf_counter() - started))

    for k in range(ROUNDS):
        rows = order[k % 29 * BATCH :][:BATCH]
        timed("products", bare)
        timed("load", functools.partial(trainer._load, rows, 0))
        inputs, targets = trainer._load(rows, 0)
        timed("gradients", functools.partial(trainer._step, inputs, targets))
        timed("optimizer", lambda: trainer._adam.step(1e-3))
    medians = {name: statistics.median(values[5:]) for name, values in parts.items()}
    step = medians["load"] + medians["gradients"] + medians["optimizer"]
    print(json.dumps({"precision": precision.value, **medians, "step": step, "rate": medians["products"] / step}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
