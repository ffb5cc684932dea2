"""Bad inputs: each gives its exit code, one error line and a hint, no traceback, and changes nothing."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli, run_cli


def snapshot(folder: Path) -> dict[Path, int | None]:
    """Return what is below a folder, except locks and caches, with the time at which a file was written."""
    paths = [path for path in folder.rglob("*") if not {".locks", "cache"} & {*path.relative_to(folder).parts}]
    return {path: None if path.is_dir() else path.stat().st_mtime_ns for path in paths}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, trained_store: Path) -> Path:
    """A home with the run `tiny`, and a working directory full of invalid files."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(trained_store, place / "home")
    folder = place / "work"
    folder.mkdir()
    (folder / "braces").write_text("{}\n")
    (folder / "four").write_text("[1,2,3,4]\n")
    (folder / "many").write_text("[1,1,1,1,1,1,1,1]\n" * 1001)
    (folder / "folder.png").mkdir()
    (folder / "file").write_text("no checkpoint")
    (folder / "readable.png").write_bytes(b"")
    np.save(folder / "own.npy", np.zeros((3, 28, 28), np.uint8))
    (folder / "junk.pth").write_bytes(b"PK\x03\x04 not really")
    (folder / "-text.png").write_text("text")
    return place


TABLE: list[tuple[str, int, str]] = [
    # images; bad files are tested in data/, numbers in reliability/test_words_and_numbers.py
    ("reconstruct", 2, "missing argument: 'IMAGE'"),
    ("reconstruct - -", 2, "'-' given more than once"),
    ("reconstruct -1", 2, "no such option: '-1'"),
    ("reconstruct -text.png", 2, "no such option: '-t'"),
    ("traverse 1 2", 2, "unexpected extra argument: '2'"),
    ("traverse own.npy", 2, "traverse takes exactly one image, got 3"),
    ("report --images 1 99999", 2, "index out of range: '99999'"),
    ("reconstruct missing.png", 4, "missing.png"),
    ("reconstruct http://localhost/1.png", 4, "no such image: 'http://localhost/1.png'"),
    # checkpoints
    *(
        (f"{command} nobody", 3, "no such checkpoint: 'nobody'")
        for command in ("reconstruct 1 -c", "summary -c", "evaluate tiny", "history", "map", "checkpoints remove tiny")
    ),
    ("evaluate =", 2, "empty checkpoint name"),
    ("evaluate tiny -c other", 2, "-c cannot be combined with CHECKPOINT arguments"),
    ("map tiny -c lab", 2, "-c cannot be combined with CHECKPOINT"),
    (f"evaluate {'tiny ' * 21}", 2, "too many checkpoints: 21"),
    ("summary -c tiny -z 4", 2, "-c cannot be combined with --bottleneck or --hidden"),
    ("checkpoints import junk.pth", 3, "cannot import 'junk.pth'"),
    ("checkpoints import junk.pth --name tiny", 7, "run 'tiny' already exists"),
    # outputs
    ("reconstruct *.png -o new.png", 2, "output would overwrite the input 'new.png'"),
    ("reconstruct readable.png -o readable.png", 2, "output would overwrite the input 'readable.png'"),
    ("interpolate 0 1 --dataset own.npy -o own.npy", 2, "output would overwrite the input 'own.npy'"),
    ("reconstruct 1 -o folder.png", 7, "'folder.png' is a folder, not a file"),
    ("reconstruct 1 -o x.bmp", 2, "unsupported output format: 'bmp'"),
    ("reconstruct 1 -o x", 2, "cannot infer the format of 'x': no file extension"),
    ("reconstruct 1 -o x.png -f svg", 2, "extension of 'x.png' does not match --format svg"),
    ("interpolate 0 1 -f strip -o x.jpg", 2, "extension of 'x.jpg' does not match --format strip"),
    ("decode many -f gif -o x.png", 2, "extension of 'x.png' does not match --format gif"),
    *(
        (f"encode 1 -f csv -o x.{kind}", 2, f"extension of 'x.{kind}' does not match --format csv")
        for kind in ("PDF", "tsv", "json", "html", "safetensors")
    ),
    ("interpolate 0 1 -f gif -o x.mp4", 2, "extension of 'x.mp4' does not match --format gif"),
    *((f"{words} -o =", 2, "empty value for --output: ''") for words in ("reconstruct 1", "encode 1", "decode four", "map")),
    ("denoise 1 -f gif", 2, "invalid value for --format: 'gif'"),
    ("report -o x", 2, "cannot infer the format of 'x': no file extension"),
    ("map tiny --dataset folder.png -f projector -o folder.png", 2, "output would overwrite the input 'folder.png'"),
    ("map -f projector -o -", 2, "-f projector writes a folder"),
    *((f"evaluate {words}", 2, "a figure shows either") for words in ("-o x.png", "-o x.png --extremes 2 --denoising")),
    ("evaluate tiny tiny -o x.png --extremes 2", 2, "--extremes can be drawn for one checkpoint only"),
    ("checkpoints export", 2, "missing option: '--output'"),
    ("checkpoints export -o x.npz -f onnx", 2, "does not match --format onnx"),
    ("checkpoints export -o x.npz --part encoder", 2, "--part applies to ONNX only, not to npz"),
    # options that do not go together, and values that are none
    *((f"{words} --dataset =", 2, "empty value for --dataset: ''") for words in ("reconstruct 1", "evaluate", "train")),
    *(
        (f"{words} =", 2, f"empty value for --{words.split()[-1][2:]}")
        for words in ("train --name", "train --time", "decode four --checkpoint")
    ),
    ("decode =", 2, "empty value for CODES: ''"),
    ("train --lr", 2, "missing value for --lr"),
    ("report --images 1", 2, "missing value for --images: it takes 2 values"),
    ("denoise 1 --noise none --level 0.3", 2, "--level has no effect with --noise none"),
    ("denoise 1 --noise none --seed 3", 2, "--seed has no effect with --noise none"),
    ("denoise 1 --level abc", 2, "invalid value for --level: 'abc'"),
    ("train --epochs 1_000x", 2, "invalid value for --epochs: '1_000x'"),
    ("map --method pca --seed 0", 2, "--seed has no effect with --method pca"),
    ("map --method codes", 2, "invalid value for --method: 'codes' (the bottleneck is 8)"),
    ("interpolate 0 1 --fps 12", 2, "apply to GIF output only"),
    ("interpolate 0 1 --closed --ping-pong -f gif", 2, "cannot be combined"),
    ("train --dataset own.npy --precision tf32 --device cpu", 2, "TF32 requires CUDA"),
    ("reconstruct 1 -c file", 3, "'file' is not a checkpoint of mnistae: it is in an unknown format"),
    ("reconstruct 1 --device cuda:99", 5, "device 'cuda:99' is not available: "),
    # data
    *((words, 4, "data set 'mnist' is not installed") for words in ("train", "datasets path", "datasets verify")),
    ("train --dataset mnsit", 2, "unknown data set: 'mnsit'"),
    ("datasets fetch glyphs", 2, "'glyphs' is built in"),
    # variables
    ("MNISTAE_OFFLINE=x reconstruct 1 --dataset mnist", 2, "invalid MNISTAE_OFFLINE: 'x'"),
    ("MNISTAE_DEVICE=x reconstruct 1", 2, "unknown device: 'x'"),
    ("MNISTAE_CHECKPOINT=/no/x reconstruct 1", 3, "no such checkpoint file: '/no/x'"),
    ("MNISTAE_DATA_DIR=/no/x reconstruct 1 --dataset mnist", 4, "MNISTAE_DATA_DIR is not a folder: '/no/x'"),
    # runs
    ("train --resume --dataset glyphs", 2, "cannot change --dataset of run 'tiny' on resume"),
    ("train --resume --raw", 2, "cannot change --raw of run 'tiny' on resume: the run was trained without it"),
    ("train --resume --force", 2, "--resume and --force cannot be combined"),
    ("train --resume --name lab --recipe lab", 3, "cannot resume 'lab': it is built in and has no training state"),
    ("train --resume --name nobody", 3, "no such checkpoint: 'nobody'"),
    ("train --resume -e 1", 2, "run 'tiny' already has 2 epochs, more than --epochs 1: --epochs counts all epochs of the run"),
    *((f"train --resume --time {time}", 2, "invalid value for --time: '") for time in ("0s", "5", "1.5h", "5m1h")),
    # codes
    ("encode", 2, "no images given"),
    ("encode 1 --split test", 2, "images and --split cannot be combined"),
    ("decode braces", 4, "JSON value without a code in 'braces': '{}'"),
    ("decode four -o four/", 7, "cannot write 'four/00000.png': '"),
    ("decode nowhere.npy", 4, "cannot read codes from 'nowhere.npy'"),
    ("decode many", 4, "too many codes in 'many' for one image or GIF (max 1,000)"),
    ("decode readable.png", 4, "no codes in 'readable.png'"),
    ("decode four", 4, "code 0 in 'four' has 4 values, expected 8"),
    ("decode many -o d/ -f gif", 2, "--format cannot be combined with a folder"),
    # commands
    ("trian", 2, "no such command: 'trian'"),
    ("trai'n", 2, "no such command: 'trai'n'"),
    ("train --epoch 3", 2, "no such option: '--epoch'"),
    *((words, 2, "no such option: '-") for words in ("-c tiny map", "--quiet --epochs 3 train", "datasets --raw verify", "-v")),
    *(
        (words, 2, "no such option: '-")
        for words in ("--help --quiet", "datasets --quiet", "datasets -c", "summary --chekpoint tiny -x -text.png")
    ),
    ("checkpoints rm", 2, "no such command: 'rm'"),
]
HINTS = {
    "reconstruct 1 -o x.png -f svg": "leave --format out",
    "interpolate 0 1 -f strip -o x.jpg": "name the file with .png",
    "encode 1 -f csv -o x.tsv": "name the file with .csv",
    "reconstruct http://localhost/1.png": "download it first",
    "report -o x": "use .html",
    "train --resume --name nobody": "to start a new run of this name, add settings such as --recipe lab",
    "train --resume -e 1": "use --epochs 3 for 1 more",
    "reconstruct -1": "indices count from 0, and a file name that begins with '-' needs './' before it; ",
    "reconstruct -text.png": "a file name that begins with '-' needs './' before it; run 'mnistae reconstruct --help'",
    "-c tiny map": "options follow the command: mnistae map -c",
    "--quiet --epochs 3 train": "options follow the command: mnistae train --quiet",
    "datasets --raw verify": "options follow the command: mnistae datasets verify --raw",
    "--help --quiet": "options follow the command: mnistae COMMAND --quiet",
    "datasets --quiet": "options follow the command: mnistae COMMAND --quiet",
    "datasets -c": "run 'mnistae datasets --help'",
    "summary --chekpoint tiny -x -text.png": "did you mean '--checkpoint'?",
    "train --resume --time 1.5h": "give whole hours, minutes and seconds above 0, as in 55m, 90s or 1h30m",
    "trian": "did you mean 'train'?",
    "train --epoch 3": "did you mean '--epochs'?",
    "denoise 1 -f gif": "must be one of: png, svg, pdf",
    "denoise 1 --level abc": "must be a number",
    "train --epochs 1_000x": "must be an integer",
    "checkpoints rm": "run 'mnistae checkpoints --help'",
}


