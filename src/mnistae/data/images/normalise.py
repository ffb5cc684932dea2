"""Make an image of one digit like those of MNIST: find the ink, scale it to 20x20, centre it by mass in 28x28.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": size-normalised into a 20x20 box,
aspect ratio kept, with anti-aliasing, then moved so that the centre of mass is the centre of the 28x28 image.
"""

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.errors import DataError
from mnistae.data.images.layout import CENTRE, Mask, border, bounds, centre_of_mass, extent, mismatch
from mnistae.data.images.resize import resized

BOX = 20
OUTLINE = 160  # pixels of the longer side at which the outline of a smaller digit is drawn
FINE = 3  # input pixels per output pixel where strokes are measured
MIN_STROKE = 2.0  # output pixels; the interquartile range of MNIST is 1.9 to 2.6
MIN_CONTRAST = 0.04  # of full scale; the texture of paper stays below
MIN_STEP = 0.05  # of full scale; from a lit area to a shadow or a table

UNCHANGED = f"used as is ({SIDE}x{SIDE}, light on dark)"
NO_SHADES = "there are no shades of grey"
THICKENED = "thickened thin strokes"
LEVELLED = "levelled areas of different brightness"
INVERTED = "inverted (dark on light)"
SEVERAL = "several shapes side by side, read as one digit"
MAX_WIDTH = 2.6  # times the height; MNIST: at most 2.5
MIN_SHARE = 0.2  # of the heaviest shape


def normalise(grey: Array, *, name: str, is_bilevel: bool = False) -> tuple[Array, tuple[str, ...]]:
    """Return the digit of an image in MNIST's format, (28, 28), 0 = background, 1 = ink, and the steps done.

    grey: (h, w) in [0, 1], either polarity. An image that has MNIST's layout already is returned unchanged, or inverted,
    unless it `is_bilevel`, of black and white pixels alone. Raises DataError if there is no ink.
    """
    k = grey.shape[0] // SIDE
    if k > 1 and grey.shape == (k * SIDE, k * SIDE):
        small = grey[::k, ::k]
        has_blocks = np.array_equal(small.repeat(k, axis=0).repeat(k, axis=1), grey)
        grey = small if has_blocks else grey  # a 28x28 image whose pixels were repeated
    notes: tuple[str, ...] = ()
    if grey.shape == (SIDE, SIDE):
        difference = NO_SHADES if is_bilevel else mismatch(grey)
        shades = (NO_SHADES,) if np.unique(grey).size == 2 else ()
        if not difference:
            return grey, (UNCHANGED, *shades)
        if not is_bilevel and not mismatch(1 - grey):
            return 1 - grey, (INVERTED, *shades)
        notes = (f"{SIDE}x{SIDE}, but {difference} (--raw uses it as is)",)
    digit, more_notes = _ink(grey)
    hint = "give one digit, clearly lighter or darker than its background; crop the photo if the digit is small"
    no_digit = DataError(f"no digit found in '{name}'", hint=hint)
    if not digit.any():
        raise no_digit
    are_several = _are_several(digit)
    notes += more_notes + ((SEVERAL,) if are_several else ())
    ink = _sharpened(digit[bounds(digit > 0.1)])
    reach = _missing_width(ink)
    if reach > 0:
        ink = _dilate(np.pad(ink, reach), reach)
        notes += (THICKENED,)
    digit = _scaled(ink)
    if digit.sum() < BOX / 2:  # less than half a hairline
        raise no_digit
    h, w = digit.shape
    if w > (1.5 if are_several else MAX_WIDTH) * h:
        message = f"not one digit: '{name}', what it shows is {w / h:.1f} times as wide as high"
        raise DataError(message, hint="crop the photo to one digit")
    return _centred(digit), (*notes, f"cropped, scaled to {w}x{h}, centred")


def _are_several(digit: Array) -> bool:
    """Whether heavy shapes of a digit (h, w) are side by side, as in a picture of two digits."""
    from scipy import ndimage

    shapes, count = ndimage.label(digit > 0.5, np.ones((3, 3)))
    mass = ndimage.sum_labels(digit, shapes, range(1, count + 1))
    boxes = [box for box, own in zip(ndimage.find_objects(shapes), mass, strict=True) if own > MIN_SHARE * mass.max()]
    spans = sorted((columns.start, columns.stop) for _, columns in boxes)
    return any(right[0] >= left[1] for left, right in itertools.pairwise(spans))


