"""Speed of the hand-written step against autograd, in alternating epochs: `python step.py [DEVICE]` prints a table.

The other way is what a good engineer writes first: the same bytes in memory, in-place activations, `torch.autocast` for bf16,
autograd and `torch.optim.Adam(fused=True)`. Both meet the same machine in the same minute, so the ratio can be trusted.
"""

import statistics
import sys
import time
from collections.abc import Iterator

import torch
from torch.nn.functional import mse_loss

from mnistae.core.config import ModelConfig, Precision, TrainConfig
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Split
from mnistae.model.network import Autoencoder, initialise
from mnistae.training.loop import Trainer
from mnistae.training.run import prepare_device

CASES = (
    (2048, Precision.FP32, 60_000),
    (2048, Precision.BF16, 60_000),
    (192, Precision.FP32, 12_000),
    (32, Precision.FP32, 6_000),
)
"""Batch size, precision, and images in an epoch: a fraction of a second each."""

ROUNDS = 15


def with_autograd(pixels: torch.Tensor, config: TrainConfig) -> Iterator[float]:
    """Train with autograd and yield each epoch's loss."""
    model = Autoencoder(ModelConfig())
    initialise(model, seed=config.seed)
    model.to(pixels.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    is_half = config.precision is Precision.BF16
    while True:
        losses = []
        for rows in torch.split(torch.randperm(len(pixels)).to(pixels.device), config.batch_size):
            x = pixels.index_select(0, rows).float().div_(255)
            with torch.autocast(pixels.device.type, torch.bfloat16, enabled=is_half):
                h = model.fc3(model.fc2(model.fc1(x).relu_()).relu_()).relu_()
                y = model.fc4(h).sigmoid_()
            loss = mse_loss(y.float(), x)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.detach())
        yield float(torch.stack(losses).double().mean())


def main() -> None:
    """Measure in alternating rounds and print one row per case."""
    name = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    images = resolve.open_dataset("mnist").images(Split.TRAIN)
    print("| batch | precision | hand-written, ms a step | autograd, ms a step | speed of autograd |\n|---|---|---|---|---|")
    for batch, precision, count in CASES:
        device = prepare_device(name, precision)
        config = TrainConfig(epochs=10_000, batch_size=batch, precision=precision)
        ours = Trainer(images[:count], model=ModelConfig(), config=config, device=device).epochs()
        theirs = with_autograd(torch.from_numpy(images[:count].copy()).to(device), config)
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for way, epochs in zip(seconds, (ours, theirs), strict=True):
                started = time.perf_counter()
                next(epochs)
                way.append((time.perf_counter() - started) / -(-count // batch) * 1e3)
        mine, other = (statistics.median(way[2:]) for way in seconds)
        print(f"| {batch} | {precision} | {mine:.3f} | {other:.3f} | {mine / other:.2f} |", flush=True)


if __name__ == "__main__":
    main()
