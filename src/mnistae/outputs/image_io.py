"""The bytes of PNG strips, animated GIFs and .npy arrays of images."""

import io

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.errors import UsageError
from mnistae.core.files import npy

COLUMNS = 20
"""Images side by side in a frame of an animation."""

UPSCALE = 4
"""Side of the square of pixels that shows one pixel of an image, in strips and animations."""


def strip(images: Array, *, columns: int | None = None, scale: int = UPSCALE) -> bytes:
    """Return images (B, 784) side by side without axes, as PNG, enlarged by `scale`.

    With `columns` they are in rows of that many images; the last row is padded with black.
    """
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(tile(images, columns or len(images), scale=scale)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def png(image: Array) -> bytes:
    """Return one image (784,) as PNG of 28×28 pixels."""
    return strip(image[None], scale=1)


def gif(images: Array, *, frames_per_second: float = 8) -> bytes:
    """Return images (B, 784) as an animated GIF in an endless loop; of (B, n, 784) each frame shows n images side by side.

    Durations are whole hundredths of a second; they differ by one where needed, so that the rate is right on average. Raises
    UsageError for equal frames that last too long: Pillow makes them one frame.
    """
    from PIL import Image

    frames = images.reshape(len(images), -1, SIDE * SIDE)
    first, *rest = [Image.fromarray(tile(frame, COLUMNS)) for frame in frames]
    starts = np.rint(np.arange(len(frames) + 1) * 100 / frames_per_second).astype(int)
    durations = (10 * np.diff(starts)).tolist()
    stream = io.BytesIO()
    try:
        first.save(stream, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    except OverflowError as error:
        raise UsageError("the same image would last more than 655 seconds in the GIF", hint="lower --steps") from error
    return stream.getvalue()


def npy_header(count: int) -> bytes:
    """Return the header of an .npy file of float32 images (count, 28, 28)."""
    return npy.header((count, SIDE, SIDE))


def tile(images: Array, columns: int, *, scale: int = UPSCALE) -> NDArray[np.uint8]:
    """Return the pixels of images (B, 784) in rows of `columns` images, enlarged; the last row is padded with black."""
    pixels = np.rint(images.reshape(-1, SIDE, SIDE) * 255).astype(np.uint8)
    tiles = pixels.repeat(scale, axis=1).repeat(scale, axis=2)  # (B, 28 × scale, 28 × scale)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    tiles = np.concatenate([tiles, np.zeros((rows * columns - len(tiles), *tiles.shape[1:]), np.uint8)])
    side = tiles.shape[1]
    return tiles.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
