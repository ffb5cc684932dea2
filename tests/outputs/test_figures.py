"""Figures and their bytes."""

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnistae.core.errors import UsageError
from mnistae.core.records import EpochRecord
from mnistae.outputs import figures
from mnistae.tasks import inference
from mnistae.tasks.inference import Reconstruction
from mnistae.tasks.noise import Noise

HISTORY = [EpochRecord(number, 0.1 / number, 1e-3) for number in range(1, 11)]
IMAGES = np.random.default_rng(0).random((3, 784), np.float32)


def shown(figure: Any) -> np.ndarray:
    """Return the images (n, 28, 28) of a figure's axes and of its subfigures, in order."""
    parts = figure.subfigs or [figure]
    return np.stack([axes.images[0].get_array() for part in parts for axes in part.axes if axes.images])


def test_loss_curve_shows_the_losses() -> None:
    """Figure 1: the losses over the epochs. Several have a legend of their names; the eleventh has other dashes or markers.

    Names are unchanged, even "_hidden" and "$x", but for characters that the font lacks, and long ones have several lines. A
    legend of more than ten lines is beside the axes.
    """
    (axes,) = figures.loss_curve(HISTORY).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(epoch.number, epoch.loss) for epoch in HISTORY])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_legend()) == ("Epoch", "MSE", None)
    names = ["lab", "_hidden", "$x", "gr\u00fcn\n", "\u05d0", "\u4e2d", "a" * 40, "a" * 400, *"bcd"]
    figure: Any = figures.loss_curve(*[HISTORY] * 11, names=names)
    shown = ["lab", "_hidden", "$x", "gr\u00fcn\\n", "\u05d0", "\\u4e2d", f"{'a' * 36}\naaaa"]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert (texts[:7], texts[7].count("\n")) == (shown, 2)
    assert len({(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}) == 11
    (axes,) = figures.loss_curve(*[HISTORY[:1]] * 11, names="abcdefghijk").axes
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 11  # a single epoch has no line
    assert figures.loss_curve(*[HISTORY] * 10, names="abcdefghij").axes[0].get_legend()
    figure = figures.loss_curve(*[HISTORY] * 22, names=["a" * 40] * 22)
    assert figures.render(figure, "png")  # or a warning of no room
    assert figure.axes[0].get_position().width * figure.get_figwidth() > 5
    figure = figures.loss_curve(*[HISTORY] * 32, names=["a"] * 16 + ["a" * 400] * 16)
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().y0 >= 0


@pytest.mark.parametrize(
    ("draw", "titles"),
    [
        (figures.reconstructions, ["Original Image", "Reconstructed Output"]),
        (figures.denoisings, ["Original Image", "Noisy Image", "Denoised Output"]),
        (functools.partial(figures.denoisings, None), ["Noisy Image", "Denoised Output"]),
    ],
)
def test_pairs_are_in_the_labs_layout(draw: Callable[..., Any], titles: list[str]) -> None:
    """Figures 2 to 5: one row per image, the lab's titles; denoising without clean images has the last two."""
    parts = [IMAGES * np.float32(share) for share in (1, 0.5, 0.25)][: len(titles)]
    figure = draw(*parts)
    assert [axes.get_title() for axes in figure.axes] == titles * 3
    np.testing.assert_array_equal(shown(figure), np.stack(parts, 1).reshape(-1, 28, 28))
    assert {axes.images[0].get_cmap().name for axes in figure.axes} == {"gray"}
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0, 1)}


def test_interpolation_has_ten_images_in_a_row() -> None:
    """Figure 6: an original, eight frames, the other original; one row per segment."""
    frames = np.random.default_rng(0).random((2, 8, 784), np.float32)
    figure = figures.interpolations(IMAGES, frames)
    (axes,) = figure.axes
    images = np.array([image.get_array() for image in axes.images]).reshape(-1, 784)
    np.testing.assert_array_equal(images, np.stack([IMAGES[0], *frames[0], IMAGES[1], IMAGES[1], *frames[1], IMAGES[2]]))
    places = {tuple(image.get_extent()) for image in axes.images}
    assert len(places) == len({left for left, _, _, _ in places}) * 2 == 20
    assert [text.get_text() for text in axes.texts] == ["Original"] * 4


