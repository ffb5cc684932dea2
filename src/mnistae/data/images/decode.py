"""Decode image files and arrays of images: bounded, identified by content, never executed."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import npy
from mnistae.core.files import read as files
from mnistae.data.images import arrays_io
from mnistae.data.images.normalise import bounds, normalise

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE_BYTES = 64 << 20
MAX_PIXELS = 64_000_000
MAX_PIXELS_PER_BYTE = {"BMP": 128, "PPM": 8}  # the most of run-length coding and of single bits; more means the header lies
WORKING_SIDE = 512  # pixels; a digit that is a tenth of the image still has more than 20
MAX_READS = 100_000  # less than half a second of them; a PNG of 64 MiB in pieces of 4 KiB takes a half

KINDS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP"} | {
    b"P%d" % number: "PPM" for number in range(1, 7)
}
MAX_TINT = 8
"""The largest difference between the channels (of 255) of an image that is called grey."""

STDIN = "standard input"
"""The name of piped input in messages."""

GIVE_AN_IMAGE = f"give a PNG, JPEG, BMP or PGM file, or {arrays_io.ARRAY}"


@dataclass(frozen=True)
class DecodedImages:
    """Images (n, 28, 28), 0 = background, 1 = ink, and the preprocessing steps, for standard error."""

    images: NDArray[np.float32]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GreyImage:
    """An image file as grey and, if it has transparency, opacity, (h, w <= 512) in [0, 1]. `size`: that of the file (w, h)."""

    grey: Array
    alpha: Array | None
    size: tuple[int, int]
    is_coloured: bool


class _ReadLimiter(io.BytesIO):
    """A file that limits the number of reads: Pillow reads comments, markers and chunks one by one, however many."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise OSError("too many chunks")
        return super().read(size)


def read_path(path: Path, *, raw: bool = False) -> DecodedImages:
    """Read the image file `path`; see `read_bytes`. A device, pipe or folder is refused at once."""
    return read_bytes(_contents(path), name=str(path), raw=raw)


def read_bytes(data: bytes, *, name: str, raw: bool = False) -> DecodedImages:
    """Read one PNG, JPEG, BMP, PGM or PPM image, or an .npy array of images, from memory.

    An image file is converted to MNIST's format unless `raw`; then it must be 28x28 and is only converted to grey,
    transparent = 0. An array is data: its values are scaled to [0, 1], and otherwise unchanged.
    `name` stands for the source in messages. Raises DataError.
    """
    if data.startswith(npy.MAGIC):
        if len(data) > arrays_io.MAX_BYTES:
            raise _too_large(name)
        return DecodedImages(*arrays_io.read_npy(data, name=name))
    image = read_grey(data, name=name)
    if raw:
        return DecodedImages(_unchanged(image.grey, image.alpha, name))
    flat, notes = _flatten(image.grey, image.alpha)
    digit, more_notes = normalise(flat, name=name)
    return DecodedImages(digit[np.newaxis], notes + more_notes)


def read_grey(data: bytes, *, name: str) -> GreyImage:
    """Return the grey values of one image file. Raises DataError."""
    if not data:
        raise DataError(f"file is empty: '{name}'", hint=GIVE_AN_IMAGE)
    kind = next((kind for magic, kind in KINDS.items() if data.startswith(magic)), None)
    if kind is None:
        raise DataError(f"unsupported image format: '{name}'", hint=GIVE_AN_IMAGE)
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(name)
    try:
        return _decode(data, kind, name)
    except DataError:
        raise
    # Foreign bytes: damaged ones make Pillow and NumPy raise a dozen kinds of error, MemoryError among them.
    except Exception as error:
        raise _damaged(kind, name) from error


def open_path(path: Path) -> io.BufferedReader:
    """Open an image file for `read_stream`. A device, pipe or folder is refused at once. Raises DataError."""
    try:
        return files.open_regular(path)
    except files.UnreadableError as error:
        raise _cannot_read(path, error) from error


