"""Maps of codes: as a figure, as CSV, as terminal text, and as files for TensorBoard's Embedding Projector."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnistae.core.arrays import NO_LABEL, Array, to_float
from mnistae.core.text import csv_text
from mnistae.model.backend import Network
from mnistae.outputs import figures, image_io
from mnistae.outputs.terminal.canvas import Canvas
from mnistae.tasks.embedding import Embedding, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 24
"""Decoded images per side behind the codes of a bottleneck of 2."""

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
    """Return by class the row of the image that has half of the class nearest to it: a class may have several parts."""
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
    background = _grid(shown, network) if shown.method is Method.CODES else None
    digits = to_float(shown.images[rows])
    return figures.code_map(title, groups, centres=shown.positions[rows], digits=digits, background=background)


def _grid(shown: Embedding, network: Network) -> Array:
    """Return the image (h, w) of the codes at evenly spaced places, from the lowest to the highest code."""
    low, high = shown.positions.min(axis=0), shown.positions.max(axis=0)
    steps = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
    x, y = np.meshgrid(low[0] + steps * (high[0] - low[0]), high[1] - steps * (high[1] - low[1]))
    return to_float(image_io.tile(network.decode(np.stack([x.ravel(), y.ravel()], axis=1)), GRID, scale=1))


def as_csv(shown: Embedding) -> str:
    """Return a line for each code: image, label, x, y."""
    labels = ["" if label == NO_LABEL else label for label in shown.labels]
    rows = zip(shown.names, labels, *([f"{value:.9g}" for value in axis] for axis in shown.positions.T), strict=True)
    return csv_text([("image", "label", "x", "y"), *rows])


def as_text(canvas: Canvas, shown: Embedding, classes: Sequence[str]) -> list[str]:
    """Return the map in characters: in each cell the last character of the class that has most codes there."""
    width, height = min(canvas.width - 1, 78), min(canvas.height, 30)
    low, high = shown.positions.min(axis=0), shown.positions.max(axis=0)
    places = (shown.positions - low) / np.maximum(high - low, np.float32(1e-9)) * np.float32(0.999)
    cells = (places * (width, height)).astype(int)  # columns, and lines from the bottom
    counts = np.zeros((height, width, 256), int)
    np.add.at(counts, (height - 1 - cells[:, 1], cells[:, 0], shown.labels), 1)
    signs = np.where(counts.any(axis=2), counts.argmax(axis=2), -1)
    return ["".join(_sign(canvas, int(label), classes) for label in line).rstrip() for line in signs]


def _sign(canvas: Canvas, label: int, classes: Sequence[str]) -> str:
    if label < 0:
        return " "
    sign = "." if label == NO_LABEL else class_name(label, classes)[-1:]
    sign = sign if sign.isascii() and sign.isalnum() else chr(ord("a") + label % 26)
    return canvas.coloured(sign, label)


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
