"""The figures of the lab and others as matplotlib objects, and the bytes of their files.

No pyplot, no backend and no matplotlibrc of the user: the same data give the same bytes.
"""

import contextlib
import functools
import importlib
import io
import logging
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.errors import UsageError
from mnistae.core.records import EpochRecord
from mnistae.core.text import escape
from mnistae.tasks.inference import Reconstruction
from mnistae.tasks.noise import LEVEL_LABELS, Noise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASS_COLOURS = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499", "#555555")
"""Paul Tol's colour scheme `muted`, for any kind of colour vision, and a grey; with CLASS_MARKERS for more classes."""

CLASS_MARKERS = "o^sDvP*X<>"

DPI = 120
"""Pixels per inch of a figure."""

LEGEND_WIDTH, LEGEND_LINES = 36, 32
"""Characters of a line of a legend, and lines of one of its columns."""

MAX_INSIDE = 10
"""Lines of the longest legend inside the axes of the loss curves: a longer one would cover them."""

MAX_SIDE = 2**16  # matplotlib's limit: the sides of a figure are shorter, in pixels


def loss_curve(*histories: Sequence[EpochRecord], names: Sequence[str] = ()) -> "Figure":
    """Figure 1 of the lab: the training loss by epoch; for several runs with a legend of their `names`."""
    lines, columns, width = _legend_size(names)
    is_beside = lines > MAX_INSIDE
    with _new_figure(6.4 + width * is_beside, max(4.0, 0.22 * min(lines, LEGEND_LINES) + 1)) as figure:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        for k, history in enumerate(histories):
            style, marker = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))[k // 10 % 4]  # there are ten colours
            shown = marker if len(history) == 1 else None
            axes.plot([epoch.number for epoch in history], [epoch.loss for epoch in history], marker=shown, linestyle=style)
        axes.set(title="Training Loss", xlabel="Epoch", ylabel="MSE")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        if is_beside:
            _add_legend(figure, axes.lines, names, loc="outside right upper", ncols=columns)
        elif len(histories) > 1:
            _add_legend(axes, axes.lines, names)
    return figure


def _add_legend(
    owner: "Axes | Figure", handles: Sequence[Any], names: Sequence[str], width: int = LEGEND_WIDTH, **options: Any
) -> None:
    """Add a legend with these names, unchanged: no formulas, no hidden names."""
    legend = owner.legend(handles, [""] * len(names), **options)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(_fitted(name, width))


def _legend_size(names: Sequence[str]) -> tuple[int, int, float]:
    """Return the number of lines of a legend, and its columns and its width beside the axes."""
    entries = [_fitted(name, LEGEND_WIDTH).split("\n") for name in names]
    tallest = max(map(len, entries), default=0)  # a column may have these alone: matplotlib counts entries, not lines
    columns = -(-len(entries) * tallest // LEGEND_LINES)
    lines = [line for entry in entries for line in entry]
    return len(lines), columns, columns * (0.1 * max(map(len, lines), default=0) + 0.5)


def _fitted(text: str, width: int) -> str:
    """Return foreign text in at most three lines of so many characters."""
    return textwrap.fill(_drawable(text), width, max_lines=3, placeholder="...")


def _drawable(text: str) -> str:
    """Return foreign text with the characters escaped that the font does not have."""
    return "".join(ch if ord(ch) in _glyphs() else ascii(ch)[1:-1] for ch in escape(text))


@functools.cache
def _glyphs() -> frozenset[int]:
    """Return the characters of the font, which take a millisecond to list."""
    with _neutral_style():
        from matplotlib import font_manager

        return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


def reconstructions(originals: Array, outputs: Array) -> "Figure":
    """Figures 2 and 3 of the lab: each image (B, 784) next to its reconstruction."""
    return _rows([("Original Image", originals), ("Reconstructed Output", outputs)])


def denoisings(originals: Array | None, noisy: Array, outputs: Array) -> "Figure":
    """Figures 4 and 5 of the lab: each image (B, 784) clean if available, noisy and denoised."""
    clean = [("Original Image", originals)] if originals is not None else []
    return _rows([*clean, ("Noisy Image", noisy), ("Denoised Output", outputs)])


def interpolations(originals: Array, frames: Array) -> "Figure":
    """Figure 6 of the lab, one row per segment: an original, the decoded frames, the next original.

    `originals` is (K, 784), `frames` (K - 1, steps, 784).
    """
    segments, columns = len(frames), frames.shape[1] + 2
    with _new_figure(1.1 * columns, 1.35 * segments) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))  # one for all images: creating an axes takes as long as drawing ten
        for segment in range(segments):
            top = segment * 1.35  # a frame is 1 wide and 1 high
            for column, image in enumerate([originals[segment], *frames[segment], originals[segment + 1]]):
                _show(axes, image, left=column * 1.1, top=top)
            for left in (0, (columns - 1) * 1.1):
                axes.text(left + 0.5, top - 0.08, "Original", ha="center", va="bottom", fontsize=9)
        axes.set(xlim=(-0.05, columns * 1.1 - 0.05), ylim=(segments * 1.35 - 0.3, -0.3))
    return figure


