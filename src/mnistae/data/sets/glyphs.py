"""The embedded data set `glyphs`: digits redrawn with a soft pen from the fonts that matplotlib carries.

Each glyph is thinned to its skeleton, once. A digit is the set of points within a pen's radius of that skeleton,
seen through a random affine map and a few random waves, and normalised as MNIST is.
"""

import functools
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array, Indices
from mnistae.core.config import SIDE
from mnistae.core.errors import DataError
from mnistae.core.seeds import derive

BOX = 20  # of the ink's box, in pixels
FIRST_LABELS = (5, 0, 4, 1, 9, 2, 1, 3, 1, 4)  # MNIST's training set begins so: image 1 is a zero, image 2 a four
BLOCK = 500  # images drawn together from one generator, so that a short draw is the beginning of a long one

RASTER_HEIGHT = 96  # height of a glyph when it is thinned, in pixels
TEMPLATE_HEIGHT = 48  # height of a glyph on a template, in units; about 2.7 of them become a pixel
GRID = 64  # side of a template, in units: room for the widest pen
POINTS = 192  # of a skeleton
SLOPE = 0.62  # of the depth, above which a point is not on the medial axis
MIN_COMPONENT = 4  # pixels; shorter pieces of the axis are not strokes
EDGE_WIDTH = 1.25  # width of the grey rim, in pixels

SANS = ("DejaVuSans", "DejaVuSans-Bold", "cmss10")
MONO = ("DejaVuSansMono", "DejaVuSansMono-Bold")
SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
TEX = ("cmb10", "cmmi10", "cmr10", "cmti10", "cmtt10")
# As people write: a zero without the dot of DejaVu Mono, a one that is a mere stroke, an open four (the Cyrillic che)
# and a crossed seven (two signs, one over the other).
SYMBOLS = {
    SANS + SERIF + TEX: tuple(enumerate("0123456789")),
    MONO: tuple(enumerate("O123456789")),
    MONO + SANS[:2]: (*3 * [(1, "|")], (4, "\u0427"), (7, "7\u2013")),
}


class Templates(NamedTuple):
    """What is drawn from: of each glyph its digit, its skeleton and the distance to it, in units from the middle."""

    labels: Indices  # (M,), ascending
    skeletons: Array  # (2, M, POINTS): x and y
    distances: Array  # (M, GRID, GRID)


