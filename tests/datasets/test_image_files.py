"""Image files: what is read, what is refused, and that nothing else can happen."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mnistae.datasets import image_files
from mnistae.datasets.image_files import read_bytes, read_path
from mnistae.errors import DataError

FIVE = [(0.68, 0.2), (0.36, 0.2), (0.33, 0.46), (0.56, 0.43), (0.68, 0.6), (0.6, 0.78), (0.32, 0.8)]
CUT = "cut to the ink, scaled to 13x20, centred by mass"
DARK = "inverted: dark ink on a light ground"
SHAPE = "transparent ground: the shape is the ink"


def five(ink: object = 0, ground: object = 255, *, mode: str = "L", side: int = 120) -> Image.Image:
    """Draw a five as a pen would: no symmetry, so that a turned or mirrored one is another picture."""
    mask = Image.new("L", (4 * side, 4 * side))
    pen = ImageDraw.Draw(mask)
    points = [(4 * side * x, 4 * side * y) for x, y in FIVE]
    pen.line(points, fill=255, width=4 * side // 12, joint="curve")
    picture = Image.new(mode, (side, side), ground)  # type: ignore[arg-type]  # a colour of any mode
    picture.paste(ink, (0, 0), mask.resize((side, side), Image.Resampling.BOX))  # type: ignore[arg-type]
    return picture


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)  # type: ignore[arg-type]  # bad kinds are made too
    return stream.getvalue()


def with_header(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + body


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    """Put a grey 8-bit PNG together, whatever its header claims."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def interlaced_png(grey: NDArray[np.uint8]) -> bytes:
    """Adam7 after the PNG specification; Pillow reads it and does not write it."""
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [b"\0" + row.tobytes() for y, x, dy, dx in steps for row in grey[y::dy, x::dx]]
    return png(grey.shape[1], grey.shape[0], b"".join(rows), interlaced=True)


def grey_five() -> NDArray[np.uint8]:
    return np.asarray(five())


@cache
def plain_five() -> NDArray[np.float32]:
    return read_bytes(saved(five()), name="five").images


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def card(ink: str, ground: str) -> Image.Image:
    sheet = Image.new("RGBA", (180, 160), (0, 0, 0, 0))
    sheet.paste(five(ink, ground, mode="RGB"), (40, 20))
    return sheet