@pytest.mark.parametrize(("words", "code", "message"), TABLE, ids=lambda value: str(value)[:60])
def test_error_and_hint(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: int, message: str) -> None:
    """Bad input ends with its exit code, one error line, one hint, nothing on stdout, and no changed file.

    With --json there is also a document on stdout.
    """
    monkeypatch.setenv("MNISTAE_HOME", str(place / "home"))
    monkeypatch.chdir(place / "work")
    before = snapshot(place)
    arguments = ["" if word == "=" else word for word in words.split()]
    while arguments[0].startswith("MNISTAE_"):
        monkeypatch.setenv(*arguments.pop(0).split("="))
    answer = cli(*arguments)
    *others, error, hint = answer.err.splitlines()
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith(f"hint: {HINTS.get(words, '')}")
    assert not [line for line in others if re.match("error: |Traceback", line)]
    told = cli(*arguments, "--json")
    assert told.code in {0, code}
    if told.code:  # without a figure some of it is allowed
        document = json.loads(told.out)
        assert (document["schema"], document["error"]["exit"]) == (1, told.code)
        assert told.err.splitlines()[-2:] == [f"error: {document['error']['message']}", f"hint: {document['error']['hint']}"]
    assert snapshot(place) == before


@pytest.mark.parametrize(
    "words", ["reconstruct 1 -o -", "history -o -", "history -f png", "encode 1 -o -", "encode 1 -f npy", "evaluate -f csv"]
)
def test_document_is_alone_on_stdout(cli: Cli, trained: str, words: str) -> None:
    """--json cannot be combined with another result on stdout."""
    told = cli(*words.split(), "--json")
    assert told.code == 2
    assert "cannot be combined" in json.loads(told.out)["error"]["message"]


