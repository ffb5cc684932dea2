"""`encode` and `decode`, alone and in a pipe."""

import io
import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from mnistae.store import runs
from tests.conftest import Cli, run_cli
from tests.support.client import wait_until

PROGRAM = f"{sys.executable} -m mnistae"

PEAK = """
import resource, subprocess, sys
subprocess.run(["bash", "-c", "set -euo pipefail;" + sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A program that runs a line of bash and prints the largest peak memory of its processes, in KiB."""


def test_codes_as_lines_csv_and_array(cli: Cli, trained: str) -> None:
    """The three formats hold the same codes; the document of --json as well."""
    words = ("encode", 0, "test:1", "digit:3")
    lines = [json.loads(line) for line in cli(*words).out.splitlines()]
    assert [row["image"] for row in lines] == ["0", "test:1", "digit:3"]
    assert lines[2]["label"] == 3
    codes = [row["code"] for row in lines]
    table = [row.split(",") for row in cli(*words, "-f", "csv").out.splitlines()]
    assert table[0][:3] == ["image", "label", "c0"]
    assert [[float(cell) for cell in row[2:]] for row in table[1:]] == codes
    assert cli(*words, "-o", "c.npy").out == "c.npy\n"
    assert (np.load("c.npy") == np.array(codes, np.float32)).all()
    document = json.loads(cli(*words, "--json").out)
    assert document["count"] == 3
    assert np.allclose([row["code"] for row in document["images"]], np.load("c.npy"), atol=0)


def test_images_gifs_and_folders(cli: Cli, trained: str) -> None:
    """A contact sheet in rows of twenty, a GIF, and a folder of PNGs."""
    Path("c.csv").write_text("".join(f"{10 * k},1,1,1,1,1,1,1\n" for k in range(21)))
    assert cli("decode", "c.csv").out == "decode-c.csv.png\n"
    assert cli("decode", "c.csv", "-o", "x.gif").code == 0
    assert cli("decode", "c.csv", "-o", "digits/").out == "digits\n"
    assert max(Path("digits").iterdir()).name == "00020.png"
    with Image.open("decode-c.csv.png") as sheet, Image.open("x.gif") as gif, Image.open("digits/00000.png") as digit:
        assert (sheet.size, digit.size) == ((20 * 112, 2 * 112), (28, 28))
        assert gif.n_frames == 21  # type: ignore[attr-defined]
    document = json.loads(cli("decode", "c.csv", "-o", "digits", "--json").out)
    assert (document["count"], document["output"]) == (21, "digits")


@pytest.mark.parametrize(
    ("made_with", "used", "warning"),
    [
        ("lab", "denoise", "warning: the codes were made with another network ('lab'), decoded with 'denoise'\n"),
        ("lab", "tiny", "warning: the codes were made with another network ('lab'), decoded with 'tiny'\n"),
        ("other/tiny.safetensors", "tiny", "made with another network ('other/tiny.safetensors'), decoded with 'tiny'\n"),
        ("lab", "lab", None),
        ("tiny.safetensors", "./tiny.safetensors", None),
        ("tiny.safetensors", "copy.safetensors", None),
        ("tiny.safetensors", "tiny", None),
    ],
)
def test_codes_of_another_network(cli: Cli, trained: str, made_with: str, used: str, warning: str | None) -> None:
    """A document has the digest of its network: decoding codes with other weights is reported, whatever their names."""
    np.save("x.npy", np.full((28, 28), 99, np.uint8))
    Path("other").mkdir()
    for copy, name in (("tiny", trained), ("copy", trained), ("other/tiny", "denoise")):
        Path(f"{copy}.safetensors").write_bytes(runs.model_path(name).read_bytes())
    Path("c.json").write_text(cli("encode", "x.npy", "-c", made_with, "--json").out)
    answer = cli("decode", "c.json", "-c", used, "-o", "x.npy")
    assert answer.code == 0
    assert ("made with" in answer.err) == bool(warning)
    assert (warning or "") in answer.err


def test_codes_of_a_replaced_run(cli: Cli, trained: str) -> None:
    """A run that replaces another one of its name is another network; a warning is given once."""
    np.save("x.npy", np.full((28, 28), 99, np.uint8))
    Path("c.json").write_text(2 * cli("encode", "x.npy", "-c", trained, "--json").out)
    runs.model_path(trained).write_bytes(runs.model_path("denoise").read_bytes())
    assert cli("decode", "c.json", "-o", "x.npy").err.count(f"another network ('{trained}'), decoded with '{trained}'\n") == 1


@pytest.mark.parametrize("checkpoint", [None, 7, {}, {"name": None, "path": None}, {"name": 1, "path": 2, "digest": 3}])
def test_documents_without_a_digest(cli: Cli, trained: str, checkpoint: object) -> None:
    """Nothing is compared with a document of another program."""
    Path("c.json").write_text(json.dumps({"checkpoint": checkpoint, "codes": [[1] * 8]}))
    answer = cli("decode", "c.json", "-o", "x.npy")
    assert (answer.code, "made with" in answer.err) == (0, False)


