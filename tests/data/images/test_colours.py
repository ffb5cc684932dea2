"""Images saved with a colour map are read by value, others by brightness."""

import functools

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.data.images.colours import BY_BRIGHTNESS, COLOUR_MAPS
from tests.support.images import five, read, saved


@functools.cache
def plain() -> Array:
    return np.asarray(read(saved(five()))[0][0])


def mapped(name: str, k: int = 1) -> Image.Image:
    """Return a five as matplotlib's imsave writes it, with transparency and with each pixel repeated k times."""
    return Image.fromarray(colormaps[name](np.rint(255 * plain()).astype(np.uint8).repeat(k, 0).repeat(k, 1), bytes=True))


@pytest.mark.parametrize(("name", "k"), [*((name, 1) for name in COLOUR_MAPS), ("viridis", 10), ("jet_r", 4)])
def test_a_colour_map_is_read_by_value(name: str, k: int) -> None:
    """The image is the one that was saved, and the note names the map; a reversed map is dark on light."""
    images, notes = read(saved(mapped(name, k)))
    assert np.abs(images[0] - plain()).max() < 0.02
    assert notes[0] == f"read the values of colour map '{name.removesuffix('_r')}'"


@pytest.mark.parametrize("name", ["jet", "coolwarm", "Spectral", "gist_rainbow"])
def test_blurred_colour_maps_are_not_read_silently(name: str) -> None:
    """Colours that JPEG has mixed are not those of a map: a warning or a refusal, because brightness is not the value."""
    try:
        _, notes = read(saved(mapped(name).convert("RGB"), "JPEG", quality=75))
    except DataError:
        return
    assert notes[0] == BY_BRIGHTNESS


@pytest.mark.parametrize(
    ("ink", "background", "is_noted"),
    [("red", "white", True), ("yellow", "navy", True), ("red", "lightblue", True), ("black", "#fffff0", False)],
)
def test_coloured_ink_is_no_colour_map(ink: str, background: str, is_noted: bool) -> None:
    """Two colours are read by brightness, which the note says; faint colours have no note."""
    images, notes = read(saved(five(ink, background, mode="RGB")))
    assert np.abs(images[0] - plain()).mean() < 0.03
    assert (BY_BRIGHTNESS in notes) is is_noted
