"""Rows C6 and T6: pictures that are damaged, forged or far too large are an error or images that keep every promise."""

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.core.errors import DataError
from mnistae.data.images import decode, formats
from tests.reliability.fuzz import image
from tests.support.client import LONG, ROOT, log_result, trials
from tests.support.images import SEEDS, chunk, five, png, saved
from tests.support.resource_limits import Costs

pytestmark = pytest.mark.timeout(1200 if LONG else 120)

PNG, JPEG = saved(five()), saved(five(), "JPEG")
EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 9)), min_size=1, max_size=5)


def edited(data: bytes, edits: list[tuple[float, bytes, int]]) -> bytes:
    """Replace, put in and take out bytes; headers are the interesting part."""
    for place, new, gone in edits:
        at = int(place**2 * len(data))
        data = data[:at] + new + data[at + gone :]
    return data


def test_damage_is_an_error_or_an_image() -> None:
    """C6: whatever is damaged in a picture, it is an error or images in [0, 1], and costs little."""
    number, costs = trials(75, 10_000), Costs()

    @settings(max_examples=number)
    @given(st.sampled_from(SEEDS), EDITS)
    def try_one(seed: bytes, edits: list[tuple[float, bytes, int]]) -> None:
        costs.of(image, edited(seed, edits))

    for seed in SEEDS:
        image(seed)  # so that imports are no part of the costs
    try_one()
    assert costs.are_low, str(costs)
    log_result("C6", trials=costs.calls, note=f"{len(SEEDS)} kinds of file, damaged: {costs}")


def test_damage_control() -> None:
    """C6: without the border that turns foreign errors into ours, the same damage is a traceback."""
    seen = 0
    for data in (seed[: len(seed) * 2 // 3] for seed in SEEDS):
        try:
            decode._decode(data, formats.find(data, name="x"), "x")
        except DataError:
            continue
        except Exception:  # noqa: BLE001 - any of the dozen kinds
            seen += 1
    assert seen >= 5
    log_result("C6", trials=0, control=f"exceptions not caught: {seen} of {len(SEEDS)} truncated files give a traceback")


def bmp(width: int, height: int) -> bytes:
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + bytes(8) + struct.pack("<I", 54) + sizes + bytes(1000)


def tiff(**changes: tuple[int, int]) -> bytes:
    """Return a grey TIFF of 100x100 pixels in one strip; `changes`: (tag, value) of other or further tags."""
    tags = {256: 100, 257: 100, 258: 8, 259: 1, 262: 1, 273: 400, 277: 1, 278: 100, 279: 10_000} | dict(changes.values())
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)).ljust(400, b"\0") + bytes(10_000)