GOOD: dict[str, Callable[[], bytes]] = {
    "1": lambda: saved(five(side=480).convert("1")),
    "L": lambda: saved(five()),
    "white on black": lambda: saved(five(255, 0)),
    "LA, black on nothing": lambda: saved(five((0, 255), (0, 0), mode="LA")),
    "LA, white on nothing": lambda: saved(five((255, 255), (0, 0), mode="LA")),
    "P": lambda: saved(five("navy", "white", mode="RGB").quantize(16)),
    "P with transparency": lambda: saved(five((9, 9, 9, 255), (0, 0, 0, 0), mode="RGBA").quantize(64)),
    "RGB": lambda: saved(five("red", "lightblue", mode="RGB")),
    "RGBA, opaque": lambda: saved(five((40, 20, 90, 255), (250, 250, 230, 255), mode="RGBA")),
    "RGBA, black on nothing": lambda: saved(five((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA")),
    "RGBA, white on nothing": lambda: saved(five((255, 255, 255, 255), (255, 255, 255, 0), mode="RGBA")),
    "RGBA, half opaque": lambda: saved(five((200, 0, 0, 100), (0, 0, 0, 0), mode="RGBA")),
    "RGBA, a white card": lambda: saved(card("black", "white")),
    "RGBA, a black card": lambda: saved(card("white", "black")),
    "I;16": lambda: saved(Image.fromarray(grey_five().astype(np.uint16) * 257)),
    "I;16, 12 bits used": lambda: saved(Image.fromarray(grey_five().astype(np.uint16) * 16)),
    "interlaced": lambda: interlaced_png(grey_five()),
    "film": lambda: saved(five(), save_all=True, append_images=[Image.new("L", (120, 120), 80)]),
    "JPEG": lambda: saved(five(), "JPEG", quality=90),
    "progressive JPEG": lambda: saved(five(), "JPEG", quality=90, progressive=True),
    "CMYK JPEG": lambda: saved(five().convert("CMYK"), "JPEG", quality=90),
    "two-picture JPEG": lambda: saved(five(), "MPO", save_all=True, append_images=[Image.new("L", (120, 120))]),
    "large JPEG": lambda: saved(five(side=2100), "JPEG", quality=90),
    "BMP": lambda: saved(five(), "BMP"),
    "BMP P": lambda: saved(five().convert("P"), "BMP"),
    "PGM P5": lambda: saved(five(), "PPM"),
    "PGM P5, 16 bits": lambda: b"P5 120 120 65535\n" + (grey_five().astype(">u2") * 257).tobytes(),
    "PGM P2": lambda: b"P2\n# a comment\n120 120\n255\n" + b" ".join(b"%d" % v for v in grey_five().ravel()),
    "PBM P4": lambda: saved(five(side=480).convert("1"), "PPM"),
    "PPM P6": lambda: saved(five("red", "white", mode="RGB"), "PPM"),
    "turned by EXIF": lambda: saved(five().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif(6)),
    "upside down by EXIF": lambda: saved(five().transpose(Image.Transpose.ROTATE_180), exif=exif(3)),
    "mirrored by EXIF": lambda: saved(five().transpose(Image.Transpose.TRANSPOSE), exif=exif(5)),
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_picture_gives_the_same_digit(kind: str) -> None:
    """However a drawing is stored, the image that comes out is the same but for rounding."""
    expected = plain_five()
    pictures = read_bytes(GOOD[kind](), name=kind)
    assert pictures.images.shape == (1, 28, 28)
    assert pictures.images.dtype == np.float32
    assert np.abs(pictures.images - expected).mean() < 0.03
    assert pictures.notes[-1] in {CUT, CUT.replace("13x", "14x")}


def test_a_turned_picture_is_another_digit() -> None:
    """The test above notices a picture whose orientation was ignored."""
    expected = plain_five()
    turned = read_bytes(saved(five().transpose(Image.Transpose.ROTATE_90)), name="turned").images
    assert np.abs(turned - expected).mean() > 0.1


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (saved(five()), (DARK, CUT)),
        (saved(five(255, 0)), (CUT,)),
        (saved(five((255, 255), (0, 0), mode="LA")), (SHAPE, CUT)),
        (saved(five().resize((28, 28)).point(lambda v: 255 - v)), ("taken as it is: already 28x28, light on dark",)),
        (npy(np.zeros((28, 28))), ()),
    ],
)
def test_the_notes_say_what_was_done(data: bytes, notes: tuple[str, ...]) -> None:
    """The notes are the steps done and no others."""
    assert read_bytes(data, name="x").notes == notes


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("raw", [False, True])
def test_an_exported_image_comes_back_to_the_bit(mode: str, raw: bool, tmp_path: Path) -> None:
    """A 28x28 picture that is light on dark is v / 255 in float32, unchanged, in any mode that keeps grey."""
    digit = 255 - np.asarray(five(side=28))
    path = tmp_path / "digit"
    path.write_bytes(saved(Image.fromarray(digit).convert(mode)))
    images = read_path(path, raw=raw).images
    assert np.array_equal(images[0], digit.astype(np.float32) / np.float32(255))


def test_raw_changes_no_polarity_and_lays_transparency_on_black() -> None:
    """With raw, dark on light stays dark on light, and what is transparent is 0."""
    dark = np.asarray(five(side=28))
    assert np.array_equal(read_bytes(saved(five(side=28)), name="x", raw=True).images[0], dark / np.float32(255))
    shape = five((255, 255), (255, 0), mode="LA", side=28)
    assert np.array_equal(read_bytes(saved(shape), name="x", raw=True).images[0], (255 - dark) / np.float32(255))


RAMP = (np.arange(3 * 784) % 256).astype(np.uint8).reshape(3, 28, 28)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RAMP, RAMP / np.float32(255)),
        (RAMP[0], RAMP[:1] / np.float32(255)),
        (RAMP.reshape(3, 784), RAMP / np.float32(255)),
        (np.asfortranarray(RAMP), RAMP / np.float32(255)),
        (RAMP > 99, (RAMP > 99).astype(np.float32)),
        (RAMP / np.float32(255), RAMP / np.float32(255)),
        ((RAMP / 256).astype(">f8"), (RAMP / 256).astype(np.float32)),
        ((RAMP / 256).astype(np.float16), (RAMP / 256).astype(np.float32)),
    ],
)
def test_arrays_are_data(array: NDArray[np.generic], expected: NDArray[np.float32], raw: bool) -> None:
    """An array keeps its values, whatever raw says, and comes as float32 (n, 28, 28)."""
    images = read_bytes(npy(array), name="x", raw=raw).images
    assert images.dtype == np.float32
    assert images.flags.c_contiguous
    assert np.array_equal(images, expected)


