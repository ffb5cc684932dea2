"""The IDX file format of the MNIST database, read with every length checked.

Format: http://yann.lecun.com/exdb/mnist/: two zero bytes, a type, the number of dimensions, their sizes, the numbers,
big-endian.
"""

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}


class IdxError(ValueError):
    """Bytes that are not an IDX file, or not the one expected. The message is the reason."""


def parse(data: bytes) -> NDArray[Any]:
    """Return the array in an IDX file of bytes or 32-bit integers. Raises IdxError."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or not 1 <= data[3] <= 3:
        raise IdxError("it is not an IDX file")
    dtype, dimensions = _TYPES[data[2]], data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise IdxError("it is cut short")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise IdxError(f"it has {len(data)} bytes where its header says {expected}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def parse_images(data: bytes) -> NDArray[np.uint8]:
    """Return images (N, 28, 28) of bytes. Raises IdxError."""
    images = parse(data)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
        raise IdxError(f"it holds an array {images.shape}, not images (N, 28, 28)")
    return images.view(np.uint8)


def parse_labels(data: bytes) -> NDArray[np.uint8]:
    """Return labels (N,) from 0 to 9; of QMNIST's eight columns the first, which is the class. Raises IdxError."""
    labels = parse(data)
    if labels.ndim == 2 and labels.shape[1] == 8:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise IdxError(f"it holds an array {labels.shape}, not labels (N,)")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        raise IdxError("it holds labels outside 0 … 9")
    return labels.astype(np.uint8)


def gunzip(data: bytes, *, limit: int) -> bytes:
    """Return the content of one complete gzip stream, refused if larger than `limit` bytes. Raises IdxError."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise IdxError("it is not a readable gzip file") from error
    if len(content) > limit:
        raise IdxError(f"it unpacks to more than {limit} bytes")
    if not inflater.eof or inflater.unused_data:
        raise IdxError("its gzip stream is cut short or followed by other bytes")
    return content
