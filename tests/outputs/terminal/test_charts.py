"""Plots of losses as text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.outputs.terminal.canvas import Canvas
from mnistae.outputs.terminal.charts import BARS, plot, sparkline

PLAIN = Canvas(80, 20)
COLOUR = Canvas(80, 20, colours=256, has_blocks=True)
FALLING = [0.2 * 0.9**k for k in range(30)]


def test_sparkline_falls_from_the_highest_bar_to_the_lowest() -> None:
    """Losses that fall by a constant factor give even steps, equal ones a level line; more than fit are averaged."""
    assert sparkline([2.0**-k for k in range(8)], 40) == BARS[::-1]
    assert len(set(sparkline([0.5] * 4, 40))) == 1
    assert sparkline([], 40) == ""
    assert sparkline([0.1, float("nan"), float("inf")], 40) in set(BARS)
    line = sparkline([1 / (k + 1) for k in range(1000)], 40)
    assert (len(line), line[0], line[-1]) == (40, BARS[-1], BARS[0])


def test_plot_shows_scale_epochs_and_the_last_loss() -> None:
    """The highest loss is at the top, the lowest at the bottom, and the legend shows the last loss."""
    lines = plot(PLAIN, {"lab": FALLING})
    assert lines[0].startswith("    0.2 |*")
    assert lines[14].startswith(f"{FALLING[-1]:.4g} |")
    assert lines[14].endswith("*")
    assert len(lines[14]) == 80
    assert lines[-2].split()[0::7] == ["1", "30"]
    assert lines[-1].split() == ["**", "lab", "30", "epochs,", "loss", f"{FALLING[-1]:.5f}"]
    assert plot(Canvas(40, 20), {"lab": FALLING * 2})[-2].split() == ["1", "epoch", "60"]


@pytest.mark.parametrize("canvas", [PLAIN, Canvas(80, 20, has_blocks=True), COLOUR], ids=str)
def test_curves_differ_in_marker_or_colour(canvas: Canvas) -> None:
    """Without colours each run has its own character, listed in the legend; with colours each has one, reset on its line."""
    lines = plot(canvas, {"a": FALLING, "b": [2 * loss for loss in FALLING]})
    text = "\n".join(lines)
    assert text.isascii() is not canvas.has_blocks
    if canvas.colours:
        assert {"36", "33"} == set(re.findall(r"\x1b\[(3\d)m", text))
        assert re.search("[\u2801-\u28ff]", text)
        assert all(line.count("\x1b[3") == line.count("\x1b[0m") for line in lines)
    else:
        assert {"** a", "oo b"} <= {" ".join(line.split()[:2]) for line in lines}
        assert "\x1b" not in text


@pytest.mark.parametrize("curve", [[0.1], [0.1, 0.1], [float("nan")] * 3, [0.0, -1.0, 1e308], [5e-324, 1e308]], ids=str)
def test_odd_curves_are_drawn(curve: list[float]) -> None:
    """One epoch, a level line, and values of a forged file."""
    assert len(plot(PLAIN, {"odd": curve})) == 18


def test_foreign_names_are_escaped() -> None:
    """A name in the legend is escaped and cut."""
    legend = plot(PLAIN, {"\x1b]0;x\x07" + "y" * 200: FALLING})[-1]
    assert "\\x1b]0;x\\x07y" in legend
    assert len(legend) <= 80


@settings(max_examples=30)
@given(
    curves=st.lists(st.lists(st.floats(1e-6, 10), min_size=1, max_size=300), min_size=1, max_size=8),
    width=st.integers(60, 200),
    height=st.integers(8, 60),
    canvas=st.sampled_from([PLAIN, COLOUR]),
)
def test_a_plot_fits_its_canvas(curves: list[list[float]], width: int, height: int, canvas: Canvas) -> None:
    """No line is wider than the canvas, and every run has a line in the legend."""
    room = Canvas(width, height, canvas.colours, canvas.has_blocks)
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in plot(room, {f"run{k}": curve for k, curve in enumerate(curves)})]
    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, len(curves) + 7)
    assert [line.split()[1] for line in lines[-len(curves) :]] == [f"run{k}" for k in range(len(curves))]