def gif(width: int, height: int, *blocks: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3 + b"".join(blocks) + b";"


def frame(width: int, height: int) -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x44\1\0"


def webp(kind: bytes, content: bytes) -> bytes:
    chunks = b"WEBP" + kind + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


AVIF = saved(five(side=40), "AVIF")
TEXT = b"a\0\0" + zlib.compress(bytes(100 << 20))
BOMBS: dict[str, Callable[[], bytes]] = {
    "2,500 megapixels of zeros": lambda: png(50_000, 50_000, bytes(50_000)),
    "a size that lies": lambda: png(8_000, 8_000, b""),
    "100 MiB of text": lambda: PNG[:33] + chunk(b"zTXt", TEXT) + PNG[33:],
    "100 MiB of colour profile": lambda: PNG[:33] + chunk(b"iCCP", TEXT) + PNG[33:],
    "a million chunks": lambda: PNG[:33] + chunk(b"abcd", b"") * 1_000_000 + PNG[33:],
    "a million markers": lambda: JPEG[:2] + b"\xff\xfe\0\2" * 1_000_000 + JPEG[2:],
    "a million thumbnails": lambda: JPEG[:2] + b"\xff\xe1\0\x10Exif\0\0MM\0*\0\0\0\0" * 500_000 + JPEG[2:],
    "100 MiB where a row is": lambda: PNG[:33] + chunk(b"IDAT", zlib.compress(bytes(100 << 20))) + PNG[-12:],
    "EPS called PNG": lambda: PNG[:8] + b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\n",
    "a GIF that lies": lambda: gif(8_000, 8_000, frame(8_000, 8_000)),
    "a GIF whose frame is larger": lambda: gif(10, 10, frame(60_000, 60_000)),
    "a GIF of a million frames": lambda: gif(100, 100, frame(100, 100) * 1_000_000),
    "a GIF of a comment without end": lambda: gif(100, 100, b"!\xfe" + (b"\xff" + b"a" * 255) * 100_000),
    "a WebP canvas that lies": lambda: webp(b"VP8X", bytes(4) + b"\xfe\x3f\0" * 2) + bytes(100),
    "a lossless WebP that lies": lambda: webp(b"VP8L", b"/" + struct.pack("<I", 7_999 | 7_999 << 14) + bytes(100)),
    "a lossy WebP that lies": lambda: webp(b"VP8 ", b"\x10\2\0\x9d\1\x2a" + struct.pack("<HH", 8_000, 8_000) + bytes(100)),
    "an AVIF that lies": lambda: AVIF.replace(struct.pack(">II", 40, 40), struct.pack(">II", 8_000, 8_000)),
    "a TIFF that lies": lambda: tiff(width=(256, 8_000), height=(257, 8_000)),
    "a fax that lies": lambda: tiff(
        width=(256, 8_000), height=(257, 8_000), rows=(278, 8_000), packing=(259, 4), bits=(258, 1)
    ),
    "a TIFF tile that lies": lambda: tiff(tile=(322, 30_000), height=(323, 30_000), at=(324, 400), size=(325, 100)),
    "a TIFF of strips without end": lambda: tiff(rows=(278, 0), packing=(259, 5)),
    "a TIFF in a circle": lambda: tiff()[:118] + b"\x08\0\0\0" + tiff()[122:],
    "100 MiB in a TIFF strip": lambda: tiff(packing=(259, 8), size=(279, 200_000))[:400] + zlib.compress(bytes(100 << 20)),
    "a TIFF of a million tags": lambda: b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 270, 2, 2**31, 8) * 65_535,
    "a BMP that lies": lambda: bmp(8_000, 8_000),
    "a PPM that lies": lambda: b"P6 8000 8000 255\n" + bytes(1000),
    "a PPM in words that lies": lambda: b"P3 8000 8000 255\n" + b"1 " * 1000,
    "a number without end": lambda: b"P5 " + b"9" * (1 << 20),
    "a million comments": lambda: b"P5 " + b"#\n" * 1_000_000,
    "an array that lies": lambda: npy_header("(100000, 28, 28)"),
    "an array that is code": lambda: npy_header("__import__('os').abort()"),
    "brackets without end": lambda: npy_header("(" * 9_000),
}


def refuse(data: bytes, raw: bool) -> None:
    with pytest.raises(DataError):
        list(decode.read_stream(io.BytesIO(data), name="x", raw=raw))


def npy_header(shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(784)


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(bomb: str) -> None:
    """C6: what would unpack to far more than it is, or says so, is refused within a second and 64 MiB."""
    data, costs = BOMBS[bomb](), Costs()
    image(PNG)
    for raw in (False, True):
        costs.of(refuse, data, raw)
    assert costs.are_low, str(costs)
    log_result("C6", trials=costs.calls, note=f"{len(BOMBS)} decompression bombs")


@pytest.mark.skipif(not LONG, reason="a process of its own for the same files is part of the campaign")
def test_lies_in_memory_that_was_used_before() -> None:
    """C6: also where malloc keeps what is freed, so that zeros are no longer the kernel's gift."""
    keeps = "glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"
    program = f"from {__name__} import BOMBS, test_bombs; [test_bombs(bomb) for bomb in BOMBS if 'lies' in bomb]"
    command, env = [sys.executable, "-c", program], {**os.environ, "GLIBC_TUNABLES": keeps}
    done = subprocess.run(command, env=env, capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_bombs_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: without the limit on pixels a small file does cost more than 64 MiB."""
    data, costs = png(9_000, 9_000, bytes(9_001 * 9_000)), Costs()
    monkeypatch.setattr(formats, "MAX_PIXELS", 2**40)
    costs.of(image, data)
    assert not costs.are_low
    log_result("C6", trials=0, control=f"no limit on pixels: {len(data):,} bytes take {costs.bytes / 2**20:.0f} MiB")
