"""Maps of codes as figures, tables, text and projector files."""

import dataclasses
import io
import re

import numpy as np
import pytest
from matplotlib.offsetbox import AnnotationBbox
from PIL import Image

from mnistae.core.arrays import NO_LABEL
from mnistae.core.config import ModelConfig
from mnistae.data.sets.dataset import Split
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.outputs import maps
from mnistae.outputs.terminal.canvas import Canvas
from mnistae.tasks.embedding import Embedding, Method

RANDOM = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 12, NO_LABEL], 25).astype(np.uint8)
PLACES = (RANDOM.normal(size=(100, 2)) + np.repeat([[0, 0], [0, 20], [20, 0], [20, 20]], 25, axis=0)).astype(np.float32)
IMAGES = RANDOM.integers(0, 256, (100, 784), np.uint8)
SHOWN = Embedding(Split.TEST, np.arange(100) * 2, IMAGES, LABELS, PLACES, PLACES, Method.CODES)
SHAPES = ModelConfig(hidden=4, bottleneck=2).shapes()
NETWORK = NumpyNetwork.from_weights({name: RANDOM.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()})
CLASSES = ("zero", "_o$n$e")


def test_centre_is_in_the_largest_part() -> None:
    """The centre of a class in two parts is in the larger one, and the images without a label have none."""
    places = PLACES.copy()
    places[:8] += 40
    found = maps.centres(dataclasses.replace(SHOWN, positions=places))
    assert set(found) == {0, 1, 12}
    assert 8 <= found[0] < 25
    assert all(LABELS[row] == label for label, row in found.items())


def test_figure_names_the_classes_and_shows_the_decoded_grid() -> None:
    """The legend has the classes' names unchanged, and the background is the image of the lowest to the highest code."""
    figure = maps.figure(SHOWN, CLASSES, "$t$", NETWORK)
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["zero", "_o$n$e", "12", "no label"]
    assert (axes.get_title(), axes.get_xlabel()) == ("$t$", "unit 0")
    grid = np.asarray(axes.images[0].get_array())
    low, high = PLACES.min(axis=0), PLACES.max(axis=0)
    left_top = [low[0] + (high[0] - low[0]) / 48, high[1] - (high[1] - low[1]) / 48]
    expected = NETWORK.decode(np.array([left_top], np.float32)).reshape(28, 28)
    np.testing.assert_allclose(grid[:28, :28], expected, atol=1 / 255)
    left, right, bottom, top = axes.images[0].get_extent()
    assert ((left, bottom), (right, top)) == (tuple(low.tolist()), tuple(high.tolist()))


@pytest.mark.parametrize(("dead", "value"), [([0], 0), ([1], -1e30), ([0, 1], 0), ([0, 1], 1e8)])
def test_dead_units(dead: list[int], value: float) -> None:
    """The codes of a dead unit, of any value, are in the middle of its axis, in the figure and in the terminal."""
    places = PLACES.copy()
    places[:, dead] = value
    shown = dataclasses.replace(SHOWN, positions=places)
    figure = maps.figure(shown, CLASSES, "", NETWORK)
    figure.draw_without_rendering()
    extent = np.reshape(figure.axes[0].images[0].get_extent(), (2, 2))[dead]
    assert (extent[:, 0] < value).all()
    assert (extent[:, 1] > value).all()
    np.testing.assert_allclose(maps.in_unit_square(places)[:, dead], 0.5, atol=0.1)
    assert "".join(maps.as_text(Canvas(20, 6), shown, CLASSES)).strip()


def test_images_of_classes_at_one_place_do_not_overlap() -> None:
    """Two classes with the same positions have their images next to each other, both with a line to the common centre."""
    places = np.concatenate([PLACES[:25], PLACES[:25], PLACES[50:]])
    (axes,) = maps.figure(dataclasses.replace(SHOWN, positions=places, method=Method.TSNE), CLASSES, "", NETWORK).axes
    first, second, _ = [artist for artist in axes.artists if isinstance(artist, AnnotationBbox)]
    assert tuple(first.xy) == tuple(second.xy)
    assert (np.abs(np.subtract(first.xybox, second.xybox)) / np.ptp(places, axis=0)).max() >= 0.074


def test_many_and_long_names_leave_room_for_the_map() -> None:
    """A figure becomes wider for its legend: it is laid out without a warning, and the map keeps its size."""
    shown = dataclasses.replace(SHOWN, labels=np.arange(100, dtype=np.uint8) % 40, method=Method.TSNE)
    figure = maps.figure(shown, [f"{number} {'long' * 30}" for number in range(40)], "t" * 200, NETWORK)
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width * figure.get_figwidth() > 5


