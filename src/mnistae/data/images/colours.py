"""Colours to grey: the brightness of a colour, or its place in the colour map that an image was saved with."""

import functools
from typing import Any

import numpy as np

from mnistae.core.arrays import Array

COLOUR_MAPS = (
    *("viridis", "plasma", "inferno", "magma", "cividis", "jet", "turbo", "rainbow", "gist_rainbow", "hot", "coolwarm"),
    *("RdBu", "RdYlBu", "PiYG", "PRGn", "Spectral", "seismic", "bwr", "nipy_spectral", "gnuplot", "gist_ncar"),
)
"""The colour maps of matplotlib that are recognised: the usual ones whose brightness differs from the value."""

MIN_SATURATION = 0.2  # difference of the channels, in one of 30 pixels, below which brightness is right
TOLERANCE = 0.02  # mean distance of the colours from those of the map; other drawings have 0.06 and more
MIN_SPAN = 0.9  # of the map, because a plot spreads its values over it; red ink on white is half of 'bwr'

BY_BRIGHTNESS = "converted colours to grey by brightness (if they are a colour map, save the image in grey)"


def to_grey(rgb: Array, brightness: Array) -> tuple[Array, tuple[str, ...]]:
    """Return the grey values (h, w) in [0, 1] of colours (h, w, 3), and a note unless they are simply the brightness."""
    pixels = rgb.reshape(-1, 3)
    saturation = np.ptp(pixels, axis=1)
    if np.percentile(saturation, 97) < MIN_SATURATION:
        return brightness, ()
    sample = pixels[:: len(pixels) // 4096 + 1]
    shades = np.unique(sample, axis=0)  # one of each, however much of the image is background
    distance, name = min((float(_tree(name).query(shades)[0].mean()), name) for name in COLOUR_MAPS)
    if distance < TOLERANCE:
        values = (_tree(name).query(pixels)[1] / 255).reshape(brightness.shape).astype(np.float32)
        if np.ptp(values) > MIN_SPAN:
            return values, (f"read the values of colour map '{name}'",)
    return brightness, (BY_BRIGHTNESS,)


@functools.cache
def _tree(name: str) -> Any:  # scipy's KD-tree: no type, as scipy is imported late
    from matplotlib import colormaps
    from scipy.spatial import cKDTree

    return cKDTree(colormaps[name](np.arange(256))[:, :3])
