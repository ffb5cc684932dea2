"""`encode` and `decode`, alone and in a pipe."""

import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli, run_cli, run_in_pty

PROGRAM = f"{sys.executable} -m mnistae"

PEAK = """
import resource, subprocess, sys
subprocess.run(["bash", "-c", "set -euo pipefail;" + sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A program that runs a line of bash and prints the largest peak memory of its processes, in KiB."""


def pipe(line: str, **options: object) -> bytes:
    """Run a line of bash in strict mode, with `mnistae` as a function."""
    script = f'set -euo pipefail; mnistae() {{ {PROGRAM} "$@"; }}; {line}'
    done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    out: bytes = done.stdout
    return out


def test_codes_as_lines_csv_and_array(cli: Cli, trained: str) -> None:
    """The three formats hold the same codes; the document of --json as well."""
    lines = [json.loads(line) for line in cli("encode", 0, "test:1", "digit:3").out.splitlines()]
    assert [row["image"] for row in lines] == ["0", "test:1", "digit:3"]
    assert lines[2]["label"] == 3
    table = [row.split(",") for row in cli("encode", 0, "test:1", "digit:3", "-f", "csv").out.splitlines()]
    assert table[0][:3] == ["image", "label", "c0"]
    assert [[float(cell) for cell in row[2:]] for row in table[1:]] == [row["code"] for row in lines]
    assert cli("encode", 0, "test:1", "digit:3", "-o", "c.npy").out == "c.npy\n"
    array = np.load("c.npy")
    assert (array == np.array([row["code"] for row in lines], np.float32)).all()
    document = json.loads(cli("encode", 0, "test:1", "digit:3", "--json").out)
    assert document["count"] == 3
    assert np.allclose([row["code"] for row in document["images"]], array, atol=0)


def test_decoded_codes_are_the_reconstructions(cli: Cli, trained: str) -> None:
    """Encoding and decoding a split gives the error that `evaluate` reports, within 1e-6."""
    cli("encode", "--split", "train", "-o", "c.npy")
    assert cli("decode", "c.npy", "-o", "x.npy").out == "x.npy\n"
    images = np.load("x.npy").reshape(-1, 784)
    from mnistae.core.arrays import to_float
    from mnistae.data.sets import resolve
    from mnistae.data.sets.dataset import Split
    from mnistae.store import runs

    training = runs.load(trained).metadata.training
    assert training is not None
    originals = to_float(resolve.open_dataset(training.dataset).images(Split.TRAIN))
    expected = json.loads(cli("evaluate", "--split", "train", "--json").out)["total"]["mse"]
    assert ((images - originals) ** 2).mean() == pytest.approx(expected, abs=1e-6)


def test_images_gifs_and_folders(cli: Cli, trained: str) -> None:
    """A contact sheet in rows of twenty, a GIF, and a folder of PNGs."""
    cli("encode", "--split", "test", "-f", "csv", "-o", "c.csv")
    assert cli("decode", "c.csv").out == "decode-c.csv.png\n"
    with Image.open("decode-c.csv.png") as picture:
        assert picture.size == (20 * 112, 5 * 112)
    assert cli("decode", "c.csv", "-o", "x.gif").code == 0
    with Image.open("x.gif") as gif:
        assert gif.n_frames == 100  # type: ignore[attr-defined]
    assert cli("decode", "c.csv", "-o", "digits/").out == "digits\n"
    assert max(Path("digits").iterdir()).name == "00099.png"
    with Image.open("digits/00000.png") as digit:
        assert digit.size == (28, 28)
    document = json.loads(cli("decode", "c.csv", "-o", "digits", "--json").out)
    assert (document["count"], document["output"]) == (100, "digits")


def test_in_a_pipe(trained: str) -> None:
    """Codes go from one process to another in any format, also through a tool that reformats JSON."""
    direct = pipe("mnistae encode 1 2 -f npy -o - | mnistae decode -f npy -o -")
    for line in (
        "mnistae encode 1 2 | mnistae decode - -f npy -o -",
        "mnistae encode 1 2 -f csv | mnistae decode -f npy -o -",
        f"mnistae encode 1 2 | {sys.executable} -m json.tool --json-lines | mnistae decode -f npy -o -",
        "mnistae decode <(mnistae encode 1 2) -f npy -o -",
    ):
        assert pipe(line) == direct
    assert np.load(io.BytesIO(direct)).shape == (2, 28, 28)
    assert pipe("mnistae encode 1 2 | mnistae decode") == b"decode-stdin.png\n"


