"""The stream contract, in separate processes: results on stdout, everything else on stderr."""

import json
from pathlib import Path

import pytest

from tests.conftest import run_cli, run_in_pty

RESULTS = [
    ("reconstruct", "1"),
    ("denoise", "1", "-c", "tiny"),
    ("interpolate", "1", "2"),
    ("traverse", "1"),
    ("evaluate",),
    ("summary",),
    ("summary", "-c", "tiny"),
    ("history",),
    ("checkpoints", "list"),
    ("checkpoints", "show"),
    ("checkpoints", "path"),
    ("checkpoints", "verify"),
    ("datasets", "list"),
    ("doctor",),
]


@pytest.mark.parametrize("words", RESULTS, ids=" ".join)
def test_json_is_one_document_and_quiet_is_quiet(trained: str, words: tuple[str, ...]) -> None:
    """With --json -q stdout is one document with schema and command, and stderr is empty; the output is reproducible."""
    done, first, second = run_cli(*words, "--json", "-q"), run_cli(*words), run_cli(*words)
    assert first.stdout == second.stdout
    assert first.stdout
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert document["schema"] == 1
    assert document["command"] == " ".join(word for word in words if word in {*words[:1], "list", "show", "path", "verify"})
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("words", "magic"),
    [
        (("reconstruct", "1"), b"\x89PNG"),
        (("denoise", "1", "-c", "tiny", "-f", "svg"), b"<?xml"),
        (("reconstruct", "1", "-f", "pdf"), b"%PDF"),
        (("interpolate", "1", "2", "-f", "gif"), b"GIF89a"),
        (("interpolate", "1", "2", "-f", "strip"), b"\x89PNG"),
        (("interpolate", "1", "2", "-f", "npy"), b"\x93NUMPY"),
        (("traverse", "1", "--unit", "0", "-f", "svg"), b"<?xml"),
        (("traverse", "1", "-f", "gif"), b"GIF89a"),
    ],
    ids=str,
)
def test_dash_writes_the_files_bytes(trained: str, words: tuple[str, ...], magic: bytes) -> None:
    """`-o -` writes exactly the bytes of the file."""
    suffix = {b"\x89PNG": "png", b"<?xml": "svg", b"%PDF": "pdf", b"GIF89a": "gif", b"\x93NUMPY": "npy"}[magic]
    piped = run_cli(*words, "-o", "-")
    filed = run_cli(*words, "-o", f"out.{suffix}")
    assert (piped.returncode, filed.stdout) == (0, f"out.{suffix}\n".encode())
    assert piped.stdout.startswith(magic)
    assert piped.stdout == Path(f"out.{suffix}").read_bytes()


def test_array_on_standard_input(trained: str) -> None:
    """Frames of one command are images of the next through a pipe."""
    frames = run_cli("interpolate", "1", "2", "--steps", 3, "-f", "npy", "-o", "-")
    done = run_cli("reconstruct", "-", "--json", "-q", stdin=None, input=frames.stdout)
    assert [image["image"] for image in json.loads(done.stdout)["images"]] == ["-[0]", "-[1]", "-[2]"]


def test_private_file_stays_private(trained: str) -> None:
    """A figure keeps the permissions of the file that it replaces."""
    assert run_cli("reconstruct", "1").returncode == 0
    Path("reconstruct-1.png").chmod(0o600)
    assert run_cli("reconstruct", "1").returncode == 0
    assert Path("reconstruct-1.png").stat().st_mode & 0o777 == 0o600


def test_bytes_are_not_written_to_a_terminal(trained: str) -> None:
    """`-o -` on a terminal is a usage error."""
    code, text = run_in_pty("reconstruct", "1", "-o", "-")
    assert code == 2
    assert "refusing to write binary data to a terminal" in text
    assert "PNG" not in text


def test_dash_does_not_wait_for_a_terminal(trained: str) -> None:
    """`-` as an image on a terminal is a usage error at once."""
    code, text = run_in_pty("reconstruct", "-")
    assert code == 2
    assert "no input: stdin is a terminal" in text
