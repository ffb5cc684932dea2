"""Decode image files and arrays of images: bounded, identified by content, never executed."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import npy, permissions
from mnistae.core.files import read as files
from mnistae.data.images import arrays_io, colours, formats, values
from mnistae.data.images.formats import GIVE_AN_IMAGE
from mnistae.data.images.layout import bounds
from mnistae.data.images.normalise import normalise

if TYPE_CHECKING:
    from PIL.Image import Image

WORKING_SIDE = 512  # pixels; a digit that is a tenth of the image still has more than 20

MAX_TINT = 8 / 255
"""The largest difference between the channels of an image that is called grey."""


class Deep(NamedTuple):
    """The range of the values of an image of 16 or 32 bits per pixel, and their scale, which it alone decides."""

    is_float: bool
    low: float
    high: float
    scale: values.Scale


@dataclass(frozen=True)
class GreyImage:
    """An image file as grey and, if it has transparency, opacity, (h, w <= 512) in [0, 1]. `size`: that of the file (w, h)."""

    grey: Array
    alpha: Array | None
    size: tuple[int, int]
    is_coloured: bool = False
    is_bilevel: bool = False
    notes: tuple[str, ...] = ()
    deep: Deep | None = None


def open_path(path: str) -> io.BufferedReader:
    """Open an image file for `read_stream`. A device, pipe or folder is refused at once. Raises DataError."""
    try:
        return files.open_regular(Path(path))
    except files.UnreadableError as error:
        if isinstance(error.__context__, FileNotFoundError):
            hint = "give an existing file, or an image of the data set, such as test:0"
            raise DataError(f"no such image: '{path}'", hint="download it first" if "://" in path else hint) from error
        hint = "give '-' instead, and pipe the image in" if str(error) == files.NOT_REGULAR else GIVE_AN_IMAGE
        hint = permissions.hint(path, hint) if permissions.is_denied(path) else hint
        raise DataError(f"cannot read '{path}': {error}", hint=hint) from error


def read_stream(
    stream: IO[bytes], *, name: str, raw: bool = False
) -> Iterator[tuple[NDArray[np.float32], int, tuple[str, ...]]]:
    """Yield images (B, 28, 28), 0 = background, 1 = ink, the total number of images, and the preprocessing steps.

    An image file gives the image of its first frame, converted to MNIST's format unless `raw`; then it must be 28x28 and is
    only converted to grey, transparent = 0. An .npy array is data: its values are scaled to [0, 1], and otherwise unchanged.
    It is yielded block by block as it arrives: the images before a truncation have been yielded by then, and in a pipe also
    those before an invalid value. `name` stands for the source in messages. Raises DataError.
    """
    try:
        start = stream.read(len(npy.MAGIC))
        if start == npy.MAGIC:
            yield from arrays_io.read_blocks(stream, name, start=start)
            return
        data = start + stream.read(formats.MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read '{name}': {error.strerror or error}", hint=GIVE_AN_IMAGE) from error
    image = read_grey(data, name=name)
    if 1 / 256 < image.grey.max() <= 1.001 / 255:  # values 0 and 1 of 255
        image = replace(image, grey=np.minimum(image.grey * np.float32(255), 1), notes=(*image.notes, values.BINARY))
    if raw:
        if image.grey.shape != (SIDE, SIDE):
            hint = "remove --raw to have the digit cropped, scaled and centred"
            raise DataError(f"'{name}' is not {SIDE}x{SIDE} pixels", hint=hint)
        alpha = np.float32(1) if image.alpha is None else image.alpha
        yield (image.grey * alpha)[np.newaxis], 1, image.notes
        return
    flat, notes = _flatten(image.grey, image.alpha)
    digit, more_notes = normalise(flat, name=name, is_bilevel=image.is_bilevel)
    yield digit[np.newaxis], 1, image.notes + notes + more_notes


def read_grey(data: bytes, *, name: str) -> GreyImage:
    """Return the grey values of one image file. Raises DataError."""
    kind = formats.find(data, name=name)
    with warnings.catch_warnings(action="ignore"):
        try:
            image, rgb = _decode(data, kind, name)
        except DataError:
            raise
        # Foreign bytes: damaged ones make Pillow and NumPy raise a dozen kinds of error, MemoryError among them.
        except Exception as error:
            hint = "replace it with an undamaged copy"
            raise DataError(f"damaged or truncated image: '{name}' ({kind})", hint=hint) from error
        if rgb is None:
            return image
        grey, notes = colours.to_grey(rgb, image.grey)
        return replace(image, grey=grey, notes=image.notes + notes)


def _decode(data: bytes, kind: str, name: str) -> tuple[GreyImage, Array | None]:
    """Return the first frame, upright, and its colours (h, w, 3) if they may be those of a colour map."""
    from PIL import ImageOps

    image = formats.open_image(data, kind, name)
    notes = ("used the first of several frames",) if getattr(image, "is_animated", False) else ()
    size = image.size
    image.draft(None, (1024, 1024))  # a JPEG four times as large is decoded smaller, and faster
    image = ImageOps.exif_transpose(image)
    if image.mode == "LAB":
        raise DataError(f"unsupported colour space LAB: '{name}'", hint=formats.CONVERT)
    if not image.mode.startswith(("I", "F")):
        return _channels(image, size, notes)
    pixels = np.asarray(image)
    low, high = values.extremes(pixels)
    scale = values.Scale(values.WORD)
    if kind == "TIFF" and image.mode in {"I", "F"}:  # numbers of 32 bits, whose range the values have to show
        scale = values.choose(pixels.dtype, low, high, name=name)
    elif 0 < high <= values.BYTE:
        scale = values.Scale(values.BYTE, ("values of 16 bits up to 255, read as 8 bits",))
    deep = Deep(image.mode == "F", low, high, scale)
    return GreyImage(scale.to_unit(_shrink(pixels)), None, size, notes=notes + scale.notes, deep=deep), None


def _channels(image: "Image", size: tuple[int, int], notes: tuple[str, ...]) -> tuple[GreyImage, Array | None]:
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = _shrink(np.asarray(image.getchannel("A"))) / np.float32(255)
    grey = _shrink(np.asarray(image.convert("L"))) / np.float32(255)
    if image.mode in {"1", "L"}:
        return GreyImage(grey, None, size, is_bilevel=image.mode == "1", notes=notes), None
    image = image.convert("RGB")
    rgb = np.stack([_shrink(np.asarray(image.getchannel(k))) for k in range(3)], axis=-1) / np.float32(255)
    is_coloured = bool(np.ptp(rgb, axis=-1).max() > MAX_TINT)
    is_opaque = alpha is None or alpha.min() == 1
    return GreyImage(grey, alpha, size, is_coloured=is_coloured, notes=notes), rgb if is_coloured and is_opaque else None


def _shrink(image: NDArray[np.integer]) -> Array:
    """Average an image (h, w) over square blocks until no side is over 512; a smaller one keeps its values."""
    k = -(-max(image.shape) // WORKING_SIDE)
    h, w = (side // k for side in image.shape)  # not 0: strips are refused
    return np.asarray(image[: h * k, : w * k].reshape(h, k, w, k).mean(axis=(1, 3), dtype=np.float32))


def _flatten(grey: Array, alpha: Array | None) -> tuple[Array, tuple[str, ...]]:
    """Composite an image with transparency on a background that its ink differs from; return it and the steps done.

    grey, alpha: (h, w) in [0, 1]. A shape of one colour is replaced by its opacity; an opaque card with
    something on it is surrounded by the card's median grey.
    """
    if alpha is None or alpha.min() > alpha.max() / 2:
        return grey, ()
    opaque = alpha > alpha.max() / 2
    if not opaque.any():
        return np.zeros_like(grey), ()
    low, median, high = np.percentile(grey[opaque], (5, 50, 95))
    if high - low > 0.25 and opaque[bounds(opaque)].mean() > 0.7:
        card = grey * alpha + np.float32(median) * (1 - alpha)
        return card.astype(np.float32), ("filled transparent areas with the median grey",)
    return alpha, ("used the alpha channel (transparent background)",)