PNG = saved(five())
FITS = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }\n"
NOT_KNOWN = "not an image of a known kind: 'x'"
DAMAGED = "not a readable image: 'x' (%s, damaged or cut short)"
SIZE = "an array cut short, or longer than it says: 'x'"
BAD: list[tuple[str, bytes, str]] = [
    ("empty", b"", "an empty file: 'x'"),
    ("text", b"hello, world\n", NOT_KNOWN),
    ("gif", saved(five(), "GIF"), NOT_KNOWN),
    ("tiff", saved(five(), "TIFF"), NOT_KNOWN),
    ("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NOT_KNOWN),
    ("zip", b"PK\x03\x04" + bytes(60), NOT_KNOWN),
    ("pickle", b"\x80\x04\x95" + bytes(60), NOT_KNOWN),
    ("float map", b"Pf\n2 2\n-1.0\n" + bytes(16), NOT_KNOWN),
    ("eps called png", PNG[:8] + b"%!PS-Adobe-3.0\n", DAMAGED % "PNG"),
    ("truncated png", PNG[: len(PNG) // 2], DAMAGED % "PNG"),
    ("png of too few rows", png(100, 100, bytes(500)), DAMAGED % "PNG"),
    ("truncated jpeg", saved(five(), "JPEG")[:300], DAMAGED % "JPEG"),
    ("text like a bmp", b"BMW, Mercedes, Audi" * 9, DAMAGED % "BMP"),
    ("text like a pgm", b"P5 is a kind of file", DAMAGED % "PPM"),
    ("a text bomb", PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20))) + PNG[33:], DAMAGED % "PNG"),
    ("bomb", png(50_000, 50_000, bytes(50_000)), "too large: 'x'"),
    ("81 megapixels", png(9_000, 9_000, bytes(9_000)), "too large: 'x'"),
    ("strip", saved(Image.new("L", (2, 500))), "a strip of 2x500 pixels: 'x'"),
    ("white", saved(Image.new("L", (90, 90), 255)), "no ink in 'x'"),
    ("nothing", saved(Image.new("RGBA", (90, 90))), "no ink in 'x'"),
    ("npy of objects", npy(np.array([{}] * 784, dtype=object).reshape(28, 28)), "an array of type 'object': 'x'"),
    ("npy of integers", npy(np.zeros((28, 28), np.int64)), "an array of type 'int64': 'x'"),
    ("npy of texts", npy(np.full((28, 28), "a")), "an array of type '<U1': 'x'"),
    ("npy of records", npy(np.zeros((28, 28), [("a", "f4")])), "an array of type '[('a', '<f4')]': 'x'"),
    ("npy scalar", npy(np.float32(0)), "an array of shape '()': 'x'"),
    ("npy of 784", npy(np.zeros(784)), "an array of shape '(784,)': 'x'"),
    ("npy of 27", npy(np.zeros((3, 28, 27))), "an array of shape '(3, 28, 27)': 'x'"),
    ("npy with channels", npy(np.zeros((3, 1, 28, 28))), "an array of shape '(3, 1, 28, 28)': 'x'"),
    ("npy of none", npy(np.zeros((0, 28, 28))), "an array of shape '(0, 28, 28)': 'x'"),
    ("npy beyond 1", npy(np.full((28, 28), 255.0)), "an array with values from '255.0' to '255.0': 'x'"),
    ("npy below 0", npy(np.full((28, 28), -0.5)), "an array with values from '-0.5' to '-0.5': 'x'"),
    ("npy of NaN", npy(np.full((28, 28), np.nan)), "an array with values from 'nan' to 'nan': 'x'"),
    ("npy too great", npy(np.full((28, 28), 1e300)), "an array with values from 'inf' to 'inf': 'x'"),
    ("npy cut short", npy(RAMP)[:-1], SIZE),
    ("npy too long", npy(RAMP) + b"\0", SIZE),
    ("npy that lies", with_header(FITS % "99999, 28, 28", bytes(784)), SIZE),
    ("npy of too many", with_header(FITS % "100001, 784"), "an array of shape '(100001, 784)': 'x'"),
    ("npy of far too many", with_header(FITS % f"{10**30}, 28, 28"), f"an array of shape '({10**30}, 28, 28)': 'x'"),
    ("npy of less than none", with_header(FITS % "-1, 784"), "an array of shape '(-1, 784)': 'x'"),
    ("npy without a header", b"\x93NUMPY\x01\x00", DAMAGED % "npy"),
    ("npy of a later version", b"\x93NUMPY\x09\x00" + bytes(90), DAMAGED % "npy"),
    ("npy with code", with_header("__import__('os').abort()"), DAMAGED % "npy"),
    ("npy with deep brackets", with_header("(" * 9_000), DAMAGED % "npy"),
    ("npy with a long header", with_header(" " * 20_000), DAMAGED % "npy"),
]


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_every_bad_kind_has_its_error(data: bytes, message: str) -> None:
    """What is not a picture of a digit is one DataError, with the source in quotes and a next step."""
    with pytest.raises(DataError) as caught:
        read_bytes(data, name="x")
    assert caught.value.message == message
    assert caught.value.hint


