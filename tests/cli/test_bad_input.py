"""Bad inputs: each gives its exit code, one error line and a hint, no traceback, and changes nothing."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli, run_cli
from tests.support.images import png


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder except locks and caches."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "cache" not in path.parts}


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    """A working directory full of invalid files."""
    folder = tmp_path / "work"
    (folder / "text.png").write_text("this is no picture")
    (folder / "huge.png").write_bytes(png(50_000, 50_000, b""))
    (folder / "empty.png").write_bytes(b"")
    (folder / "empty").write_bytes(b"")
    (folder / "many").write_text("[1,1,1,1,1,1,1,1]\n" * 1001)
    (folder / "folder.png").mkdir()
    (folder / "file").write_text("a file where a folder belongs")
    (folder / "readable.png").write_bytes(b"")
    Image.fromarray(np.full((28, 28), 0, np.uint8)).save(folder / "blank.png")
    np.save(folder / "own.npy", np.zeros((3, 28, 28), np.uint8))
    np.save(folder / "wrong.npy", np.zeros((3, 5)))
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (folder / "junk.safetensors").write_bytes(b"\xff" * 100)
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "junk.pth").write_bytes(b"PK\x03\x04 not really")
    os.mkfifo(folder / "fifo.png")
    os.mkfifo(folder / "fifo.safetensors")
    return folder


USE = ("reconstruct", "denoise", "interpolate")
TABLE: list[tuple[tuple[str, ...], int, str]] = [
    # words
    (("reconstruct", "600"), 2, "index out of range: '600'"),
    (("reconstruct", "-1"), 2, "No such option: -1"),
    (("reconstruct", "digit:10"), 2, "invalid image reference: 'digit:10'"),
    (("reconstruct", "digit:3/99999"), 2, "index out of range: 'digit:3/99999'"),
    (("reconstruct",), 2, "Missing argument"),
    (("reconstruct", "-", "-"), 2, "'-' given more than once"),
    *[((command, "train:", "1"), 2, "invalid image reference: 'train:'") for command in USE],
    # pictures
    (("reconstruct", "missing.png"), 4, "missing.png"),
    (("reconstruct", "text.png"), 4, "unsupported image format: 'text.png'"),
    (("reconstruct", "huge.png"), 4, "huge.png"),
    (("reconstruct", "empty.png"), 4, "empty.png"),
    (("reconstruct", "blank.png"), 4, "blank.png"),
    (("reconstruct", "folder.png"), 4, "folder.png"),
    (("reconstruct", "fifo.png"), 4, "fifo.png"),
    (("reconstruct", "wrong.npy"), 4, "wrong.npy"),
    (("reconstruct", "objects.npy"), 4, "objects.npy"),
    (("interpolate", "missing.png", "1"), 4, "missing.png"),
    (("reconstruct", "*.jpg"), 4, "no files match '*.jpg'"),
    (("reconstruct", "*.png", "-o", "new.png"), 2, "output would overwrite the input 'new.png'"),
    (("reconstruct", ".", "-o", "new.png"), 2, "output would overwrite the input 'new.png'"),
    # checkpoints
    *[((command, "1", "2", "-c", "nobody"), 3, "no such checkpoint: 'nobody'") for command in USE],
    (("summary", "-c", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("evaluate", "-c", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("evaluate", "-c", ""), 2, "empty checkpoint name"),
    (("evaluate", "-c", "../tiny"), 3, "no such checkpoint file: '../tiny'"),
    (("evaluate", "-c", "./folder.png"), 3, "cannot use checkpoint 'folder.png': it is a folder"),
    (("summary", "-c", "junk.safetensors"), 3, "cannot use checkpoint 'junk.safetensors'"),
    (("summary", "-c", "empty.safetensors"), 3, "'empty.safetensors' is not a checkpoint of mnistae: it is empty"),
    (("summary", "-c", "fifo.safetensors"), 3, "it is not a regular file"),
    (("summary", "-c", "/dev/zero/x.safetensors"), 3, "no such checkpoint file"),
    (("checkpoints", "show", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("checkpoints", "path", "a b"), 2, "invalid run name: 'a b'"),
    (("checkpoints", "remove", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("checkpoints", "remove", "tiny", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("checkpoints", "import", "junk.pth"), 3, "cannot import 'junk.pth'"),
    (("checkpoints", "import", "missing.pth"), 3, "missing.pth"),
    (("checkpoints", "import", "folder.png", "--name", "x"), 3, "it is a folder"),
    (("checkpoints", "import", "junk.pth", "--name", "tiny"), 7, "run 'tiny' already exists"),
    (("checkpoints", "import", "junk.pth", "--name", "CON"), 2, "invalid run name: 'CON'"),
    # outputs
    (("reconstruct", "1", "-o", "folder.png"), 7, "'folder.png' is a folder, not a file"),
    (("reconstruct", "1", "-o", "file/x.png"), 7, "is not a folder"),
    (("reconstruct", "1", "-o", "x.bmp"), 2, "unsupported output format: 'bmp'"),
    (("reconstruct", "1", "-o", "x"), 2, "cannot infer the format of 'x': no file extension"),
    (("reconstruct", "1", "-o", ""), 7, "'.' is a folder, not a file"),
    (("reconstruct", "1", "-o", "x.png", "-f", "svg"), 2, "extension of 'x.png' does not match --format svg"),
    (("reconstruct", "1", "-o", "fifo.png"), 7, "'fifo.png' is not a regular file"),
    (("reconstruct", "1", "-o", "fifo.safetensors", "-f", "png"), 7, "'fifo.safetensors' is not a regular file"),
    (("interpolate", "0", "1", "--dataset", "own.npy", "-o", "own.npy"), 2, "output would overwrite the input 'own.npy'"),
    (("denoise", "1", "-f", "gif"), 2, "Invalid value for '--format' / '-f': 'gif' is not one of"),
    (("reconstruct", "readable.png", "-o", "readable.png"), 2, "output would overwrite the input 'readable.png'"),
    # numbers: their ranges are tested in reliability/test_words_and_numbers.py
    (("interpolate", "1", "2", "--steps", "1"), 2, "invalid value for --steps: 1"),
    (("traverse", "1", "-n", "1000"), 2, "figure too large"),
    (("traverse", "1", "2"), 2, "unexpected extra argument: '2'"),
    (("traverse", "own.npy"), 2, "traverse takes exactly one image, got 3"),
    (("interpolate", "1"), 2, "interpolation needs at least two images"),
    (("denoise", "1", "--noise", "mask", "--level", "1.5"), 2, "invalid value for --level: 1.5"),
    (("denoise", "1", "--noise", "pink"), 2, "Invalid value for '--noise'"),
    (("train", "--epochs", "0"), 2, "invalid value for --epochs: 0"),
    (("train", "--epochs", "1_000x"), 2, "Invalid value for '--epochs' / '-e': '1_000x' is not an integer"),
    (("denoise", "1", "--level", "abc"), 2, "Invalid value for '--level': 'abc' is not a number"),
    (("denoise", "1", "--noise", "none", "--level", "0.3"), 2, "--level has no effect with --noise none"),
    (("denoise", "1", "--noise", "none", "--seed", "3"), 2, "--seed has no effect with --noise none"),
    (("evaluate", "--knn", "0"), 2, "invalid value for --knn: 0"),
    (("evaluate", "--extremes", "0"), 2, "invalid value for --extremes: 0"),
    (("train", "--lr", "1e400"), 2, "invalid value for --lr: inf"),
    (("train", "--recipe", "quick"), 2, "Invalid value for '--recipe': 'quick' is not one of"),
    (("train", "--precision", "fp8"), 2, "Invalid value for '--precision'"),
    (("train", "--name", ""), 2, "invalid run name: ''"),
    (("summary", "-c", "tiny", "-z", "4"), 2, "-c cannot be combined with --bottleneck or --hidden"),
    (("interpolate", "0", "1", "--fps", "12"), 2, "apply to GIF output only"),
    (("interpolate", "0", "1", "--ping-pong", "-o", "x.png"), 2, "apply to GIF output only"),
    (("interpolate", "0", "1", "--closed", "--ping-pong", "-f", "gif"), 2, "cannot be combined"),
    # devices
    (("train", "--device", "tpu"), 2, "unknown device: 'tpu'"),
    (("reconstruct", "1", "--device", "cuda:x"), 2, "unknown device: 'cuda:x'"),
    (("reconstruct", "1", "--device", "cuda:99"), 5, "device 'cuda:99' is not available: "),
    # data
    (("train",), 4, "data set 'mnist' is not installed"),
    (("train", "--dataset", "mnsit"), 2, "unknown data set: 'mnsit'"),
    (("train", "--dataset", ""), 2, "unknown data set: ''"),
    (("train", "--dataset", "./nowhere.npz"), 4, "data set not found: './nowhere.npz'"),
    (("train", "--dataset", "file"), 4, "unsupported data set format"),
    (("evaluate", "--dataset", "fashion-mnist"), 4, "fashion-mnist"),
    (("evaluate", "--split", "valid"), 2, "Invalid value for '--split'"),
    (("reconstruct", "1", "--dataset", "mnist"), 4, "data set 'mnist' is not installed"),
    (("datasets", "path"), 4, "data set 'mnist' is not installed"),
    (("datasets", "verify"), 4, "data set 'mnist' is not installed"),
    (("datasets", "fetch"), 4, "data set 'mnist' is not installed"),
    (("datasets", "fetch", "glyphs"), 2, "'glyphs' is built in"),
    (("datasets", "fetch", "cifar"), 2, "unknown data set: 'cifar'"),
    # runs
    (("history", "nobody"), 3, "no such checkpoint: 'nobody'"),
    (("history", "-o", "x.gif"), 2, "unsupported output format: 'gif'"),
    (("checkpoints", "export"), 2, "Missing option '--output'"),
    (("checkpoints", "export", "-o", "x"), 2, "cannot infer the format of 'x': no file extension"),
    (("checkpoints", "export", "-o", "x.pth"), 2, "unsupported output format: 'pth'"),
    (("checkpoints", "export", "-o", "x.npz", "-f", "onnx"), 2, "does not match --format onnx"),
    (("checkpoints", "export", "-o", "x.npz", "--part", "encoder"), 2, "--part applies to ONNX only, not to npz"),
    (("checkpoints", "export", "-o", "x.onnx", "--part", "middle"), 2, "'middle' is not one of"),
    (("checkpoints", "export", "nobody", "-o", "x.npz"), 3, "no such checkpoint: 'nobody'"),
    (("checkpoints", "export", "-o", "/dev/null/x.npz"), 7, "is not a folder"),
    # codes
    (("encode",), 2, "give images or --split"),
    (("encode", "1", "--split", "test"), 2, "images and --split cannot be combined"),
    (("encode", "1", "-o", "x.txt"), 2, "unsupported output format: 'txt'"),
    (("decode", "nowhere.npy"), 4, "cannot read codes from 'nowhere.npy'"),
    (("decode", "."), 4, "cannot read codes from '.'"),
    (("decode", "empty"), 4, "no codes in 'empty'"),
    (("decode", "empty", "-o", "x.npy"), 4, "no codes in 'empty'"),
    (("decode", "many"), 4, "too many codes in 'many' for one image or GIF (max 1,000)"),
    (("decode", "many", "-o", "many"), 2, "no file extension"),
    (("decode", "many", "-o", "d/", "-f", "gif"), 2, "--format cannot be combined with a folder"),
    (("decode", "many", "-o", "empty/x.png"), 7, "is not a folder"),
    # commands
    (("trian",), 2, "No such command 'trian'"),
    (("train", "--epoch", "3"), 2, "No such option"),
    (("checkpoints", "rm"), 2, "No such command 'rm'"),
]


@pytest.mark.parametrize(("words", "code", "message"), TABLE, ids=lambda value: str(value)[:60])
def test_bad_input_is_one_line_and_a_hint(
    cli: Cli, trained: str, junk: Path, home: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    """Bad input ends with its exit code, one error line, one hint, nothing on stdout, and no changed file."""
    store, work = snapshot(home), sorted(junk.rglob("*"))
    answer = cli(*words)

    lines = answer.err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert answer.code == code, answer.err
    assert len(errors) == 1, answer.err
    assert message in errors[0]
    assert lines[-1].startswith("hint: ")
    assert lines[-2] == errors[0]
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert snapshot(home) == store
    assert sorted(junk.rglob("*")) == work


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("reconstruct", "1", "-o", "-"), 2),
        (("history", "-o", "-"), 2),
        (("encode", "1", "-o", "-"), 2),
        (("encode", "1", "-f", "npy"), 2),
        (("reconstruct", "1e3"), 2),
        (("summary", "-c", "nobody"), 3),
        (("train",), 4),
        (("train", "--epochs", "x"), 2),
    ],
    ids=str,
)
def test_failure_in_json_is_one_document(cli: Cli, words: tuple[str, ...], code: int) -> None:
    """With --json a failure is also a document on stdout, besides the two lines on stderr."""
    answer = cli(*words, "--json")
    document = json.loads(answer.out)
    assert document["schema"] == 1
    assert document["error"]["exit"] == answer.code == code
    assert answer.err.splitlines()[-2:] == [f"error: {document['error']['message']}", f"hint: {document['error']['hint']}"]


def test_damaged_checkpoint_is_refused_everywhere(cli: Cli, trained: str, home: Path) -> None:
    """One flipped bit in the weights is exit 3 in every command that reads them; the list shows it as damaged."""
    path = home / "checkpoints" / trained / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)

    for words in (("summary", "-c", trained), ("reconstruct", "1"), ("evaluate",), ("checkpoints", "verify")):
        answer = cli(*words)
        assert answer.code == 3, words
        assert "checksum mismatch" in answer.err
    assert json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"][0]["state"] == "damaged"


def test_damaged_data_is_never_trained_on(cli: Cli, tiny: Path, home: Path) -> None:
    """A truncated IDX file is exit code 4, is named, and leaves no run."""
    path = tiny / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    answer = cli("train", "--dataset", tiny, "-e", 1)
    assert answer.code == 4
    assert f"'{path}' is damaged" in answer.err
    assert not (home / "checkpoints").exists() or not list((home / "checkpoints").glob("[!.]*"))


@pytest.mark.parametrize("words", [("encod", "1"), ("--bad", "reconstruct"), ("checkpoints", "import", "--bad")], ids=" ".join)
def test_hint_names_a_help_that_exists(cli: Cli, words: tuple[str, ...]) -> None:
    """The hint of a usage error names the help of the longest valid prefix of the command."""
    hint = cli(*words).err.splitlines()[-1]
    assert hint == f"hint: run 'mnistae {'checkpoints import --help' if len(words) == 3 else '--help'}'"


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


def test_closed_and_empty_standard_input(trained: str) -> None:
    """`-` with an empty or closed stdin is exit code 4 at once."""
    empty = run_cli("reconstruct", "-")
    assert (empty.returncode, empty.stderr.splitlines()[-2]) == (4, b"error: 'standard input' is empty")
    closed = run_cli("reconstruct", "-", stdin=None, preexec_fn=lambda: os.close(0))
    assert (closed.returncode, closed.stderr.splitlines()[-2]) == (4, b"error: stdin is closed")


VARIABLES = [
    ("MNISTAE_OFFLINE", "x", 2, "invalid MNISTAE_OFFLINE: 'x'"),
    ("MNISTAE_DEVICE", "x", 2, "unknown device: 'x'"),
    ("MNISTAE_CHECKPOINT", "/no/x", 3, "no such checkpoint file: '/no/x'"),
    ("MNISTAE_DATA_DIR", "/no/x", 4, "MNISTAE_DATA_DIR is not a folder: '/no/x'"),
    *((f"MNISTAE_{name}", "a\x1bb", 2, f"invalid MNISTAE_{name}: 'a\\x1bb'") for name in ("DEVICE", "CHECKPOINT", "DATA_DIR")),
]


@pytest.mark.parametrize(("name", "value", "code", "message"), VARIABLES)
def test_bad_environment_is_one_line(
    cli: Cli, trained: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: int, message: str
) -> None:
    """Garbage in an environment variable is an error with a hint, not a traceback."""
    monkeypatch.setenv(name, value)
    answer = cli("reconstruct", "1", "--dataset", "mnist")
    error, hint = answer.err.splitlines()[-2:]
    assert (answer.code, error.startswith(f"error: {message}")) == (code, True), error
    assert hint.startswith("hint: ")
