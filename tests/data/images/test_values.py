"""Values of arrays: a range that is certain is converted to [0, 1] and said, any other is refused."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistae.core.errors import DataError
from mnistae.data.images import arrays_io, values
from tests.support.images import npy, read

DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[8:20, 10:18] = np.linspace(1, 255, 96, dtype=np.uint8).reshape(12, 8)
UNIT = DIGIT / np.float32(255)
BINARY = (DIGIT > 99).astype(np.uint8)
NOT_SAID: tuple[str, ...] = ()


class Pipe(io.BytesIO):
    """A stream that cannot seek."""

    def seekable(self) -> bool:
        """Say so."""
        return False


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("array", "expected", "notes"),
    [
        (DIGIT, UNIT, NOT_SAID),
        (BINARY, BINARY, (values.BINARY,)),
        (BINARY.astype(np.int8), BINARY, (values.BINARY,)),
        (BINARY.astype(np.float32), BINARY, NOT_SAID),
        (BINARY > 0, BINARY, NOT_SAID),
        (DIGIT * 0, DIGIT * 0, NOT_SAID),
        (DIGIT * 0 + 255, DIGIT * 0 + 1, NOT_SAID),
        (DIGIT.astype(np.int64), UNIT, ("array of int64 values from 0 to 255, divided by 255",)),
        (DIGIT.astype(">i2"), UNIT, ("array of int16 values from 0 to 255, divided by 255",)),
        (DIGIT.astype(">u2") * 257, UNIT, ("array of uint16 values from 0 to 65535, divided by 65535",)),
        (DIGIT.astype(np.float32), UNIT, ("array of float32 values from 0 to 255, divided by 255",)),
        (DIGIT * 0.5, UNIT / 2, ("array of float64 values from 0 to 127.5, divided by 255",)),
        (UNIT, UNIT, NOT_SAID),
        (UNIT.astype(np.float16), UNIT.astype(np.float16), NOT_SAID),
        (UNIT.astype(float) * 1.0000001, UNIT, ("array values from 0 to 1.0000001 clipped to the range from 0 to 1",)),
        (UNIT - 1e-8 * (UNIT == 0), UNIT, ("array values from -1e-08 to 1 clipped to the range from 0 to 1",)),
    ],
)
def test_range(array: NDArray[np.generic], expected: NDArray[np.float32], notes: tuple[str, ...], order: str) -> None:
    """The range is that of the whole array, from a file, a pipe and memory alike."""
    several = np.array([np.zeros_like(array), array], array.dtype, order=order)  # type: ignore[call-overload]
    for images, said in (read(npy(several)), arrays_io.from_array(several, name="x"), read(npy(several), stream=Pipe)):
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        np.testing.assert_allclose(images[1], expected, atol=2e-7)
        assert said == notes


def test_range_without_zero() -> None:
    """The note has the lowest value, also where that is not 0."""
    array = np.linspace(12, 200, 784, dtype=np.int16).reshape(1, 28, 28)
    for _, said in (read(npy(array)), arrays_io.from_array(array, name="x"), read(npy(array), stream=Pipe)):
        assert said == ("array of int16 values from 12 to 200, divided by 255",)


def test_first_image_is_not_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dim first image is read like the others from a file; in a pipe, whose end is not known, it is an error."""
    monkeypatch.setattr(arrays_io, "BLOCK", 1)
    later = npy(np.stack([DIGIT * 0, DIGIT // 250, DIGIT]))
    np.testing.assert_array_equal(read(later)[0][1:], [(DIGIT // 250) / np.float32(255), UNIT])
    with pytest.raises(DataError, match="values up to 1, then up to 255 from image 2: 'x'"):
        read(later, stream=Pipe)
    brighter = npy(np.stack([UNIT / 2, UNIT * 200.05 - 0.05]))
    with pytest.raises(DataError, match=r"values up to 0\.5, then up to 200 from image 1: 'x'"):
        read(brighter, stream=Pipe)


@pytest.mark.parametrize(
    ("array", "message", "hint"),
    [
        (UNIT * 2 - 1, "float32 values from -1 to 1, expected 0 to 1 or 0 to 255: 'x'", "(x + 1) / 2"),
        ((UNIT - 0.1307) / 0.3081, "float32 values from -0.424213 to 2.82149, expected 0 to 1 or", "x * 0.3081 + 0.1307"),
        (BINARY.astype(np.int8) * 2 - 1, "int8 values from -1 to 1, expected", "(x + 1) / 2"),
        (UNIT * 2, "float32 values from 0 to 2, expected 0 to 1, or 0 to 255 with a highest value above 32", "0 (background)"),
        (UNIT * 256, "float32 values from 0 to 256, expected 0 to 1 or 0 to 255: 'x'", "0 (background)"),
        (UNIT * np.nan, "array with NaN or infinite values: 'x'", "nan_to_num"),
        (UNIT + np.float32(np.inf), "array with NaN or infinite values: 'x'", "nan_to_num"),
        (DIGIT.astype(int) - 1, "int64 values from -1 to 254, expected 0 to 255 or 0 to 65535: 'x'", "0 (background)"),
        (UNIT * 1.1 - 0.1, "float32 values from -0.1 to 1, expected", "0 (background)"),
        (DIGIT.astype(np.int8), "int8 values from -127 to 126, expected", "uint8"),
        (DIGIT.astype(np.int8) // 2 + 64, "int8 values from 0 to 127, expected", "uint8"),
        (DIGIT.astype(np.uint16) * 4, "uint16 values from 0 to 1020, expected", "0 (background)"),
        (DIGIT.astype(np.uint64) - np.uint64(1), "uint64 values from 0 to 1.84467e+19, expected", "0 (background)"),
        (UNIT + 0j, "unsupported array type complex64: 'x'", "uint8"),
        (UNIT.astype(object), "unsupported array type object: 'x'", "pickled"),
        (UNIT.astype(np.longdouble), "unsupported array type float128: 'x'", "float32"),
    ],
)
def test_range_that_is_not_certain(array: NDArray[np.generic], message: str, hint: str) -> None:
    """The refusal has the range that was found, and how to restore the images where that is known."""
    with pytest.raises(DataError) as caught:
        arrays_io.from_array(array, name="x")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


@pytest.mark.parametrize("shape", [(28, 28), (784,), (1, 784), (28, 28, 1), (1, 1, 28, 28)])
def test_axes_of_length_one(shape: tuple[int, ...]) -> None:
    """Axes of length 1 do not matter."""
    np.testing.assert_array_equal(arrays_io.from_array(DIGIT.reshape(shape), name="x")[0], [UNIT])
    np.testing.assert_array_equal(read(npy(DIGIT.reshape(shape)))[0], [UNIT])


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((784, 5), "numpy.moveaxis(x, -1, 0)"),
        ((5, 28, 28, 3), "colour"),
        ((28, 28, 3), "colour"),
        ((5, 3, 28, 28), "colour"),
        ((5, 32, 32), "32x32 pixels: resize them to 28x28"),
        ((5, 785), "it has one column more than 784 pixels"),
        ((2, 5, 28, 28), "(n, 28, 28) or (n, 784)"),
        ((100_001, 28, 28), "(n, 28, 28) or (n, 784); 1 to 100,000 images"),
    ],
)
def test_other_shapes(shape: tuple[int, ...], hint: str) -> None:
    """The refusal says what the shape probably is."""
    with pytest.raises(DataError) as caught:
        arrays_io.from_array(np.broadcast_to(np.uint8(0), shape), name="x")
    assert caught.value.message == f"unsupported array shape {shape}: 'x'"
    assert hint in caught.value.hint
