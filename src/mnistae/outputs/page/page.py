"""The bytes of a report: the template, filled in, with its style, script and numbers inside."""

import base64
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae import __version__
from mnistae.core.arrays import NO_LABEL, Bytes, to_bytes
from mnistae.core.config import PIXELS, SIDE
from mnistae.core.text import counted, escape
from mnistae.model import layer_table
from mnistae.model.layer_table import MEBIBYTE
from mnistae.outputs import image_io
from mnistae.outputs.maps import class_name, limits
from mnistae.outputs.page import drawings
from mnistae.outputs.page.content import EVERY, Content, train_command
from mnistae.tasks import embedding
from mnistae.tasks import noise as noises
from mnistae.tasks.embedding import Method, Sample
from mnistae.tasks.evaluation import NOISE_LEVELS, QUALITY, SUMMARY
from mnistae.tasks.noise import Noise

NEIGHBOURS = 10

SHADES = 17
"""Difference of two shades of the small pictures, which have 16: they take half the room."""

MAX_UNITS = 32
"""Units with a slider."""

FOLDER = Path(__file__).parent
SCRIPTS = ("network.js", "digit.js", "page.js")
"""In the order of their imports, which are left out when they are joined."""


def render(content: Content, facts: Sequence[tuple[str, str]]) -> bytes:
    """Return the page. `facts` say how the checkpoint was trained."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style = (FOLDER / "page.css").read_text("utf-8")
    lines = [line for name in SCRIPTS for line in (FOLDER / name).read_text("utf-8").splitlines(keepends=True)]
    script = "".join(line.removeprefix("export ") for line in lines if not line.startswith("import "))
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "png": lambda image: f"data:image/png;base64,{base64.b64encode(image_io.png(image)).decode()}",
        "counted": counted,
        "escape_controls": lambda text: escape(str(text)),
        "short": lambda text: text if len(text) <= drawings.LONGEST else f"{text[: drawings.LONGEST - 1]}…",
    }
    page = environment.get_template("page.html").render(
        **_values(content),
        c=content,
        facts=facts,
        accuracy=content.map.accuracy(NEIGHBOURS),
        version=__version__,
        weights_digest=content.checkpoint.digest,
        command=train_command(content.checkpoint.name, content.checkpoint.metadata),
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        data=_numbers(content),
    )
    return page.encode("utf-8", "backslashreplace")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _values(content: Content) -> dict[str, Any]:
    """Return what the template shows apart from the content itself."""
    classes, own = content.dataset.classes, content.evaluation
    rows = [(label, row) for (label, _), row in own.pivot(*QUALITY).items() if label is not None]
    worst = max((row["mse"] for _, row in rows), default=0) or 1
    return {
        "table": layer_table.tabulate(content.checkpoint.metadata.model),
        "mebibyte": MEBIBYTE,
        "loss": drawings.loss_curve(content.checkpoint.metadata.history) if content.checkpoint.metadata.history else None,
        "total": own.pivot(*QUALITY, *SUMMARY)[None, None],
        "by_class": [(class_name(label, classes), row, row["mse"] / worst) for label, row in rows],
        "map_classes": drawings.classes(content.map, content.points, classes),
        "map_title": embedding.TITLES[content.map.method],
        "map_metric": embedding.metric(content.map.codes),
        "map_size": drawings.SIZE,
        "class_name": lambda label: class_name(label, classes),
    }


def _numbers(content: Content) -> dict[str, Any]:
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
