"""Image files: what is read, what is refused, and that nothing else can happen."""

import errno
import functools
import logging
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from mnistae.core.arrays import Array, Bytes
from mnistae.core.errors import DataError
from mnistae.data.images import colours, decode, formats, values
from tests.support.images import RAMP, exif, five, grey_five, interlaced_png, npy, png, read, saved

CUT = "cropped, scaled to 13x20, centred"
DARK = "inverted (dark on light)"
FIRST = "used the first of several frames"
TWO_LEVELS = "28x28, but there are no shades of grey (--raw uses it as is)"
SHAPE = "used the alpha channel (transparent background)"


def with_header(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1")


@functools.cache
def plain() -> Array:
    """Return a five in MNIST's layout, (28, 28)."""
    return np.asarray(read(saved(five()))[0][0])


@functools.cache
def centred() -> Bytes:
    return np.asarray(np.rint(plain() * 255), np.uint8)


BLACK, NOTHING = (0, 0, 0, 255), (0, 0, 0, 0)
TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90", "TRANSVERSE", "ROTATE_270")
"""What a camera held that way does to the picture, for the EXIF orientations from 2 to 8."""


def frames(kind: str) -> bytes:
    return saved(five(), kind, save_all=True, append_images=[Image.new("L", (120, 120), 80)])


def turned(name: str = "ROTATE_90") -> Image.Image:
    return five().transpose(Image.Transpose[name])


def card(ink: str, ground: str) -> Image.Image:
    sheet = Image.new("RGBA", (180, 160), NOTHING)
    sheet.paste(five(ink, ground, mode="RGB"), (40, 20))
    return sheet


GOOD: dict[str, Callable[[], bytes]] = {
    "1": lambda: saved(five(side=480).convert("1")),
    "LA, black on nothing": lambda: saved(five((0, 255), (0, 0), mode="LA")),
    "LA, white on nothing": lambda: saved(five((255, 255), (0, 0), mode="LA")),
    "P": lambda: saved(five("navy", "white", mode="RGB").quantize(16)),
    "P with transparency": lambda: saved(five(BLACK, NOTHING, mode="RGBA").quantize(64)),
    "RGBA, half opaque": lambda: saved(five((200, 0, 0, 100), NOTHING, mode="RGBA")),
    "RGBA, a white card": lambda: saved(card("black", "white")),
    "RGBA, a black card": lambda: saved(card("white", "black")),
    "I;16": lambda: saved(Image.fromarray(grey_five().astype(np.uint16) * 257)),
    "interlaced": lambda: interlaced_png(grey_five()),
    "APNG": lambda: frames("PNG"),
    "CMYK JPEG": lambda: saved(five().convert("CMYK"), "JPEG", quality=90),
    "two-picture JPEG": lambda: frames("MPO"),
    "large JPEG": lambda: saved(five(side=2100), "JPEG", quality=90),
    "BMP": lambda: saved(five(), "BMP"),
    "PGM P5, 16 bits": lambda: b"P5 120 120 65535\n" + (grey_five().astype(">u2") * 257).tobytes(),
    "PGM P2": lambda: b"P2\n# a comment\n120 120\n255\n" + b" ".join(b"%d" % v for v in grey_five().ravel()),
    "PPM P6": lambda: saved(five("red", "white", mode="RGB"), "PPM"),
    "animated GIF": lambda: frames("GIF"),
    "WebP": lambda: saved(five(), "WEBP", quality=90),
    "lossless WebP, black on nothing": lambda: saved(five(BLACK, NOTHING, mode="RGBA"), "WEBP", lossless=True, exact=True),
    "animated WebP": lambda: frames("WEBP"),
    "TIFF of pages": lambda: frames("TIFF"),
    "TIFF LZW, RGB": lambda: saved(five("red", "lightblue", mode="RGB"), "TIFF", compression="tiff_lzw"),
    "TIFF deflate, CMYK": lambda: saved(five().convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF group 4": lambda: saved(five(side=480).convert("1"), "TIFF", compression="group4"),
    "TIFF I;16": lambda: saved(Image.fromarray(grey_five().astype(np.uint16) * 16), "TIFF"),
    "TIFF of int32": lambda: saved(Image.fromarray(grey_five().astype(np.int32)), "TIFF"),
    "TIFF of float32": lambda: saved(Image.fromarray(grey_five() / np.float32(255)), "TIFF"),
    "WebP turned by EXIF": lambda: saved(turned(), "WEBP", exif=exif(6)),
    "AVIF turned by EXIF": lambda: saved(turned(), "AVIF", exif=exif(6)),
    "TIFF turned by EXIF": lambda: saved(turned(), "TIFF", tiffinfo={0x0112: 6}),
    **{
        f"JPEG, {turn}": functools.partial(saved, turned(turn), "JPEG", exif=exif(number))
        for number, turn in enumerate(TURNS, 2)
    },
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_picture_gives_the_same_digit(kind: str) -> None:
    """However a drawing is stored, the image is the same but for rounding."""
    images, notes = read(GOOD[kind]())
    assert images.shape == (1, 28, 28)
    assert images.dtype == np.float32
    assert np.abs(images - plain()).mean() < 0.03
    assert notes[-1] in {CUT, CUT.replace("13x", "14x")}
    assert (FIRST in notes) == any(word in kind for word in ("animated", "pages", "APNG", "two-picture"))


def test_a_turned_picture_is_another_digit() -> None:
    """The test above notices a picture whose orientation was ignored."""
    assert min(np.abs(read(saved(turned(turn)))[0] - plain()).mean() for turn in TURNS) > 0.05


@pytest.mark.parametrize(
    ("draw", "notes"),
    [
        (five, (DARK, CUT)),
        (lambda: five(255, 0), (CUT,)),
        (lambda: five((255, 255), (0, 0), mode="LA"), (SHAPE, CUT)),
        (lambda: Image.fromarray(centred()).convert("1"), (TWO_LEVELS, CUT)),
    ],
)
def test_the_notes_say_what_was_done(draw: Callable[[], Image.Image], notes: tuple[str, ...]) -> None:
    """The notes are the steps done and no others."""
    assert read(saved(draw()))[1] == notes


SIXTEEN = "values of 16 bits up to 255, read as 8 bits"


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("dtype", "divisor", "notes"),
    [(np.uint8, 255, {values.BINARY}), (np.uint16, 255, {values.BINARY, SIXTEEN}), (np.uint16, 1, {SIXTEEN})],
)
def test_values_far_below_the_full_scale(dtype: type[np.unsignedinteger], divisor: int, notes: set[str], raw: bool) -> None:
    """Masks with values 0 and 1, and arrays of bytes saved with 16 bits, are not almost black pictures."""
    levels = centred() // divisor
    pixels = levels.astype(dtype)
    data = saved(Image.fromarray(pixels))
    images, found = read(data, raw=raw)
    np.testing.assert_array_equal(images, read(saved(Image.fromarray(levels * np.uint8(divisor))), raw=raw)[0])
    assert notes <= set(found)
    grey = decode.read_grey(data, name="x").grey  # of an image in a set: bits are converted, masks not
    np.testing.assert_array_equal(grey, pixels / np.float32(255))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("raw", [False, True])
def test_an_exported_image_comes_back_to_the_bit(mode: str, raw: bool) -> None:
    """A 28x28 picture that is light on dark is v / 255 in float32, unchanged, in any mode that keeps grey."""
    images, _ = read(saved(Image.fromarray(centred()).convert(mode)), raw=raw)
    assert np.array_equal(images[0], centred() / np.float32(255))


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
    ("lab tiff", saved(Image.new("LAB", (90, 90)), "TIFF"), "unsupported colour space LAB: 'x'"),
    ("jpeg tiff", saved(five(), "TIFF", compression="jpeg"), "unsupported TIFF compression 'jpeg': 'x'"),
    ("preview", saved(five(), "TIFF", tiffinfo={254: 1}), "only a preview found: 'x' (a raw photo?)"),
    ("tiff of too many samples", saved(five(), "TIFF", tiffinfo={277: 60_000}), DAMAGED % "TIFF"),
    ("damaged tiff", DEFLATED[:100] + bytes(200) + DEFLATED[300:], DAMAGED % "TIFF"),
    ("truncated avif", saved(five(), "AVIF")[:200], DAMAGED % "AVIF"),
    ("float map", b"Pf\n2 2\n-1.0\n" + bytes(16), NOT_KNOWN),
    ("truncated png", PNG[: len(PNG) // 2], DAMAGED % "PNG"),
    ("text like a pgm", b"P5 is a kind of file", DAMAGED % "PPM"),
    ("bomb", png(50_000, 50_000, bytes(50_000)), "image too large: 'x'"),
    ("81 megapixels", png(9_000, 9_000, b""), "image too large: 'x'"),
    ("ppm that lies", b"P6 5000 5000 255\n", DAMAGED % "PPM"),
    ("strip", saved(Image.new("L", (2, 500))), "aspect ratio too extreme (2x500): 'x'"),
    ("white", saved(Image.new("L", (90, 90), 255)), "no digit found in 'x'"),
    ("nothing", saved(Image.new("RGBA", (90, 90))), "no digit found in 'x'"),
    ("npy of none", npy(np.zeros((0, 28, 28))), "unsupported array shape (0, 28, 28): 'x'"),
    ("truncated npy", npy(RAMP)[:-1], SIZE),
    ("npy too long", npy(RAMP) + b"\0", SIZE),
    ("npy that lies", with_header(FITS % "99999, 28, 28") + bytes(784), SIZE),
    ("npy of far too many", with_header(FITS % f"{10**30}, 28, 28"), f"unsupported array shape ({10**30}, 28, 28): 'x'"),
    ("npy of a later version", b"\x93NUMPY\x09\x00" + bytes(90), DAMAGED % "npy"),
]


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_files(data: bytes, message: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a picture of a digit is one DataError, with the source in quotes and a next step; no library adds to it."""
    monkeypatch.setattr(logging.root, "handlers", [])  # as in the program, where messages of libraries go to stderr
    with pytest.raises(DataError) as caught:
        read(data)
    assert caught.value.message == message
    assert caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what Pillow raises is the fault of the file."""
    colours._tree.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    with pytest.raises(ImportError):
        read(saved(five("red", "blue", mode="RGB")))


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
        (lambda path: path.symlink_to("/proc/self/mem"), "cannot read ", f": {os.strerror(errno.EIO)}"),
        (lambda path: path.write_bytes(PNG + bytes(1 << 20)), "image too large: ", ""),
    ],
    ids=["missing", "pipe", "memory", "large"],
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
    assert (caught.value.hint == "give '-' instead, and pipe the image in") == ("regular" in reason)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
LFS = b"version https://git-lfs.github.com/spec/v1\n"


@pytest.mark.parametrize(
    ("data", "name", "message", "hint"),
    [
        (b"", "x", "'x' is empty", "give a PNG"),
        (b"hello, world\n", "x", NOT_KNOWN, "give a PNG"),
        (LFS, "x", f"{NOT_KNOWN}, a Git LFS pointer (run 'git lfs pull')", "give a PNG"),
        (HEIC, "x", f"{NOT_KNOWN}, a HEIC image", "convert it to PNG"),
        (b"%PDF-1.7\n", "x", f"{NOT_KNOWN}, a PDF document", "convert it to PNG"),
        (HEIC.replace(b"heic", b"isom"), "x", f"{NOT_KNOWN}, a video", "give a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x", f"{NOT_KNOWN}, an SVG image", "convert it to PNG"),
        (b"<!DOCTYPE html>\n<html>", "x", f"{NOT_KNOWN}, a web page or XML document", "download the image itself"),
        (b"PK\3\4", "a.npz", "unsupported image format: 'a.npz', a zip archive", "read it as a data set: --dataset FILE"),
        (b"\x1f\x8b", "a.csv.gz", "unsupported image format: 'a.csv.gz', a gzip archive", "read it as a data set: --dataset"),
    ],
)
def test_other_files_are_named(data: bytes, name: str, message: str, hint: str) -> None:
    """A file of another format is named for what it is, with what to do, for a data set the option that reads it."""
    with pytest.raises(DataError) as caught:
        formats.find(data, name=name)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)
