"""The formats of image files: found by content, opened by Pillow within limits, and other files named for what they are."""

import io
import logging
import os
import re
import threading
from typing import TYPE_CHECKING

from mnistae.core.errors import DataError
from mnistae.core.files import kinds
from mnistae.data.images import arrays_io

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE_BYTES = 64 << 20
MAX_PIXELS = 64_000_000
MAX_PIXELS_PER_BYTE = {"BMP": 128, "PPM": 8, "GIF": 4096, "WEBP": 4096, "AVIF": 4096}
"""More than these formats reach, or any drawing needs, means that the header lies."""

MAX_READS = 100_000  # less than half a second of them; a PNG of 64 MiB in pieces of 4 KiB takes a half

FORMATS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "BMP": rb"BM",
    "PPM": rb"P[1-6]",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "AVIF": rb".{4}ftyp(avi[fs]|m(if|sf)1.{4}(.{4}){0,8}avi[fs])",
}
"""The first bytes of the files that each of Pillow's readers is used for."""

TIFF_COMPRESSIONS = {"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "tiff_ccitt", "group3", "group4"}

GIVE_AN_IMAGE = f"give a PNG, JPEG, WebP, GIF, TIFF, AVIF, BMP or PNM file, or {arrays_io.ARRAY}"
CONVERT = "convert it to PNG, for example with ImageMagick: magick FILE image.png"


_STDERR = threading.Lock()


class _ReadLimiter(io.BytesIO):
    """A file that limits the number of reads: Pillow reads comments, markers and chunks one by one, however many."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise OSError("too many chunks")
        return super().read(size)


def find(data: bytes, *, name: str) -> str:
    """Return Pillow's name of a file's format. Raises DataError for another one, and says what it is if that is known."""
    if not data:
        raise DataError(f"'{name}' is empty", hint=GIVE_AN_IMAGE)
    for kind, start in FORMATS.items():
        if re.match(start, data, re.DOTALL):
            if len(data) > MAX_FILE_BYTES:
                raise _too_large(name)
            return kind
    what = kinds.describe(data[: kinds.SIZE]) or ""
    hint = GIVE_AN_IMAGE
    if re.search("image|photo|PDF|PostScript", what):
        hint = CONVERT
    elif "web page" in what:
        hint = "download the image itself, not the page that shows it, or convert an SVG image to PNG"
    elif re.search(r"\.(npz|(csv|tsv)(\.gz)?)$", name.lower()):
        hint = "read it as a data set: --dataset FILE, and train:0 or test:0 for its first image"
    raise DataError(f"unsupported image format: '{name}'" + (f", {what}" if what else ""), hint=hint)


def open_image(data: bytes, kind: str, name: str) -> "Image":
    """Return an image file opened by Pillow, its size checked and its pixels not yet decoded. Raises DataError among others."""
    from PIL import Image, features

    if kind == "WEBP":
        _check_size(_webp_size(data), len(data), kind, name)  # before libwebp makes room for two frames
    if kind in {"WEBP", "AVIF"} and not features.check(kind.lower()):
        raise DataError(f"this build of Pillow does not read {kind}: '{name}'", hint=f"install a newer Pillow, or {CONVERT}")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it reports damage there, and thus on stderr, before it raises
    try:
        image: Image.Image = Image.open(_ReadLimiter(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    _check_size(image.size, len(data), kind, name)
    if kind == "TIFF":
        _load_tiff(image, name)
    return image


def _too_large(name: str) -> DataError:
    return DataError(f"image too large: '{name}'", hint=f"limits: {MAX_FILE_BYTES >> 20} MiB and {MAX_PIXELS:,} pixels")


def _check_size(size: tuple[int, int], length: int, kind: str, name: str) -> None:
    short, long = sorted(size)
    if short * long > MAX_PIXELS:
        raise _too_large(name)
    if long > 100 * short:
        raise DataError(f"aspect ratio too extreme ({size[0]}x{size[1]}): '{name}'", hint="give an image of one digit")
    if short * long > length * MAX_PIXELS_PER_BYTE.get(kind, MAX_PIXELS):
        raise EOFError  # else there would be room made for all of them before the first is looked for


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a WebP image (RFC 9649)."""
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _load_tiff(image: "Image", name: str) -> None:
    """Decode a TIFF, but not previews of raw photos and what libtiff decodes with little-used code or in too large tiles."""
    tags = image.tag_v2  # type: ignore[attr-defined]  # of TiffImageFile
    compression = image.info.get("compression")
    if compression not in TIFF_COMPRESSIONS:
        raise DataError(f"unsupported TIFF compression '{compression}': '{name}'", hint=CONVERT)
    if int(tags.get(254, 0)) & 1:
        raise DataError(f"only a preview found: '{name}' (a raw photo?)", hint="export the photo as JPEG or PNG")
    if int(tags.get(322, 1)) * int(tags.get(323, 1)) > 4 * image.width * image.height + (1 << 20):
        raise DataError(f"tiles larger than the image: '{name}'", hint=CONVERT)
    # libtiff reports damage on file descriptor 2, and Pillow offers no other way to stop it.
    with _STDERR, open(os.devnull, "wb") as null:  # noqa: PTH123 - a device, not a path
        try:
            saved = os.dup(2)
        except OSError:  # it is closed
            image.load()
            return
        os.dup2(null.fileno(), 2)
        try:
            image.load()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
