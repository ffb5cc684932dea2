"""Arrays of images, from .npy files and from memory: their shapes and values checked, then floats in [0, 1]."""

import io
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import PIXELS, SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import npy

MAX_BYTES = 320 << 20  # 100,000 images as float32 are 299 MiB
MAX_IMAGES = 100_000
BLOCK = 64  # images that are read together

ARRAY = "an .npy array of shape (28, 28), (n, 28, 28) or (n, 784)"
"""The arrays that are read, for hints."""


def read_npy(data: bytes, *, name: str) -> Array:
    """Return the images (n, 28, 28) of an .npy file as floats in [0, 1]. Raises DataError."""
    return next(read_blocks(io.BytesIO(data), name, rows=MAX_IMAGES))[0]


def from_array(array: NDArray[np.generic], *, name: str) -> Array:
    """Return an array of images, as an .npy file may hold them, as floats (n, 28, 28) in [0, 1]. Raises DataError."""
    _count(array.shape, array.dtype, name)
    return _to_unit(array, is_bool=array.dtype.kind == "b", name=name).reshape(-1, SIDE, SIDE)


def read_blocks(stream: IO[bytes], name: str, *, start: bytes = b"", rows: int = BLOCK) -> Iterator[tuple[Array, int]]:
    """Yield the images (B, 28, 28) of an .npy file, B at most `rows`, each with their total number.

    Every value of its header is checked first. An array in Fortran order is read all at once.
    """
    try:
        shape, is_fortran, dtype = npy.read_header(stream, start=start)
    except ValueError as error:
        raise DataError(f"damaged or truncated image: '{name}' (npy)", hint=f"give {ARRAY}") from error
    n = _count(shape, dtype, name)
    step = n if is_fortran else rows
    for done in range(0, n, step):
        count = min(step, n - done)
        size = count * PIXELS * dtype.itemsize
        data = stream.read(size)
        if len(data) < size or (done + count == n and stream.read(1)):
            raise DataError(f"truncated or oversized .npy file: '{name}'", hint="save it again with numpy.save")
        values = np.frombuffer(data, np.uint8 if dtype.kind == "b" else dtype)
        values = values.reshape(shape, order="F") if is_fortran else values
        yield _to_unit(values, is_bool=dtype.kind == "b", name=name).reshape(count, SIDE, SIDE), n


def _count(shape: tuple[int, ...], dtype: np.dtype, name: str) -> int:
    """Return how many images an array of this shape and type holds. Raises DataError if it is not an array of images."""
    n = 1 if shape == (SIDE, SIDE) else shape[0] if shape[1:] in {(SIDE, SIDE), (PIXELS,)} else 0
    if not 1 <= n <= MAX_IMAGES:
        raise DataError(f"unsupported array shape {shape}: '{name}'", hint=f"give {ARRAY}; 1 to {MAX_IMAGES:,} images")
    if dtype.str not in {"|u1", "|b1"} and not (dtype.kind == "f" and dtype.itemsize <= 8):
        raise DataError(f"unsupported array type {dtype}: '{name}'", hint="save it as uint8, or as float32 in [0, 1]")
    return n


def _to_unit(values: NDArray[np.generic], *, is_bool: bool, name: str) -> Array:
    """Return the values as float32 in [0, 1], in C order."""
    with np.errstate(all="ignore"):  # overflow is refused below
        images: Array = np.array(values, np.float32, order="C")
    if is_bool:
        return np.minimum(images, 1)
    if values.dtype.kind == "u":
        images /= 255
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # NaN too
        raise DataError(f"array values from {low} to {high}, expected 0 to 1: '{name}'", hint="scale it to [0, 1]")
    return images
