"""Images saved with a colour map are read by value, others by brightness."""

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mnistae.core.errors import DataError
from mnistae.data.images.colours import BY_BRIGHTNESS, COLOUR_MAPS
from mnistae.data.images.decode import read_bytes
from tests.support.images import five, saved

FIVE = read_bytes(saved(five()), name="five").images[0]


def mapped(name: str, k: int = 1) -> Image.Image:
    """Return a five as matplotlib's imsave writes it, with transparency and with each pixel repeated k times."""
    return Image.fromarray(colormaps[name](np.rint(255 * FIVE).astype(np.uint8).repeat(k, 0).repeat(k, 1), bytes=True))


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_a_colour_map_is_read_by_value(name: str, raw: bool) -> None:
    """The image is the one that was saved, and the note names the map."""
    read = read_bytes(saved(mapped(name)), name="x", raw=raw)
    assert np.abs(read.images[0] - FIVE).max() < 0.02
    assert read.notes[0] == f"read the values of colour map '{name}'"


@pytest.mark.parametrize(("name", "k"), [("viridis", 10), ("jet", 10), ("viridis_r", 1), ("jet_r", 1), ("jet_r", 4)])
def test_enlarged_and_reversed_colour_maps(name: str, k: int) -> None:
    """A reversed map is dark on light, so the image is inverted."""
    read = read_bytes(saved(mapped(name, k)), name="x")
    assert np.abs(read.images[0] - FIVE).max() < 0.02


@pytest.mark.parametrize("name", ["jet", "coolwarm", "Spectral", "gist_rainbow"])
def test_blurred_colour_maps_are_not_read_silently(name: str) -> None:
    """Colours that JPEG has mixed are not those of a map: a warning or a refusal, because brightness is not the value."""
    try:
        notes = read_bytes(saved(mapped(name).convert("RGB"), "JPEG", quality=75), name="x").notes
    except DataError:
        return
    assert notes[0] == BY_BRIGHTNESS


@pytest.mark.parametrize(
    ("ink", "background"), [("red", "white"), ("navy", "white"), ("yellow", "navy"), ("red", "lightblue"), ("white", "green")]
)
def test_coloured_ink_is_no_colour_map(ink: str, background: str) -> None:
    """Two colours are read by brightness, which the note says; faint colours have no note."""
    read = read_bytes(saved(five(ink, background, mode="RGB")), name="x")
    assert np.abs(read.images[0] - FIVE).mean() < 0.03
    assert read.notes[0] == BY_BRIGHTNESS
    assert BY_BRIGHTNESS not in read_bytes(saved(five("black", "#fffff0", mode="RGB")), name="x").notes
