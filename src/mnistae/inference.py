"""What a trained network does with images: reconstruct, denoise, interpolate, traverse. Arrays in, arrays and measures out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mnistae import device as devices
from mnistae import metrics
from mnistae import noise as noises
from mnistae.coder import Coder
from mnistae.config import ModelConfig
from mnistae.datasets.dataset import to_float
from mnistae.errors import UsageError
from mnistae.noise import Noise
from mnistae.records import UnitRange, Weights

if TYPE_CHECKING:
    import torch

    from mnistae.model import Autoencoder

Array = NDArray[np.float32]
Vector = NDArray[np.float64]


class Codec(Protocol):
    """An encoder and its decoder, on whatever computes: images (B, 784) in [0, 1], codes (B, bottleneck)."""

    @property
    def config(self) -> ModelConfig:
        """The network's sizes."""

    def encode(self, images: Array) -> Array:
        """Return the codes of images."""

    def decode(self, codes: Array) -> Array:
        """Return the images of codes."""

    def reconstruct(self, images: Array) -> Array:
        """Return the decoded codes of images."""


class TorchCodec:
    """The codec on a torch device, for those who ask for one."""

    def __init__(self, model: "Autoencoder", device: "torch.device") -> None:
        self.config = model.config
        self._model = model.to(device)
        self._device = device

    def encode(self, images: Array) -> Array:
        """Return the codes of images."""
        return self._back(self._model.encode(self._there(images)))

    def decode(self, codes: Array) -> Array:
        """Return the images of codes."""
        return self._back(self._model.decode(self._there(codes)))

    def reconstruct(self, images: Array) -> Array:
        """Return the decoded codes of images."""
        return self._back(self._model(self._there(images)))

    def _there(self, array: Array) -> "torch.Tensor":
        import torch

        return torch.from_numpy(np.array(array)).to(self._device)

    def _back(self, tensor: "torch.Tensor") -> Array:
        array: Array = tensor.detach().cpu().numpy()
        return array


def open_codec(weights: Weights, device: str | None) -> Codec:
    """Return the codec of these weights: NumPy's if no device was asked for, else torch's on that. Raises DeviceError.

    NumPy computes as fast as torch on a CPU, and the seconds of importing torch are saved.
    """
    coder = Coder.from_weights(weights)
    if device is None:
        return coder
    resolved = devices.resolve(device)
    import torch

    from mnistae.model import Autoencoder

    model = Autoencoder(coder.config)
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return TorchCodec(model, resolved)


@dataclass(frozen=True)
class Measures:
    """How close images are to their originals, one number an image each: (B,)."""

    mse: Vector
    psnr: Vector
    ssim: Vector


@dataclass(frozen=True)
class Reconstruction:
    """Images (B, 784), what the network makes of them, and how close that is."""

    originals: Array
    outputs: Array
    measures: Measures


@dataclass(frozen=True)
class Denoising:
    """Images (B, 784) clean, noisy and denoised, and how close the latter two are to the first."""

    originals: Array
    noisy: Array
    outputs: Array
    before: Measures
    after: Measures


@dataclass(frozen=True)
class Traversal:
    """The code (bottleneck,) of an image, and for each of U units its values (U, steps) and the frames (U, steps, 784)."""

    units: tuple[int, ...]
    code: Array
    values: Array
    frames: Array


def measure(originals: Array, outputs: Array) -> Measures:
    """Return MSE, PSNR and SSIM of each pair of images (B, 784)."""
    errors = metrics.mse(originals, outputs)
    return Measures(errors, metrics.psnr(errors), metrics.ssim(originals, outputs))


def reconstruct(codec: Codec, images: Array) -> Reconstruction:
    """Encode and decode images (B, 784)."""
    outputs = codec.reconstruct(images)
    return Reconstruction(images, outputs, measure(images, outputs))


def denoise(codec: Codec, images: Array, *, kind: Noise, level: float, seed: int) -> Denoising:
    """Add noise to images (B, 784), then encode and decode them; with Noise.NONE they are taken to be noisy already."""
    noisy = noises.add(images, kind, level=level, seed=seed)
    outputs = codec.reconstruct(noisy)
    return Denoising(images, noisy, outputs, measure(images, noisy), measure(images, outputs))


