"""The pipelines of docs/pipelines.md, extracted from the page and run under `set -euo pipefail`."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mnistae as product
from mnistae.outputs import image_io
from tests.conftest import Digits, run_program_in_pty
from tests.support.client import LONG
from tests.support.photos import drawn, on_paper

PAGE = Path(__file__).resolve().parents[1] / "docs" / "pipelines.md"
BLOCKS = {
    int(number): block
    for number, block in re.findall(r"^## (\d+)\. .*?^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
}
TOOLS = ("bash", "awk", "base64", "seq", "sha256sum", "sort", "tee", "xargs")

pytestmark = pytest.mark.skipif(not all(shutil.which(tool) for tool in TOOLS), reason=f"the pipelines need {', '.join(TOOLS)}")


@dataclass(frozen=True)
class Site:
    """Where the pipelines run: the data behind them, and whether somebody looks at a terminal."""

    dataset: str
    is_terminal: bool

    def run(self, script: str) -> tuple[int, str, str]:
        """Run a script; return its code, what it out, and what it err. On a terminal they are one stream."""
        command = ["bash", "-euo", "pipefail", "-c", script]
        if self.is_terminal:
            code, shown = run_program_in_pty(command, TERM="xterm-256color")
            text = shown.replace("\r\n", "\n")
            return code, text, text
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    @cached_property
    def model(self) -> product.Model:
        return product.load()

    def images(self, split: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return product.read_dataset(self.dataset, split)


@pytest.fixture
def site(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    digits: Digits,
    trained_store: Path,
    trained: str,
) -> Site:
    """A folder with some photos, and the program and its Python on the path."""
    _on_the_path(tmp_path / "bin", monkeypatch)
    Path("photos").mkdir()
    for digit in (3, 7):
        image = digits["test_images"][digits["test_labels"] == digit][0]
        on_paper(drawn(image, 200)).save(f"photos/{digit}.png")
    Path("photos/torn.png").write_text("no picture")
    return Site(str(trained_store.parent / "tiny"), is_terminal=request.param == "terminal")


def _on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    for name, words in (("mnistae", "-m mnistae"), ("python3", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def levels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(np.int16)


def assert_shows(path: str, images: NDArray[np.float32]) -> None:
    """The picture is that of these images, but for the last digits of their codes."""
    found, wanted = levels(Path(path).read_bytes()), levels(image_io.strip(images, columns=20))
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2


def measured(err: str) -> dict[str, float]:
    """Return the MSE of each image in a table of `reconstruct`, in order."""
    return {word: float(mse) for word, mse in re.findall(r"^ *(\S+) +\d +(0\.\d+) +\d", err, re.MULTILINE)}


def check_the_round_trip(site: Site, out: str, err: str) -> None:
    images, labels = site.images()
    lines = [json.loads(line) for line in Path("codes.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == [0, 1, 2]
    firsts = images[[np.flatnonzero(labels == digit)[0] for digit in range(3)]]
    assert_shows("digits.png", site.model.reconstruct(firsts).outputs)
    assert out.endswith("digits.png\n")


def check_the_means(site: Site, out: str, err: str) -> None:
    images, labels = site.images("test")
    codes = site.model.encode(images)
    assert_shows("means.png", site.model.decode(np.stack([codes[labels == digit].mean(0) for digit in range(10)])))


def check_the_halves(site: Site, out: str, err: str) -> None:
    assert_shows("fainter.png", site.model.decode(site.model.encode(site.images()[0][1:3]) / 2))


def check_the_neighbours(site: Site, out: str, err: str) -> None:
    codes = site.model.encode(site.images()[0])
    distances = ((codes - codes[1]) ** 2).sum(1)
    found = [int(word) for word in measured(err)]
    assert found[0] == 1
    assert np.allclose(distances[found], np.sort(distances)[:8], rtol=1e-3, atol=1e-3)
    assert levels(Path("similar.png").read_bytes()).std() > 10


def check_the_page(site: Site, out: str, err: str) -> None:
    gif = re.fullmatch(r'<img width="280" src="data:image/gif;base64,([^"]*)">\n', Path("morph.html").read_text(), re.DOTALL)
    assert gif
    assert Image.open(io.BytesIO(base64.b64decode(gif[1]))).n_frames == 4 * 7  # type: ignore[attr-defined]


def check_the_photos(site: Site, out: str, err: str) -> None:
    rows = [row.split(",") for row in Path("photos.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["image", "photos/3.png", "photos/7.png"]
    assert all(len(row) == 2 + 8 for row in rows)
    assert re.findall("^error: .*", err, re.MULTILINE) == ["error: unsupported image format: 'photos/torn.png'"]


def check_the_worst(site: Site, out: str, err: str) -> None:
    errors = site.model.reconstruct(site.images("test")[0][:100]).metrics.mse
    found = measured(err)
    assert np.allclose(list(found.values()), np.sort(errors)[:-6:-1], rtol=1e-3)
    assert next(iter(found)) == f"test:{errors.argmax()}"
    assert levels(Path("worst.png").read_bytes()).std() > 10


def check_the_hardest(site: Site, out: str, err: str) -> None:
    images, labels = site.images("test")
    errors = ((site.model.decode(site.model.encode(images)) - images / np.float32(255)) ** 2).mean((1, 2))
    means = {str(digit): errors[labels == digit].mean() for digit in range(10)}
    hardest = sorted(means, key=lambda digit: -means[digit])[:3]
    rows = [line.split() for line in out.splitlines()]
    assert [digit for digit, _ in rows] == hardest
    assert np.allclose([float(value) for _, value in rows], [means[digit] for digit in hardest], rtol=1e-4)


def check_the_comparison(site: Site, out: str, err: str) -> None:
    rows = [(float(value), name) for value, name in map(str.split, out.splitlines())]
    assert {name for _, name in rows} == {"lab", "denoise", "tiny"}
    assert rows == sorted(rows)
    assert all(0 < mse < 0.2 for mse, _ in rows)
    assert len({mse for mse, _ in rows}) == len(rows)


def check_the_weights(site: Site, out: str, err: str) -> None:
    lines = Path("SHA256SUMS").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256(Path(name).read_bytes()).hexdigest() == digest
    assert product.load(Path("weights.safetensors")).checkpoint.metadata == site.model.checkpoint.metadata
    with np.load("weights.npz") as arrays:
        assert len(arrays.files) == 8
        assert all((arrays[name] == site.model.checkpoint.weights[name]).all() for name in arrays.files)


CHECKS: Sequence[Callable[[Site, str, str], None]] = (
    *(check_the_round_trip, check_the_means, check_the_halves, check_the_neighbours, check_the_page),
    *(check_the_photos, check_the_worst, check_the_hardest, check_the_comparison, check_the_weights),
)

KINDS = ("pipe", "terminal")
RUNS = [(number, kind) for number in BLOCKS for kind in (KINDS if LONG else [KINDS[number % 2]])]


def test_the_page_has_ten_pipelines() -> None:
    """Ten blocks, numbered, each with its check."""
    assert list(BLOCKS) == list(range(1, 11))
    assert PAGE.read_text("utf-8").count("```sh") == len(CHECKS) == 10


@pytest.mark.parametrize(("number", "site"), RUNS, indirect=["site"])
def test_a_pipeline_does_what_it_says(site: Site, number: int) -> None:
    """Each block of the page runs as it is printed, with any failure ending it, and its result is correct."""
    code, out, err = site.run(BLOCKS[number])
    assert code == 0, err
    CHECKS[number - 1](site, out, err)


@pytest.mark.parametrize("number", [5, 6, 10])
def test_a_failure_inside_ends_a_pipeline(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its checkpoint a pipeline fails, wherever the program is in it."""
    _on_the_path(tmp_path / "bin", monkeypatch)
    monkeypatch.setenv("MNISTAE_CHECKPOINT", "gone")
    code, _, err = Site("", is_terminal=False).run(f"{BLOCKS[number]}\necho continued")
    assert (code != 0, "error: no such checkpoint" in err) == (True, True), err
