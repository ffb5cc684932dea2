"""The header of an .npy file: written for float32 arrays, read from untrusted files. The data are the caller's to check."""

import io
import math
import warnings
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x93NUMPY"

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def header(shape: tuple[int, ...]) -> bytes:
    """Return the header of a float32 array of this shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def read_header(stream: IO[bytes], *, start: bytes = b"") -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether the order is Fortran's, and dtype; the stream is then at the first value.

    `start` is what has already been read, at most the MAGIC.
    Raises ValueError, also for a version or a dtype that NumPy does not know.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # headers written by Python 2, deprecated dtype names
            magic = io.BytesIO(start + stream.read(np.lib.format.MAGIC_LEN - len(start)))
            return _READERS[np.lib.format.read_magic(magic)](stream)  # of at most 10,000 characters
    except OSError:
        raise
    # Untrusted bytes: endless brackets or signs raise MemoryError, RecursionError or TokenError, among others.
    except Exception as error:
        raise ValueError("unreadable .npy header") from error


def read_array(data: bytes) -> NDArray[Any]:
    """Return the array of a whole .npy file, without copying it. Raises ValueError, also for pickled objects."""
    stream = io.BytesIO(data)
    shape, is_fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it contains pickled objects")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError("truncated or oversized")
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape, order="F" if is_fortran else "C")
