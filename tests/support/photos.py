"""Photo-like pictures of a digit, as people take them: off centre, on coloured paper, badly lit, far away."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnistae.core.arrays import Array
from tests.support.images import saved

Colour = tuple[int, int, int]

INK, PAPER = 40, 225


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


@cache
def light(shape: tuple[int, ...], x: float = 0.0, y: float = 0.0, both: float = 0.0) -> Array:
    """Return light (h, w) that changes by these amounts from edge to edge, and falls by `both` towards the corners."""
    v, u = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return np.asarray(1 + x * u / 2 + y * v / 2 - both * (u**2 + v**2) / 2, np.float32)


def lit(picture: Image.Image, x: float, y: float, both: float = 0.0, *, sigma: float) -> Image.Image:
    """Return a picture under uneven light, with the sensor's noise."""
    levels = np.asarray(picture, np.float32)
    grain = np.random.default_rng(3).normal(0, sigma, levels.shape)
    return Image.fromarray(np.clip(levels * light(levels.shape, x, y, both) + grain, 0, 255).astype(np.uint8))


def ruled(ink: Array) -> Array:
    """Return the ink with faint lines across the page, as in an exercise book."""
    lines = np.zeros_like(ink)
    lines[10 :: len(ink) // 10] = 0.25
    return np.maximum(ink, lines)


PHOTOS: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
    "blue ink on yellow paper": lambda digit: saved(coloured(drawn(digit, 150, page=220), (30, 50, 150), (250, 235, 130))),
    "white ink on a green board": lambda digit: saved(coloured(drawn(digit, 150, page=220), (240, 245, 240), (40, 90, 60))),
    "tiny": lambda digit: saved(on_paper(drawn(digit, 20))),
    "huge": lambda digit: saved(on_paper(drawn(digit, 1050, page=2100, at=(0.35, 0.55))), "JPEG"),
    "huge and far away": lambda digit: saved(on_paper(drawn(digit, 280, page=2100, at=(0.35, 0.55))), "JPEG"),
    "uneven light": lambda digit: saved(lit(on_paper(drawn(digit, 200, page=300)), 0.6, -0.3, 0.3, sigma=4)),
    "dark and noisy": lambda digit: saved(
        lit(on_paper(drawn(digit, 200, page=300), ink_level=30, paper=90), 0.2, 0.2, sigma=8)
    ),
    "JPEG noise": lambda digit: saved(on_paper(drawn(digit, 150, page=220)), "JPEG", quality=12),
    "faint pencil": lambda digit: saved(lit(on_paper(drawn(digit, 200, page=300), ink_level=170), 0.1, 0.1, sigma=4)),
    "a thick pen": lambda digit: saved(on_paper(ndimage.maximum_filter(drawn(digit, 200, page=260), 9))),
    "a thin pen": lambda digit: saved(on_paper(ndimage.minimum_filter(drawn(digit, 200, page=260), 7))),
    "tilted": lambda digit: saved(on_paper(ndimage.rotate(drawn(digit, 200, page=300), 6, reshape=False, order=1))),
    "squared paper": lambda digit: saved(on_paper(ruled(drawn(digit, 200, page=300)))),
}
"""Every kind of photo by its name: the file made of a digit (28, 28), light on dark."""
