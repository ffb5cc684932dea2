"""Arrays of images, from .npy files and from memory: their shapes and values checked, then floats in [0, 1]."""

import math
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import PIXELS, SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import npy
from mnistae.data.images import values

MAX_IMAGES = 100_000
BLOCK = 64  # images that are read together
CHUNK = 2**20  # bytes whose range is found together

_IMAGE = {(SIDE, SIDE), (PIXELS,)}

ARRAY = "an .npy array of shape (28, 28), (n, 28, 28) or (n, 784)"
"""The arrays that are read, for hints."""


def from_array(array: NDArray[np.generic], *, name: str) -> tuple[Array, tuple[str, ...]]:
    """Return images in memory as floats (n, 28, 28) in [0, 1], and what was converted. Raises DataError."""
    count_images(array.shape, array.dtype, name, limit=MAX_IMAGES)
    scale = values.choose(array.dtype, *values.extremes(array), name=name)
    return scale.to_unit(array).reshape(-1, SIDE, SIDE), scale.notes


def read_blocks(stream: IO[bytes], name: str, *, start: bytes = b"") -> Iterator[tuple[Array, int, tuple[str, ...]]]:
    """Yield the images (B, 28, 28) of an .npy file, their total number, and what was converted.

    The range of the values is found in the whole file first; in a pipe, in the first block with ink, and a later block that
    contradicts it is an error. An array in Fortran order is read all at once. Raises DataError.
    """
    try:
        shape, is_fortran, dtype = npy.read_header(stream, start=start)
    except ValueError as error:
        raise DataError(f"damaged or truncated image: '{name}' (npy)", hint=f"give {ARRAY}") from error
    n = count_images(shape, dtype, name, limit=MAX_IMAGES)
    size = PIXELS * dtype.itemsize  # of an image
    step = n if is_fortran else BLOCK
    low, high = _measure(stream, dtype, n * size) if stream.seekable() else (math.inf, -math.inf)
    divisor, is_said = 0, False
    for done in range(0, n, step):
        count = min(step, n - done)
        data = stream.read(count * size)
        if len(data) < count * size or (done + count == n and stream.read(1)):
            raise DataError(f"truncated or oversized .npy file: '{name}'", hint="save it again with numpy.save")
        block = np.frombuffer(data, dtype)
        block = block.reshape(shape, order="F") if is_fortran else block
        before, (low, high) = high, values.extremes(block, low, high)
        scale = values.choose(dtype, low, high, name=name)
        if divisor and divisor != scale.divisor:
            what = f"values up to {before:g}, then up to {high:g} from image {done}: '{name}'"
            raise DataError(what, hint="name the file instead of piping it, so that all values are read first")
        divisor = scale.divisor if high > 0 else 0
        yield scale.to_unit(block).reshape(count, SIDE, SIDE), n, () if is_said else scale.notes
        is_said = is_said or bool(scale.notes)


def count_images(shape: tuple[int, ...], dtype: np.dtype, name: str, *, limit: int) -> int:
    """Return how many images an array of this shape and type holds. Raises DataError if it is not an array of images."""
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        hint = values.PICKLED if dtype.hasobject else "save it as uint8, or as float32 in [0, 1]"
        raise DataError(f"unsupported array type {dtype}: '{name}'", hint=hint)
    n = images_in(shape)
    if 1 <= n <= limit:
        return n
    sides = tuple(side for side in shape if side != 1)
    hint = f"give {ARRAY}; 1 to {limit:,} images"
    if sides[-3:] in {(SIDE, SIDE, 3), (SIDE, SIDE, 4), (3, SIDE, SIDE), (4, SIDE, SIDE)}:
        hint = "its images are in colour: convert them to grey, for example by their mean over the colours"
    elif sides[:-1] in _IMAGE:
        hint = "the images are along its last axis: transpose it with numpy.moveaxis(x, -1, 0)"
    elif sides[1:] == (PIXELS + 1,):
        hint = f"it has one column more than {PIXELS} pixels: if that holds the labels, save it as a separate array"
    elif n < 1 and len(sides) == 3 and sides[0] > 0 and min(sides[1:]) >= 8 and max(sides[1:]) <= 1024:
        hint = f"its images have {sides[1]}x{sides[2]} pixels: resize them to {SIDE}x{SIDE}"
    raise DataError(f"unsupported array shape {shape}: '{name}'", hint=hint)


def images_in(shape: tuple[int, ...]) -> int:
    """Return how many images an array of this shape holds, 0 or less if it holds none; axes of length 1 do not matter."""
    sides = tuple(side for side in shape if side != 1)
    return 1 if sides in _IMAGE else sides[0] if sides[1:] in _IMAGE else 0


def _measure(stream: IO[bytes], dtype: np.dtype, size: int) -> tuple[float, float]:
    """Return the extremes of the next `size` bytes of a stream, or of those up to its end, and seek back."""
    at, extremes = stream.tell(), (math.inf, -math.inf)
    for done in range(0, size, CHUNK):
        data = stream.read(min(size - done, CHUNK))
        extremes = values.extremes(np.frombuffer(data, dtype, count=len(data) // dtype.itemsize), *extremes)
    stream.seek(at)
    return extremes