def _sharpened(ink: Array) -> Array:
    """Enlarge a small digit (h, w) by its outline at half ink: pixels alone would come out blurred.

    Steps of pixels without shades of grey are smoothed first.
    """
    from scipy import ndimage

    side = max(ink.shape)
    if side >= 3 * BOX:
        return ink
    has_steps = side < 2 * BOX and (ink[ink > 0.1] > 0.9).mean() > 0.95
    ink = np.pad(ink, 1)
    if has_steps:
        ink = ndimage.gaussian_filter(ink, 0.6)
    large = ndimage.zoom(ink, OUTLINE / side, order=1 if has_steps else 3, mode="grid-constant", grid_mode=True)
    outline = np.clip((3 if has_steps else 10) * (large - 0.5) + 0.5, 0, 1)
    return np.asarray(outline[bounds(outline > 0.1)])


def _ink(grey: Array) -> tuple[Array, tuple[str, ...]]:
    """Return how much each pixel (h, w) belongs to the digit, in [0, 1], and the steps done."""
    background = _background(grey)
    ink, notes = _foreground(grey, background)
    paper = bounds(ink > 0.5) if _is_solid(ink) else None
    if paper:  # no stroke is that broad: a sheet of paper on a table, or what a shadow leaves of it
        inner, inner_notes = _foreground(grey[paper], _background(grey[paper]))
        if inner.any():
            ink, notes = np.zeros_like(ink), ("cropped to the paper", *inner_notes)
            ink[paper] = inner
    step = np.abs(grey - background) > MIN_STEP
    sides = [side.mean() for side in (step[0], step[-1], step[:, 0], step[:, -1])]
    is_cut_out = min(sides) > 0.03 or (not paper and ink.any() and ink[bounds(ink > 0.5)].size > 0.8 * ink.size)
    if min(grey.shape) < 3 * BOX or (max(sides) < 0.1 and not paper) or (is_cut_out and ink.any()):
        return ink, notes
    levelled = _levelled(grey)
    whole, whole_notes = _foreground(levelled, _background(levelled))
    is_same = (np.minimum(whole, ink) > 0.5).sum() > 0.65 * (np.maximum(whole, ink) > 0.5).sum()
    is_part = ink.any() and not border(ink).any() and whole[bounds(ink > 0.5)].sum() > 0.99 * whole.sum()
    if is_same or is_part or border(whole).any() or not whole.any():
        return ink, notes
    return whole, (LEVELLED, *whole_notes)


def _is_solid(ink: Array) -> bool:
    """Whether ink (h, w) is a large solid rectangle."""
    solid = ink[bounds(ink > 0.5)] > 0.5 if ink.any() else np.zeros((1, 1))
    return bool(min(solid.shape) >= max(max(solid.shape) / 2, max(ink.shape) / 4) and solid.mean() >= 0.8)