def test_raw_refuses_another_size() -> None:
    """With raw nothing is scaled, so another size is refused, and the hint says how to have it scaled."""
    with pytest.raises(DataError, match="'x' is not 28x28 pixels") as caught:
        read_bytes(PNG, name="x", raw=True)
    assert "--raw" in caught.value.hint


def nothing(_: Path) -> None:
    pass


def a_folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def a_large_picture(path: Path) -> None:
    path.write_bytes(PNG)
    os.truncate(path, image_files.MAX_PICTURE_BYTES + 1)


@pytest.mark.skipif(os.name == "nt", reason="these kinds of file are Unix's")
@pytest.mark.parametrize(
    ("make", "message", "reason"),
    [
        (nothing, "no such image: ", ""),
        (os.mkfifo, "cannot read ", "it is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot read ", "it is not a regular file"),
        (a_folder, "cannot read ", "it is a folder"),
        (a_socket, "cannot read ", ""),
        (a_loop, "cannot read ", ""),
        (lambda path: path.symlink_to("/proc/self/mem"), "cannot read ", ""),
        (a_huge_file, "cannot read ", "it is larger than 2 MiB"),
        (a_large_picture, "too large: ", ""),
    ],
    ids=["missing", "pipe", "device", "folder", "socket", "loop", "memory", "sparse", "large"],
)
@pytest.mark.timeout(20)
def test_what_is_no_ordinary_file_is_refused_at_once(
    make: Callable[[Path], object], message: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing hangs, and nothing without an end is read: the error names the path."""
    monkeypatch.chdir(tmp_path)  # a socket's name has to be short
    monkeypatch.setattr(image_files, "MAX_BYTES", 2 << 20)
    monkeypatch.setattr(image_files, "MAX_PICTURE_BYTES", 1 << 20)
    path = tmp_path / "it.png"
    make(path)
    with pytest.raises(DataError) as caught:
        read_path(path)
    assert caught.value.message.startswith(f"{message}'{path}'")
    assert caught.value.message.endswith(reason)


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000, "a.png/b.png"])
def test_a_path_that_cannot_be_is_a_data_error(name: str, tmp_path: Path) -> None:
    """A path that the system refuses to look at is an expected failure too."""
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(DataError):
        read_path(tmp_path / name)


def test_a_link_to_a_picture_is_followed(tmp_path: Path) -> None:
    """Users may have links, and no suffix."""
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "link").symlink_to("a.png")
    assert np.array_equal(read_path(tmp_path / "link").images, read_bytes(PNG, name="a").images)


def test_a_picture_that_memory_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory while decoding is an expected failure, not a traceback."""

    def greedy(picture: object) -> None:
        raise MemoryError

    monkeypatch.setattr(image_files, "_shrink", greedy)
    with pytest.raises(DataError, match="not a readable image"):
        read_bytes(PNG, name="x")


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
    b"P2 4 4 9\n" + b"1 9 " * 8,
    npy(RAMP[0]),
    npy(RAMP / np.float32(255)),
]


def with_sums(data: bytes) -> bytes:
    """Make the check sums of a PNG right, so that damage gets past them."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        parts.append(chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join(parts)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 9)), min_size=1, max_size=5),
    st.booleans(),
)
def test_damage_is_an_error_or_an_image(seed: bytes, edits: list[tuple[float, bytes, int]], repair: bool) -> None:
    """Whatever bytes are replaced, put in or taken out: a DataError, or images that keep every promise."""
    data = seed
    for place, new, gone in edits:
        at = int(place**2 * len(data))  # headers are the interesting part
        data = data[:at] + new + data[at + gone :]
    if repair and data.startswith(PNG[:8]):
        data = with_sums(data)
    try:
        images = read_bytes(data, name="x").images
    except DataError:
        return
    assert images.shape[1:] == (28, 28)
    assert images.min() >= 0
    assert images.max() <= 1
