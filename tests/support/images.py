"""Images that the tests draw: a five in every file format."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mnistae.data.images import decode

FIVE = [(0.68, 0.2), (0.36, 0.2), (0.33, 0.46), (0.56, 0.43), (0.68, 0.6), (0.6, 0.78), (0.32, 0.8)]


def five(ink: object = 0, background: object = 255, *, mode: str = "L", side: int = 120) -> Image.Image:
    """Draw a five as with a pen. It has no symmetry, so that rotating or mirroring it gives another image."""
    mask = Image.new("L", (4 * side, 4 * side))
    pen = ImageDraw.Draw(mask)
    points = [(4 * side * x, 4 * side * y) for x, y in FIVE]
    pen.line(points, fill=255, width=4 * side // 12, joint="curve")
    image = Image.new(mode, (side, side), background)  # type: ignore[arg-type]  # a colour of any mode
    image.paste(ink, (0, 0), mask.resize((side, side), Image.Resampling.BOX))  # type: ignore[arg-type]
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(
    data: bytes, *, raw: bool = False, stream: type[io.BytesIO] = io.BytesIO
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the images (n, 28, 28) of a file named x, and the notes."""
    blocks = list(decode.read_stream(stream(data), name="x", raw=raw))
    return np.concatenate([images for images, _, _ in blocks]), tuple(note for _, _, notes in blocks for note in notes)


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)  # type: ignore[arg-type]  # invalid arrays too
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    """Assemble a grey 8-bit PNG, whatever its header claims."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def interlaced_png(grey: NDArray[np.uint8]) -> bytes:
    """Adam7 after the PNG specification; Pillow reads it and does not write it."""
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [b"\0" + row.tobytes() for y, x, dy, dx in steps for row in grey[y::dy, x::dx]]
    return png(grey.shape[1], grey.shape[0], b"".join(rows), interlaced=True)


def grey_five() -> NDArray[np.uint8]:
    return np.asarray(five())


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


RAMP = (np.arange(3 * 784) % 256).astype(np.uint8).reshape(3, 28, 28)


SEEDS = [
    saved(five(side=40)),
    saved(five(side=40).convert("P")),
    saved(five((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA", side=40)),
    saved(Image.fromarray(grey_five()[::3, ::3].astype(np.uint16) * 257)),
    interlaced_png(grey_five()[::3, ::3]),
    saved(five(side=40), "JPEG", exif=exif(6)),
    saved(five(side=40).convert("CMYK"), "JPEG"),
    saved(five(side=40), "BMP"),
    saved(five(side=40), "PPM"),
    saved(five(side=40), "GIF", save_all=True, append_images=[Image.new("L", (40, 40), 80)]),
    saved(five((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA", side=40), "WEBP", lossless=True),
    saved(five(side=40), "WEBP", save_all=True, append_images=[Image.new("L", (40, 40), 80)]),
    saved(five(side=40), "AVIF"),
    saved(five(side=40), "TIFF"),
    saved(five("red", "white", mode="RGB", side=40), "TIFF", compression="tiff_lzw"),
    saved(five(side=40), "TIFF", compression="tiff_adobe_deflate"),
    saved(five(side=160).convert("1"), "TIFF", compression="group4"),
    b"P2 4 4 9\n" + b"1 9 " * 8,
    npy(RAMP[0]),
    npy(RAMP / np.float32(255)),
]
