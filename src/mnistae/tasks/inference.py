"""Inference: reconstruct, denoise, interpolate and traverse. Pure functions on arrays."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array, Vector, in_batches, to_float
from mnistae.core.errors import UsageError
from mnistae.core.records import UnitRange
from mnistae.metrics import quality
from mnistae.model.backend import Network
from mnistae.tasks import noise as noises
from mnistae.tasks.noise import Noise

MAX_STEPS = 1000
"""Frames per segment or unit."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """Quality of images compared with their originals, one number per image: (B,)."""

    mse: Vector
    psnr: Vector
    ssim: Vector


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Images (B, 784), their reconstructions and the metrics of these."""

    originals: Array
    outputs: Array
    metrics: Metrics


@dataclass(frozen=True, eq=False)
class Denoising:
    """Images (B, 784) clean, noisy and denoised, and the metrics of the latter two."""

    originals: Array
    noisy: Array
    outputs: Array
    before: Metrics
    after: Metrics


@dataclass(frozen=True, eq=False)
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
    """Add noise to images (B, 784), then encode and decode them. With Noise.NONE they are used as they are."""
    noisy = noises.add(images, kind, level=level, seed=seed)
    outputs = network.reconstruct(noisy)
    return Denoising(images, noisy, outputs, compute_metrics(images, noisy), compute_metrics(images, outputs))


def interpolate(network: Network, images: Array, *, steps: int, slerp: bool = False) -> Array:
    """Return frames (K - 1, steps, 784) from each of K images (K, 784) to the next. Raises UsageError if K is below 2.

    The frames are decoded at evenly spaced points between two codes, endpoints included: on the straight line, or with `slerp`
    on the arc of a great circle (Shoemake, 1985).
    """
    require_two(len(images))
    codes = network.encode(images)
    segments = [points_between(start, end, steps, slerp=slerp) for start, end in itertools.pairwise(codes)]
    frames = network.decode(np.concatenate(segments))
    return frames.reshape(len(segments), steps, images.shape[1])


def require_two(count: int) -> None:
    """Raise UsageError unless there are two images or more."""
    if count < 2:
        raise UsageError("interpolation needs at least two images", hint="give two images or more")


def points_between(start: Array, end: Array, steps: int, *, slerp: bool) -> Array:
    """Return evenly spaced points (steps, bottleneck) on the line or the arc between two codes, endpoints included."""
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    lengths = float(np.linalg.norm(start)) * float(np.linalg.norm(end)) if slerp else 0.0
    angle = np.arccos(np.clip(start @ end / lengths, -1, 1)) if lengths else 0.0
    if np.sin(angle) < 1e-4:  # a line is wanted, or there is no unique arc: a code is zero, or the angle is 0 or 180 degrees
        return start * (1 - t) + end * t
    points: Array = ((np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)).astype(np.float32)
    return points


def join_segments(segments: Array, *, closed: bool = False, ping_pong: bool = False) -> Array:
    """Return the frames of segments (K - 1, steps, 784) as one sequence (n, 784); a frame shared by two segments occurs once.

    With `closed` the last frame, which equals the first, is left out; with `ping_pong` the sequence returns to its start.
    """
    frames = np.concatenate([segments[0], *(segment[1:] for segment in segments[1:])])
    if closed:
        frames = frames[:-1]
    return np.concatenate([frames, frames[-2:0:-1]]) if ping_pong else frames


def encode_uint8(network: Network, images: NDArray[np.uint8]) -> Array:
    """Return the codes (N, bottleneck) of uint8 images (N, 784), converted to floats in batches."""
    return in_batches(lambda batch: network.encode(to_float(batch)), images, size=4096)


def traverse(network: Network, image: Array, ranges: Sequence[UnitRange], *, units: Sequence[int], steps: int) -> Traversal:
    """Vary each of the given units over its range, while the others keep their values for the image (784,).

    `ranges` are those of all bottleneck units. The values of a unit are evenly spaced, endpoints included.
    """
    code = network.encode(image[None])[0]  # (bottleneck,)
    values = np.stack([np.linspace(ranges[unit].low, ranges[unit].high, steps, dtype=np.float32) for unit in units])
    codes = np.tile(code, (len(units), steps, 1))  # (U, steps, bottleneck)
    for varied, unit, row in zip(codes, units, values, strict=True):
        varied[:, unit] = row
    frames = network.decode(codes.reshape(-1, len(code)))
    return Traversal(tuple(units), code, values, frames.reshape(len(units), steps, -1))


def unit_ranges(codes: Array) -> tuple[UnitRange, ...]:
    """Return the minimum and maximum activation of each bottleneck unit over codes (N, bottleneck), N > 0."""
    finite = np.nan_to_num(codes)  # non-finite weights produce non-finite codes
    ends = np.stack([finite.min(axis=0), finite.max(axis=0)], axis=1)  # (bottleneck, 2)
    # six digits, the precision of float32; adding 0 turns -0 into 0
    return tuple(UnitRange(*(float(f"{end:.6g}") + 0.0 for end in unit)) for unit in ends)
