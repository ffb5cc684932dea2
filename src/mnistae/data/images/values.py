"""Values of image arrays, from whatever file: their range is found over the whole array, and converted to [0, 1] or refused."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistae.core import arrays
from mnistae.core.arrays import Array, Bytes
from mnistae.core.errors import DataError

SLACK = 1e-3
"""How far floats may be outside their range, relative to it: rounding in half precision, or a little overshoot."""

BYTE, WORD = 255, 65535
LEAST_BYTE = 32  # floats up to 32 that exceed 1 are neither 0 to 1 nor likely to be 0 to 255
LEAST_WORD = 4096  # whole numbers below, such as those of 12 bits, do not use a range of 16 bits

BINARY = "values 0 and 1, read as background and ink"

PICKLED = "objects in an array are pickled, and loading them could run code; save numbers, for example x.astype('uint8')"
_RESTORE = "images standardised as (x - mean) / std are restored by x * std + mean; for MNIST, x * 0.3081 + 0.1307"


@dataclass(frozen=True)
class Scale:
    """What the values of an array are divided by, and what is to be said about it."""

    divisor: int
    notes: tuple[str, ...] = ()

    def to_unit(self, values: NDArray[np.generic]) -> Array:
        """Return the values as float32 in [0, 1], in C order."""
        images: Array = np.array(values, np.float32, order="C")
        images /= self.divisor
        return np.clip(images, 0, 1, out=images)

    def to_bytes(self, values: NDArray[np.generic]) -> Bytes:
        """Return the values of images (N, ...) as rows (N, 784) of bytes."""
        if self.divisor == BYTE and values.dtype == np.uint8:
            return arrays.flatten(values.astype(np.uint8, copy=False))
        return arrays.in_batches(lambda rows: arrays.to_bytes(self.to_unit(rows)), values)


def stretch_binary(*images: Bytes) -> tuple[str, ...]:
    """Multiply the bytes of all images of a set by 255, in place, if none is above 1; return the note on that."""
    if max((int(rows.max(initial=0)) for rows in images), default=0) != 1:
        return ()
    for rows in images:
        np.multiply(rows, 255, out=rows)
    return (BINARY,)


def extremes(values: NDArray[np.generic]) -> tuple[float, float]:
    """Return the lowest and the highest value; NaN if there is one."""
    return float(values.min()), float(values.max())


def check_type(dtype: np.dtype, *, name: str) -> None:
    """Raise DataError unless arrays of this type can be images: bool, or real numbers of at most 64 bits."""
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        hint = PICKLED if dtype.hasobject else "save it as uint8, or as float32 in [0, 1]"
        raise DataError(f"unsupported array type {dtype}: '{name}'", hint=hint)


def choose(dtype: np.dtype, low: float, high: float, *, name: str) -> Scale:
    """Return the scale of an array with values from `low` to `high`. Raises DataError if their range is not certain.

    Whole numbers: 0 and 1, 0 to 255 or 16 bits. Floats: 0 to 1 or 0 to 255.
    """
    if dtype.kind == "b":
        return Scale(1)
    if not math.isfinite(low) or not math.isfinite(high):
        raise DataError(f"array with NaN or infinite values: '{name}'", hint="replace them, for example by numpy.nan_to_num")
    is_whole = dtype.kind in "ui"
    divisor = (_whole if is_whole else _floats)(high)
    if divisor is None or low < -SLACK * divisor or (dtype == np.int8 and divisor > 1):
        raise _refusal(dtype, low, high, name)
    notes = []
    if divisor > 1 and dtype != np.uint8:
        notes.append(f"array of {dtype.name} values from {low:g} to {high:g}, divided by {divisor}")
    if is_whole and high == 1:
        notes.append(BINARY)
    if low < 0 or high > divisor:
        notes.append(f"array values from {low:.8g} to {high:.8g} clipped to the range from 0 to {divisor}")
    return Scale(divisor, tuple(notes))


def _whole(high: float) -> int | None:
    if high <= BYTE:
        return 1 if high <= 1 else BYTE
    return WORD if LEAST_WORD <= high <= WORD else None


def _floats(high: float) -> int | None:
    if high <= 1 + SLACK:
        return 1
    return BYTE if LEAST_BYTE < high <= BYTE * (1 + SLACK) else None


def _refusal(dtype: np.dtype, low: float, high: float, name: str) -> DataError:
    hint = "scale it to [0, 1], or save it as uint8"
    if dtype == np.int8:
        hint = "int8 ends at 127: save it as uint8"
    elif low < 0:
        hint = "images from -1 to 1 are restored by (x + 1) / 2" if low >= -1 - SLACK and high <= 1 + SLACK else _RESTORE
    expected = "0 to 255 or 0 to 65535" if dtype.kind in "ui" else "0 to 1 or 0 to 255"
    return DataError(f"{dtype.name} values from {low:g} to {high:g}, expected {expected}: '{name}'", hint=hint)
