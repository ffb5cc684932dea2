"""The user's own images: folders, patterns, and invalid files among them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli, run_cli

KEEPS_GOING = ("encode", "reconstruct", "denoise")
UNREADABLE = "unsupported image format: 'scans/2.png'"


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the same checkpoint for all commands: the default of `denoise` differs."""
    monkeypatch.setenv("MNISTAE_CHECKPOINT", "tiny")


@pytest.fixture
def scans(digits: dict[str, np.ndarray], home: Path) -> Path:
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


@pytest.mark.parametrize("word", ["scans", "./scans/", "scans/*.png"])
@pytest.mark.parametrize("command", KEEPS_GOING)
def test_an_invalid_image_is_skipped(cli: Cli, trained: str, scans: Path, command: str, word: str) -> None:
    """The valid images of a folder or a pattern are used, the invalid one is an error line, and the exit code is 4."""
    answer = cli(command, word, "0")
    [message] = errors(answer.err)
    assert (answer.code, message.endswith("/2.png'")) == (4, True)
    if command == "encode":
        assert [Path(json.loads(line)["image"]).name for line in answer.out.splitlines()] == ["1.png", "10.png", "0"]
    else:
        assert Path(answer.out.removesuffix("\n")).is_file()


@pytest.mark.parametrize("command", KEEPS_GOING)
def test_failures_stand_in_the_document(cli: Cli, trained: str, scans: Path, command: str) -> None:
    """The JSON document lists the valid images and the failures; -q keeps the error lines."""
    answer = cli(command, "scans", "gone.npy", "1", "--json", "-q")
    told = json.loads(answer.out)
    assert answer.code == 4
    assert [image["image"] for image in told["images"]] == ["scans/1.png", "scans/10.png", "1"]
    assert [failure["image"] for failure in told["failed"]] == ["scans/2.png", "gone.npy"]
    assert [failure["message"] for failure in told["failed"]] == errors(answer.err)
    assert told["failed"][0].keys() == {"image", "message", "hint"}
    assert len(answer.err.splitlines()) == 4
    assert json.loads(cli(command, "1", "--json").out)["failed"] == []


@pytest.mark.parametrize("command", KEEPS_GOING)
def test_without_a_valid_image_there_is_no_output(cli: Cli, trained: str, scans: Path, command: str) -> None:
    """When every image fails, each is reported and nothing is written; the document is an error."""
    words = (command, "scans/2.png", "gone.png", "*.jpg")
    before = sorted(Path().iterdir())
    answer = cli(*words)
    assert (answer.code, answer.out) == (4, "")
    assert errors(answer.err) == [UNREADABLE, "no such image: 'gone.png'", "no files match '*.jpg'"]
    assert sorted(Path().iterdir()) == before
    told = json.loads(cli(*words, "--json").out)
    assert told["error"]["message"] == "no files match '*.jpg'"


def test_an_interpolation_needs_all_of_its_images(cli: Cli, trained: str, scans: Path) -> None:
    """A path without one of its images would be another path: the first invalid image is an error."""
    before = sorted(Path().iterdir())
    answer = cli("interpolate", "gone.png", "scans", "0")
    assert (answer.code, answer.out, errors(answer.err)) == (4, "", ["no such image: 'gone.png'"])
    assert sorted(Path().iterdir()) == before
    (scans / "2.png").unlink()
    told = json.loads(cli("interpolate", "scans", "0", "--json").out)
    assert [image["image"] for image in told["images"]] == ["scans/1.png", "scans/10.png", "0"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("600", "index out of range: '600'"),
        ("x", "invalid image reference: 'x'"),
        ("digit:3/*", "invalid image reference: 'digit:3/*'"),
    ],
)
@pytest.mark.parametrize("command", [*KEEPS_GOING, "interpolate"])
def test_an_invalid_reference_stops_everything(
    cli: Cli, trained: str, scans: Path, command: str, word: str, message: str
) -> None:
    """An invalid reference is a usage error before any image is read: no output, no other error."""
    answer = cli(command, "scans", word)
    assert (answer.code, answer.out, errors(answer.err)) == (2, "", [message])


def test_a_stream_goes_on(trained: str, scans: Path) -> None:
    """The codes of valid images are complete in every format, also if an invalid image comes first."""
    for kind in ("jsonl", "csv"):
        done = run_cli("encode", "gone.png", "scans", "-f", kind)
        assert done.returncode == 4
        assert len(done.stdout.splitlines()) == 2 + (kind == "csv")
    done = run_cli("encode", "gone.png", "scans", "-o", "c.npy")
    assert (done.returncode, done.stdout) == (4, b"c.npy\n")
    assert np.load("c.npy").shape == (2, 8)


def test_a_closed_pipe_takes_precedence(trained: str, scans: Path) -> None:
    """If the reader has closed the pipe, the exit code is 141 even if an image failed."""
    script = f"{sys.executable} -m mnistae encode scans {'1 ' * 20_000} | head -1 > first; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert done.returncode == 141, done.stderr
    assert json.loads(Path("first").read_text())["image"] == "scans/1.png"


def test_the_default_name_follows_from_the_words(cli: Cli, trained: str, scans: Path) -> None:
    """It is derived from the arguments, not from the files that they match: the same command rewrites the same file."""
    name = cli("reconstruct", "scans").out
    assert name.startswith("reconstruct-scans-tiny-")
    assert cli("reconstruct", "scans/1*").out.startswith("reconstruct-scans_1-tiny-")
    (scans / "1.png").unlink()
    assert cli("reconstruct", "scans").out == name


def test_names_of_files_are_shown_safely(cli: Cli, trained: str, scans: Path, digits: dict[str, np.ndarray]) -> None:
    """File names with brackets and control characters are read from folders and escaped in messages."""
    for name in ("a[1].png", "a[2].png", "\x1b]0;x\x07.png"):
        (scans / "1.png").rename(scans / name)
        Image.fromarray(255 - digits["test_images"][1]).resize((140, 140)).save(scans / "1.png")
    answer = cli("encode", "scans")
    assert len(answer.out.splitlines()) == 5
    assert "\x1b" not in answer.out + answer.err
    assert sum(": inverted" in line for line in answer.err.splitlines()) == 5
