"""Curves as terminal text: a plot of the losses of several runs, and a sparkline."""

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Vector
from mnistae.outputs.terminal.canvas import Canvas, padded

BARS = "▁▂▃▄▅▆▇█"
MARKERS = "*o+x#@"

BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bits of the dots of a Braille cell, four rows by two columns, relative to U+2800."""

WIDEST, TALLEST = 100, 15
"""Limits of the size of a plot, in characters."""


def sparkline(values: Sequence[float], width: int) -> str:
    """Return bars for the logarithms of positive values, averaged if there are more than `width` values."""
    logs = _logarithms(values)
    logs = logs[np.isfinite(logs)]
    parts = np.array_split(logs, max(min(width, len(logs)), 1))
    heights = np.array([part.mean() for part in parts if len(part)])
    levels = np.rint(_in_unit(heights, _range(heights)) * (len(BARS) - 1))
    return "".join(BARS[int(level)] for level in levels)


def plot(canvas: Canvas, curves: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the lines of a plot of the loss of each named run over the epochs, with a legend below.

    The scale is logarithmic, which separates runs that end close to each other. Curves differ in colour or, without colours,
    in their character.
    """
    losses = [_logarithms(curve) for curve in curves.values()]
    limits = low, high = _range(np.concatenate(losses))
    labels = [f"{np.exp(value):.4g}" for value in (high, (low + high) / 2, low)]
    margin = max(map(len, labels))
    height = min(TALLEST, max(canvas.height - len(curves) - 2, 5))
    width = min(WIDEST, max(canvas.width - margin - 2, 10))
    is_fine = canvas.has_blocks and (canvas.colours > 0 or len(curves) == 1)  # Braille dots need colours to be distinguished
    epochs = max(map(len, losses))
    shape = (height * 4, width * 2) if is_fine else (height, width)
    dots = np.stack([_rasterise(curve, limits, epochs, shape) for curve in losses])
    bar, corner, dash = "│└─" if canvas.has_blocks else "|+-"
    named = dict(zip((0, (height - 1) // 2, height - 1), labels, strict=True))
    rows = [f"{named.get(row, ''):>{margin}} {bar}{line}" for row, line in enumerate(_render(canvas, dots, is_fine=is_fine))]
    between = width - 1 - len(str(epochs))
    title = "epoch (loss on a log scale)" if between > 28 else "epoch"
    legend = _legend(canvas, curves, margin + 2, is_fine=is_fine)
    axis = f"1{title[:between]:^{between}}{epochs}" if epochs > 1 else f"1 {title}"[:width]
    return [*rows, f"{'':>{margin}} {corner}{dash * width}", f"{'':>{margin}}  {axis}", *legend]


def _rasterise(curve: Vector, limits: tuple[float, float], epochs: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the dots (rows, columns) of a line through the finite values."""
    dots = np.zeros(shape, bool)
    known = np.flatnonzero(np.isfinite(curve))
    if not len(known):
        return dots
    places = known * ((shape[1] - 1) / max(epochs - 1, 1))
    columns = np.arange(round(places[0]), round(places[-1]) + 1)
    depth = 1 - _in_unit(np.interp(columns, places, curve[known]), limits)
    rows = np.rint(depth * (shape[0] - 1)).astype(int)
    for column, before, row in zip(columns, [rows[0], *rows[:-1]], rows, strict=True):
        dots[min(before, row) : max(before, row) + 1, column] = True
    return dots


def _render(canvas: Canvas, dots: NDArray[np.bool_], *, is_fine: bool) -> list[str]:
    """Return the lines of curves given as dots (curves, rows, columns); where they cross, the last one is on top."""
    if is_fine:
        cells = dots.reshape(len(dots), dots.shape[1] // 4, 4, dots.shape[2] // 2, 2)
        bits = np.einsum("krycx,yx->krc", cells, BRAILLE)  # (curves, lines, characters)
    else:
        bits = dots.astype(int)
    owners = np.where(bits.any(axis=0), len(bits) - 1 - (bits[::-1] > 0).argmax(axis=0), -1)  # (lines, characters)
    lines = []
    for line in np.stack([owners, np.bitwise_or.reduce(bits)], axis=2).tolist():
        text = ""
        for owner, run in itertools.groupby(line, key=itemgetter(0)):
            signs = "".join(chr(0x2800 | cell) if is_fine else MARKERS[owner % len(MARKERS)] for _, cell in run)
            text += " " * len(signs) if owner < 0 else canvas.coloured(signs, owner)
        lines.append(text.rstrip(" "))
    return lines


def _legend(canvas: Canvas, curves: Mapping[str, Sequence[float]], margin: int, *, is_fine: bool) -> list[str]:
    """Return one line per run: its marker, name, number of epochs and last loss."""
    facts = [f"  {len(curve)} {'epoch' if len(curve) == 1 else 'epochs'}, loss {curve[-1]:.5f}" for curve in curves.values()]
    room = max(canvas.width - margin - 3 - max(map(len, facts)), 1)
    width = min(max(map(len, curves)), room)
    lines = []
    for k, (name, fact) in enumerate(zip(curves, facts, strict=True)):
        sign = "──" if is_fine else MARKERS[k % len(MARKERS)] * 2
        lines.append(f"{'':>{margin}}{canvas.coloured(sign, k)} {padded(name, width)}{fact}")
    return lines


def _logarithms(values: Sequence[float]) -> Vector:
    logs: Vector = np.log(np.maximum(np.asarray(values, float), np.finfo(float).tiny))
    return logs


def _range(logs: Vector) -> tuple[float, float]:
    """Return the smallest and the largest finite value, widened if they are equal."""
    found = logs[np.isfinite(logs)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 0.0)
    return (low, high) if low < high else (low - 0.1, high + 0.1)


def _in_unit(values: Vector, limits: tuple[float, float]) -> Vector:
    """Return the values scaled from the limits to [0, 1]."""
    low, high = limits
    return (values - low) / (high - low)
