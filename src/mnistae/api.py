"""The Python API: what the commands do, on arrays. `import mnistae` exports these names and imports them on first use.

Images are passed as (n, 28, 28), (n, 784) or a single (28, 28): uint8, or floats in [0, 1] with 0 = background, 1 = stroke.
They are returned as float32 (n, 28, 28). Expected errors are raised as MnistaeError.
"""

import dataclasses
import os
import warnings
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
from mnistae.data.images import arrays_io
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
    """A loaded checkpoint: its metadata and its network."""

    checkpoint: Checkpoint
    network: Network

    def encode(self, images: ArrayLike) -> Array:
        """Return the codes (n, bottleneck) of images; no value is negative."""
        return self.network.encode(_rows(images))

    def decode(self, codes: ArrayLike) -> Array:
        """Return the images (n, 28, 28) of codes (n, bottleneck). Raises DataError."""
        array = np.asarray(codes, np.float32)
        if array.ndim != 2 or array.shape[1] != self.network.config.bottleneck or not np.isfinite(array).all():
            expected = f"must be finite numbers of shape (n, {self.network.config.bottleneck})"
            raise DataError(f"invalid codes: an array of shape '{array.shape}'", hint=expected)
        return _to_images(self.network.decode(array))

    def reconstruct(self, images: ArrayLike) -> Reconstruction:
        """Encode and decode images: `originals` and `outputs` (n, 28, 28), and `metrics` of each pair."""
        found = inference.reconstruct(self.network, _rows(images))
        return dataclasses.replace(found, originals=_to_images(found.originals), outputs=_to_images(found.outputs))

    def denoise(self, images: ArrayLike, noise: str = Noise.UNIFORM, *, level: float | None = None, seed: int = 0) -> Denoising:
        """Add noise to images and remove it with the network: `originals`, `noisy` and `outputs` (n, 28, 28).

        `before` and `after` are the metrics of `noisy` and `outputs`. `noise` is uniform, gaussian, salt-pepper, mask, or none
        for images that are already noisy. Raises UsageError.
        """
        kind = _parse_enum(Noise, noise)
        strength = noises.check_level(kind, level)
        found = inference.denoise(self.network, _rows(images), kind=kind, level=strength, seed=noises.check_seed(seed))
        originals, noisy, outputs = map(_to_images, (found.originals, found.noisy, found.outputs))
        return dataclasses.replace(found, originals=originals, noisy=noisy, outputs=outputs)

    def interpolate(self, images: ArrayLike, *, steps: int = 8, slerp: bool = False) -> Array:
        """Return the frames (n, 28, 28) from each image to the next; a frame that two segments share occurs once.

        A segment has `steps` frames, endpoints included. Raises UsageError.
        """
        frames = inference.interpolate(self.network, _rows(images), steps=steps, slerp=slerp)
        return _to_images(inference.join_segments(frames))

    def __repr__(self) -> str:
        sizes = self.network.config
        return f"<{self.checkpoint.name or self.checkpoint.path}: 784-{sizes.hidden}-{sizes.bottleneck}-{sizes.hidden}-784>"


class Settings(TypedDict, total=False):
    """Settings of a run that override its recipe."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    precision: Precision
    raw: bool


def load(checkpoint: str | os.PathLike[str] | None = None, *, device: str | None = None) -> Model:
    """Return the model of a run by its name, of a .safetensors file by its path, or of the newest run.

    Without a `device` it computes with NumPy and does not import torch. Raises CheckpointError, DeviceError, UsageError.
    """
    if device is not None:
        devices.check_choice(device)  # before anything is read
    found = runs.load(str(Path(checkpoint).absolute()) if isinstance(checkpoint, os.PathLike) else checkpoint)
    return Model(found, backend.load_network(found.weights, device))


def read_dataset(reference: str = "mnist", split: str = Split.TRAIN, *, raw: bool = False) -> tuple[Bytes, Bytes]:
    """Return the images (n, 28, 28) and labels (n,) of a data set by name or path, as uint8; label 255 means unlabelled.

    A data set that is not installed is downloaded. `raw`: images of other sizes than 28x28 are not inverted.
    Raises DataError, UsageError.
    """
    parsed = _parse_enum(Split, split)
    dataset = resolve.open_dataset(reference, raw=raw)
    return dataset.images(parsed).reshape(-1, SIDE, SIDE), dataset.labels(parsed)


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
    """Train a network on images, or on a data set by name or path, and save it; yield a record of each epoch.

    The result is byte-identical to that of `mnistae train`. Training starts with the first record; breaking out of the loop
    keeps the last finished epoch. Afterwards `load(name)`, or `load()`, returns the model. Raises MnistaeError.
    """
    devices.check_choice(device)
    sizes = ModelConfig(hidden=hidden, bottleneck=bottleneck)
    dataset = resolve.absolute(images) if isinstance(images, str) else resolve.ARRAY
    config = dataclasses.replace(configs.recipe(recipe), dataset=dataset, **settings)
    data = resolve.open_dataset(dataset, raw=config.raw) if isinstance(images, str) else resolve.from_array(np.asarray(images))
    for note in data.notes if dataset == resolve.ARRAY else ():
        warnings.warn(note, stacklevel=2)
    run_name = names.check(name) if name is not None else names.default(sizes, config, dataset=data.name)
    return _train(run_name, sizes, config, data, device, force=force)


def _train(
    name: str, sizes: ModelConfig, config: TrainConfig, data: Dataset, device: str, *, force: bool
) -> Iterator[EpochRecord]:
    with runs.lock(name):
        runs.check_is_new(name, force=force, hint="replace it with force=True, or choose another name")
        from mnistae.training import run as training_run

        found, threads = training_run.prepare_device(device, config.precision), training_run.choose_threads()
        spec = training_run.RunSpec(name, sizes, config, data, found, threads)
        yield from training_run.Run(spec).epochs()


def _parse_enum(kind: type[T], value: str) -> T:
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"unknown {kind.__name__.lower()}: '{value}'", hint=f"choose one of: {', '.join(kind)}") from None


def _rows(images: ArrayLike) -> Array:
    found, notes = arrays_io.from_array(np.asarray(images), name="images")
    for note in notes:
        warnings.warn(note, stacklevel=3)
    return found.reshape(-1, PIXELS)


def _to_images(rows: Array) -> Array:
    return rows.reshape(-1, SIDE, SIDE)
