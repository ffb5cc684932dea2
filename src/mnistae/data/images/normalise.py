"""A picture of one digit made like those of MNIST: ink found, scaled to 20x20, centred by mass in 28x28.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": size-normalised into a 20x20 box,
aspect ratio kept, with anti-aliasing, then moved so that the centre of mass is the centre of the 28x28 field.
"""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError

Mask = NDArray[np.bool_]
Level = TypeVar("Level", np.bool_, np.float32)

FIELD = 28
BOX = 20
CENTRE = 14.0  # measured: in MNIST the centre of mass lies within half a pixel of index 14, not of 13.5
FINE = 3  # pixels for a new one, where strokes are measured
MIN_STROKE = 2.0  # new pixels; the middle half of MNIST has 1.9 to 2.6
MIN_CONTRAST = 0.04  # of full scale; the texture of paper stays below

UNCHANGED = f"taken as it is: already {FIELD}x{FIELD}, light on dark"
THICKENED = "fine strokes widened"
INVERTED = "inverted: dark ink on a light ground"


def normalise(grey: Array, *, name: str) -> tuple[Array, tuple[str, ...]]:
    """Return the digit of a picture as MNIST would show it, (28, 28), 0 = background, 1 = ink, and the steps done.

    grey: (h, w) in [0, 1], either polarity. A 28x28 picture that is light on dark comes back unchanged.
    Raises DataError if there is no ink.
    """
    if _is_mnist_like(grey):
        return grey, (UNCHANGED,)
    ink, notes = _ink(grey)
    if ink.any():
        ink, more_notes = _widened(ink[bounds(ink > 0.1)])
        notes += more_notes
    digit = _scaled(ink) if ink.any() else ink
    if digit.sum() < BOX / 2:  # less than half a hairline
        raise DataError(f"no ink in '{name}'", hint="give one digit, clearly lighter or darker than its ground")
    return _centred(digit), (*notes, f"cut to the ink, scaled to {digit.shape[1]}x{digit.shape[0]}, centred by mass")


def _ink(grey: Array) -> tuple[Array, tuple[str, ...]]:
    """Return how much each pixel (h, w) belongs to the digit, in [0, 1], and the steps done."""
    ink, notes = _foreground(grey)
    if not ink.any():
        return ink, notes
    box = bounds(ink > 0.5)
    solid = ink[box] > 0.5
    if min(solid.shape) < max(max(solid.shape) / 2, max(ink.shape) / 4) or solid.mean() < 0.8:
        return ink, notes
    inner, inner_notes = _foreground(grey[box])  # no stroke is that broad: a sheet of paper on a table
    return (inner, ("cut to the sheet", *inner_notes)) if inner.any() else (ink, notes)


def _foreground(grey: Array) -> tuple[Array, tuple[str, ...]]:
    ground = _background(grey)
    difference = grey - ground
    if (difference * np.abs(difference)).sum() >= 0:  # squares, signed: strokes outweigh what the light left over
        return _drop_border_components(difference), ()
    light = np.maximum(ground, np.float32(0.05))  # ink takes its share of the light: less where there is less
    return _drop_border_components(np.asarray(-difference / light)), (INVERTED,)


