"""Photo-like pictures of a digit, as people take them: turned, inverted, off centre, on coloured paper, badly lit."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mnistae.core.arrays import Array
from tests.support.images import exif, saved

Colour = tuple[int, int, int]

INK, PAPER = 40, 225
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera that is held so does to the picture, by the EXIF orientation that says so."""


def drawn(digit: NDArray[np.uint8], side: int, *, page: int | None = None, at: tuple[float, float] = (0.5, 0.5)) -> Array:
    """Return ink (page, page) in [0, 1]: the digit (28, 28) with `side` pixels a side, its middle at this share of the page."""
    ink = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    page = page or side
    field = Image.new("L", (page, page))
    field.paste(ink, tuple(round(page * share - side / 2) for share in at))  # type: ignore[arg-type]  # two of them
    return np.asarray(field, np.float32) / np.float32(255)


def on_paper(ink: Array, *, ink_level: float = INK, paper: float = PAPER) -> Image.Image:
    return Image.fromarray(np.rint(paper + (ink_level - paper) * ink).astype(np.uint8))


def coloured(ink: Array, pen: Colour, paper: Colour) -> Image.Image:
    mixed = np.array(paper) + (np.array(pen) - np.array(paper)) * ink[..., None]
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def lit(picture: Image.Image, x: float, y: float, both: float = 0.0, *, sigma: float = 0.0) -> Image.Image:
    """Light that changes by these amounts from edge to edge and falls towards the corners, and the sensor's noise."""
    levels = np.asarray(picture, np.float32)
    v, u = np.meshgrid(*(np.linspace(-1, 1, side) for side in levels.shape), indexing="ij")
    light = 1 + x * u / 2 + y * v / 2 - both * (u**2 + v**2) / 2
    grain = np.random.default_rng(3).normal(0, sigma, levels.shape)
    return Image.fromarray(np.clip(levels * light + grain, 0, 255).astype(np.uint8))


def pressed(ink: Array, pixels: int, *, thick: bool) -> Array:
    """Return the ink as a broader or a finer pen would leave it, by so many pixels."""
    spread = ImageFilter.MaxFilter if thick else ImageFilter.MinFilter
    return np.asarray(Image.fromarray((255 * ink).astype(np.uint8)).filter(spread(2 * pixels + 1)), np.float32) / np.float32(
        255
    )


def transparent(ink: Array, colour: int) -> Image.Image:
    alpha = Image.fromarray((255 * ink).astype(np.uint8))
    return Image.merge("LA", (Image.new("L", alpha.size, colour), alpha))


def sixteen_bits(ink: Array) -> Image.Image:
    return Image.fromarray((50_000 - 38_000 * ink).astype(np.uint16))


def ruled(ink: Array) -> Array:
    """Return the ink with faint lines across the page, as in an exercise book."""
    lines = np.zeros_like(ink)
    lines[10 :: len(ink) // 10] = 0.25
    return np.maximum(ink, lines)


def tilted(ink: Array, degrees: float) -> Array:
    turned = Image.fromarray((255 * ink).astype(np.uint8)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned, np.float32) / np.float32(255)


Maker = Callable[[NDArray[np.uint8]], bytes]

PHOTOS: dict[str, Maker] = {
    **{
        f"orientation {number}": lambda digit, number=number, turn=turn: saved(  # type: ignore[misc]
            on_paper(drawn(digit, 150, page=300, at=(0.6, 0.4))).transpose(turn), "JPEG", quality=90, exif=exif(number)
        )
        for number, turn in TURNS.items()
    },
    "dark on light": lambda digit: saved(on_paper(drawn(digit, 200))),
    "light on dark": lambda digit: saved(on_paper(drawn(digit, 200), ink_level=230, paper=20)),
    "in a corner": lambda digit: saved(on_paper(drawn(digit, 120, page=400, at=(0.2, 0.75)))),
    "blue ink on yellow paper": lambda digit: saved(coloured(drawn(digit, 150, page=220), (30, 50, 150), (250, 235, 130))),
    "red ink on white paper": lambda digit: saved(coloured(drawn(digit, 150, page=220), (200, 30, 30), (245, 245, 240))),
    "white ink on a green board": lambda digit: saved(coloured(drawn(digit, 150, page=220), (240, 245, 240), (40, 90, 60))),
    "black ink on transparent background": lambda digit: saved(transparent(drawn(digit, 150, page=220), 0)),
    "white ink on transparent background": lambda digit: saved(transparent(drawn(digit, 150, page=220), 255)),
    "16 bits": lambda digit: saved(sixteen_bits(drawn(digit, 200, page=260))),
    "tiny": lambda digit: saved(on_paper(drawn(digit, 20))),
    "small": lambda digit: saved(on_paper(drawn(digit, 36))),
    "huge": lambda digit: saved(on_paper(drawn(digit, 1500, page=3000, at=(0.35, 0.55))), "JPEG"),
    "huge and far away": lambda digit: saved(on_paper(drawn(digit, 400, page=3000, at=(0.35, 0.55))), "JPEG"),
    "uneven light": lambda digit: saved(lit(on_paper(drawn(digit, 200, page=300)), 0.6, -0.3, 0.3, sigma=4)),
    "dark and noisy": lambda digit: saved(
        lit(on_paper(drawn(digit, 200, page=300), ink_level=30, paper=90), 0.2, 0.2, sigma=8)
    ),
    "JPEG noise": lambda digit: saved(on_paper(drawn(digit, 150, page=220)), "JPEG", quality=12),
    "blurred": lambda digit: saved(on_paper(drawn(digit, 150, page=220)).filter(ImageFilter.GaussianBlur(3))),
    "faint pencil": lambda digit: saved(lit(on_paper(drawn(digit, 200, page=300), ink_level=170), 0.1, 0.1, sigma=4)),
    "a thick pen": lambda digit: saved(on_paper(pressed(drawn(digit, 200, page=260), 4, thick=True))),
    "a thin pen": lambda digit: saved(on_paper(pressed(drawn(digit, 200, page=260), 3, thick=False))),
    "tilted": lambda digit: saved(on_paper(tilted(drawn(digit, 200, page=300), 6))),
    "squared paper": lambda digit: saved(on_paper(ruled(drawn(digit, 200, page=300)))),
    "two colours": lambda digit: saved(on_paper(drawn(digit, 200, page=300)).point(lambda v: 255 * (v > 128)).convert("1")),
    "28x28, dark on light": lambda digit: saved(on_paper(drawn(digit, 28))),
}
"""Every kind of photo by its name: the file made of a digit (28, 28), light on dark."""
