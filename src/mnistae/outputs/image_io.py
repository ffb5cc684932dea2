"""Images side by side, one after another or as numbers: the bytes of PNG strips, GIF films and .npy arrays."""

import io

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.files import npy

COLUMNS = 20
"""Images side by side in a film."""

UPSCALE = 4
"""Screen pixels for an image's pixel in strips and films."""


def strip(images: Array, *, columns: int | None = None) -> bytes:
    """Return images (B, 784) side by side without axes, as PNG: a pixel of an image is 4×4 pixels.

    With `columns`, a row holds so many of them, and the last one is filled up with black.
    """
    return _png(_tile(images, columns or len(images)))


def png(image: Array) -> bytes:
    """Return one image (784,) as PNG of 28×28 pixels."""
    return _png(np.rint(image.reshape(SIDE, SIDE) * 255).astype(np.uint8))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def gif(images: Array, *, frames_per_second: float = 8) -> bytes:
    """Return images (B, 784) as an animated GIF that runs for ever; of (B, n, 784) each frame shows n images side by side."""
    from PIL import Image

    shots = images.reshape(len(images), -1, SIDE * SIDE)
    first, *rest = [Image.fromarray(_tile(shot, COLUMNS)) for shot in shots]
    stream = io.BytesIO()
    duration = round(1000 / frames_per_second)
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    return stream.getvalue()


def npy_bytes(images: Array) -> bytes:
    """Return images (B, 784) as an .npy file of shape (B, 28, 28)."""
    return npy_header(len(images)) + images.tobytes()


def npy_header(count: int) -> bytes:
    """Return what an .npy file of float32 images (count, 28, 28) begins with."""
    return npy.header((count, SIDE, SIDE))


def _tile(images: Array, columns: int) -> NDArray[np.uint8]:
    """Return the pixels of images (B, 784) in rows of so many, the last one filled up with black."""
    tiles = _to_pixels(images)  # (B, 28 × 4, 28 × 4)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    tiles = np.concatenate([tiles, np.zeros((rows * columns - len(tiles), *tiles.shape[1:]), np.uint8)])
    side = tiles.shape[1]
    return tiles.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)


def _to_pixels(images: Array) -> NDArray[np.uint8]:
    """Return images (B, 784) in [0, 1] as bytes (B, 112, 112), each pixel enlarged."""
    pixels = np.rint(images.reshape(-1, SIDE, SIDE) * 255).astype(np.uint8)
    return pixels.repeat(UPSCALE, axis=1).repeat(UPSCALE, axis=2)
