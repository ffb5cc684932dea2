"""Other implementations of the lab's training, each in its own process: `python peers.py NAME EPOCHS [DEVICE]` prints JSON.

All of them train 784-392-8-392-784 with Adam at 1e-3 and batches of 2048 on the training images in MNISTAE_DATA_DIR,
and give the seconds of each epoch; the reader leaves the first out. A peer that is not installed ends with exit code 3.
"""

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

BATCH = 2048
DEVICE = sys.argv[3] if len(sys.argv) > 3 else "cpu"


def images() -> np.ndarray:
    """Return the training images (60000, 784) of bytes."""
    from mnistae.data.sets import resolve
    from mnistae.data.sets.dataset import Split

    return resolve.open_dataset(os.environ.get("BENCH_DATASET", "mnist")).images(Split.TRAIN)


def mnistae(epochs: int, precision: str = "fp32") -> Iterator[float]:
    """The training loop of mnistae."""
    import torch

    from mnistae.core.config import ModelConfig, Precision, TrainConfig
    from mnistae.training.loop import Trainer

    config = TrainConfig(epochs=epochs, precision=Precision(precision))
    torch.backends.cuda.matmul.allow_tf32 = config.precision is Precision.TF32
    trainer = Trainer(images(), model=ModelConfig(), config=config, device=torch.device(DEVICE))
    return between(trainer.epochs())


def between(records: Iterator[object]) -> Iterator[float]:
    """Yield the seconds between records."""
    started = time.perf_counter()
    for _ in records:
        now = time.perf_counter()
        yield now - started
        started = now


def network() -> "nn.Module":
    """Return the course's network."""
    from torch import nn

    linear = [nn.Linear(*sizes) for sizes in ((784, 392), (392, 8), (8, 392), (392, 784))]
    for layer in linear:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.constant_(layer.bias, 0.01)
    fc1, fc2, fc3, fc4 = linear
    return nn.Sequential(fc1, nn.ReLU(), fc2, nn.ReLU(), fc3, nn.ReLU(), fc4, nn.Sigmoid())


def write_raw(root: Path) -> None:
    """Write the training images in torchvision's layout; the labels' values are not used."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = images()
    sizes = b"".join(size.to_bytes(4, "big") for size in (len(pixels), 28, 28))
    for name in ("train", "t10k"):
        (raw / f"{name}-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + sizes + pixels.tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + sizes[:4] + bytes(len(pixels)))


def course(epochs: int, workers: int = 0) -> Iterator[float]:
    """The course notebook: MNIST, ToTensor, DataLoader, plain Adam."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    folder = tempfile.TemporaryDirectory()
    write_raw(Path(folder.name))
    data = datasets.MNIST(folder.name, train=True, transform=transforms.ToTensor())
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=workers)
    model = network().to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)

    def run() -> Iterator[float]:
        for _ in range(epochs):
            total = 0.0
            for batch, _ in loader:
                x = batch.view(len(batch), -1).to(DEVICE)
                loss = torch.nn.functional.mse_loss(model(x), x)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                total += loss.item()
            yield total / len(loader)

    return between(run())


def autograd(epochs: int, precision: str = "fp32") -> Iterator[float]:
    """A carefully written loop: bytes in memory on the device, autograd, fused Adam, no CUDA graph."""
    import torch
    from step import with_autograd

    from mnistae.core.config import Precision, TrainConfig

    pixels = torch.from_numpy(images().copy()).to(DEVICE)
    return between(itertools.islice(with_autograd(pixels, TrainConfig(precision=Precision(precision))), epochs))


def lightning(epochs: int) -> Iterator[float]:
    """Lightning's Trainer on float tensors in memory."""
    import logging
    import warnings

    import lightning as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    times: list[float] = []

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: list[torch.Tensor], _index: int) -> torch.Tensor:
            (x,) = batch
            return torch.nn.functional.mse_loss(self.model(x), x)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3, weight_decay=1e-5)

        def on_train_epoch_start(self) -> None:
            self.started = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            times.append(time.perf_counter() - self.started)

    data = TensorDataset(torch.from_numpy(images()).float() / 255)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if DEVICE.startswith("cuda") else "cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(data, batch_size=BATCH, shuffle=True))
    return iter(times)


def keras(epochs: int) -> Iterator[float]:
    """Keras 3 on its torch backend."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    x = images().astype(np.float32) / 255
    layers = keras.layers
    hidden = [layers.Dense(size, "relu") for size in (392, 8, 392)]
    model = keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(784, "sigmoid")])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return between(model.fit(x, x, batch_size=BATCH, epochs=1, verbose=0) for _ in range(epochs))


def sklearn(epochs: int) -> Iterator[float]:
    """scikit-learn's MLPRegressor; its output is linear."""
    from sklearn.neural_network import MLPRegressor

    x = images().astype(np.float32) / np.float32(255)
    model = MLPRegressor(hidden_layer_sizes=(392, 8, 392), solver="adam", batch_size=BATCH, learning_rate_init=1e-3, alpha=1e-5)
    return between(model.partial_fit(x, x) for _ in range(epochs))


PEERS: dict[str, Callable[[int], Iterator[float]]] = {
    "mnistae fp32": mnistae,
    "mnistae bf16": lambda epochs: mnistae(epochs, "bf16"),
    "mnistae tf32": lambda epochs: mnistae(epochs, "tf32"),
    "autograd fp32": autograd,
    "autograd bf16": lambda epochs: autograd(epochs, "bf16"),
    "course": course,
    "course, 2 workers": lambda epochs: course(epochs, 2),
    "Lightning": lightning,
    "Keras 3 (torch)": keras,
    "scikit-learn": sklearn,
}


def main() -> int:
    """Run one peer; print its seconds."""
    name, epochs = sys.argv[1], int(sys.argv[2])
    try:
        seconds = list(PEERS[name](epochs))
    except ImportError as error:
        print(json.dumps({"missing": error.name}))
        return 3
    print(json.dumps({"peer": name, "device": DEVICE, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