def read_stream(stream: IO[bytes], *, name: str, raw: bool = False) -> Iterator[tuple[DecodedImages, int]]:
    """Yield what `read_bytes` returns, an array block by block as it arrives, each with the total number of its images.

    The images before a truncation have been yielded by then; in a pipe, also those before an invalid value. Raises DataError.
    """
    try:
        start = stream.read(len(npy.MAGIC))
        if start == npy.MAGIC:
            for images, count, notes in arrays_io.read_blocks(stream, name, start=start):
                yield DecodedImages(images, notes), count
            return
        data = start + stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read '{name}': {error.strerror or error}", hint=GIVE_AN_IMAGE) from error
    yield read_bytes(data, name=name, raw=raw), 1


def _contents(path: Path) -> bytes:
    try:
        return files.read_bytes(path, limit=arrays_io.MAX_BYTES)
    except files.UnreadableError as error:
        raise _cannot_read(path, error) from error


def _cannot_read(path: Path, error: files.UnreadableError) -> DataError:
    if isinstance(error.__context__, FileNotFoundError):
        return DataError(f"no such image: '{path}'", hint="give an existing file, or an image of the data set, such as test:0")
    return DataError(f"cannot read '{path}': {error}", hint=GIVE_AN_IMAGE)


def _damaged(kind: str, name: str) -> DataError:
    return DataError(f"damaged or truncated image: '{name}' ({kind})", hint=GIVE_AN_IMAGE)


def _too_large(name: str) -> DataError:
    return DataError(
        f"image too large: '{name}'",
        hint=f"limits: {MAX_FILE_BYTES >> 20} MiB and {MAX_PIXELS:,} pixels, or {arrays_io.MAX_BYTES >> 20} MiB for an array",
    )


def _decode(data: bytes, kind: str, name: str) -> GreyImage:
    """Return the first frame, upright."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image: Image.Image = Image.open(_ReadLimiter(data), formats=(kind,))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(name) from error
        size = image.size
        _check_size(size, name)
        if image.width * image.height > len(data) * MAX_PIXELS_PER_BYTE.get(kind, MAX_PIXELS):
            raise EOFError  # else Pillow would make room for all of them before it looks for the first
        image.draft(None, (1024, 1024))  # a JPEG four times as large is decoded smaller, and faster
        return _channels(ImageOps.exif_transpose(image), size)


def _check_size(size: tuple[int, int], name: str) -> None:
    short, long = sorted(size)
    if short * long > MAX_PIXELS:
        raise _too_large(name)
    if long > 100 * short:
        raise DataError(f"aspect ratio too extreme ({size[0]}x{size[1]}): '{name}'", hint="give an image of one digit")


def _channels(image: "Image", size: tuple[int, int]) -> GreyImage:
    from PIL import ImageChops

    if image.mode.startswith("I"):  # 16 bits, whatever the mode could hold
        return GreyImage(_shrink(np.clip(np.asarray(image), 0, 65535)) / np.float32(65535), None, size, is_coloured=False)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = _shrink(np.asarray(image.getchannel("A"))) / np.float32(255)
    image = image.convert("RGB")
    red, green, blue = image.split()
    most = max(int(np.asarray(ImageChops.difference(red, other)).max()) for other in (green, blue))
    return GreyImage(_shrink(np.asarray(image.convert("L"))) / np.float32(255), alpha, size, is_coloured=most > MAX_TINT)


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
        return (grey * alpha + np.float32(median) * (1 - alpha)).astype(np.float32), (
            "filled transparent areas with the median grey",
        )
    return alpha, ("used the alpha channel (transparent background)",)


def _unchanged(grey: Array, alpha: Array | None, name: str) -> Array:
    if grey.shape != (SIDE, SIDE):
        raise DataError(
            f"'{name}' is not {SIDE}x{SIDE} pixels", hint="remove --raw to have the digit cropped, scaled and centred"
        )
    return (grey if alpha is None else grey * alpha)[np.newaxis]
