"""Image files: what is read, what is refused, and that nothing else can happen."""

import errno
import logging
import os
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mnistae.core.errors import DataError
from mnistae.core.files import kinds
from mnistae.data.images import decode, formats, values
from tests.support.images import RAMP, chunk, exif, five, grey_five, interlaced_png, npy, png, read, saved

CUT = "cropped, scaled to 13x20, centred"
DARK = "inverted (dark on light)"
FIRST = "used the first of several frames"
SHAPE = "used the alpha channel (transparent background)"


def with_header(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + body


@cache
def plain_five() -> NDArray[np.float32]:
    return read(saved(five()))[0]


def centred_five() -> Image.Image:
    """Return a five in MNIST's layout, in grey."""
    return Image.fromarray(np.rint(plain_five()[0] * 255).astype(np.uint8))


def card(ink: str, ground: str) -> Image.Image:
    sheet = Image.new("RGBA", (180, 160), (0, 0, 0, 0))
    sheet.paste(five(ink, ground, mode="RGB"), (40, 20))
    return sheet


GOOD: dict[str, Callable[[], bytes]] = {
    "1": lambda: saved(five(side=480).convert("1")),
    "L": lambda: saved(five()),
    "LA, black on nothing": lambda: saved(five((0, 255), (0, 0), mode="LA")),
    "LA, white on nothing": lambda: saved(five((255, 255), (0, 0), mode="LA")),
    "P": lambda: saved(five("navy", "white", mode="RGB").quantize(16)),
    "P with transparency": lambda: saved(five((9, 9, 9, 255), (0, 0, 0, 0), mode="RGBA").quantize(64)),
    "RGBA, half opaque": lambda: saved(five((200, 0, 0, 100), (0, 0, 0, 0), mode="RGBA")),
    "RGBA, a white card": lambda: saved(card("black", "white")),
    "RGBA, a black card": lambda: saved(card("white", "black")),
    "I;16": lambda: saved(Image.fromarray(grey_five().astype(np.uint16) * 257)),
    "interlaced": lambda: interlaced_png(grey_five()),
    "APNG": lambda: saved(five(), save_all=True, append_images=[Image.new("L", (120, 120), 80)]),
    "JPEG": lambda: saved(five(), "JPEG", quality=90),
    "CMYK JPEG": lambda: saved(five().convert("CMYK"), "JPEG", quality=90),
    "two-picture JPEG": lambda: saved(five(), "MPO", save_all=True, append_images=[Image.new("L", (120, 120))]),
    "large JPEG": lambda: saved(five(side=2100), "JPEG", quality=90),
    "BMP": lambda: saved(five(), "BMP"),
    "PGM P5, 16 bits": lambda: b"P5 120 120 65535\n" + (grey_five().astype(">u2") * 257).tobytes(),
    "PGM P2": lambda: b"P2\n# a comment\n120 120\n255\n" + b" ".join(b"%d" % v for v in grey_five().ravel()),
    "PPM P6": lambda: saved(five("red", "white", mode="RGB"), "PPM"),
    "GIF": lambda: saved(five(), "GIF"),
    "animated GIF": lambda: saved(five(), "GIF", save_all=True, append_images=[Image.new("L", (120, 120), 80)]),
    "WebP": lambda: saved(five(), "WEBP", quality=90),
    "lossless WebP, black on nothing": lambda: saved(
        five((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA"), "WEBP", lossless=True, exact=True
    ),
    "animated WebP": lambda: saved(five(), "WEBP", save_all=True, append_images=[Image.new("L", (120, 120), 80)]),
    "AVIF": lambda: saved(five(), "AVIF"),
    "TIFF of pages": lambda: saved(five(), "TIFF", save_all=True, append_images=[Image.new("L", (120, 120), 80)]),
    "TIFF LZW, RGB": lambda: saved(five("red", "lightblue", mode="RGB"), "TIFF", compression="tiff_lzw"),
    "TIFF deflate, CMYK": lambda: saved(five().convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF group 4": lambda: saved(five(side=480).convert("1"), "TIFF", compression="group4"),
    "TIFF I;16": lambda: saved(Image.fromarray(grey_five().astype(np.uint16) * 16), "TIFF"),
    "TIFF of int32": lambda: saved(Image.fromarray(grey_five().astype(np.int32)), "TIFF"),
    "TIFF of float32": lambda: saved(Image.fromarray(grey_five() / np.float32(255)), "TIFF"),
    "WebP turned by EXIF": lambda: saved(five().transpose(Image.Transpose.ROTATE_90), "WEBP", exif=exif(6)),
    "AVIF turned by EXIF": lambda: saved(five().transpose(Image.Transpose.ROTATE_90), "AVIF", exif=exif(6)),
    "TIFF turned by EXIF": lambda: saved(five().transpose(Image.Transpose.ROTATE_90), "TIFF", tiffinfo={0x0112: 6}),
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_picture_gives_the_same_digit(kind: str) -> None:
    """However a drawing is stored, the image is the same but for rounding."""
    images, notes = read(GOOD[kind]())
    assert images.shape == (1, 28, 28)
    assert images.dtype == np.float32
    assert np.abs(images - plain_five()).mean() < 0.03
    assert notes[-1] in {CUT, CUT.replace("13x", "14x")}
    assert (FIRST in notes) == any(word in kind for word in ("animated", "pages", "APNG", "two-picture"))


def test_a_turned_picture_is_another_digit() -> None:
    """The test above notices a picture whose orientation was ignored."""
    turned, _ = read(saved(five().transpose(Image.Transpose.ROTATE_90)))
    assert np.abs(turned - plain_five()).mean() > 0.1


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (saved(five()), (DARK, CUT)),
        (saved(five(255, 0)), (CUT,)),
        (saved(five((255, 255), (0, 0), mode="LA")), (SHAPE, CUT)),
        (saved(centred_five().convert("1")), ("28x28, but there are no shades of grey (--raw uses it as is)", CUT)),
    ],
)
def test_the_notes_say_what_was_done(data: bytes, notes: tuple[str, ...]) -> None:
    """The notes are the steps done and no others."""
    assert read(data)[1] == notes


MASK = (np.asarray(centred_five()) == 255).astype(np.uint8)
SIXTEEN = "values of 16 bits up to 255, read as 8 bits"


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("pixels", "expected", "notes"),
    [
        (MASK, MASK * 255, {values.BINARY}),
        (MASK.astype(np.uint16), MASK * 255, {values.BINARY, SIXTEEN}),
        (np.asarray(centred_five()).astype(np.uint16), np.asarray(centred_five()), {SIXTEEN}),
    ],
)
def test_values_far_below_the_full_scale(pixels: Any, expected: Any, notes: set[str], raw: bool) -> None:
    """Masks with values 0 and 1, and arrays of bytes saved with 16 bits, are not almost black pictures."""
    images, found = read(saved(Image.fromarray(pixels)), raw=raw)
    np.testing.assert_array_equal(images, read(saved(Image.fromarray(expected)), raw=raw)[0])
    assert notes <= set(found)
    grey = decode.read_grey(
        saved(Image.fromarray(pixels)), name="x"
    ).grey  # of an image in a set: bits are converted, masks not
    np.testing.assert_array_equal(grey, pixels / np.float32(255))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("raw", [False, True])
def test_an_exported_image_comes_back_to_the_bit(mode: str, raw: bool) -> None:
    """A 28x28 picture that is light on dark is v / 255 in float32, unchanged, in any mode that keeps grey."""
    digit = np.asarray(centred_five())
    images, _ = read(saved(Image.fromarray(digit).convert(mode)), raw=raw)
    assert np.array_equal(images[0], digit.astype(np.float32) / np.float32(255))


def test_raw_changes_no_polarity_and_lays_transparency_on_black() -> None:
    """With raw, dark on light stays dark on light, what is transparent is 0, and another size is refused."""
    dark = np.asarray(five(side=28))
    assert np.array_equal(read(saved(five(side=28)), raw=True)[0][0], dark / np.float32(255))
    shape = five((255, 255), (255, 0), mode="LA", side=28)
    assert np.array_equal(read(saved(shape), raw=True)[0][0], (255 - dark) / np.float32(255))
    with pytest.raises(DataError, match="'x' is not 28x28 pixels") as caught:
        read(saved(five()), raw=True)
    assert "--raw" in caught.value.hint


PNG, DEFLATED = saved(five()), saved(five(), "TIFF", compression="tiff_adobe_deflate")
FITS = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }\n"
NOT_KNOWN = "unsupported image format: 'x'"
DAMAGED = "damaged or truncated image: 'x' (%s)"
SIZE = "truncated or oversized .npy file: 'x'"
BAD: list[tuple[str, bytes, str]] = [
    ("empty", b"", "'x' is empty"),
    ("text", b"hello, world\n", NOT_KNOWN),
    ("zip", b"PK\x03\x04" + bytes(60), f"{NOT_KNOWN}, a zip archive"),
    ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60), f"{NOT_KNOWN}, a HEIC image"),
    ("video", b"\0\0\0\x18ftypisom" + bytes(60), f"{NOT_KNOWN}, a video"),
    ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", f"{NOT_KNOWN}, an SVG image"),
    ("web page", b"<!DOCTYPE html>\n<html>", f"{NOT_KNOWN}, a web page or XML document"),
    ("pdf", b"%PDF-1.7\n", f"{NOT_KNOWN}, a PDF document"),
    ("lfs", b"version https://git-lfs.github.com/spec/v1\n", f"{NOT_KNOWN}, {kinds.describe(b'version https://git-lfs')}"),
    ("lab tiff", saved(Image.new("LAB", (90, 90)), "TIFF"), "unsupported colour space LAB: 'x'"),
    ("jpeg tiff", saved(five(), "TIFF", compression="jpeg"), "unsupported TIFF compression 'jpeg': 'x'"),
    ("preview", saved(five(), "TIFF", tiffinfo={254: 1}), "only a preview found: 'x' (a raw photo?)"),
    ("tiff of too many samples", saved(five(), "TIFF", tiffinfo={277: 60_000}), DAMAGED % "TIFF"),
    ("damaged tiff", DEFLATED[:100] + bytes(200) + DEFLATED[300:], DAMAGED % "TIFF"),
    ("truncated webp", saved(five(), "WEBP")[:200], DAMAGED % "WEBP"),
    ("truncated avif", saved(five(), "AVIF")[:200], DAMAGED % "AVIF"),
    ("float map", b"Pf\n2 2\n-1.0\n" + bytes(16), NOT_KNOWN),
    ("truncated png", PNG[: len(PNG) // 2], DAMAGED % "PNG"),
    ("truncated jpeg", saved(five(), "JPEG")[:300], DAMAGED % "JPEG"),
    ("text like a pgm", b"P5 is a kind of file", DAMAGED % "PPM"),
    ("a text bomb", PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20))) + PNG[33:], DAMAGED % "PNG"),
    ("bomb", png(50_000, 50_000, bytes(50_000)), "image too large: 'x'"),
    ("81 megapixels", png(9_000, 9_000, b""), "image too large: 'x'"),
    ("ppm that lies", b"P6 5000 5000 255\n", DAMAGED % "PPM"),
    ("strip", saved(Image.new("L", (2, 500))), "aspect ratio too extreme (2x500): 'x'"),
    ("white", saved(Image.new("L", (90, 90), 255)), "no digit found in 'x'"),
    ("nothing", saved(Image.new("RGBA", (90, 90))), "no digit found in 'x'"),
    ("npy of none", npy(np.zeros((0, 28, 28))), "unsupported array shape (0, 28, 28): 'x'"),
    ("truncated npy", npy(RAMP)[:-1], SIZE),
    ("npy too long", npy(RAMP) + b"\0", SIZE),
    ("npy that lies", with_header(FITS % "99999, 28, 28", bytes(784)), SIZE),
    ("npy of far too many", with_header(FITS % f"{10**30}, 28, 28"), f"unsupported array shape ({10**30}, 28, 28): 'x'"),
    ("npy of less than none", with_header(FITS % "-1, 784"), "unsupported array shape (-1, 784): 'x'"),
    ("npy of a later version", b"\x93NUMPY\x09\x00" + bytes(90), DAMAGED % "npy"),
    ("npy with code", with_header("__import__('os').abort()"), DAMAGED % "npy"),
]


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_every_bad_kind_has_its_error(
    data: bytes, message: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not a picture of a digit is one DataError, with the source in quotes and a next step; no library adds to it."""
    monkeypatch.setattr(logging.root, "handlers", [])  # as in the program, where messages of libraries go to stderr
    with pytest.raises(DataError) as caught:
        read(data)
    assert caught.value.message == message
    assert caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_a_picture_that_memory_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory while decoding is an expected failure, not a traceback."""
    monkeypatch.setattr(decode, "_shrink", Mock(side_effect=MemoryError))
    with pytest.raises(DataError, match="damaged or truncated image"):
        read(PNG)


@pytest.mark.parametrize(
    ("make", "message", "reason"),
    [
        (lambda _: None, "no such image: ", ""),
        (os.mkfifo, "cannot read ", ": it is not a regular file"),
        (Path.mkdir, "cannot read ", ": it is a folder"),
        (lambda path: path.symlink_to(path), "cannot read ", f": {os.strerror(errno.ELOOP)}"),
        (lambda path: path.symlink_to("/proc/self/mem"), "cannot read ", f": {os.strerror(errno.EIO)}"),
        (lambda path: path.write_bytes(PNG + bytes(1 << 20)), "image too large: ", ""),
    ],
    ids=["missing", "pipe", "folder", "loop", "memory", "large"],
)
def test_what_is_no_ordinary_file_is_refused_at_once(
    make: Callable[[Path], object], message: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing hangs, and nothing without an end is read: the error names the path."""
    monkeypatch.setattr(formats, "MAX_FILE_BYTES", 1 << 20)
    path = tmp_path / "it.png"
    make(path)
    with pytest.raises(DataError) as caught, decode.open_path(str(path)) as stream:
        list(decode.read_stream(stream, name=str(path)))
    assert caught.value.message == f"{message}'{path}'{reason}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("a.npz", "read it as a data set: --dataset"), ("a.csv.gz", "read it as a data set"), ("a.zip", "give a PNG")],
)
def test_data_set_in_place_of_an_image(name: str, hint: str) -> None:
    """A file that is a data set by its name is refused with the option that reads it."""
    with pytest.raises(DataError) as caught:
        formats.find(b"PK\3\4", name=name)
    assert str(caught.value.hint).startswith(hint)