def draw(count: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return `count` images (count, 28, 28), white ink on black, and their labels (count,).

    A draw is the beginning of every longer draw of the same seed; each whole block of 500 has 50 images a digit.
    The normalisation is MNIST's (LeCun et al. 1998): the ink fills a 20x20 box, its aspect kept, and its centre of
    mass lies on pixel (14, 14), to the nearest. Same seed, same bytes, on the same machine and libraries.
    """
    templates = _templates()
    images, labels = np.empty((count, SIDE, SIDE), np.uint8), np.empty(count, np.uint8)
    for start in range(0, count, BLOCK):
        rng = np.random.default_rng(derive(seed, "glyphs", start // BLOCK))
        first = () if start else FIRST_LABELS
        rest = np.repeat(np.arange(10), BLOCK // 10 - np.bincount(first, minlength=10))
        digits = np.array([*first, *rng.permutation(rest)])
        chosen = rng.integers(np.searchsorted(templates.labels, digits), np.searchsorted(templates.labels, digits, "right"))
        images[start : start + BLOCK] = _centred(_render(templates, chosen, rng))[: count - start]
        labels[start : start + BLOCK] = digits[: count - start]
    return images, labels


def _render(templates: Templates, chosen: Indices, rng: np.random.Generator) -> Array:
    """Return the ink in its box, (N, 20, 20) in [0, 1].

    A point m of a template and the point v of the paper that it comes to meet in w: v = A w and m = w + waves(w).
    """
    affine, inverse, waves = _random_map(len(chosen), rng)
    pen = np.clip(rng.normal(3.3, 0.8, (len(chosen), 1)), 2, 5.5).astype(np.float32)  # (N, 1), radius in units
    bent = skeletons = templates.skeletons[:, chosen]
    for _ in range(3):  # w = m - waves(w) is a contraction
        bent = skeletons - _displacement(bent, waves)
    paper = (affine * bent).sum(1)  # (2, N, POINTS)
    overhang = pen * np.hypot(affine[:, 0], affine[:, 1])  # (2, N, 1): how far the pen reaches beyond a point
    low, high = paper.min(-1, keepdims=True) - overhang, paper.max(-1, keepdims=True) + overhang
    scale = (high - low).max(0) / BOX  # (N, 1), units a pixel
    seen = (inverse * (_grid_points(BOX)[:, None] * scale + (low + high) / 2)).sum(1)  # (2, N, 400)
    distance = _sample(templates.distances, chosen, seen + _displacement(seen, waves))
    ink: Array = np.clip(0.5 + (pen - distance) / (EDGE_WIDTH * scale), 0, 1)
    return ink.reshape(-1, BOX, BOX)


def _random_map(n: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return matrices (2, 2, N, 1) of determinant 1, their inverses, and three plane waves (3, 5, N, 1).

    A matrix is a stretch, then a shear, then a rotation; a wave has a wave vector x, y, a phase and an amplitude x, y.
    """
    stretch = np.exp(rng.normal(-0.02, 0.14, n))
    shear = rng.normal(-0.15, 0.17, n)  # y points down: a negative shear leans to the right
    angle = rng.normal(0, 0.1, n)  # in radians
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = cos * stretch, (cos * shear - sin) / stretch
    c, d = sin * stretch, (sin * shear + cos) / stretch
    affine, inverse = np.array([[[a, b], [c, d]], [[d, -b], [-c, a]]], np.float32)[..., None]
    direction, phase = rng.uniform(0, 2 * np.pi, (2, 3, n, 1))
    number = 2 * np.pi / rng.uniform(40, 100, (3, n, 1))
    amplitude = rng.normal(0, 0.13, (2, 3, n, 1)) / number  # long waves swing wide
    waves = np.stack([number * np.cos(direction), number * np.sin(direction), phase, *amplitude], 1)
    return affine, inverse, waves.astype(np.float32)


def _displacement(points: Array, waves: Array) -> Array:
    """Return the elastic shift (2, N, P) of `points` (2, N, P)."""
    shift = np.zeros_like(points)
    for number_x, number_y, phase, *amplitude in waves:
        shift += np.sin(points[0] * number_x + points[1] * number_y + phase) * np.stack(amplitude)
    return shift


def _sample(distances: Array, chosen: Indices, points: Array) -> Array:
    """Return the bilinear values (N, P) of the chosen templates at `points` (2, N, P), which are held inside the grid."""
    place = np.clip(points + (GRID - 1) / 2, 0, GRID - 1.001)
    corner = place.astype(np.int32)
    x, y = place - corner
    index = chosen[:, None] * GRID**2 + corner[1] * GRID + corner[0]
    upper = distances.take(index) * (1 - x) + distances.take(index + 1) * x
    lower = distances.take(index + GRID) * (1 - x) + distances.take(index + GRID + 1) * x
    between: Array = upper * (1 - y) + lower * y
    return between


def _centred(ink: Array) -> NDArray[np.uint8]:
    """Return images (N, 28, 28) with the centre of mass of `ink` (N, 20, 20) on the pixel (14, 14)."""
    ticks = np.arange(BOX)
    means = np.stack([ink.sum(2) @ ticks, ink.sum(1) @ ticks]) / ink.sum((1, 2))
    top, left = np.clip(np.rint(SIDE // 2 - means), 0, SIDE - BOX).astype(np.intp)[..., None, None]
    images = np.zeros((len(ink), SIDE, SIDE), np.uint8)
    images[np.arange(len(ink))[:, None, None], top + ticks[:, None], left + ticks] = np.rint(ink * 255)
    return images


@functools.lru_cache(maxsize=1)
def _templates() -> Templates:
    from scipy.spatial import KDTree

    signs = sorted((digit, name, sign) for names, some in SYMBOLS.items() for name in names for digit, sign in some)
    # Found without importing matplotlib, which would take its time and write to the user's home.
    folder = Path(str(distribution("matplotlib").locate_file("matplotlib/mpl-data/fonts/ttf")))
    skeletons = np.stack([_skeleton(_glyph(folder / f"{name}.ttf", sign)) for _, name, sign in signs], 1)
    places = _grid_points(GRID)
    distances = [KDTree(points.T).query(places.T)[0].reshape(GRID, GRID) for points in skeletons.swapaxes(0, 1)]
    return Templates(np.array([digit for digit, _, _ in signs]), skeletons, np.stack(distances).astype(np.float32))


def _glyph(file: Path, sign: str) -> NDArray[np.bool_]:
    """Return the ink of `sign`, its characters over one another, RASTER_HEIGHT pixels high with a margin of one pixel."""
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(file, 2 * RASTER_HEIGHT, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DataError(f"cannot read the font '{file}'", hint="reinstall matplotlib") from error
    paper = Image.new("L", (6 * RASTER_HEIGHT, 6 * RASTER_HEIGHT))
    for character in sign:
        ImageDraw.Draw(paper).text((3 * RASTER_HEIGHT, 3 * RASTER_HEIGHT), character, fill=255, font=font, anchor="ms")
    cut = paper.crop(paper.getbbox())
    fitted = cut.resize((max(1, round(cut.width * RASTER_HEIGHT / cut.height)), RASTER_HEIGHT), Image.Resampling.BOX)
    return np.pad(np.asarray(fitted.convert("1", dither=Image.Dither.NONE)), 1)


def _skeleton(ink: NDArray[np.bool_]) -> Array:
    """Return points (2, POINTS) of the medial axis of `ink`, as x and y in units from its middle."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(ink).astype(np.float32)
    # Off the axis the depth rises by one a pixel; on the bisector of a corner, which is no stroke, still by 0.7.
    axis = np.argwhere(ink & (np.hypot(*np.gradient(depth)) < SLOPE))
    axis = axis[(np.abs(axis[:, None] - axis).max(-1) <= MIN_COMPONENT).sum(1) > MIN_COMPONENT]
    kept: Indices = axis[np.linspace(0, len(axis) - 1, POINTS).round().astype(np.intp)]
    return ((kept - (np.array(ink.shape) - 1) / 2).T[::-1] * (TEMPLATE_HEIGHT / RASTER_HEIGHT)).astype(np.float32)


def _grid_points(side: int) -> Array:
    """Return the points (2, side * side) of a square lattice around the origin, as x and y."""
    return (np.indices((side, side), np.float32)[::-1] - (side - 1) / 2).reshape(2, -1)
