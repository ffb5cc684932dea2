"""Lower bound of a training step: its five large matrix products alone, compared with the whole step in alternating rounds.

`python floor.py [PRECISION] [DEVICE]` prints JSON: milliseconds of the products, of the step, and of the parts of the step.
"""

import itertools
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
    shapes = [(BATCH, PIXELS), (BATCH, HIDDEN), (BATCH, PIXELS), (BATCH, HIDDEN), (HIDDEN, PIXELS), (PIXELS, HIDDEN)]
    x, h, d4, d1, w1, w4 = (torch.rand(shape, generator=generator).to(device, dtype) for shape in shapes)
    outs = [torch.empty_like(like) for like in (h, x, w1, w4, h)]

    def run() -> None:
        torch.mm(x, w1.t(), out=outs[0])
        torch.mm(h, w4.t(), out=outs[1])
        torch.mm(d1.t(), x, out=outs[2])
        torch.mm(d4.t(), h, out=outs[3])
        torch.mm(d4, w4, out=outs[4])

    return run


def parts_on_gpu(trainer: Trainer, bare: Callable[[], None]) -> dict[str, Callable[[], object]]:
    """Return the products as a CUDA graph, without gaps between the kernels, the replayed step, and the step by kernels."""
    rows = torch.randperm(len(trainer._images))[:BATCH].to(trainer._images.device)
    bare()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        bare()

    def replay(_held: Callable[[], None] = bare) -> None:  # the graph uses the memory that `bare` holds
        graph.replay()

    return {
        "products": replay,
        "step": lambda: trainer._train_step(rows, 1e-3, 0.0),
        "kernel by kernel": lambda: trainer._step_once(rows, 1e-3, 0.0),
    }


def parts_on_cpu(trainer: Trainer, bare: Callable[[], None]) -> dict[str, Callable[[], object]]:
    """Return the products and the parts of a step."""
    batches = itertools.cycle(torch.split(torch.randperm(len(trainer._images)), BATCH)[:-1])
    loaded: list[torch.Tensor] = []

    def load() -> None:
        loaded[:] = trainer._prepare_batch(next(batches), 0)

    return {
        "products": bare,
        "load": load,
        "gradients": lambda: trainer._step(*loaded),
        "optimizer": lambda: trainer._adam.step(1e-3),
    }


def main() -> None:
    """Measure in alternating rounds, so that both run under the same load. Uses internals of the loop on purpose."""
    precision, name = [*sys.argv[1:], *("fp32", "cpu")[len(sys.argv) - 1 :]]
    config = TrainConfig(precision=Precision(precision))
    device = prepare_device(name, config.precision)
    images = np.random.default_rng(0).integers(0, 256, (60_000, PIXELS), dtype=np.uint8)
    trainer = Trainer(images, model=ModelConfig(), config=config, device=device)
    bare = products(torch.bfloat16 if config.precision is Precision.BF16 else torch.float32, device)
    is_cpu = device.type == "cpu"
    parts, repeats = (parts_on_cpu(trainer, bare), 1) if is_cpu else (parts_on_gpu(trainer, bare), 20)
    wait: Callable[[], object] = (lambda: None) if is_cpu else torch.cuda.synchronize
    times: dict[str, list[float]] = {part: [] for part in parts}
    for _ in range(ROUNDS):
        for part, work in parts.items():
            wait()
            started = time.perf_counter()
            for _ in range(repeats):
                work()
            wait()
            times[part].append(1e3 / repeats * (time.perf_counter() - started))
    found = {part: statistics.median(values[5:]) for part, values in times.items()}
    found.setdefault("step", sum(found.values()) - found["products"])
    print(json.dumps({"precision": precision, "device": name, **found, "rate": found["products"] / found["step"]}))


if __name__ == "__main__":
    main()