def bounds(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns of the least box around what is true; something must be."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _extent(mask: Mask) -> int:
    rows, columns = bounds(mask)
    return int(max(rows.stop - rows.start, columns.stop - columns.start))


def _is_mnist_like(grey: Array) -> bool:
    return grey.shape == (FIELD, FIELD) and bool(np.median(_border(grey)) < 0.25 and grey.max() >= 0.5)


def _border(picture: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def _background(grey: Array) -> Array:
    """Estimate the background (h, w), unevenly lit perhaps: a plane, then a quadratic, grown from the border's level.

    Only pixels near the surface so far pull at it, so ink never bends it, however much of the picture it covers.
    """
    small = _resized(grey, (min(grey.shape[0], 32), min(grey.shape[1], 32)))
    terms = _terms(small.shape)  # (h', w', 6)
    surface = np.full_like(small, np.median(_border(small)))
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
    # The middles of the pixels, so that a coarse grid and a fine one mean the same places.
    y, x = np.meshgrid(*((2 * np.arange(n, dtype=np.float32) + 1) / n - 1 for n in shape), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _drop_border_components(difference: Array) -> Array:
    """Return the ink (h, w) of the digit alone; what touches the border only if there is nothing else."""
    ink = _threshold(difference)
    if not _border(ink).any():
        return ink
    inner = _threshold(np.where(_dilate(ink > 0, 2), 0, difference))
    return inner if inner.sum() > 0.1 * ink.sum() else ink


def _threshold(difference: Array) -> Array:
    """Return what stands out, (h, w) in [0, 1], without specks; all 0 if nothing does."""
    below = -difference[difference <= 0]  # no ink on that side, however much there is on the other
    noise = 1.4826 * float(np.median(below)) if below.size else 0.0
    least = max(4 * noise, MIN_CONTRAST)
    for threshold in _thresholds(difference[difference > least], least):
        digit = _select_components(difference > threshold, difference)
        if digit.any():
            level = float(np.percentile(difference[digit & (difference > threshold)], 75))
            edge = 0.2 * float(np.clip(_extent(digit) / BOX - 1, 0, 1))  # the edges of a small digit are its smoothness
            low, high = max(edge * level, 3 * noise), (1 - edge) * level
            return np.where(digit, np.clip((difference - low) / (high - low), 0, 1), 0).astype(np.float32)
    return np.zeros_like(difference)


def _thresholds(values: Array, least: float) -> tuple[float, ...]:
    """Return where ink begins among values over `least`: Otsu's threshold, and a lower one to try if that fails.

    The lower one is for hairlines, of which sampling leaves every other piece faint.
    """
    if values.size == 0:
        return ()
    most = float(np.percentile(values, 98))
    return _otsu(np.minimum(values, most), least, most), max(0.45 * most, least)


def _otsu(values: Array, least: float, most: float) -> float:
    """Return the threshold that sets the means of the two classes furthest apart, weighted (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=64, range=(least, most))
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    gap = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + int(np.argmax(below * above * gap**2))])


def _select_components(mask: Mask, difference: Array) -> Mask:
    """Keep the parts of a mask (h, w) that make the digit, with a rim for their soft edges."""
    side = max(mask.shape)
    labels = _connected_components(_dilate(mask, side // 128))  # a gap that narrow in a stroke is no gap
    mass = np.bincount(labels[mask], difference[mask], minlength=labels.max() + 1)
    inner = mass.copy()
    inner[_border(labels)] = 0
    if inner.max() > 0.1 * mass.max():
        mass = inner
    if mass.max() <= 0.35 * mass.sum():  # nothing, or a haze of specks
        return np.zeros_like(mask)
    digit = mask & (mass > 0.06 * mass.max())[labels]
    if _extent(digit) < max(5, side / 16):  # dirt
        return np.zeros_like(mask)
    return _dilate(digit, 2)


def _connected_components(mask: Mask) -> NDArray[np.intp]:
    """Number the 8-connected parts of a mask (h, w) from 1; 0 is outside.

    Every pair of touching pixels hangs the later of their two roots on the earlier, until no pair has two.
    """
    padded = np.pad(mask, 1)
    flat, w = padded.ravel(), padded.shape[1]
    at = np.flatnonzero(flat)
    a, b = np.concatenate([(at[flat[at + step]], at[flat[at + step]] + step) for step in (1, w - 1, w, w + 1)], axis=1)
    root = np.arange(flat.size)
    while (apart := root[a] != root[b]).any():
        a, b = a[apart], b[apart]
        np.minimum.at(root, np.maximum(root[a], root[b]), np.minimum(root[a], root[b]))
        while (root[root] != root).any():
            root = root[root]
    labels = np.zeros(flat.size, np.intp)
    labels[at] = np.unique(root[at], return_inverse=True)[1] + 1
    return labels.reshape(padded.shape)[1:-1, 1:-1]


def _dilate(mask: NDArray[Level], reach: int) -> NDArray[Level]:
    """Widen what is true, or dark, by `reach` pixels in every direction."""
    for axis in (0, 1):
        padded = np.pad(mask, [(reach, reach) if axis == a else (0, 0) for a in (0, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)
        mask = np.max(windows, axis=-1)
    return mask


def _scaled(ink: Array) -> Array:
    """Scale ink (h, w), the same in both directions, so that the longer side is 20 and the darkest ink 1."""
    scale = max(ink.shape) / BOX
    digit = _resized(ink, (_box_side(ink.shape[0] / scale), _box_side(ink.shape[1] / scale)), scale)
    return np.asarray(np.minimum(digit / np.percentile(digit[digit > 0], 95), 1), np.float32)


def _widened(ink: Array) -> tuple[Array, tuple[str, ...]]:
    """Widen strokes (h, w) that are finer than in MNIST, and say so: a ballpoint's would be a grey shade in 20x20.

    The width of a stroke is twice its area over the length of its edges, which is the sum of all changes, measured
    coarsely and on what is half dark or more, as the grain of a photo has changes too.
    """
    scale = max(ink.shape) / BOX
    zoom = max(scale / FINE, 1)
    h, w = (math.ceil(side / zoom) for side in ink.shape)
    coarse = np.pad(np.clip(2 * _resized(ink, (h, w), zoom) - 0.5, 0, 1), 1)
    changes = np.hypot(np.diff(coarse, axis=0)[:, :-1], np.diff(coarse, axis=1)[:-1]).sum()
    width = 2 * float(coarse.sum() / changes) * zoom if changes else 0.0
    reach = round((MIN_STROKE * scale - width) / 2)
    return (_dilate(np.pad(ink, reach), reach), (THICKENED,)) if reach > 0 else (ink, ())


def _box_side(side: float) -> int:
    return max(1, math.ceil(side - 0.25))  # a quarter of a pixel is no reason for another one


def _resized(picture: Array, shape: tuple[int, int], scale: float | None = None) -> Array:
    """Scale (h, w) to `shape`, or by `scale` old pixels a new one from the top left, with 0 beyond the edges.

    Means over areas when it shrinks, linear interpolation when it grows.
    """
    rows, columns = (_weights(old, new, scale or old / new) for old, new in zip(picture.shape, shape, strict=True))
    return np.asarray(rows @ picture @ columns.T, np.float32)


def _weights(size: int, wanted: int, scale: float) -> Array:
    """Weights (wanted, size) of a window one new pixel, but at least one old pixel, wide."""
    width = max(scale, 1.0)
    start = (np.arange(wanted)[:, None] + 0.5) * scale - width / 2
    old = np.arange(size)
    overlap = np.minimum(start + width, old + 1) - np.maximum(start, old)
    return np.asarray(np.clip(overlap, 0, None) / width, np.float32)


def _centred(digit: Array) -> Array:
    """Paste a digit (h, w <= 20) into 28x28, to the pixel as MNIST, so that its centre of mass is the middle."""
    field = np.zeros((FIELD, FIELD), np.float32)
    h, w = digit.shape
    total = digit.sum()
    y = CENTRE - (digit.sum(axis=1) @ np.arange(h)) / total
    x = CENTRE - (digit.sum(axis=0) @ np.arange(w)) / total
    top, left = (int(np.clip(np.rint(at), 0, FIELD - side)) for at, side in ((y, h), (x, w)))
    field[top : top + h, left : left + w] = digit
    return field
