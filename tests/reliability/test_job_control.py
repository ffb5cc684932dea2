"""The job control of a real shell, where this machine has one."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import wait_until
from tests.support.terminals import Terminal

DRAWING = "[━╸╺]"
SETTING = {"TERM": "xterm-256color", "PS1": "$ ", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}

LONG_WORK = {
    "training": """
import time
from types import SimpleNamespace as Record
from mnistae.cli import console, signals
from mnistae.cli.views import training

def epochs(_should_stop):
    for number in range(1, 900):
        time.sleep(0.1)
        yield Record(number=number, loss=0.1, learning_rate=0.001)

signals.install()
spec = Record(config=Record(epochs=99), model=Record(bottleneck=8))
run = Record(epochs=epochs, spec=spec, history=[], images_per_epoch=60, count_active=lambda: 8)
training.show_training(console.Reporter("train"), run, lambda: False)
""",
    "progress": """
import time
from mnistae.cli import console, signals

signals.install()
with console.Reporter("map").progress(is_bytes=False) as progress:
    for number in range(900):
        time.sleep(0.1)
        progress(f"epoch of {number}", number, 900)
""",
}


@pytest.fixture
def shell() -> Iterator[Terminal]:
    """A terminal with an interactive bash, which has job control."""
    with Terminal() as terminal:
        command = ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"]
        bash = terminal.start(command, os.environ | SETTING)
        yield terminal
        terminal.type("\x03\nkill %1; kill -CONT %1; exit 0\nexit 0\n")
        bash.wait(60)


@pytest.mark.skipif(not (shutil.which("setsid") and shutil.which("bash")), reason="setsid or bash is missing")
@pytest.mark.parametrize("work", LONG_WORK)
def test_a_bar_in_the_background_becomes_lines(shell: Terminal, tmp_path: Path, work: str) -> None:
    """After Ctrl-Z and `bg` lines are written and nothing is erased; after `fg` the bar returns."""
    (tmp_path / "work.py").write_text(LONG_WORK[work])

    def after(keys: str, pattern: str) -> str:
        start = len(shell.text())
        shell.type(keys)
        wait_until(lambda: re.search(pattern, shell.text()[start:]) is not None, 60)
        assert re.search(pattern, shell.text()[start:]), shell.text()
        return shell.text()[start:]

    after(f"{sys.executable} {tmp_path}/work.py\n", DRAWING)
    after("\x1a", "Stopped")
    in_background = after("bg\n", "(?s)epoch.*epoch.*epoch")
    assert not re.search(rf"{DRAWING}|\x1b\[\d*[AK]", in_background)
    in_foreground = after("fg\n", DRAWING)
    assert "\x1b[?25l" in in_foreground  # its cursor is hidden again
    after("\x03", r"\$ $")
    assert shell.is_restored()
