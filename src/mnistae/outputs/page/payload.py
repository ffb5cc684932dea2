"""The arrays in a page: deflated, in base64, as JSON."""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Bytes, to_bytes
from mnistae.core.config import PIXELS, SIDE
from mnistae.core.text import escape
from mnistae.outputs.maps import class_name, limits
from mnistae.outputs.page import drawings
from mnistae.outputs.page.content import EVERY, Content
from mnistae.tasks import noise as noises
from mnistae.tasks.embedding import Method, Sample
from mnistae.tasks.evaluation import NOISE_LEVELS
from mnistae.tasks.noise import Noise

SHADES = 17
"""Difference of two shades of the small pictures, which have 16: they take half the room."""

MAX_UNITS = 32
"""Units with a slider."""


def build(content: Content) -> dict[str, Any]:
    """Return the numbers that the script computes with, as JSON values."""
    starts, near, points = content.starts, content.neighbours, content.points
    active = [unit for unit, found in enumerate(content.ranges) if not found.is_dead]
    classes = content.dataset.classes
    shown, extent = _names(content.map, classes), None
    if content.map.method is Method.CODES:  # the lowest codes, and the codes per unit of length
        low, high = limits(content.map.positions)
        inner = drawings.SIZE - 2 * drawings.MARGIN
        extent = [*low.tolist(), *((high - low) / inner).tolist(), drawings.MARGIN]
    arrays: dict[str, NDArray[Any]] = {
        **content.checkpoint.weights,
        "uniform": noises.field(Noise.UNIFORM, (PIXELS,), seed=0),
        "gaussian": noises.field(Noise.GAUSSIAN, (PIXELS,), seed=0),
        "starts": starts.images,
        "denoised": to_bytes(content.denoised.reshape(-1, SIDE, SIDE)),
        "neighbours": _coarse(near.images),
        "neighbourCodes": near.codes,
        "points": _coarse(content.map.images[points]),
        "pointCodes": content.map.codes[points],
        "places": drawings.places(content.map)[points],
    }
    return {
        "names": {"starts": _names(starts, classes), "near": _names(near, classes), "points": [shown[row] for row in points]},
        "ranges": [[unit.low, unit.high] for unit in content.ranges],
        "units": active[:MAX_UNITS],
        "noises": list(NOISE_LEVELS.items()),
        "every": EVERY,
        "extent": extent,
        "arrays": {name: pack(array) for name, array in arrays.items()},
    }


def pack(array: NDArray[Any]) -> dict[str, str]:
    """Return an array of bytes or floats as JSON. The four bytes of floats are apart: their exponents are alike."""
    kind, planes = "u1", array
    if array.dtype != np.uint8:
        kind, planes = "f4", np.frombuffer(np.asarray(array, "<f4").tobytes(), np.uint8).reshape(-1, 4).T
    return {"type": kind, "data": base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()}


def _coarse(images: Bytes) -> Bytes:
    return (np.rint(images / SHADES) * SHADES).astype(np.uint8)


def _names(sample: Sample, classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the name and the class of each image; an empty one if it has no label."""
    labels = ["" if label == NO_LABEL else escape(class_name(int(label), classes)) for label in sample.labels]
    return list(zip(sample.names, labels, strict=True))
