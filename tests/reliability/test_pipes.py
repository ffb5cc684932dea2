"""Row E4: whatever the shell does with the standard streams, the exit code reports it, and training is saved."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from tests.support.client import LONG, ForkServer, is_clean_error, log_result
from tests.support.invocations import INVOCATIONS, create_fixtures

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")

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
COMMANDS = [
    *("summary", "reconstruct 1 -o a.png", "train --dataset DATA -e 2 -b 256 --name piped --force"),
    *("--help", "checkpoints list", "evaluate -f csv", "history", "encode 1 2"),
]


def test_streams_of_the_shell(trained: str, tiny: Path, home: Path) -> None:
    """E4: no traceback, the code of the table, and the image and the run are complete although nothing reads their names."""
    count = 0
    for name, (line, codes, error) in SHELL.items():
        if name == "full" and not Path("/dev/full").exists():
            continue
        for words in COMMANDS if LONG else COMMANDS[: 2 if name == ">&-" else 1]:
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
    assert count >= len(SHELL)
    log_result("E4", trials=count, note=f"{', '.join(SHELL)}; {len(COMMANDS)} commands")


def test_every_command_without_a_reader(forks: ForkServer, trained: str, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    """E4: without a reader, or with a full disk, every command that prints something ends with the documented code."""
    substitutions, count = create_fixtures(tmp_path, "plain", digits, runs.model_path(trained)), 0
    for stream, code in (("gone", 141), ("full", 7)):
        for invocation in INVOCATIONS if LONG else INVOCATIONS[stream == "full" :: 8]:
            before = (("standard_output", stream),)
            ended = forks.run(*invocation.words(substitutions), home=tmp_path, before=before)
            assert ended.code == (invocation.code or code), (stream, invocation, ended)
            assert "Traceback" not in ended.err
            assert "Exception" not in ended.err
            assert ended.code != 7 or is_clean_error(ended), (invocation, ended)
            count += 1
    log_result("E4", trials=count, note="every command, with the reader gone and the disk full")


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