def interpolate(codec: Codec, images: Array, *, steps: int, spherical: bool = False) -> Array:
    """Return frames (K - 1, steps, 784) from each of K images (K, 784) to the next. Raises UsageError if K or steps is below 2.

    The frames are decoded at evenly spaced points between two codes, both ends among them: on the straight line, or with
    `spherical` on the arc of a great circle (Shoemake, 1985).
    """
    check_stations(len(images))
    if steps < 2:
        raise UsageError(f"steps is '{steps}'", hint="give a whole number from 2: both ends count")
    codes = codec.encode(images)
    between = arc if spherical else line
    legs = [between(start, end, steps) for start, end in itertools.pairwise(codes)]  # each (steps, bottleneck)
    frames = codec.decode(np.concatenate(legs))
    return frames.reshape(len(legs), steps, images.shape[1])


def check_stations(count: int) -> None:
    """Raise UsageError if there are too few images to go from one to the next."""
    if count < 2:
        raise UsageError("an interpolation goes from one image to another", hint="give at least two images")


def line(start: Array, end: Array, steps: int) -> Array:
    """Return evenly spaced points (steps, bottleneck) on the straight line from one code to another, both among them."""
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    return start * (1 - t) + end * t


def arc(start: Array, end: Array, steps: int) -> Array:
    """Return evenly spaced points (steps, bottleneck) on the arc between two codes; where there is none, on the line."""
    lengths = float(np.linalg.norm(start)) * float(np.linalg.norm(end))
    angle = np.arccos(np.clip(start @ end / lengths, -1, 1)) if lengths else 0.0
    if np.sin(angle) < 1e-4:  # one of them is nothing, or both point the same way
        return line(start, end, steps)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    points: Array = ((np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)).astype(np.float32)
    return points


def film(frames: Array, *, closed: bool = False, back: bool = False) -> Array:
    """Return the frames (K - 1, steps, 784) one after another, (n, 784), a frame shared by two legs only once.

    A closed film leaves out the last, which is the first again; with `back` the film runs back to where it began.
    """
    film = np.concatenate([frames[0], *(leg[1:] for leg in frames[1:])])
    if closed:
        film = film[:-1]
    return np.concatenate([film, film[-2:0:-1]]) if back else film


def encode_bytes(codec: Codec, images: NDArray[np.uint8]) -> Array:
    """Return the codes (N, bottleneck) of images (N, 784) of bytes, which become floats a few at a time."""
    codes = np.empty((len(images), codec.config.bottleneck), np.float32)
    for start in range(0, len(images), 4096):
        codes[start : start + 4096] = codec.encode(to_float(images[start : start + 4096]))
    return codes


def traverse(codec: Codec, image: Array, ranges: Sequence[UnitRange], *, units: Sequence[int], steps: int) -> Traversal:
    """Walk each of the units in turn over its range, while the others stay as they are for the image (784,).

    `ranges` has one for each unit of the bottleneck; a unit's values are evenly spaced, both ends of its range among them.
    """
    code = codec.encode(image[None])[0]  # (bottleneck,)
    values = np.stack([np.linspace(ranges[unit].low, ranges[unit].high, steps, dtype=np.float32) for unit in units])
    codes = np.tile(code, (len(units), steps, 1))  # (U, steps, bottleneck)
    for walk, unit, row in zip(codes, units, values, strict=True):
        walk[:, unit] = row
    frames = codec.decode(codes.reshape(-1, len(code)))
    return Traversal(tuple(units), code, values, frames.reshape(len(units), steps, -1))


def unit_ranges(codes: Array) -> tuple[UnitRange, ...]:
    """Return the lowest and the highest activation of each bottleneck unit over codes (N, bottleneck), N > 0."""
    finite = np.nan_to_num(codes)  # weights without measure make codes that are not finite
    lows, highs = finite.min(axis=0), finite.max(axis=0)  # (bottleneck,) each
    return tuple(UnitRange(_rounded(low), _rounded(high)) for low, high in zip(lows, highs, strict=True))


def _rounded(activation: np.float32) -> float:
    """Return six digits of an activation: as many as single precision is sure of."""
    return float(f"{activation:.6g}") + 0.0  # which makes 0 of -0
