"""The coordinates of the page's drawings: the loss curve, and the map of codes."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from mnistae.core.arrays import Array, Indices, to_float
from mnistae.core.records import EpochRecord
from mnistae.core.text import escape
from mnistae.outputs import maps
from mnistae.tasks.embedding import Embedding

SIZE, MARGIN = 1000, 40
"""Side of the map, and its margin."""

BOX, TEXT, LONGEST = 58, 21, 16
"""Side of the image of a class in the map; width of a small letter of its name, and the most letters of it."""

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


def places(found: Embedding) -> Array:
    """Return the places (N, 2) of all codes in the map, from its upper left."""
    inside = maps.in_unit_square(found.positions)
    inside[:, 1] = 1 - inside[:, 1]
    inside *= SIZE - 2 * MARGIN
    inside += MARGIN
    return inside


def classes(found: Embedding, points: Indices, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each class the path of its points; and for a label its name, its centre, and an image with its place.

    The names are empty if there is no room for them.
    """
    at, labels, centres = places(found), found.labels[points], maps.centres(found)
    texts = [escape(maps.class_name(label, names)) for label in centres]
    if BOX * sum(BOX + _width(text) for text in texts) > maps.MAX_FILLED * SIZE**2:
        texts = [""] * len(texts)
    middles = at[list(centres.values())]
    boxes = dict(zip(centres, zip(texts, middles.tolist(), _boxes(middles, texts), strict=True), strict=True))
    drawn = []
    for number, label in enumerate(sorted({int(label) for label in labels})):
        path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in at[points[labels == label]].tolist())
        drawn.append({"colour": number % 10, "path": path})
        if label in boxes:
            name, centre, box = boxes[label]
            image = to_float(found.images[centres[label]])
            drawn[-1] |= {"name": name, "centre": centre, "box": box, "is_left": centre[0] > SIZE / 2, "image": image}
    return drawn


def _boxes(middles: Array, texts: Sequence[str]) -> list[list[float]]:
    """Return the places of images, with names beside them, at these middles or moved apart from there."""
    widths = np.array([_width(text) for text in texts], np.float32)
    shift, sizes = np.zeros_like(middles), np.full_like(middles, BOX)
    shift[:, 0] = np.where(middles[:, 0] > SIZE / 2, -widths, widths) / 2
    sizes[:, 0] += widths
    side = np.float32(SIZE)
    moved: list[list[float]] = (maps.apart((middles + shift) / side, sizes / side) * side - shift).tolist()
    return moved


def _width(text: str) -> int:
    """Return the width of a name in the map, rather too large: capital, East Asian and other wide letters count twice."""
    wide = sum(ch.isupper() or ch in "mw@%" or unicodedata.east_asian_width(ch) in "WF" for ch in text[:LONGEST])
    return TEXT * (min(len(text), LONGEST) + wide)
