"""The coordinates of the page's drawings: the loss curve, and the map of codes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mnistae.core.arrays import NO_LABEL, Array, Indices
from mnistae.core.records import EpochRecord
from mnistae.outputs import maps
from mnistae.tasks.embedding import Embedding, spread

SIZE, MARGIN = 1000, 40
"""Side of the map, and its margin."""

POINTS = 2500
"""Codes of the map in the page, whose images are in it, too."""

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 280, 56, 40
"""Size of the loss curve, and the room for its axes."""


def loss_curve(history: Sequence[EpochRecord]) -> dict[str, Any]:
    """Return the points of the loss curve, and the places and labels of its ticks. Losses that are not finite are left out."""
    known = [epoch for epoch in history if math.isfinite(epoch.loss)]
    ticks = _ticks(max((epoch.loss for epoch in known), default=0) or 1.0)
    top, last = ticks[-1] + ticks[0], max(len(history), 2)

    def x(number: float) -> float:
        return round(LEFT + (number - 1) / (last - 1) * (WIDTH - LEFT - 12), 1)

    def y(loss: float) -> float:
        return round(HEIGHT - BOTTOM - loss / top * (HEIGHT - BOTTOM - 12), 1)

    epochs = [1, *(tick for tick in _ticks(last) if 1 < tick <= len(history) and tick == int(tick))]
    return {
        "points": " ".join(f"{x(epoch.number)},{y(epoch.loss)}" for epoch in known),
        "epochs": [(x(number), f"{number:g}") for number in epochs],
        "losses": [(y(loss), f"{loss:g}") for loss in [0, *ticks, top]],
    }


def _ticks(top: float) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten up to `top`, from three to seven of them."""
    power = 10.0 ** math.floor(math.log10(top / 3))
    step = next(power * factor for factor in (1, 2, 5, 10) if top / (power * factor) < 7)
    return [round(step * k, 12) for k in range(1, int(top / step + 1e-9) + 1)]


def shown_points(found: Embedding) -> Indices:
    """Return the rows of the codes that the page shows."""
    return spread(len(found.codes), POINTS)


def places(found: Embedding) -> Array:
    """Return the places (N, 2) of all codes in the map, from its upper left."""
    low, high = found.positions.min(axis=0), found.positions.max(axis=0)
    inside: Array = (found.positions - low) / np.where(high > low, high - low, np.float32(1))
    inside[:, 1] = 1 - inside[:, 1]
    inside *= SIZE - 2 * MARGIN
    inside += MARGIN
    return inside


def classes(found: Embedding, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each class its name, the path of its points, and the place and the image of its centre if it has a label."""
    at, chosen = places(found), shown_points(found)
    labels, centres = found.labels[chosen], maps.centres(found)
    drawn = []
    for number, label in enumerate(sorted({int(label) for label in labels})):
        own = at[chosen[labels == label]]
        row = None if label == NO_LABEL else centres[label]
        drawn.append(
            {
                "name": maps.class_name(label, names),
                "colour": number % 10,
                "path": "".join(f"M{x:.0f} {y:.0f}h0" for x, y in own.tolist()),
                "centre": None if row is None else at[row].tolist(),
                "image": None if row is None else found.images[row],
            }
        )
    return drawn
