"""The figures of the lab and of our own as matplotlib objects, and the bytes of their files.

No pyplot, no backend, no settings file of the user: the same data give the same bytes.
"""

import contextlib
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.core.errors import UsageError
from mnistae.core.records import EpochRecord
from mnistae.core.text import escape
from mnistae.tasks.noise import Noise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mnistae.tasks.denoising import DenoisingResult


GALLERY_COLUMNS = 8

LEVEL_LABELS = {
    Noise.UNIFORM: "half-width of the interval",
    Noise.GAUSSIAN: "standard deviation",
    Noise.SALT_PEPPER: "share of pixels set to 0 or 1",
    Noise.MASK: "share of pixels set to 0",
}
DPI = 120
"""Pixels in an inch of a figure."""

MAX_SIDE = 2**16
"""Pixels that a figure's sides stay below: matplotlib draws no more."""


def loss_curve(*histories: Sequence[EpochRecord], names: Sequence[str] = ()) -> "Figure":
    """Figure 1 of the lab: the training loss over the epochs; of several runs with a legend of their `names`."""
    with _neutral_style():
        from matplotlib.ticker import MaxNLocator

        figure = _new_figure(6.4, 4.0)
        axes = figure.subplots()
        for history in histories:
            marker = "o" if len(history) == 1 else None
            axes.plot([epoch.number for epoch in history], [epoch.loss for epoch in history], marker=marker)
        axes.set(title="Training Loss", xlabel="EpochRecord", ylabel="MSE")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        if len(histories) > 1:
            _name_lines(axes, names)
    return figure


def _name_lines(axes: "Axes", names: Sequence[str]) -> None:
    """Add a legend of names as they stand: none of them is a formula, is hidden or lacks a letter in the font."""
    legend = axes.legend(axes.lines, [""] * len(names))
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(escape(name).encode("ascii", "backslashreplace").decode())


def reconstructions(originals: Array, outputs: Array) -> "Figure":
    """Figures 2 and 3 of the lab: each image (B, 784) beside its reconstruction."""
    return _rows([("Original Image", originals), ("Reconstructed Output", outputs)])


def denoisings(originals: Array | None, noisy: Array, outputs: Array) -> "Figure":
    """Figures 4 and 5 of the lab: each image (B, 784) clean if that is known, noisy and denoised."""
    clean = [("Original Image", originals)] if originals is not None else []
    return _rows([*clean, ("Noisy Image", noisy), ("Denoised Output", outputs)])


def interpolations(originals: Array, frames: Array) -> "Figure":
    """Figure 6 of the lab: a row for each leg: an original, the decoded frames, the next original.

    `originals` is (K, 784), `frames` (K - 1, steps, 784).
    """
    segments, columns = len(frames), frames.shape[1] + 2
    with _neutral_style():
        figure = _new_figure(1.1 * columns, 1.35 * segments)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))  # one for them all: an axes takes the time of ten images
        for leg in range(segments):
            top = leg * 1.35  # a frame is 1 wide and 1 high
            for column, image in enumerate([originals[leg], *frames[leg], originals[leg + 1]]):
                _place(axes, image, left=column * 1.1, top=top)
            for left in (0, (columns - 1) * 1.1):
                axes.text(left + 0.5, top - 0.08, "Original", ha="center", va="bottom", fontsize=9)
        axes.set(xlim=(-0.05, columns * 1.1 - 0.05), ylim=(segments * 1.35 - 0.3, -0.3))
        axes.set_axis_off()
    return figure


@dataclass(frozen=True)
class Section:
    """Images (B, 784) with what became of them, a caption an image, under one heading."""

    heading: str
    captions: Sequence[str]
    originals: Array
    outputs: Array