def _levelled(grey: Array) -> Array:
    """Divide an image (h, w) by the brightness of its areas: shadows and tables vanish, thin strokes do not.

    Closing removes dark strokes, opening light ones; both keep the edges of larger areas, and the wrong one makes new edges.
    """
    from scipy import ndimage

    grey = ndimage.median_filter(grey, 3)
    side = max(3, min(grey.shape) // 6)
    surfaces = [filtered(grey, (side, side), mode="nearest") for filtered in (ndimage.grey_closing, ndimage.grey_opening)]
    surface = min(surfaces, key=lambda area: sum(np.abs(np.diff(area, axis=axis)).sum() for axis in (0, 1)))
    levelled = grey / np.maximum(surface, 0.05)
    return np.asarray(levelled / max(levelled.max(), 0.05), np.float32)


def _foreground(grey: Array, background: Array) -> tuple[Array, tuple[str, ...]]:
    """Return the ink (h, w) without components that touch the border, unless there are no others, and the steps done."""
    difference = grey - background
    notes: tuple[str, ...] = ()
    if (difference * np.abs(difference)).sum() < 0:  # signed squares: strokes outweigh the remaining shading
        light = np.maximum(background, np.float32(0.05))  # ink absorbs a share of the light
        difference, notes = -difference / light, (INVERTED,)
    ink = _threshold(difference)
    if border(ink).any():
        inner = _threshold(np.where(_dilate(ink > 0, 2), 0, difference))
        ink = inner if inner.sum() > 0.1 * ink.sum() else ink
    return ink, notes


def _background(grey: Array) -> Array:
    """Estimate the background (h, w), unevenly lit perhaps: a plane, then a quadratic, grown from the border's level.

    Only pixels near the surface so far pull at it, so ink never bends it, however much of the image it covers.
    """
    small = resized(grey, (min(grey.shape[0], 32), min(grey.shape[1], 32)))
    terms = _terms(small.shape)  # (h', w', 6)
    surface = np.full_like(small, np.median(border(small)))
    coefficients = np.zeros(6, np.float32)
    coefficients[0] = surface[0, 0]
    reach = min(0.1, 0.15 * float(np.ptp(small)))
    for used in (3,) * 8 + (6,) * 6:
        near = np.abs(small - surface) <= reach
        if near.mean() < 0.05:
            break
        coefficients[:used] = np.linalg.lstsq(terms[near][:, :used], small[near], rcond=1e-3)[0]
        surface = terms @ coefficients
    return _terms(grey.shape) @ coefficients


def _terms(shape: tuple[int, ...]) -> Array:
    # Pixel centres, so that a coarse grid and a fine one cover the same area.
    y, x = np.meshgrid(*((2 * np.arange(n, dtype=np.float32) + 1) / n - 1 for n in shape), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _threshold(difference: Array) -> Array:
    """Return the foreground (h, w) in [0, 1] without specks; all 0 if there is none."""
    below = -difference[difference <= 0]  # the noise of the background alone
    noise = 1.4826 * float(np.median(below)) if below.size else 0.0
    least = max(4 * noise, MIN_CONTRAST)
    values = difference[difference > least]
    if values.size == 0:
        return np.zeros_like(difference)
    most = float(np.percentile(values, 98))
    # The second one is for hairlines, of which sampling leaves every other piece faint.
    for threshold in (_otsu(np.minimum(values, most), least, most), max(0.45 * most, least)):
        digit = _select_components(difference > threshold, difference)
        if digit.any():
            level = float(np.percentile(difference[digit & (difference > threshold)], 75))
            edge = 0.2 * float(np.clip(extent(digit) / BOX - 1, 0, 1))  # the edges of a small digit are its smoothness
            low, high = max(edge * level, 3 * noise), (1 - edge) * level
            return np.where(digit, np.clip((difference - low) / (high - low), 0, 1), 0).astype(np.float32)
    return np.zeros_like(difference)


def _otsu(values: Array, least: float, most: float) -> float:
    """Return the threshold that sets the means of the two classes furthest apart, weighted (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=64, range=(least, most))
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    gap = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + int(np.argmax(below * above * gap**2))])


def _select_components(mask: Mask, difference: Array) -> Mask:
    """Keep the components of a mask (h, w) that belong to the digit, dilated to include their soft edges."""
    from scipy import ndimage

    side = max(mask.shape)
    labels, _ = ndimage.label(_dilate(mask, side // 128), np.ones((3, 3)))  # closes narrow gaps in strokes
    mass = np.bincount(labels[mask], difference[mask], minlength=labels.max() + 1)
    inner = mass.copy()
    inner[border(labels)] = 0
    if inner.max() > 0.1 * mass.max():
        mass = inner
    if mass.max() <= 0.35 * mass.sum():  # nothing, or noise
        return np.zeros_like(mask)
    digit = mask & (mass > 0.06 * mass.max())[labels]
    if extent(digit) < max(5, side / 16):  # dirt
        return np.zeros_like(mask)
    return _dilate(digit, 2)


def _dilate(image: NDArray[Any], reach: int) -> NDArray[Any]:
    """Dilate a mask or grey values (h, w) by a square of `reach` pixels in every direction."""
    from scipy import ndimage

    return np.asarray(ndimage.maximum_filter(image, 2 * reach + 1, mode="constant"))


def _scaled(ink: Array) -> Array:
    """Scale ink (h, w), the same in both directions, so that the longer side is 20 and the darkest ink 1."""
    scale = max(ink.shape) / BOX
    h, w = (max(1, math.ceil(side / scale - 0.25)) for side in ink.shape)  # a quarter of a pixel needs no other one
    digit = resized(ink, (h, w), scale)
    return np.asarray(np.minimum(digit / np.percentile(digit[digit > 0], 95), 1), np.float32)


def _missing_width(ink: Array) -> int:
    """Return the pixels by which strokes (h, w) have to grow on each side: a ballpoint stroke would be pale grey in 20x20.

    The width of a stroke is twice its area over the length of its edges, which is the total variation, measured
    on a coarse grid and on pixels at least half dark, because the grain of a photo has variation too.
    """
    scale: float = max(ink.shape) / BOX
    zoom = max(scale / FINE, 1)
    h, w = (math.ceil(side / zoom) for side in ink.shape)
    coarse = np.pad(np.clip(2 * resized(ink, (h, w), zoom) - 0.5, 0, 1), 1)
    changes = np.hypot(np.diff(coarse, axis=0)[:, :-1], np.diff(coarse, axis=1)[:-1]).sum()
    width = 2 * float(coarse.sum() / changes) * zoom if changes else 0.0
    return round((MIN_STROKE * scale - width) / 2)


def _centred(digit: Array) -> Array:
    """Paste a digit (h, w <= 20) into 28x28 at whole pixels, as in MNIST, with its centre of mass at the centre."""
    image = np.zeros((SIDE, SIDE), np.float32)
    h, w = digit.shape
    y, x = centre_of_mass(digit)
    top, left = (int(np.clip(np.rint(CENTRE - at), 0, SIDE - side)) for at, side in ((y, h), (x, w)))
    image[top : top + h, left : left + w] = digit
    return image