def gallery(sections: Sequence[tuple[str, Sequence[str], Reconstruction]]) -> "Figure":
    """Sections of a heading, captions and images, each above its reconstruction, at most eight per row."""
    columns = min(8, max(len(captions) for _, captions, _ in sections))
    rows = [-(-len(captions) // columns) for _, captions, _ in sections]
    with _new_figure(max(1.15 * columns, 2.6), 2.5 * sum(rows) + 0.35 * len(sections)) as figure:
        parts = figure.subfigures(len(sections), 1, squeeze=False, height_ratios=rows)
        for (heading, captions, found), part, count in zip(sections, parts.ravel(), rows, strict=True):
            part.suptitle(heading)
            grid = part.subplots(2 * count, columns, squeeze=False)
            for axes in grid.ravel():
                axes.set_axis_off()
            for k, caption in enumerate(captions):
                row, column = divmod(k, columns)
                _show(grid[2 * row, column], found.originals[k])
                _show(grid[2 * row + 1, column], found.outputs[k])
                lines = [_fitted(line, 18) for line in caption.split("\n")]
                grid[2 * row, column].set_title("\n".join(lines), fontsize=8, parse_math=False)
    return figure


def psnr_gains(curves: Sequence[tuple[str, Mapping[tuple[Noise, float], float]]]) -> "Figure":
    """PSNR gains by kind and level of noise, in decibels: one panel per kind, one line over the level per named network.

    The legend has only the end of a long name.
    """
    kinds = list(dict.fromkeys(kind for _, gains in curves for kind, _ in gains))
    with _new_figure(7.2, 5.4) as figure:
        panels = figure.subplots(-(-len(kinds) // 2), 2, sharey=True, squeeze=False)
        for kind, axes in zip(kinds, panels.ravel(), strict=False):
            axes.axhline(0, color="black", linewidth=0.8)
            for _, gains in curves:
                chosen = {level: gain for (noise, level), gain in gains.items() if noise is kind}
                axes.plot(list(chosen), list(chosen.values()), marker="o", markersize=4)
            axes.set(title=f"{kind} noise", xlabel=LEVEL_LABELS[kind])
            axes.grid(alpha=0.3)
        figure.supylabel("PSNR gain of denoising (dB)", fontsize="medium")
        if len(curves) > 1:
            names = [_drawable(name) for name, _ in curves]
            names = [name if len(name) <= 60 else f"...{name[-57:]}" for name in names]
            columns = 3 if max(map(len, names)) < 21 else 1  # those of 20 capitals fit
            _add_legend(figure, panels[0, 0].lines[1:], names, width=60, loc="outside lower center", ncols=columns)
    return figure


def traversals(units: Sequence[int], values: Array, frames: Array, own: Array) -> "Figure":
    """One row per unit: the frames (U, steps, 784) along its range, with their values (U, steps) above.

    A triangle marks the image's own activation, `own` (U,), unless the range is a single value.
    """
    count, steps = values.shape
    with _new_figure(1.05 * steps + 0.75, 1.35 * count + 0.25) as figure:
        axes = figure.subplots()
        for row in range(count):
            top = row * 1.3  # a frame is 1 wide and 1 high; the rest is for its value
            axes.text(-0.15, top + 0.5, f"unit {units[row]}", ha="right", va="center", fontsize=10)
            for column, (value, frame) in enumerate(zip(values[row], frames[row], strict=True)):
                _show(axes, frame, left=column * 1.05, top=top)
                axes.text(column * 1.05 + 0.5, top - 0.04, f"{value:.3g}", ha="center", va="bottom", fontsize=8, color="0.3")
            if (span := values[row, -1] - values[row, 0]) > 0:
                place = np.clip((own[row] - values[row, 0]) / span, 0, 1) * (steps - 1) * 1.05 + 0.5
                axes.plot(place, top + 1.07, "^", color="C3", markersize=4, clip_on=False)
        axes.set(xlim=(-0.75, steps * 1.05 - 0.05), ylim=(count * 1.3 - 0.15, -0.25), aspect="equal")
    return figure


def code_map(
    title: str,
    classes: Sequence[tuple[str, Array]],
    *,
    centres: Array,
    boxes: Array,
    digits: Array,
    background: tuple[Array, Array] | None,
) -> "Figure":
    """The positions (N, 2) of codes by class: one colour and marker per class, with a legend.

    The first classes have a digit (784,) in a box (2,), with a line to their centre (2,). `background` is an image (h, w) in
    [0, 1] behind all positions, and its corners (2, 2), lowest first; without one the axes have no scale.
    """
    names = [name for name, _ in classes]
    _, columns, width = _legend_size(names)
    with _new_figure(max(8, 6.4 + width), 7) as figure:
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        axes = figure.subplots()
        for k, (_, positions) in enumerate(classes):
            colour, marker = CLASS_COLOURS[k % 10], CLASS_MARKERS[(k + k // 10) % 10]
            axes.scatter(positions[:, 0], positions[:, 1], s=12, color=colour, marker=marker, linewidths=0)
        for k, (centre, box, digit) in enumerate(zip(centres, boxes, digits, strict=True)):
            picture = OffsetImage(1 - digit.reshape(SIDE, SIDE), cmap="gray", zoom=1)
            frame = {"edgecolor": CLASS_COLOURS[k % 10], "linewidth": 2.5}
            line = {"arrowstyle": "-", "color": CLASS_COLOURS[k % 10]}
            axes.add_artist(AnnotationBbox(picture, tuple(centre), tuple(box), pad=0.1, bboxprops=frame, arrowprops=line))
        axes.set_title(_fitted(title, 70), parse_math=False)
        if background is None:
            axes.set(xticks=[], yticks=[])
        else:
            image, ((left, bottom), (right, top)) = background
            axes.imshow(image, cmap="gray_r", alpha=0.5, extent=(left, right, bottom, top), aspect="auto")
            axes.set(xlabel="unit 0", ylabel="unit 1")
        _add_legend(figure, axes.collections, names, loc="outside right upper", markerscale=2, ncols=columns)
    return figure


def render(figure: "Figure", kind: str) -> bytes:
    """Return the bytes of a figure as "png", "svg" or "pdf", without a date."""
    stream = io.BytesIO()
    dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with _neutral_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure).print_figure(stream, format=kind, metadata=dateless.get(kind), dpi=DPI)
    return stream.getvalue()


def _rows(columns: Sequence[tuple[str, Array]]) -> "Figure":
    """Lay out images in titled columns."""
    count = len(columns[0][1])
    with _new_figure(2.6 * len(columns), 2.7 * count + 0.1) as figure:
        grid = figure.subplots(count, len(columns), squeeze=False)
        for k, row in enumerate(grid):
            for axes, (title, images) in zip(row, columns, strict=True):
                _show(axes, images[k])
                axes.set_title(title)
    return figure


def _show(axes: "Axes", image: Array, *, left: float = -0.5, top: float = -0.5) -> None:
    """Show an image, 1 wide and 1 high, at its upper left corner; the y axis points down."""
    extent = (left, left + 1, top + 1, top)
    axes.imshow(image.reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1, extent=extent)
    axes.set_axis_off()


@contextlib.contextmanager
def _new_figure(width: float, height: float) -> Iterator["Figure"]:
    with _neutral_style():
        from matplotlib.figure import Figure

        if max(width, height) * DPI >= MAX_SIDE:
            size = f"{width:,.0f} by {height:,.0f} inches"
            raise UsageError(f"figure too large: {size}", hint="use fewer images, units or --steps")
        yield Figure(figsize=(width, height), layout="constrained")


@contextlib.contextmanager
def _neutral_style() -> Iterator[None]:
    """Draw with matplotlib's defaults instead of the user's settings, a damaged file of which would make its import fail."""
    if "matplotlib" not in sys.modules:
        os.environ.pop("MPLBACKEND", None)  # it may name a backend that is not installed here
        os.environ["MATPLOTLIBRC"] = str(distribution("matplotlib").locate_file("matplotlib/mpl-data/matplotlibrc"))
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no warning about a home that is not writable
        # settings in the working directory take precedence over all others
        with contextlib.chdir(os.sep) if os.path.lexists("matplotlibrc") else contextlib.nullcontext():
            importlib.import_module("matplotlib")
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.hashsalt"] = "mnistae"  # otherwise the ids in an SVG are random
        yield
