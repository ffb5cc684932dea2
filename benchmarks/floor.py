"""Lower bound of a training step: its five large matrix products alone, compared with the whole step in alternating rounds.

`python floor.py [PRECISION] [DEVICE]` prints JSON: milliseconds of the products, of the step, and of the parts of the step.
"""

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from mnistae.core.config import ModelConfig, Precision, TrainConfig
from mnistae.training.loop import Trainer
from mnistae.training.run import prepare_device

BATCH, HIDDEN, PIXELS = 2048, 392, 784
ROUNDS = 60


def products(dtype: torch.dtype, device: torch.device) -> Callable[[], None]:
    """Return the forward products of fc1 and fc4, their weight gradients and fc4's input gradient, on fixed arrays."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator).to(device, dtype)

    x, h, d4, d1 = draw(BATCH, PIXELS), draw(BATCH, HIDDEN), draw(BATCH, PIXELS), draw(BATCH, HIDDEN)
    w1, w4 = draw(HIDDEN, PIXELS), draw(PIXELS, HIDDEN)
    outs = [
        torch.empty(*shape, dtype=dtype, device=device)
        for shape in ((BATCH, HIDDEN), (BATCH, PIXELS), (HIDDEN, PIXELS), (PIXELS, HIDDEN))
    ]
    d3 = torch.empty(BATCH, HIDDEN, dtype=dtype, device=device)

    def run() -> None:
        torch.mm(x, w1.t(), out=outs[0])
        torch.mm(h, w4.t(), out=outs[1])
        torch.mm(d1.t(), x, out=outs[2])
        torch.mm(d4.t(), h, out=outs[3])
        torch.mm(d4, w4, out=d3)

    return run


def captured(work: Callable[[], object]) -> Callable[[], object]:
    """Return a function that replays work captured as a CUDA graph, without gaps between its kernels."""
    work()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()

    def replay(_held: Callable[[], object] = work) -> None:  # the graph uses the memory that `work` holds
        graph.replay()

    return replay


def main() -> int:
    """Measure in alternating rounds, so that both run under the same load. Uses internals of the loop on purpose."""
    precision, device = [*sys.argv[1:], *("fp32", "cpu")[len(sys.argv) - 1 :]]
    found = measure_gpu(Precision(precision), device) if device != "cpu" else measure_cpu(Precision(precision))
    print(json.dumps({"precision": precision, "device": device, **found, "rate": found["products"] / found["step"]}))
    return 0


def measure_gpu(precision: Precision, name: str) -> dict[str, float]:
    """Return milliseconds of GPU time for the products, for a replayed step and for a step launched kernel by kernel."""
    device = prepare_device(name, precision)
    images = np.random.default_rng(0).integers(0, 256, (60_000, PIXELS), dtype=np.uint8)
    trainer = Trainer(images, model=ModelConfig(), config=TrainConfig(precision=precision), device=device)
    rows = torch.randperm(len(images))[:BATCH].to(device)
    bare = captured(products(torch.bfloat16 if precision is Precision.BF16 else torch.float32, device))
    parts: dict[str, Callable[[], object]] = {
        "products": bare,
        "step": lambda: trainer._train_step(rows, 1e-3, 0.0),
        "kernel by kernel": lambda: trainer._step_once(rows, 1e-3, 0.0),
    }
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    for _ in range(ROUNDS):
        for part, work in parts.items():
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(20):
                work()
            torch.cuda.synchronize()
            seconds[part].append(50 * (time.perf_counter() - started))
    return {part: statistics.median(values[5:]) for part, values in seconds.items()}


def measure_cpu(precision: Precision) -> dict[str, float]:
    """Return milliseconds of the products, of a step and of its parts."""
    images = np.random.default_rng(0).integers(0, 256, (60_000, PIXELS), dtype=np.uint8)
    trainer = Trainer(images, model=ModelConfig(), config=TrainConfig(precision=precision), device=torch.device("cpu"))
    order = torch.randperm(len(images))
    bare = products(torch.bfloat16 if precision is Precision.BF16 else torch.float32, torch.device("cpu"))
    parts: dict[str, list[float]] = {"products": [], "load": [], "gradients": [], "optimizer": []}

    def timed(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        parts[name].append(1e3 * (time.perf_counter() - started))

    for k in range(ROUNDS):
        rows = order[k % 29 * BATCH :][:BATCH]
        timed("products", bare)
        timed("load", functools.partial(trainer._prepare_batch, rows, 0))
        inputs, targets = trainer._prepare_batch(rows, 0)
        timed("gradients", functools.partial(trainer._step, inputs, targets))
        timed("optimizer", lambda: trainer._adam.step(1e-3))
    medians = {name: statistics.median(values[5:]) for name, values in parts.items()}
    return {**medians, "step": medians["load"] + medians["gradients"] + medians["optimizer"]}


if __name__ == "__main__":
    sys.exit(main())