def test_damaged_checkpoint_is_refused_everywhere(cli: Cli, trained: str, home: Path) -> None:
    """One flipped bit in the weights is exit 3 in every command that reads them; the list shows it as damaged."""
    path = home / "checkpoints" / trained / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    for words in ("summary -c tiny", "reconstruct 1", "evaluate", "checkpoints verify", "checkpoints export -o x.npz"):
        answer = cli(*words.split())
        assert (answer.code, Path("x.npz").exists()) == (3, False), words
        assert "checksum mismatch" in answer.err
    assert json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"][0]["state"] == "damaged"


@pytest.mark.parametrize("words", [(), ("checkpoints",), ("datasets",)], ids=" ".join)
def test_no_arguments_is_help(cli: Cli, words: tuple[str, ...]) -> None:
    """A command group without a command shows its help and exits with 2, without an error message."""
    answer = cli(*words)
    assert answer.code == 2
    assert "Usage: " in answer.out + answer.err
    assert "error:" not in answer.err


def test_moved_data_is_missing_data(cli: Cli, tiny: Path) -> None:
    """A run whose data set has moved exits with 4 and says so."""
    assert cli("train", "--dataset", tiny, "-e", 1, "-b", 256, "-q").code == 0
    tiny.rename(tiny.with_name("elsewhere"))
    for words in (("train", "--resume", "-e", 2), ("evaluate",)):
        answer = cli(*words)
        assert answer.code == 4
        assert f"data set not found: '{tiny}'" in answer.err


def test_closed_standard_input(trained: str) -> None:
    """`-` with a closed stdin is exit code 4 at once."""
    closed = run_cli("reconstruct", "-", stdin=None, preexec_fn=lambda: os.close(0))
    assert (closed.returncode, closed.stderr.splitlines()[-2]) == (4, b"error: stdin is closed")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("interpolate 0 1 --fps 12 --json", "apply to GIF output only"),
        ("interpolate 0 1 --ping-pong --json -o x.png", "apply to GIF output only"),
        *((f"{command} --json", "--format cannot be combined") for command in ("reconstruct 1 -f png", "map tiny -f csv")),
    ],
)
def test_options_without_effect_under_json(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    """Without -o, --json writes no file: options of the file are refused."""
    monkeypatch.setenv("MNISTAE_HOME", str(place / "home"))
    answer = cli(*words.split())
    assert (answer.code, json.loads(answer.out)["error"]["kind"]) == (2, "usage")
    assert message in answer.err
