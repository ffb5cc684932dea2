"""The stream contract: results on stdout, everything else on stderr."""

import json
from pathlib import Path

import pytest

from mnistae.cli.console import format_table
from tests.conftest import Cli, run_cli, run_in_pty

RESULTS = [
    *("reconstruct 1", "denoise 1 -c tiny", "interpolate 1 2", "traverse 1 -n 2 --unit 0", "evaluate", "summary"),
    *("summary -c tiny", "history", "datasets list"),
    *("checkpoints list", "checkpoints show", "checkpoints path", "checkpoints verify"),
]


@pytest.mark.parametrize("words", RESULTS)
def test_json_is_one_document_and_quiet_is_quiet(cli: Cli, trained: str, words: str) -> None:
    """With --json -q stdout is one document with schema and command, and stderr is empty; the output is reproducible."""
    done, first, second = (cli(*words.split(), *more) for more in (("--json", "-q"), (), ()))
    assert first.out == second.out
    assert first.out
    document = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert document["schema"] == 1
    assert f"{words} ".startswith(f"{document['command']} ")
    assert done.out.isascii()


@pytest.mark.parametrize(
    ("words", "suffix", "magic"),
    [
        ("denoise 1 -c tiny -f png", "png", b"\x89PNG"),
        ("interpolate 1 2 -f gif", "gif", b"GIF89a"),
        ("interpolate 1 2 -f strip", "png", b"\x89PNG"),
        ("interpolate 1 2 -f npy", "npy", b"\x93NUMPY"),
        ("traverse 1 --unit 0 -f svg", "svg", b"<?xml"),
        ("map -n 20 --method pca -f csv", "csv", b"image,label,x,y\ntest:0,"),
        ("checkpoints export -f npz", "npz", b"PK"),
    ],
)
def test_dash_writes_the_files_bytes(cli: Cli, trained: str, words: str, suffix: str, magic: bytes) -> None:
    """`-o -` writes exactly the bytes of the file."""
    piped = run_cli(*words.split(), "-o", "-")
    assert (piped.returncode, cli(*words.split(), "-o", f"out.{suffix}").out) == (0, f"out.{suffix}\n")
    assert piped.stdout.startswith(magic)
    assert piped.stdout == Path(f"out.{suffix}").read_bytes()


def test_private_file_stays_private(cli: Cli, trained: str) -> None:
    """A figure keeps the permissions of the file that it replaces."""
    Path("reconstruct-1.png").touch(0o600)
    assert cli("reconstruct", "1").code == 0
    assert Path("reconstruct-1.png").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "code", "shown"),
    [
        ("reconstruct 1 -o -", 2, "refusing to write binary data to a terminal"),
        ("encode 1 -f npy -o -", 2, "refusing to write binary data to a terminal"),
        ("encode 1 -f csv -o -", 0, "image,label,c0"),
        ("reconstruct -", 2, "no input: stdin is a terminal"),
    ],
)
def test_dash_on_a_terminal(trained: str, words: str, code: int, shown: str) -> None:
    """Binary data is not written to a terminal, text is; images are not read from one."""
    ended, text = run_in_pty(*words.split())
    assert (ended, shown in text) == (code, True), text


def test_wide_characters_are_aligned() -> None:
    """Columns of a table are aligned by the width of the characters on a terminal, numbers to the right."""
    rows = [("name", "n"), ("數字", 1), ("a", 10)]
    assert format_table(rows) == ["name   n", "數字   1", "a     10"]
    assert format_table(rows[1:], has_headings=False) == ["數字  1", "a     10"]
