"""What a trained network does with images: reconstruct, denoise, interpolate, traverse. Arrays in, arrays and measures out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array, Vector, to_float
from mnistae.core.errors import UsageError
from mnistae.core.records import UnitRange
from mnistae.metrics import quality
from mnistae.model.backend import Network
from mnistae.tasks import noise as noises
from mnistae.tasks.noise import Noise


@dataclass(frozen=True)
class Metrics:
    """How close images are to their originals, one number an image each: (B,)."""

    mse: Vector
    psnr: Vector
    ssim: Vector


@dataclass(frozen=True)
class Reconstruction:
    """Images (B, 784), what the network makes of them, and how close that is."""

    originals: Array
    outputs: Array
    metrics: Metrics


@dataclass(frozen=True)
class Denoising:
    """Images (B, 784) clean, noisy and denoised, and how close the latter two are to the first."""

    originals: Array
    noisy: Array
    outputs: Array
    before: Metrics
    after: Metrics


@dataclass(frozen=True)
class Traversal:
    """The code (bottleneck,) of an image, and for each of U units its values (U, steps) and the frames (U, steps, 784)."""

    units: tuple[int, ...]
    code: Array
    values: Array
    frames: Array


def compute_metrics(originals: Array, outputs: Array) -> Metrics:
    """Return MSE, PSNR and SSIM of each pair of images (B, 784)."""
    errors = quality.mse(originals, outputs)
    return Metrics(errors, quality.psnr(errors), quality.ssim(originals, outputs))


def reconstruct(network: Network, images: Array) -> Reconstruction:
    """Encode and decode images (B, 784)."""
    outputs = network.reconstruct(images)
    return Reconstruction(images, outputs, compute_metrics(images, outputs))


def denoise(network: Network, images: Array, *, kind: Noise, level: float, seed: int) -> Denoising:
    """Add noise to images (B, 784), then encode and decode them; with Noise.NONE they are taken to be noisy already."""
    noisy = noises.add(images, kind, level=level, seed=seed)
    outputs = network.reconstruct(noisy)
    return Denoising(images, noisy, outputs, compute_metrics(images, noisy), compute_metrics(images, outputs))


def interpolate(network: Network, images: Array, *, steps: int, slerp: bool = False) -> Array:
    """Return frames (K - 1, steps, 784) from each of K images (K, 784) to the next. Raises UsageError if K or steps is below 2.

    The frames are decoded at evenly spaced points between two codes, both ends among them: on the straight line, or with
    `spherical` on the arc of a great circle (Shoemake, 1985).
    """
    require_two(len(images))
    if steps < 2:
        raise UsageError(f"steps is '{steps}'", hint="give a whole number from 2: both ends count")
    codes = network.encode(images)
    between = slerp_points if slerp else lerp_points
    segments = [between(start, end, steps) for start, end in itertools.pairwise(codes)]  # each (steps, bottleneck)
    frames = network.decode(np.concatenate(segments))
    return frames.reshape(len(segments), steps, images.shape[1])


def require_two(count: int) -> None:
    """Raise UsageError if there are too few images to go from one to the next."""
    if count < 2:
        raise UsageError("an interpolation goes from one image to another", hint="give at least two images")


def lerp_points(start: Array, end: Array, steps: int) -> Array:
    """Return evenly spaced points (steps, bottleneck) on the straight line from one code to another, both among them."""
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    return start * (1 - t) + end * t


def slerp_points(start: Array, end: Array, steps: int) -> Array:
    """Return evenly spaced points (steps, bottleneck) on the arc between two codes; where there is none, on the line."""
    lengths = float(np.linalg.norm(start)) * float(np.linalg.norm(end))
    angle = np.arccos(np.clip(start @ end / lengths, -1, 1)) if lengths else 0.0
    if np.sin(angle) < 1e-4:  # one of them is nothing, or both point the same way
        return lerp_points(start, end, steps)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    points: Array = ((np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)).astype(np.float32)
    return points


def join_segments(frames: Array, *, closed: bool = False, back: bool = False) -> Array:
    """Return the frames (K - 1, steps, 784) one after another, (n, 784), a frame shared by two legs only once.

    A closed film leaves out the last, which is the first again; with `back` the film runs back to where it began.
    """
    join_segments = np.concatenate([frames[0], *(leg[1:] for leg in frames[1:])])
    if closed:
        join_segments = join_segments[:-1]
    return np.concatenate([join_segments, join_segments[-2:0:-1]]) if back else join_segments


def encode_uint8(network: Network, images: NDArray[np.uint8]) -> Array:
    """Return the codes (N, bottleneck) of images (N, 784) of bytes, which become floats a few at a time."""
    codes = np.empty((len(images), network.config.bottleneck), np.float32)
    for start in range(0, len(images), 4096):
        codes[start : start + 4096] = network.encode(to_float(images[start : start + 4096]))
    return codes


def traverse(network: Network, image: Array, ranges: Sequence[UnitRange], *, units: Sequence[int], steps: int) -> Traversal:
    """Walk each of the units in turn over its range, while the others stay as they are for the image (784,).

    `ranges` has one for each unit of the bottleneck; a unit's values are evenly spaced, both ends of its range among them.
    """
    code = network.encode(image[None])[0]  # (bottleneck,)
    values = np.stack([np.linspace(ranges[unit].low, ranges[unit].high, steps, dtype=np.float32) for unit in units])
    codes = np.tile(code, (len(units), steps, 1))  # (U, steps, bottleneck)
    for walk, unit, row in zip(codes, units, values, strict=True):
        walk[:, unit] = row
    frames = network.decode(codes.reshape(-1, len(code)))
    return Traversal(tuple(units), code, values, frames.reshape(len(units), steps, -1))


def unit_ranges(codes: Array) -> tuple[UnitRange, ...]:
    """Return the lowest and the highest activation of each bottleneck unit over codes (N, bottleneck), N > 0."""
    finite = np.nan_to_num(codes)  # weights without measure make codes that are not finite
    lows, highs = finite.min(axis=0), finite.max(axis=0)  # (bottleneck,) each
    return tuple(UnitRange(_rounded(low), _rounded(high)) for low, high in zip(lows, highs, strict=True))


def _rounded(activation: np.float32) -> float:
    """Return six digits of an activation: as many as single precision is sure of."""
    return float(f"{activation:.6g}") + 0.0  # which makes 0 of -0
