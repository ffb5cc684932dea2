"""Rows E4 and E6 to E8: whatever the shell does with streams, locales, widths and paths, and JSON under all of them."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from tests.conftest import run_process
from tests.support.child_hooks import standard_output
from tests.support.client import LONG, ForkServer, Result, is_clean_error, log_result, trials
from tests.support.invocations import INVOCATIONS, create_fixtures

WIDTHS = ("COLUMNS", "TERMINAL_WIDTH", "LINES")
SETTINGS: dict[str, dict[str, str | None]] = {
    "more digits than int() takes": dict.fromkeys(WIDTHS, "9" * 10_000),
    "Latin-1": {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "UTF-8 mode off": {"PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "dumb": {"TERM": "dumb"},
    "no TERM": {"TERM": None},
    "0 columns": dict.fromkeys(WIDTHS, "0"),
    "COLUMNS=1": {"COLUMNS": "1", "TERMINAL_WIDTH": None},
    "abc columns": dict.fromkeys(WIDTHS, "abc"),
    "COLUMNS=100000": {"COLUMNS": "100000", "TERMINAL_WIDTH": None},
}
COMMANDS: list[tuple[tuple[str, ...], int]] = [(("--help",), 0), (("summary", "--json"), 0), (("summary", "-c", "grün-😀"), 2)]
"""What is run in processes of their own; all else under a fork server with the setting."""


def test_settings(trained: str) -> None:
    """E6 and E8: none of the settings costs a message, a table or a file; the JSON document is the same under all of them."""
    documents, count = set(), 0
    for number, (name, setting) in enumerate([*SETTINGS.items()][:: trials(5, 1)]):
        env = {key: value for key, value in {**os.environ, **setting}.items() if value is not None}
        for words, code in COMMANDS if LONG else COMMANDS[number:][:2]:
            done = run_process(*words, env=env)
            assert done.returncode == code, (name, words, done.stderr)
            assert b"Traceback" not in done.stderr
            assert b"UnicodeEncodeError" not in done.stderr
            count += 1
            if "--json" in words:
                assert json.loads(done.stdout)["schema"] == 1
                assert done.stdout.isascii()
                documents.add(done.stdout)
    assert len(documents) == 1
    log_result("E6", trials=count, note=f"{len(SETTINGS)} settings")
    log_result("E8", trials=len(SETTINGS), note="the same document under every setting")


@pytest.mark.skipif(not LONG, reason="a fork server for each setting is part of the campaign")
def test_every_command_under_settings(trained: str, home: Path, digits: dict[str, np.ndarray]) -> None:
    """E6 and E8: every command, with names beyond ASCII, does under any of them what it always does."""
    work, count = home.parent, 0
    substitutions = create_fixtures(work, "grün-😀", digits, runs.model_path(trained))
    for name, setting in SETTINGS.items():
        with contextlib.closing(ForkServer(setting)) as server:
            for invocation in INVOCATIONS:
                ended = server.run(*invocation.words(substitutions), home=work, env=setting)
                assert ended.code == invocation.code, (name, invocation, ended)
                assert "Traceback" not in ended.err
                assert "UnicodeEncodeError" not in ended.err
                count += 1
            document = server.run("history", "./grün-😀.safetensors", "--json", home=work, env=setting)
            assert (document.code, document.out[:1]) == (0, "{"), (name, document)
            path = json.loads(document.out)["runs"][0]["path"]
            assert path.encode("utf-8", "surrogateescape") == "grün-😀.safetensors".encode()
    log_result("E6", trials=count, note="every command")
    log_result("E8", trials=len(SETTINGS), note="and of a name beyond ASCII")


NAMES = {
    "space": "with space",
    "newline": "new\nline",
    "emoji": "emoji-😀",
    "no UTF-8": os.fsdecode(b"raw-\xff\xfe"),
    "dash": "-dash",
    "long": "n" * 251,
    "tab": "tab\tand 'quote\"",
    "percent": "%s {0} $HOME",
    "bidi": "bidi\u202e",
    "escape": "esc\x1b[31m",
}


def test_odd_paths(forks: ForkServer, digits: dict[str, np.ndarray], trained: str, home: Path) -> None:
    """E7: a path of any bytes works wherever a command takes one; messages about it are harmless text."""
    work, count = home.parent, 0
    for number, name in enumerate(NAMES.values()):
        substitutions = create_fixtures(work, name, digits, runs.model_path(trained))
        for invocation in INVOCATIONS if LONG else INVOCATIONS[number::30]:
            check(forks.run(*invocation.words(substitutions), home=work), invocation.code)
            count += 1
        ended = forks.run("checkpoints", "list", "--json", home=work, env={"MNISTAE_HOME": str(work / name / "home")})
        is_refused = ended.code == 2 and not name.isprintable()  # control characters in a variable are refused
        check(ended, 2 if is_refused else 0)
        json.loads(ended.out)
        count += 1
    log_result("E7", trials=count, note=f"every command; {', '.join(NAMES)}")


def check(ended: Result, code: int) -> None:
    """Check a command's exit code, and that its messages are harmless text."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    assert ended.err.replace("\n", "").isprintable()
    assert "\ufffd" not in ended.err, "bytes that are no text"