def test_boxes_do_not_overlap() -> None:
    """Boxes at one place, or close to each other or to the edge, are moved apart and inside; others and too many stay."""
    places = np.array([*[[0.5, 0.5]] * 5, [0.55, 0.5], [0, 1], [0.02, 0.95], [0.3, 0.2]], np.float32)
    sizes = np.array([*[[0.1, 0.05]] * 8, [0.2, 0.1]], np.float32)
    moved = maps.apart(places, sizes)
    gaps = np.abs(moved[:, None] - moved) - (sizes[:, None] + sizes) / 2
    assert (gaps.max(axis=2) + np.eye(len(moved)) > -1e-3).all()
    assert (moved >= sizes / 2).all()
    assert (moved <= 1 - sizes / 2).all()
    assert moved[-1].tolist() == places[-1].tolist()
    crowd = RANDOM.random((100, 2), np.float32)
    np.testing.assert_array_equal(maps.apart(crowd, np.full_like(crowd, 0.075)), crowd)


def test_table_has_a_line_for_each_code() -> None:
    """The table holds the references, labels, names of the classes and exact positions."""
    header, *lines = maps.as_csv(SHOWN, ()).splitlines()
    assert (header, len(lines)) == ("image,label,x,y", 100)
    name, label, x, y = lines[1].split(",")
    assert (name, label, np.float32(x), np.float32(y)) == ("test:2", "0", *PLACES[1])
    header, *lines = (line.rsplit(",", 2)[0] for line in maps.as_csv(SHOWN, ("zero, 0", "one")).splitlines())
    assert header == "image,label,class"
    assert lines[::25] + lines[-1:] == ['test:0,0,"zero, 0"', "test:50,1,one", "test:100,12,", "test:150,,", "test:198,,"]


@pytest.mark.parametrize(
    ("classes", "signs", "below"),
    [
        ([*"abcdefghijklm"], "abm", []),
        (["cat", "rat", *["x"] * 10, "\x1b"], "01c", ["0 cat, 1 rat, c \\x1b"]),
        (["cat " * 30] * 13, "01c", [f"0 {'cat ' * 9}ca", "..."]),
    ],
    ids=["letters", "names", "long names"],
)
def test_text_shows_each_class_in_its_place(classes: list[str], signs: str, below: list[str]) -> None:
    """The characters of the classes are in the corners where their codes are; names of several letters are below the map."""
    lines, coloured = (maps.as_text(Canvas(41, 15, colours), SHOWN, classes) for colours in (0, 256))
    drawn = len(lines) - (len(below) and (1 if len(below) == 1 else 5))
    corners = [(slice(drawn - 4, drawn), slice(20)), (slice(4), slice(20)), (slice(drawn - 4, drawn), slice(20, 40))]
    for (rows, columns), sign in zip(corners, signs, strict=True):
        assert {character for line in lines[rows] for character in line[columns]} == {" ", sign}
    assert len(lines) <= 15
    assert lines[drawn:][:1] == below[:1]
    assert "".join(lines[-1:]).endswith("".join(below[-1:]))
    assert max(map(len, lines)) <= 40
    assert [re.sub(r"\x1b\[3?\dm", "", line) for line in coloured] == lines != coloured


@pytest.mark.parametrize(
    ("classes", "width", "height", "below"),
    [("abcdefghijklm", 3, 6, 0), (["cat"] * 13, 3, 6, 0), (["cat"] * 13, 9, 6, 2), (["cat"] * 13, 1, 6, 0)],
)
def test_text_fits_a_small_terminal(classes: list[str], width: int, height: int, below: int) -> None:
    """The map and the names below it are as high as the terminal; the names are left out where there is no room for them."""
    lines = maps.as_text(Canvas(width, height), SHOWN, classes)
    assert (len(lines), max(map(len, lines)) < max(width, 2)) == (height, True)
    assert sum("," in line or "..." in line for line in lines) == below


def test_projector_files_agree() -> None:
    """Vectors, labels and sprite have one entry per code, in the same order."""
    files = maps.projector_files(SHOWN, ("a\tb\n", "one"))
    vectors = np.loadtxt(io.BytesIO(files["vectors.tsv"]), dtype=np.float32)
    np.testing.assert_array_equal(vectors, PLACES)
    lines = files["metadata.tsv"].decode().splitlines()
    assert (lines[:2], len(lines)) == (["image\tlabel", "test:0\ta b"], 101)
    sprite = np.asarray(Image.open(io.BytesIO(files["sprite.png"])))
    assert sprite.shape == (280, 280)
    np.testing.assert_array_equal(sprite[28:56, :28].ravel(), IMAGES[10])
    assert b"sprite.png" in files["projector_config.pbtxt"]