def test_traversals_have_one_row_per_unit() -> None:
    """Frames are in rows under their values; a triangle marks the image's own value, unless the range is a single value."""
    frames = np.random.default_rng(0).random((2, 3, 784), np.float32)
    values = np.array([[0, 1, 2], [0, 0, 0]], np.float32)
    (axes,) = figures.traversals([4, 6], values, frames, np.array([0.5, 0], np.float32)).axes
    images = np.array([image.get_array() for image in axes.images]).reshape(frames.shape)
    np.testing.assert_array_equal(images, frames)
    assert [text.get_text() for text in axes.texts] == ["unit 4", "0", "1", "2", "unit 6", "0", "0", "0"]
    (triangle,) = axes.lines
    first, second = (image.get_extent() for image in axes.images[:2])
    assert np.asarray(triangle.get_xdata()) == pytest.approx((first[0] + second[1]) / 2)


def test_gallery_has_each_image_above_its_output() -> None:
    """Each section has its images in a row under their captions, and each reconstruction below its image."""
    metrics = inference.compute_metrics(IMAGES, IMAGES)
    first, last = Reconstruction(IMAGES[:2], IMAGES[1:], metrics), Reconstruction(IMAGES[1:], IMAGES[:2], metrics)
    figure = figures.gallery([("Worst", ["a", "$b$ $"], first), ("Best", ["c (d d d d d d d)\ne", "f"], last)])
    expected = np.concatenate([first.originals, first.outputs, last.originals, last.outputs])
    np.testing.assert_array_equal(shown(figure), expected.reshape(-1, 28, 28))
    assert [part.get_suptitle() for part in figure.subfigs] == ["Worst", "Best"]
    titles = [axes.get_title() for part in figure.subfigs for axes in part.axes if axes.get_title()]
    assert titles == ["a", "$b$ $", "c (d d d d d d d)\ne", "f"]
    assert figures.render(figure, "png")


def test_psnr_gains_are_drawn_over_the_level() -> None:
    """The panel of each kind of noise has one line per network: the PSNR gain over the level.

    Names that are long after escaping are in one column, and the longest without their beginning.
    """
    places = [(kind, level) for kind in (Noise.MASK, Noise.UNIFORM) for level in (0.2, 0.4)]
    curves = [("one", dict.fromkeys(places, 10.0)), ("other", dict.fromkeys(places, -10.0))]
    long = "\u4e2d" * 57 + "abc", "..." + "\\u4e2d" * 9 + "abc", 1
    for name, drawn, columns in [("L" * 20, "L" * 20, 3), ("\u4e2d" * 5, "\\u4e2d" * 5, 1), long]:
        legend: Any = figures.psnr_gains([*curves, (name, curves[0][1])]).legends[0]
        assert (legend.get_texts()[2].get_text(), legend._ncols) == (drawn, columns)
    figure = figures.psnr_gains(curves)
    assert [axes.get_title() for axes in figure.axes][:2] == ["mask noise", "uniform noise"]
    for axes in figure.axes[:2]:
        _zero, *lines = (np.asarray(line.get_xydata()).tolist() for line in axes.lines)
        assert lines == [[[0.2, 10], [0.4, 10]], [[0.2, -10], [0.4, -10]]]


def test_an_oversized_figure_is_refused() -> None:
    """More images than matplotlib can draw are a usage error before anything is drawn."""
    with pytest.raises(UsageError, match="figure too large"):
        figures.traversals([0], np.zeros((1, 600), np.float32), np.zeros((1, 600, 784), np.float32), np.zeros(1, np.float32))


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_same_data_same_bytes(kind: str, magic: bytes) -> None:
    """A figure's file contains no date and no random id, and RcParams do not change it.

    A file of the user's settings and MPLBACKEND are tested in reliability/test_hostile_places.py.
    """
    import matplotlib as mpl

    first = figures.render(figures.loss_curve(HISTORY), kind)
    assert first.startswith(magic)
    assert not re.search(b"CreationDate|dc:date", first)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert figures.render(figures.loss_curve(HISTORY), kind) == first