def gallery(sections: Sequence[Section]) -> "Figure":
    """Sections one below the other: each image above its reconstruction, at most GALLERY_COLUMNS in a row."""
    columns = min(GALLERY_COLUMNS, max(len(section.captions) for section in sections))
    bands = [-(-len(section.captions) // columns) for section in sections]
    with _neutral_style():
        figure = _new_figure(max(1.15 * columns, 2.6), 2.5 * sum(bands) + 0.35 * len(sections))
        parts = figure.subfigures(len(sections), 1, squeeze=False, height_ratios=bands)
        for section, part, count in zip(sections, parts.ravel(), bands, strict=True):
            part.suptitle(section.heading)
            grid = part.subplots(2 * count, columns, squeeze=False)
            for axes in grid.ravel():
                axes.set_axis_off()
            for k, caption in enumerate(section.captions):
                band, column = divmod(k, columns)
                _show(grid[2 * band, column], section.originals[k])
                _show(grid[2 * band + 1, column], section.outputs[k])
                grid[2 * band, column].set_title(caption, fontsize=8)
    return figure


def gains(curves: "Sequence[tuple[str, Sequence[DenoisingResult]]]") -> "Figure":
    """The PSNR that denoising gains, a panel a kind of noise: over the level, a line for each named network."""
    kinds = list(dict.fromkeys(gain.kind for _, own in curves for gain in own))
    with _neutral_style():
        figure = _new_figure(7.2, 5.4)
        panels = figure.subplots(-(-len(kinds) // 2), 2, sharey=True, squeeze=False)
        for kind, axes in zip(kinds, panels.ravel(), strict=False):
            axes.axhline(0, color="black", linewidth=0.8)
            for _, own in curves:
                chosen = [gain for gain in own if gain.kind is kind]
                axes.plot([gain.level for gain in chosen], [gain.psnr_gain for gain in chosen], marker="o", markersize=4)
            axes.set(title=f"{kind} noise", xlabel=LEVEL_LABELS[kind])
            axes.grid(alpha=0.3)
        figure.supylabel("PSNR gained by denoising (dB)", fontsize="medium")
        if len(curves) > 1:
            lines = panels[0, 0].lines[1:]
            names = [name for name, _ in curves]
            columns = 3 if max(map(len, names)) < 24 else 1
            legend = figure.legend(lines, names, loc="outside lower center", ncols=columns)
            for text in legend.get_texts():
                text.set_parse_math(False)  # a name is no formula
    return figure


def traversals(units: Sequence[int], values: Array, frames: Array, own: Array) -> "Figure":
    """A row for each of U units: the frames (U, steps, 784) along its range under their values (U, steps).

    A triangle shows where in the row the image's own activation lies, `own` (U,); a unit that does not move has none.
    """
    count, steps = values.shape
    with _neutral_style():
        figure = _new_figure(1.05 * steps + 0.75, 1.35 * count + 0.25)
        axes = figure.subplots()
        for row in range(count):
            top = row * 1.3  # a frame is 1 wide and 1 high; what is left is for its value
            axes.text(-0.15, top + 0.5, f"unit {units[row]}", ha="right", va="center", fontsize=10)
            for column, (value, frame) in enumerate(zip(values[row], frames[row], strict=True)):
                _place(axes, frame, left=column * 1.05, top=top)
                axes.text(column * 1.05 + 0.5, top - 0.04, f"{value:.3g}", ha="center", va="bottom", fontsize=8, color="0.3")
            if (span := values[row, -1] - values[row, 0]) > 0:
                place = np.clip((own[row] - values[row, 0]) / span, 0, 1) * (steps - 1) * 1.05 + 0.5
                axes.plot(place, top + 1.07, "^", color="C3", markersize=4, clip_on=False)
        axes.set(xlim=(-0.75, steps * 1.05 - 0.05), ylim=(count * 1.3 - 0.15, -0.25), aspect="equal")
        axes.set_axis_off()
    return figure


def render(figure: "Figure", kind: str) -> bytes:
    """Return the bytes of a figure as "png", "svg" or "pdf", without a date in them."""
    stream = io.BytesIO()
    dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with _neutral_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure).print_figure(stream, format=kind, metadata=dateless.get(kind), dpi=DPI)
    return stream.getvalue()


def _rows(columns: Sequence[tuple[str, Array]]) -> "Figure":
    """Lay out images in rows, a titled column each."""
    count = len(columns[0][1])
    with _neutral_style():
        figure = _new_figure(2.6 * len(columns), 2.7 * count + 0.1)
        grid = figure.subplots(count, len(columns), squeeze=False)
        for k, row in enumerate(grid):
            for axes, (title, images) in zip(row, columns, strict=True):
                _show(axes, images[k])
                axes.set_title(title)
    return figure


def _show(axes: "Axes", image: Array) -> None:
    axes.imshow(image.reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()


def _place(axes: "Axes", image: Array, *, left: float, top: float) -> None:
    """Show an image 1 wide and 1 high where its upper left corner is to be; downwards is up."""
    extent = (left, left + 1, top + 1, top)
    axes.imshow(image.reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1, extent=extent)


def _new_figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    if max(width, height) * DPI >= MAX_SIDE:
        raise UsageError(
            f"a figure of {width:,.0f} by {height:,.0f} inches is too large", hint="take fewer images, units or --steps"
        )
    return Figure(figsize=(width, height), layout="constrained")


@contextlib.contextmanager
def _neutral_style() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's settings are."""
    _import_matplotlib()
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.hashsalt"] = "mnistae"  # else the ids in an SVG are random
        yield


def _import_matplotlib() -> None:
    """Import it without the settings that it looks for: a damaged file of those would end the import."""
    if "matplotlib" in sys.modules:
        return
    os.environ.pop("MPLBACKEND", None)  # a notebook's backend may not be installed here
    os.environ["MATPLOTLIBRC"] = str(distribution("matplotlib").locate_file("matplotlib/mpl-data/matplotlibrc"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that cannot be written to is no news for the user
    # the working folder's settings come before all others
    with contextlib.chdir(os.sep) if os.path.lexists("matplotlibrc") else contextlib.nullcontext():
        importlib.import_module("matplotlib")
