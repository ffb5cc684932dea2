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

_WHOLE = {1: -math.inf, BYTE: 1, WORD: 4095}
_FLOATS = {1: -math.inf, BYTE: 32}
"""Full scale of an array, by what its highest value has to exceed.

Whole numbers up to 4095 may have 12 bits; floats from 1 to 32 are neither 0 to 1 nor likely to be 0 to 255.
"""

BINARY = "values 0 and 1, read as background and ink"

PICKLED = "loading pickled objects could run code; save x.astype('float32'), or text as x.astype(str)"
MIN_STANDARDISED, MAX_STANDARDISED = 1.5, 10  # highest value; 2.8 for MNIST


@dataclass(frozen=True)
class Scale:
    """What the values of an array are divided by, and the notes about it."""

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


def dim(high: float, full: int) -> tuple[str, ...]:
    """Return the note on a set whose highest value is much below the full scale, unless it is black or nearly so."""
    return (f"the highest value is {high:g} of {full}",) if 1 / 16 <= high / full < 1 / 2 else ()


def stretch_binary(*images: Bytes) -> tuple[str, ...]:
    """Multiply the bytes of all images of a set by 255, in place, if none is above 1; return the notes about it."""
    top = max((int(rows.max(initial=0)) for rows in images), default=0)
    if top != 1:
        return dim(top, BYTE)
    for rows in images:
        np.multiply(rows, 255, out=rows)
    return (BINARY,)


def extremes(values: NDArray[np.generic], low: float = math.inf, high: float = -math.inf) -> tuple[float, float]:
    """Return the lowest and the highest of the values and of those before, `low` to `high`; NaN if there is one."""
    if not values.size:
        return low, high
    return float(np.minimum(low, values.min())), float(np.maximum(high, values.max()))


def choose(dtype: np.dtype, low: float, high: float, *, name: str) -> Scale:
    """Return the scale of an array with values from `low` to `high`. Raises DataError if their range is not certain.

    Whole numbers: 0 and 1, 0 to 255 or 16 bits. Floats: 0 to 1 or 0 to 255.
    """
    if dtype.kind == "b":
        return Scale(1)
    if not math.isfinite(low) or not math.isfinite(high):
        raise DataError(f"array with NaN or infinite values: '{name}'", hint="replace them, for example with numpy.nan_to_num")
    is_whole = dtype.kind in "ui"
    slack, scales = (0, _WHOLE) if is_whole else (SLACK, _FLOATS)
    divisor = next((full for full, above in scales.items() if above < high <= full * (1 + slack)), 0)
    if not divisor or low < -slack * divisor or (dtype == np.int8 and divisor > 1):
        expected = "0 to 255 or 0 to 65535" if is_whole else "0 to 1 or 0 to 255"
        if is_whole and low >= 0 and BYTE < high <= _WHOLE[WORD]:
            expected = f"0 to {BYTE}, or up to {WORD} with a highest value of at least {_WHOLE[WORD] + 1}"
        if not is_whole and low >= 0 and 1 < high <= _FLOATS[BYTE]:
            expected = f"0 to 1, or 0 to {BYTE} with a highest value above {_FLOATS[BYTE]}"
        found = f"{dtype.name} values from {low:g} to {high:g}, expected {expected}: '{name}'"
        raise DataError(found, hint=_advice(dtype, low, high))
    notes = []
    if divisor > 1 and dtype != np.uint8:
        notes.append(f"array of {dtype.name} values from {low:g} to {high:g}, divided by {divisor}")
    if is_whole and high == 1:
        notes.append(BINARY)
    if low < 0 or high > divisor:
        notes.append(f"array values from {low:.8g} to {high:.8g} clipped to the range from 0 to {divisor}")
    return Scale(divisor, tuple(notes))


def _advice(dtype: np.dtype, low: float, high: float) -> str:
    if -1 - SLACK <= low < -0.5 and high <= 1 + SLACK:
        return "images from -1 to 1 are restored by (x + 1) / 2"
    if dtype == np.int8:
        return "int8 ends at 127: save it as uint8"
    if low < 0 and MIN_STANDARDISED < high < MAX_STANDARDISED and dtype.kind == "f":
        return "images standardised as (x - mean) / std are restored by x * std + mean; for MNIST, x * 0.3081 + 0.1307"
    return "scale the values to the range from 0 (background) to 1 (ink)"