def test_output_starts_before_the_input_ends(trained: str, tmp_path: Path) -> None:
    """A folder is filled while codes are still arriving."""
    code = json.dumps([0.5] * 8) + "\n"
    process = subprocess.Popen(
        [sys.executable, "-m", "mnistae", "decode", "-o", "out/"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(code.encode() * 1500)
    process.stdin.flush()
    arrived = threading.Event()
    for _ in range(600):
        if Path("out/00000.png").exists():
            break
        arrived.wait(0.05)
    assert Path("out/00000.png").exists()
    assert process.poll() is None
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(list(Path("out").iterdir())) == 1500


def test_codes_come_out_as_images_go_in(trained: str) -> None:
    """The codes of the first images of an array are written before the last ones are read."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((200, 28, 28), np.uint8))
    data = stream.getvalue()
    with subprocess.Popen(
        [sys.executable, "-m", "mnistae", "encode", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data[: 100 * 784])
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["image"] == "-[0]"
        process.stdin.write(data[100 * 784 :])
        process.stdin.close()
        assert json.loads(process.stdout.readlines()[-1])["image"] == "-[199]"
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["jsonl", "csv", "npy"])
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


def test_another_checkpoints_codes_are_refused(cli: Cli, trained: str, tiny: Path) -> None:
    """Codes of four numbers are rejected by a bottleneck of eight."""
    Path("c.jsonl").write_text("[1,2,3,4]\n")
    answer = cli("decode", "c.jsonl")
    assert answer.code == 4
    assert "has 4 values, expected 8" in answer.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,2,3,4,5,6,7\n" + "0.5," * 7 + "0.5\n", "'c.txt': first row '0,1,2,3,4,5,6,7' read as a header"),
        ("1,2,3,4,5,6,7,8\n" + "0.5," * 7 + "0\n", "'c.txt': first row '1,2,3,4,5,6,7,8' read as a header"),
        (
            "[0,0,0,0,0,0,0,-9]\n[1,1,1,1,1,1,1,1]\n",
            "warning: 1 of 2 codes contain negative values",
        ),
        ("[0,0,0,0,0,0,0,1e6]\n", "warning: 1 of 1 codes contain values above "),
    ],
)
def test_decode_reports_what_it_assumes(cli: Cli, trained: str, text: str, message: str) -> None:
    """A header that is skipped, and codes that no image has, are reported; -q suppresses that."""
    Path("c.txt").write_text(text)
    assert message in cli("decode", "c.txt", "-o", "x.npy").err
    assert cli("decode", "c.txt", "-o", "x.npy", "-q").err == ""


def test_codes_as_text_may_go_to_a_terminal(trained: str) -> None:
    """`-o -` refuses a terminal only for binary formats."""
    code, text = run_in_pty("encode", "1", "-f", "csv", "-o", "-")
    assert (code, "image,label,c0" in text) == (0, True)
    assert run_in_pty("encode", "1", "-f", "npy", "-o", "-")[0] == 2


@pytest.mark.parametrize("kind", ["npy", "jsonl"])
def test_the_whole_of_mnist_flows(real_mnist: Path, trained: str, kind: str) -> None:
    """60,000 images pass through the pipe with less than 300 MiB per process."""
    run_cli("encode", 0, "--dataset", "mnist")  # the cache of verified arrays is made here, once
    out = " -o -" if kind == "npy" else ""
    line = f"{PROGRAM} encode --split train --dataset mnist -f {kind}{out} | {PROGRAM} decode -o x.npy"
    # A small process in between: a child's peak counts from that of the process it was forked from.
    measured = subprocess.run([sys.executable, "-c", PEAK, line], check=True, capture_output=True)
    assert int(measured.stdout) < 300 * 1024
    assert np.load("x.npy", mmap_mode="r").shape == (60000, 28, 28)
