"""Figures and their bytes."""

from pathlib import Path

import numpy as np
import pytest

from mnistae import figures
from mnistae.errors import UsageError
from mnistae.records import Epoch

HISTORY = [Epoch(number, 0.1 / number, 1e-3) for number in range(1, 11)]
IMAGES = np.random.default_rng(0).random((3, 784), np.float32)


def texts(figure: object) -> list[str]:
    """Return the titles of a figure's axes."""
    return [axes.get_title() for axes in figure.axes]  # type: ignore[attr-defined]


def test_loss_curve_shows_the_losses() -> None:
    """Figure 1 has the losses over the epochs, and axes that say so."""
    (axes,) = figures.loss_curve(HISTORY).axes
    x, y = axes.lines[0].get_data()
    np.testing.assert_array_equal(x, [epoch.number for epoch in HISTORY])
    np.testing.assert_array_equal(y, [epoch.loss for epoch in HISTORY])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", "MSE")


def test_several_losses_have_a_legend() -> None:
    """Curves of several runs bear their names as they stand, whatever matplotlib would make of them."""
    names = ["lab", "_hidden", "$x", "gr\u00fcn\n"]
    (axes,) = figures.loss_curve(*[HISTORY[k:] for k in range(4)], names=names).axes
    assert len(axes.lines) == 4
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["lab", "_hidden", "$x", "gr\\xfcn\\x0a"]
    assert figures.loss_curve(HISTORY).axes[0].get_legend() is None


def test_reconstructions_are_in_the_labs_layout() -> None:
    """Figures 2 and 3: a row an image, the lab's two titles."""
    figure = figures.reconstructions(IMAGES, IMAGES * np.float32(0.5))
    assert texts(figure) == ["Original Image", "Reconstructed Output"] * 3
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(shown[2], IMAGES[1].reshape(28, 28))
    assert {axes.images[0].get_cmap().name for axes in figure.axes} == {"gray"}


@pytest.mark.parametrize("clean", [True, False])
def test_denoisings_are_in_the_labs_layout(clean: bool) -> None:
    """Figures 4 and 5: the lab's three titles; without a clean image the last two."""
    figure = figures.denoisings(IMAGES if clean else None, IMAGES, IMAGES)
    titles = ["Original Image", "Noisy Image", "Denoised Output"]
    assert texts(figure) == (titles if clean else titles[1:]) * 3


def test_interpolation_has_ten_images_in_a_row() -> None:
    """Figure 6: an original, eight frames, the other original; a row a leg."""
    frames = np.random.default_rng(0).random((2, 8, 784), np.float32)
    figure = figures.interpolations(IMAGES, frames)
    (axes,) = figure.axes
    shown = np.stack([np.asarray(image.get_array()).reshape(-1) for image in axes.images])
    np.testing.assert_array_equal(shown, np.stack([IMAGES[0], *frames[0], IMAGES[1], IMAGES[1], *frames[1], IMAGES[2]]))
    places = {tuple(image.get_extent()) for image in axes.images}
    assert len(places) == len({left for left, _, _, _ in places}) * 2 == 20
    assert [text.get_text() for text in axes.texts] == ["Original"] * 4


def test_traversals_have_a_row_a_unit() -> None:
    """Frames lie in rows under their values; a triangle marks the image's own, and a unit that stands still has none."""
    frames = np.random.default_rng(0).random((2, 3, 784), np.float32)
    values = np.array([[0, 1, 2], [0, 0, 0]], np.float32)
    (axes,) = figures.traversals([4, 6], values, frames, np.array([0.5, 0], np.float32)).axes
    shown = np.stack([np.asarray(image.get_array()).reshape(-1) for image in axes.images])
    np.testing.assert_array_equal(shown, frames.reshape(6, 784))
    assert [text.get_text() for text in axes.texts] == ["unit 4", "0", "1", "2", "unit 6", "0", "0", "0"]
    (triangle,) = axes.lines
    first, second = (image.get_extent() for image in axes.images[:2])
    assert np.asarray(triangle.get_xdata()) == pytest.approx((first[0] + second[1]) / 2)


def test_a_figure_without_measure_is_refused() -> None:
    """More images than matplotlib can draw are a usage error, before anything is drawn."""
    with pytest.raises(UsageError, match="inches is too large"):
        figures.traversals([0], np.zeros((1, 600), np.float32), np.zeros((1, 600, 784), np.float32), np.zeros(1, np.float32))


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_same_data_same_bytes(kind: str, magic: bytes) -> None:
    """A figure's file holds no date and no random id."""
    first, second = (figures.render(figures.loss_curve(HISTORY), kind) for _ in range(2))
    assert first.startswith(magic)
    assert first == second


def test_users_matplotlib_settings_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither rcParams nor an unknown MPLBACKEND change a figure."""
    import matplotlib as mpl

    before = figures.render(figures.loss_curve(HISTORY), "png")
    monkeypatch.setenv("MPLBACKEND", "module://no_such_backend")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert figures.render(figures.loss_curve(HISTORY), "png") == before
