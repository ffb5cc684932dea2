"""Maps of codes: as a figure, as CSV, as terminal text, and as files for TensorBoard's Embedding Projector."""

import math
import string
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistae.core.arrays import NO_LABEL, Array, to_float
from mnistae.core.text import csv_text, escape
from mnistae.model.backend import Network
from mnistae.outputs import figures, image_io
from mnistae.outputs.code_io import Block
from mnistae.outputs.terminal.canvas import Canvas
from mnistae.tasks.embedding import Embedding, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 24
"""Decoded images per side behind the codes of a bottleneck of 2."""

MAX_FILLED = 0.3
"""Share of a map that the images of its classes, moved apart, may fill."""

SIGNS = string.digits + string.ascii_letters
"""Characters of the classes in a terminal whose names are longer."""

PROJECTOR_CONFIG = """embeddings {
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
  sprite { image_path: "sprite.png" single_image_dim: 28 single_image_dim: 28 }
}
"""


def class_name(label: int, classes: Sequence[str]) -> str:
    """Return the name of a label: that of its class, else its number."""
    if label == NO_LABEL:
        return "no label"
    return classes[label] if label < len(classes) else str(label)


def centres(shown: Embedding) -> dict[int, int]:
    """Return by class the row of the image that has half of the class nearest to it: a class may have several parts.

    Of a larger class, only the first 1,000 images count.
    """
    from scipy.spatial import KDTree

    found = {}
    for label in sorted({int(label) for label in shown.labels} - {NO_LABEL}):
        rows = np.flatnonzero(shown.labels == label)[:1000]
        own = shown.positions[rows]
        distances, _ = KDTree(own).query(own, [len(rows) // 2 + 1])
        found[label] = int(rows[distances[:, -1].argmin()])
    return found


def figure(shown: Embedding, classes: Sequence[str], title: str, network: Network) -> "Figure":
    """Draw the map; behind a bottleneck of 2, a grid of the images that the network decodes there."""
    labels = sorted({int(label) for label in shown.labels})
    rows = list(centres(shown).values())
    groups = [(class_name(label, classes), shown.positions[shown.labels == label]) for label in labels]
    low, high = corners = limits(shown.positions)
    background = None
    if shown.method is Method.CODES:
        (left, bottom), (right, top) = low, high
        steps = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
        x, y = np.meshgrid(left + steps * (right - left), top - steps * (top - bottom))
        decoded = network.decode(np.stack([x.ravel(), y.ravel()], axis=1))
        background = to_float(image_io.tile(decoded, GRID, scale=1)), corners
    digits, places = to_float(shown.images[rows]), shown.positions[rows]
    boxes = apart(in_unit_square(shown.positions)[rows], np.full_like(places, 0.075))
    boxes = low + boxes * (high - low)
    return figures.code_map(title, groups, centres=places, boxes=boxes, digits=digits, background=background)


def limits(positions: Array) -> Array:
    """Return the corners (2, 2) of positions (N, 2), lowest first; apart also along an axis on which all are the same."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    margin = np.where(high > low, np.float32(0), np.maximum(np.float32(0.5), np.abs(low) * np.float32(1e-6)))
    return np.stack([low - margin, high + margin])


def in_unit_square(positions: Array) -> Array:
    """Return positions (N, 2) from 0 to 1, from the lowest to the highest of each axis; 0.5 where all are the same."""
    low, high = limits(positions)
    inside: Array = (positions - low) / (high - low)
    return inside


def apart(places: Array, sizes: Array) -> Array:
    """Return the centres (N, 2) of boxes within the unit square: at `places`, or moved from there until none overlap.

    Boxes that would fill more than MAX_FILLED of the square stay: they would be moved far, and still overlap after 200 steps.
    """
    moved = places.copy()
    if sizes.prod(axis=1).sum() > MAX_FILLED:
        return moved
    order = np.sign(np.subtract.outer(np.arange(len(places)), np.arange(len(places))))[..., None]  # of boxes at one place
    for _ in range(200):
        gaps = moved[:, None] - moved  # (N, N, 2)
        overlaps = (sizes[:, None] + sizes) / 2 - np.abs(gaps)
        shorter = overlaps.min(axis=2, keepdims=True)
        pushes = np.where((overlaps == shorter) & (shorter > 1e-4), overlaps, 0) * np.where(gaps == 0, order, np.sign(gaps))
        moved = np.clip(moved + pushes.sum(axis=1) * np.float32(0.3), sizes / 2, 1 - sizes / 2)
        if not pushes.any():
            break
    return moved


def points(shown: Embedding, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each code its image, its label, its class if the labels have names, and its position."""
    heads = Block.labelled(shown.names, shown.labels, shown.positions, classes).heads()
    return [{**head, "x": x, "y": y} for head, (x, y) in zip(heads, shown.positions.tolist(), strict=True)]


def as_csv(shown: Embedding, classes: Sequence[str]) -> str:
    """Return the points as a table."""
    rows = [{**point, "x": f"{point['x']:.9g}", "y": f"{point['y']:.9g}"} for point in points(shown, classes)]
    return csv_text([list(row) for row in rows[:1]] + [list(row.values()) for row in rows])


def as_text(canvas: Canvas, shown: Embedding, classes: Sequence[str]) -> list[str]:
    """Return the map in characters: in each cell that of the class with most codes there; and what they mean, if need be."""
    names = {label: class_name(label, classes) for label in sorted(set(shown.labels.tolist()) - {NO_LABEL})}
    is_plain = all(len(name) == 1 and name.isascii() and name.isalnum() for name in names.values())
    signs = names if is_plain else {label: SIGNS[label % len(SIGNS)] for label in names}
    width, height = max(min(canvas.width - 1, 78), 1), min(canvas.height, 30)
    below = []
    if not is_plain and width >= len("..."):  # else there is no room for names
        entries = [f"{signs[label]} {escape(name)}".replace(" ", "\xa0") for label, name in names.items()]
        lines = textwrap.wrap(", ".join(entries), width, max_lines=min(max(height // 3, 1), 5), placeholder=" ...")
        below = [line.replace("\xa0", " ") for line in lines]
    height = max(height - len(below), 1)
    inside = in_unit_square(shown.positions) * np.float32(0.999)
    cells = (inside * (width, height)).astype(int)  # columns, and lines from the bottom
    counts = np.zeros((height, width, 256), int)
    np.add.at(counts, (height - 1 - cells[:, 1], cells[:, 0], shown.labels), 1)
    found = np.where(counts.any(axis=2), counts.argmax(axis=2), -1)
    texts = {label: canvas.coloured(sign, label) for label, sign in signs.items()} | {NO_LABEL: ".", -1: " "}
    return ["".join(texts[label] for label in line).rstrip() for line in found.tolist()] + below


def projector_files(shown: Embedding, classes: Sequence[str]) -> dict[str, bytes]:
    """Return the files of the Embedding Projector by name: the codes, the labels, the images and a configuration."""
    labels = [" ".join(class_name(int(label), classes).split()) for label in shown.labels]  # no tabs, no line breaks
    texts = {
        "vectors.tsv": "".join("\t".join(f"{value:.9g}" for value in code) + "\n" for code in shown.codes.tolist()),
        "metadata.tsv": "".join(f"{a}\t{b}\n" for a, b in zip(["image", *shown.names], ["label", *labels], strict=True)),
        "projector_config.pbtxt": PROJECTOR_CONFIG,
    }
    sprite = image_io.strip(to_float(shown.images), columns=math.ceil(math.sqrt(len(shown.images))), scale=1)
    return {**{name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}, "sprite.png": sprite}
