"""The user's own images: folders, patterns, and invalid files among them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli, Digits

KEEPS_GOING = ("encode", "reconstruct", "denoise")
UNREADABLE = "unsupported image format: 'scans/2.png'"


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the same checkpoint for all commands: the default of `denoise` differs."""
    monkeypatch.setenv("MNISTAE_CHECKPOINT", "tiny")


@pytest.fixture
def scans(digits: Digits, home: Path) -> Path:
    """A folder of three files, the second of which is not an image."""
    folder = Path("scans")
    folder.mkdir()
    for k in (1, 10):
        Image.fromarray(255 - digits["test_images"][k]).resize((140, 140)).save(folder / f"{k}.png")
    (folder / "2.png").write_text("no picture")
    return folder


def errors(text: str) -> list[str]:
    """Return the error messages; each must have a hint below it."""
    lines = text.splitlines()
    places = [k for k, line in enumerate(lines) if line.startswith("error: ")]
    assert all(lines[k + 1].startswith("hint: ") for k in places), text
    return [lines[k].removeprefix("error: ") for k in places]


@pytest.mark.parametrize("command", KEEPS_GOING)
def test_an_invalid_image_is_skipped(cli: Cli, trained: str, scans: Path, command: str) -> None:
    """The valid images of folders and patterns are used, each invalid one is an error line also with -q, the exit code is 4."""
    words = (command, "gone.npy", "scans/", "*/1.png", "1", "-q")
    output = "x.npy" if command == "encode" else "x.svg"
    answer = cli(*words, "-o", output)
    assert (answer.code, answer.out) == (4, f"{output}\n")
    assert errors(answer.err) == ["no such image: 'gone.npy'", UNREADABLE]
    assert len(answer.err.splitlines()) == 4
    assert command != "encode" or np.load(output).shape == (4, 8)
    told = json.loads(cli(*words, "--json").out)
    assert [image["image"] for image in told["images"]] == ["scans/1.png", "scans/10.png", "scans/1.png", "1"]
    assert [failure["image"] for failure in told["failed"]] == ["gone.npy", "scans/2.png"]
    assert [failure["message"] for failure in told["failed"]] == errors(answer.err)
    assert told["failed"][0].keys() == {"image", "message", "hint"}
    assert json.loads(cli(command, "1", "--json").out)["failed"] == []


@pytest.mark.parametrize("command", [*KEEPS_GOING, "interpolate"])
def test_nothing_is_written_without_images(cli: Cli, trained: str, scans: Path, command: str) -> None:
    """When every image fails, each is reported; an invalid reference, and any image of an interpolation, stops everything."""
    before = sorted(Path().iterdir())
    missing = ["no such image: 'gone.png'", UNREADABLE, "no files match '*.jpg'"]
    for words, code, expected in (
        (("gone.png", "scans/2.png", "*.jpg"), 4, missing[:1] if command == "interpolate" else missing),
        (("scans", "digit:3/*"), 2, ["invalid image reference: 'digit:3/*'"]),
    ):
        answer = cli(command, *words)
        assert (answer.code, answer.out, errors(answer.err)) == (code, "", expected)
        assert json.loads(cli(command, *words, "--json").out)["error"]["message"] == expected[-1]
    assert sorted(Path().iterdir()) == before


def test_a_closed_pipe_takes_precedence(trained: str, scans: Path) -> None:
    """If the reader has closed the pipe, the exit code is 141 even if an image failed."""
    script = f"{sys.executable} -m mnistae encode scans {'1 ' * 2_000} | head -1 > first; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert done.returncode == 141, done.stderr
    assert json.loads(Path("first").read_text())["image"] == "scans/1.png"