# What a shell does with the streams, the codes that a command with a result may end with then, and its error. A pipe whose
# reader has taken its line and gone may have taken everything already.
SHELL: dict[str, tuple[str, set[int], bytes]] = {
    "| head -1": ("{ %s; echo $? > code; } | head -1 > first", {0, 141}, b""),
    "| true": ("{ %s; echo $? > code; } | true", {0, 141}, b""),
    ">&-": ("%s >&-; echo $? > code", {7}, b"error: stdout is closed"),
    "2>&-": ("%s 2>&- > out; echo $? > code", {0}, b""),
    "both": ("%s >&- 2>&-; echo $? > code", {7}, b""),
    "</dev/null": ("%s < /dev/null > out; echo $? > code", {0}, b""),
    "full": ("%s > /dev/full; echo $? > code", {7}, b"error: cannot write to stdout: No space left on device"),
}
SHELL_COMMANDS = [
    *("summary", "reconstruct 1 -o a.png", "train --dataset DATA -e 2 -b 256 --name piped --force"),
    *("--help", "checkpoints list", "evaluate -f csv", "history", "encode 1 2"),
]


def test_streams_of_the_shell(trained: str, tiny: Path, home: Path) -> None:
    """E4: no traceback, the code of the table, and the image and the run are complete although nothing reads their names."""
    count = 0
    for number, (name, (line, codes, error)) in enumerate([*SHELL.items()][:: trials(2, 1)]):
        for words in SHELL_COMMANDS if LONG else SHELL_COMMANDS[number % 2 :][:1]:
            whole = shlex.join([sys.executable, "-m", "mnistae", *words.split()]).replace("DATA", shlex.quote(str(tiny)))
            done = subprocess.run(["sh", "-c", line.replace("%s", whole)], capture_output=True, check=False, timeout=60)
            code = int(Path("code").read_text())
            assert code in (codes | {0} if words == "--help" else codes), (name, words, code, done.stderr)
            assert b"Traceback" not in done.stderr + done.stdout
            assert b"Exception" not in done.stderr
            assert error in done.stderr or code not in codes
            said = {"| head -1": "first", "2>&-": "out", "</dev/null": "out"}.get(name)
            assert said is None or Path(said).read_bytes(), (name, words)
            check_result(words, home)
            count += 1
    log_result("E4", trials=count, note=f"{', '.join(SHELL)}; {len(SHELL_COMMANDS)} commands")


def test_every_command_without_a_reader(forks: ForkServer, trained: str, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    """E4, E5: without a reader, with a full disk or a closed terminal, every command that prints ends with the documented code.

    A closed terminal is not a full disk: it ends the command like SIGHUP, which may arrive later.
    """
    substitutions = create_fixtures(tmp_path, "plain", digits, runs.model_path(trained))
    ends = (("E4", "gone", 141), ("E4", "full", 7), ("E5", "closed terminal", -signal.SIGHUP))
    for number, (row, stream, code) in enumerate(ends):
        tried = INVOCATIONS if LONG else INVOCATIONS[number::14]
        for invocation in tried:
            before = [partial(standard_output, stream)]
            ended = forks.run(*invocation.words(substitutions), home=tmp_path, before=before)
            assert ended.code == (invocation.code or code), (stream, invocation, ended)
            assert "Traceback" not in ended.err
            assert "Exception" not in ended.err
            assert ended.code != 7 or is_clean_error(ended), (invocation, ended)
        log_result(row, trials=len(tried), note=f"standard output {stream}")


def check_result(words: str, home: Path) -> None:
    """Look for the file that the command makes, whole, and take it away."""
    if words.startswith("reconstruct"):
        assert Path("a.png").read_bytes().endswith(b"IEND\xaeB`\x82")
        Path("a.png").unlink()
    if words.startswith("train"):
        path = home / "checkpoints" / "piped" / "state.safetensors"
        state, _ = checkpoint_format.decode_state(path.read_bytes())
        assert len(state.history) == 2
        path.unlink()