def test_other_images_in_the_folder(cli: Cli, trained: str) -> None:
    """Images that an earlier decode left in the folder are counted and kept; other files are no images."""
    Path("two.csv").write_text("1,1,1,1,1,1,1,1\n" * 2)
    Path("four.csv").write_text("1,1,1,1,1,1,1,1\n" * 4)
    assert "other image" not in cli("decode", "four.csv", "-o", "out/").err
    Path("out/notes.txt").touch()
    assert "warning: 'out' also contains 2 other images\n" in cli("decode", "two.csv", "-o", "out/").err
    assert len(list(Path("out").iterdir())) == 5


def start(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "mnistae", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def test_output_starts_before_the_input_ends(trained: str) -> None:
    """A folder is filled while codes are still arriving."""
    with start("decode", "-o", "out/") as process:
        assert process.stdin is not None
        process.stdin.write(b"[0.5,0,0,0,0,0,0,0]\n" * 1025)  # one more than are read together
        wait_until(Path("out/00000.png").exists, 60)
        assert Path("out/00000.png").exists()
        assert process.poll() is None
        process.communicate(timeout=100)
    assert process.returncode == 0
    assert len(list(Path("out").iterdir())) == 1025


def test_codes_come_out_as_images_go_in(trained: str) -> None:
    """The codes of the first images of an array are written before the last ones are read."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((200, 28, 28), np.uint8))
    data = stream.getvalue()
    with start("encode", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data[: 100 * 784])
        assert json.loads(process.stdout.readline())["image"] == "-[0]"
        process.stdin.write(data[100 * 784 :])
        process.stdin.close()
        assert json.loads(process.stdout.read().splitlines()[-1])["image"] == "-[199]"
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["jsonl", "npy"])
def test_codes_before_a_break_are_delivered(trained: str, kind: str) -> None:
    """A truncated array gives the codes of its complete images in every format, an error line and exit code 4."""
    np.save("x.npy", np.zeros((200, 28, 28), np.uint8))
    Path("x.npy").write_bytes(Path("x.npy").read_bytes()[:-1])
    done = run_cli("encode", "x.npy", "1", "-o", f"c.{kind}")
    assert (done.returncode, done.stdout) == (4, f"c.{kind}\n".encode())
    assert b"error: truncated or oversized .npy file" in done.stderr
    read = run_cli("decode", f"c.{kind}", "-o", "y.npy")
    assert read.returncode == 0, read.stderr
    assert len(np.load("y.npy")) == 193


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4,5,6,7,8\n" + "0.5," * 7 + "0\n", "'c.txt': first row '1,2,3,4,5,6,7,8' read as a header"),
        ("[0,0,0,0,0,0,0,-9]\n[1,1,1,1,1,1,1,1]\n", "warning: 1 of 2 codes contain negative values"),
        ("[0,0,0,0,0,0,0,1e6]\n", "warning: 1 of 1 codes contain values above "),
    ],
)
def test_decode_reports_what_it_assumes(cli: Cli, trained: str, text: str, message: str) -> None:
    """A header that is skipped, and codes that no image has, are reported; -q suppresses that."""
    Path("c.txt").write_text(text)
    assert message in cli("decode", "c.txt", "-o", "x.npy").err
    assert cli("decode", "c.txt", "-o", "x.npy", "-q").err == ""


def test_the_whole_of_mnist_flows(real_mnist: Path, trained: str) -> None:
    """60,000 images pass through the pipe with less than 300 MiB per process."""
    run_cli("encode", 0, "--dataset", "mnist")  # the cache of verified arrays is made here, once
    line = f"{PROGRAM} encode --split train --dataset mnist -f npy -o - | {PROGRAM} decode -o x.npy"
    # A small process in between: a child's peak counts from that of the process it was forked from.
    measured = subprocess.run([sys.executable, "-c", PEAK, line], check=True, capture_output=True)
    assert int(measured.stdout) < 300 * 1024
    assert np.load("x.npy", mmap_mode="r").shape == (60000, 28, 28)


def test_no_room_for_a_temporary_file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The codes of an array are spooled; the folder for that is named by TMPDIR, and is not the output."""
    Path("codes.csv").write_text("1,2,3,4,5,6,7,8\n2,3,4,5,6,7,8,9.5\n")
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", "/missing")
        answer = cli("decode", "codes.csv", "-c", "lab", "-o", "x.npy")
    assert (answer.code, answer.err.splitlines()[-1]) == (7, "hint: set TMPDIR to a folder with free space")
    assert not Path("x.npy").exists()


def test_an_end_of_file_is_no_interrupt(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typer turns an EOFError into the exception of Ctrl-C."""
    monkeypatch.setattr(runs, "load", Mock(side_effect=EOFError("x")))
    answer = cli("history", "lab")
    assert answer.code == 1
    assert "error: unexpected EOFError: x" in answer.err
