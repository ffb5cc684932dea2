"""The page as a file: what is in it, and that nothing foreign becomes part of it."""

import base64
import functools
import hashlib
import itertools
import json
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.records import EpochRecord, Metadata, Provenance
from mnistae.core.text import escape
from mnistae.data.references import InputImage
from mnistae.outputs import image_io
from mnistae.outputs.page import content as contents
from mnistae.outputs.page import drawings, page
from mnistae.outputs.page.content import Content
from tests.support.client import log_result
from tests.support.hostile import HOSTILE, STEERING

FACTS = [("source", "train"), ("recipe", "lab")]
PAYLOADS = [
    *("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>'),
    *("' onmouseover='alert(1)", "<a href=javascript:alert(1)>x</a>", "<!--", "]]>", "{{ 7 * 7 }}{% raw %}"),
    *("</title><body onload=alert(1)>", "</style><script>alert(1)</script>", "\u2028;alert(1)//", "&lt;script&gt;", *HOSTILE),
]


class Elements(HTMLParser):
    """The elements of a page with their attributes, the text of its scripts, and all other text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.page, self.text, self.inside = page, "", ""
        self.raw: dict[str, str] = {}
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = f"{tag} {dict(attrs).get('type')}"

    def handle_endtag(self, _tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside.startswith(("script", "style")):
            self.raw[self.inside] = self.raw.get(self.inside, "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def rendered(report: Content) -> Elements:
    return Elements(page.render(report, FACTS))


def test_page_is_one_file_of_at_most_four_megabytes(report: Content, rendered: Elements) -> None:
    """The page refers to nothing outside it, and is the same twice."""
    again = page.render(report, FACTS)
    assert len(again) <= 4_000_000
    assert again == rendered.page
    for tag, attributes in rendered.found:
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
        assert tag not in {"link", "iframe", "object", "form", "base"}
        is_named = attributes.get("alt") or attributes.get("aria-label") or "id" not in attributes
        assert tag not in {"img", "canvas"} or is_named, (tag, attributes)


def test_policy_allows_the_script_and_the_style_alone(rendered: Elements) -> None:
    """The hashes of the Content-Security-Policy are those of the inlined script and style, and the page has no other."""
    policy = next(a["content"] for tag, a in rendered.found if tag == "meta" and a.get("http-equiv")) or ""
    for kind, directive in (("script module", "script-src"), ("style None", "style-src")):
        digest = base64.b64encode(hashlib.sha256(rendered.raw[kind].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    assert not [a for _, a in rendered.found if any(name.startswith("on") or name == "style" for name in a)]
    assert [a.get("type") for tag, a in rendered.found if tag == "script"] == ["application/json", "module"]


def test_page_has_the_weights_and_images_exactly(report: Content, rendered: Elements) -> None:
    """The arrays in the page are those of the checkpoint and the data set."""
    arrays = json.loads(rendered.raw["script application/json"])["arrays"]
    unpacked = {name: zlib.decompress(base64.b64decode(array["data"])) for name, array in arrays.items()}
    for name, array in report.checkpoint.weights.items():
        assert np.frombuffer(unpacked[name], np.uint8).reshape(4, -1).T.tobytes() == array.tobytes()
    assert unpacked["starts"] == report.starts.images.tobytes()


def hostile(report: Content, text: str) -> tuple[Content, list[tuple[str, str]]]:
    """Put a foreign text wherever a report takes one."""
    dataset: Any = type("Named", (), {"name": text, "location": text, "digest": "0", "classes": (text,) * 10})()
    checkpoint = replace(report.checkpoint, name=text)
    images = [InputImage(text, image.pixels, image.label) for image in report.images]
    return replace(report, dataset=dataset, checkpoint=checkpoint, images=images), [(text, text)]


def unexpected(plain: Elements, found: Elements) -> int:
    """Return how many elements, with the names of their attributes, a page has that the plain one has not in the same place."""
    pairs = itertools.zip_longest(*([(tag, *attributes) for tag, attributes in one.found] for one in (plain, found)))
    return sum(expected != element for expected, element in pairs)


def test_foreign_text_is_text(report: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T14: names of runs, classes, data sets and images, and metadata add no element, attribute or script to a page.

    With autoescape off, most of the same texts do.
    """
    monkeypatch.setattr(page, "pack", len)  # deflating 2.5 MB takes time
    monkeypatch.setattr(image_io, "png", lambda _image: b"")  # as do 100 images
    monkeypatch.setattr(f"{page.__name__}.escape", functools.cache(escape))
    labels = np.where(np.arange(len(report.map.labels)) % 7, report.map.labels % 10, NO_LABEL).astype(np.uint8)
    own = replace(report, map=replace(report.map, labels=labels))
    plain = Elements(page.render(*hostile(own, "plain")))
    for text in PAYLOADS:
        found = Elements(page.render(*hostile(own, text)))
        assert not unexpected(plain, found), text
        assert found.raw["script module"] == plain.raw["script module"]
        names = json.loads(found.raw["script application/json"])["names"]
        words = [word for kind in names.values() for pair in kind for word in pair]
        assert not STEERING.search("".join([found.text, *words])), text
    environment = jinja2.Environment
    changes: dict[str, Any] = {"autoescape": False, "bytecode_cache": jinja2.FileSystemBytecodeCache(str(tmp_path))}
    monkeypatch.setattr(jinja2, "Environment", lambda **options: environment(**(options | changes)))
    seen = sum(bool(unexpected(plain, Elements(page.render(*hostile(own, text))))) for text in PAYLOADS[:10])
    assert seen >= 6
    log_result("T14", trials=len(PAYLOADS), control=f"autoescape off: {seen} of 10 texts became elements")


@pytest.mark.parametrize(
    ("training", "model", "name", "expected"),
    [
        (TrainConfig(), ModelConfig(), "lab", "mnistae train --recipe lab --dataset mnist --seed 0 --device cpu"),
        (
            TrainConfig(dataset="/my data", seed=3, epochs=5, learning_rate=0.1),
            ModelConfig(bottleneck=2),
            "x",
            "mnistae train --recipe lab --dataset '/my data' --seed 3 --epochs 5 --lr 0.1 --bottleneck 2 --device cpu --name x",
        ),
        (None, ModelConfig(), "imported", None),
        (TrainConfig(recipe="unknown"), ModelConfig(), "x", None),
    ],
    ids=["lab", "changed", "imported", "unknown"],
)
def test_train_command(training: TrainConfig | None, model: ModelConfig, name: str, expected: str | None) -> None:
    """The command that trains a network again has every setting that differs from its recipe."""
    assert contents.train_command(name, Metadata(model, training, Provenance("digest", "cpu", 2))) == expected


def test_sentences_fit_the_network(report: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page names the distances of its map, counts dead units, and promises the same weights of a finished run alone."""
    monkeypatch.setattr(page, "pack", len)  # deflating 2.5 MB takes time

    def text(**changes: Any) -> str:
        return " ".join(Elements(page.render(replace(report, **changes), FACTS)).text.split())

    for active, metric in ((2, "cosine"), (1, "Euclidean")):  # codes of a single active unit have one direction
        codes = np.where(np.arange(8) < active, report.map.codes, 0)
        assert f"codes with {metric} distances" in text(map=replace(report.map, codes=codes))
    for active, said in ((8, "PCA"), (7, "1 dead unit is zero for every"), (5, "3 dead units are zero for every")):
        records = [one._replace(value=active) if one.metric == "active_units" else one for one in report.evaluation.records]
        found = text(evaluation=replace(report.evaluation, records=tuple(records)))
        assert f"Active bottleneck units: {active} of 8. {said}" in found
    metadata: Any = report.checkpoint.metadata
    for epochs in (50, 51):
        changed = replace(metadata, training=replace(metadata.training, epochs=epochs))
        found = text(checkpoint=replace(report.checkpoint, metadata=changed))
        assert ("the weights are the same to the last bit" in found) == (epochs == 50)
        assert ("trained for 50 of the 51 epochs; the command trains for all of them" in found) == (epochs == 51)


@pytest.mark.parametrize(
    ("losses", "ticks", "epochs"),
    [
        ([0.117, 0.05, 0.021], ["0", "0.02", "0.04", "0.06", "0.08", "0.1", "0.12"], ["1", "2", "3"]),
        ([0.3], ["0", "0.1", "0.2", "0.3", "0.4"], ["1"]),
        ([0.0, float("nan")], ["0", "0.2", "0.4", "0.6", "0.8", "1", "1.2"], ["1", "2"]),
        ([1.0 / k for k in range(1, 101)], ["0", "0.2", "0.4", "0.6", "0.8", "1", "1.2"], ["1", "20", "40", "60", "80", "100"]),
    ],
    ids=str,
)
def test_loss_curve_has_round_ticks(losses: list[float], ticks: list[str], epochs: list[str]) -> None:
    """The axes start at 0 and 1 and have round numbers, and each finite loss is a point between them."""
    drawn = drawings.loss_curve([EpochRecord(k, loss, 1e-3) for k, loss in enumerate(losses, 1)])
    assert [label for _, label in drawn["losses"]] == ticks
    assert [label for _, label in drawn["epochs"]] == epochs
    points = [tuple(map(float, point.split(","))) for point in drawn["points"].split()]
    assert len(points) == sum(np.isfinite(losses))
    assert all(56 <= x <= 628 and 12 <= y <= 240 for x, y in points)
