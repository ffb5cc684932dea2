"""The bytes of a report: the template, filled in, with its style, script and numbers inside."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistae import __version__
from mnistae.core import records
from mnistae.core.text import counted, escape
from mnistae.model import layer_table
from mnistae.model.layer_table import MEBIBYTE
from mnistae.outputs import image_io
from mnistae.outputs.maps import class_name
from mnistae.outputs.page import drawings, payload
from mnistae.outputs.page.content import Content, train_command
from mnistae.tasks import embedding

NEIGHBOURS = 10

FOLDER = Path(__file__).parent
SCRIPTS = ("network.js", "digit.js", "page.js")
"""In the order of their imports, which are left out when they are joined."""

QUALITY = ("count", "mse", "psnr", "ssim")
SUMMARY = (*QUALITY, "active_units", "bottleneck", "pca_mse", "noisy_mse", "denoised_mse")


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
        weights_digest=records.digest(content.checkpoint.weights),
        command=train_command(content.checkpoint.name, content.checkpoint.metadata),
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        data=payload.build(content),
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
        "total": own.pivot(*SUMMARY)[None, None],
        "by_class": [(class_name(label, classes), row, row["mse"] / worst) for label, row in rows],
        "map_classes": drawings.classes(content.map, content.points, classes),
        "map_title": embedding.TITLES[content.map.method],
        "map_metric": embedding.metric(content.map.codes),
        "map_size": drawings.SIZE,
        "class_name": lambda label: class_name(label, classes),
    }
