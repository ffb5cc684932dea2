"""The head of an .npy file, written for float32 arrays and read from strangers. What follows it is the caller's to check."""

import io
import warnings
from typing import IO

import numpy as np

MAGIC = b"\x93NUMPY"

MAX_HEADER = 10_000
"""Characters in the header: NumPy's own limit for those that nobody vouches for."""

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def header(shape: tuple[int, ...]) -> bytes:
    """Return what a file of float32 numbers in an array of this shape begins with."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def read_header(stream: IO[bytes], *, start: bytes = b"") -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether the order is Fortran's, and type; the stream then stands at the first number.

    `start` is what has been read already, at most the MAGIC.
    Raises ValueError, also for a version or a text that NumPy does not know.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # a header that Python 2 wrote, a type by an old name
            magic = io.BytesIO(start + stream.read(np.lib.format.MAGIC_LEN - len(start)))
            return _READERS[np.lib.format.read_magic(magic)](stream, max_header_size=MAX_HEADER)
    except OSError:
        raise
    # Foreign bytes: brackets and signs without end are a MemoryError, a RecursionError or a TokenError, among others.
    except Exception as error:
        raise ValueError("no readable header of an .npy file") from error
