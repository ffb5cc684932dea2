"""The stream contract, in separate processes: results on stdout, everything else on stderr."""

import json
import os
import subprocess
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
    """With --json -q stdout is one document with schema and command, and stderr is empty."""
    done = run_cli(*words, "--json", "-q")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert document["schema"] == 1
    assert document["command"] == " ".join(word for word in words if word in {*words[:1], "list", "show", "path", "verify"})
    assert done.stdout.isascii()


@pytest.mark.parametrize("words", RESULTS, ids=" ".join)
def test_same_command_same_output(trained: str, words: tuple[str, ...]) -> None:
    """A command has the same output twice."""
    first = run_cli(*words)
    second = run_cli(*words)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert first.stdout


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


@pytest.mark.parametrize("words", [("summary",), ("checkpoints", "list"), ("evaluate",), ("--help",)], ids=" ".join)
def test_closed_pipe_is_exit_141(trained: str, words: tuple[str, ...]) -> None:
    """When the reader of stdout has closed it, the command exits silently with 141."""
    read, write = os.pipe()
    os.close(read)
    done = run_cli(*words, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, b"Traceback" in done.stderr, b"rror" in done.stderr) == (141, False, False)


@pytest.mark.parametrize("words", [("summary",), ("reconstruct", "1"), ("checkpoints", "list")], ids=" ".join)
def test_closed_standard_output_is_exit_seven(trained: str, words: tuple[str, ...]) -> None:
    """With stdout closed the command fails after its work."""
    done = run_cli(*words, stdout=None, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
    assert done.returncode == 7
    assert done.stderr.splitlines()[-2] == b"error: stdout is closed"
    assert Path("reconstruct-1.png").exists() == (words[0] == "reconstruct")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("summary",), ("reconstruct", "1", "-o", "-"), ("--help",), ("--version",)], ids=" ".join)
def test_full_device_is_exit_seven(trained: str, words: tuple[str, ...]) -> None:
    """A full device behind stdout is an error."""
    with Path("/dev/full").open("wb") as full:
        done = run_cli(*words, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 7
    assert b"error: cannot write to stdout: No space left on device" in done.stderr


def test_private_file_stays_private(trained: str) -> None:
    """A figure keeps the permissions of the file that it replaces."""
    assert run_cli("reconstruct", "1").returncode == 0
    Path("reconstruct-1.png").chmod(0o600)
    assert run_cli("reconstruct", "1").returncode == 0
    assert Path("reconstruct-1.png").stat().st_mode & 0o777 == 0o600


def test_closed_standard_error_is_ignored(trained: str) -> None:
    """A closed stderr does not change the result."""
    done = run_cli("reconstruct", "1", stderr=None, stdout=subprocess.PIPE, preexec_fn=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (0, b"reconstruct-1.png\n")


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


@pytest.mark.parametrize("name", ["plain", "with space", "-dash", "emoji-😀", "new\nline", "bidi\u202e", "red[bold]", "bell\a"])
def test_odd_paths_work_and_do_not_reach_the_terminal(trained: str, name: str) -> None:
    """A figure may have any name: stdout has it exactly, messages escape it."""
    path = f"{name}.png" if name == "-dash" else f"odd/{name}.png"
    done = run_cli("reconstruct", "1", f"--output={path}")
    assert (done.returncode, done.stdout) == (0, f"{path}\n".encode())
    assert Path(path).exists()

    missing = run_cli("reconstruct", f"missing/{name}.png")
    assert missing.returncode == 4
    assert len(missing.stderr.splitlines()) == 2
    assert not {0x07, 0x1B} & set(missing.stderr)
    assert "\u202e" not in missing.stderr.decode()
