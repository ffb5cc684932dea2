"""The Python interface: the commands' work, on arrays. `import mnistae` offers these names and imports them when they are used.

Images go in as (n, 28, 28), (n, 784) or a single (28, 28): uint8, or floats in [0, 1], 0 the ground and 1 the ink. They come
back as float32 (n, 28, 28). Expected failures are `mnistae.errors.MnistaeError`s.
"""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import ArrayLike

from mnistae.core import config as configs
from mnistae.core.arrays import Array, Bytes
from mnistae.core.config import PIXELS, SIDE, ModelConfig, Precision, TrainConfig
from mnistae.core.errors import DataError, UsageError
from mnistae.core.records import EpochRecord
from mnistae.data.images import decode
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model import backend
from mnistae.model import device as devices
from mnistae.model.backend import Network
from mnistae.store import names, runs
from mnistae.store.runs import Checkpoint
from mnistae.tasks import inference
from mnistae.tasks import noise as noises
from mnistae.tasks.inference import Denoising, Reconstruction
from mnistae.tasks.noise import Noise

T = TypeVar("T", bound=StrEnum)


@dataclass(frozen=True, repr=False)
class Model:
    """A checkpoint ready for use: what is known of it, and its encoder and decoder on whatever computes."""

    checkpoint: Checkpoint
    network: Network

    def encode(self, images: ArrayLike) -> Array:
        """Return the codes (n, bottleneck), each 0 or above, of images."""
        return self.network.encode(_rows(images))

    def decode(self, codes: ArrayLike) -> Array:
        """Return the images (n, 28, 28) of codes (n, bottleneck). Raises DataError."""
        array = np.asarray(codes, np.float32)
        if array.ndim != 2 or array.shape[1] != self.network.config.bottleneck or not np.isfinite(array).all():
            wanted = f"give finite numbers of shape (n, {self.network.config.bottleneck})"
            raise DataError(f"not codes of this network: an array of shape '{array.shape}'", hint=wanted)
        return _pictures(self.network.decode(array))

    def reconstruct(self, images: ArrayLike) -> Reconstruction:
        """Encode and decode images: `originals` and `outputs` (n, 28, 28), and `measures` of each pair."""
        found = inference.reconstruct(self.network, _rows(images))
        return dataclasses.replace(found, originals=_pictures(found.originals), outputs=_pictures(found.outputs))

    def denoise(self, images: ArrayLike, noise: str = Noise.UNIFORM, *, level: float | None = None, seed: int = 0) -> Denoising:
        """Add noise to images and let the network take it out: `originals`, `noisy` and `outputs` (n, 28, 28).

        `before` and `after` measure the latter two against the first. `noise` is uniform, gaussian, salt-pepper, mask, or
        none for images that are noisy already. Raises UsageError.
        """
        kind = _parse_enum(Noise, noise)
        strength = noises.check_level(kind, level)
        found = inference.denoise(self.network, _rows(images), kind=kind, level=strength, seed=noises.check_seed(seed))
        originals, noisy, outputs = map(_pictures, (found.originals, found.noisy, found.outputs))
        return dataclasses.replace(found, originals=originals, noisy=noisy, outputs=outputs)

    def interpolate(self, images: ArrayLike, *, steps: int = 8, slerp: bool = False) -> Array:
        """Return the frames (n, 28, 28) from each image to the next, one that two legs share only once.

        A leg has `steps` frames, both ends among them. Raises UsageError.
        """
        frames = inference.interpolate(self.network, _rows(images), steps=steps, slerp=slerp)
        return _pictures(inference.join_segments(frames))

    def __repr__(self) -> str:
        sizes = self.network.config
        return f"<{self.checkpoint.name or self.checkpoint.path}: 784-{sizes.hidden}-{sizes.bottleneck}-{sizes.hidden}-784>"


class Settings(TypedDict, total=False):
    """Settings of a run that may differ from its recipe's."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    precision: Precision


def load(checkpoint: str | os.PathLike[str] | None = None, *, device: str | None = None) -> Model:
    """Return the model of a run in the store by its name, of a .safetensors file by its path, or of the newest run.

    Without a `device` NumPy computes, which needs no torch. Raises CheckpointError, DeviceError, UsageError.
    """
    if device is not None:
        devices.check_choice(device)  # before anything is read: it costs nothing
    found = runs.load(str(Path(checkpoint).absolute()) if isinstance(checkpoint, os.PathLike) else checkpoint)
    return Model(found, backend.load_network(found.weights, device))


def read_dataset(reference: str = "mnist", split: str = Split.TRAIN) -> tuple[Bytes, Bytes]:
    """Return the images (n, 28, 28) and the labels (n,) of a data set by name or path, as bytes; 255 is no label.

    A data set that is not here is downloaded. Raises DataError, UsageError.
    """
    half = _parse_enum(Split, split)
    found = resolve.open_dataset(reference)
    return found.images(half).reshape(-1, SIDE, SIDE), found.labels(half)


def train(
    images: ArrayLike | str,
    *,
    recipe: str = "lab",
    hidden: int = 392,
    bottleneck: int = 8,
    device: str = "auto",
    name: str | None = None,
    force: bool = False,
    **settings: Unpack[Settings],
) -> Iterator[EpochRecord]:
    """Train a network on images, or on a data set by name or path, and keep it in the store; yield a record of each epoch.

    It is the run of `mnistae train` with these options, to the byte. It begins when the first record is asked for; whoever
    stops asking keeps the last finished epoch. Then `load(name)`, or `load()`, is its model. Raises MnistaeError.
    """
    devices.check_choice(device)
    sizes = ModelConfig(hidden=hidden, bottleneck=bottleneck)
    dataset = resolve.absolute(images) if isinstance(images, str) else resolve.ARRAY
    config = dataclasses.replace(configs.recipe(recipe), dataset=dataset, **settings)
    data = resolve.open_dataset(dataset) if isinstance(images, str) else resolve.from_array(np.asarray(images))
    run_name = names.check(name) if name is not None else names.default(sizes, config, dataset=data.name)
    return _train(run_name, sizes, config, data, device, force=force)


def _train(
    name: str, sizes: ModelConfig, config: TrainConfig, data: Dataset, device: str, *, force: bool
) -> Iterator[EpochRecord]:
    with runs.lock(name):
        runs.check_is_new(name, force=force, hint="replace it with force=True, or choose another name")
        from mnistae.training import run as training_run

        spec = training_run.RunSpec(name, sizes, config, data, training_run.prepare_device(device, config.precision))
        yield from training_run.Run(spec).epochs()


def _parse_enum(kind: type[T], value: str) -> T:
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"unknown {kind.__name__.lower()}: '{value}'", hint=f"choose one of: {', '.join(kind)}") from None


def _rows(images: ArrayLike) -> Array:
    return decode.from_array(np.asarray(images), name="images").reshape(-1, PIXELS)


def _pictures(rows: Array) -> Array:
    return rows.reshape(-1, SIDE, SIDE)
