"""A pseudo-terminal for a child of the fork server, and when a process is ready for signals."""

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


class Terminal:
    """A pseudo-terminal that collects what is written to it."""

    def __init__(self) -> None:
        self._parent, self._child = pty.openpty()
        self.name = os.ttyname(self._child)
        self._settings = termios.tcgetattr(self._child)
        self._pieces: list[bytes] = []
        self._is_closing = False
        self._is_drained = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it like a window: the process whose controlling terminal it is gets SIGHUP."""
        if not self._is_closing:
            self._is_closing = True
            self._thread.join()
            os.close(self._child)
            os.close(self._parent)

    def start(self, command: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a program with this terminal as its standard streams."""
        return subprocess.Popen(command, stdin=self._child, stdout=self._child, stderr=self._child, env=env)

    def set_size(self, lines: int, columns: int) -> None:
        """Set the size of the window."""
        termios.tcsetwinsize(self._child, (lines, columns))

    def type(self, text: str) -> None:
        """Type text, or a key such as Ctrl-Z."""
        os.write(self._parent, text.encode())

    def text(self) -> str:
        """Return what was written so far."""
        self._is_drained.clear()
        self._is_drained.wait(5)
        return b"".join(self._pieces).decode(errors="replace")

    def is_restored(self) -> bool:
        """Whether the cursor is shown and the settings are what they were."""
        text = self.text()
        return text.rfind(SHOW) >= text.rfind(HIDE) and termios.tcgetattr(self._child) == self._settings

    def _collect(self) -> None:
        os.set_blocking(self._parent, False)
        while not self._is_closing:
            try:
                self._pieces.append(os.read(self._parent, 4096))
            except BlockingIOError:
                self._is_drained.set()
                time.sleep(0.002)
            except OSError:
                self._is_drained.set()
                return


def attach(name: str) -> None:
    """Make the terminal `name` the standard streams and the controlling terminal. Called in the child."""
    os.setsid()
    fd = os.open(name, os.O_RDWR)
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
    for stream in range(3):
        os.dup2(fd, stream)
    os.close(fd)
    # The server's stream objects were opened on files and pipes.
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))


def on(terminal: Terminal) -> dict[str, Any]:
    """Return the options of `ForkServer.start` that put a command on this terminal."""
    env = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    return {"before": [partial(attach, terminal.name)], "env": env}


def wait_until_caught(pid: int, number: int = signal.SIGTERM) -> None:
    """Wait until the process has a handler of its own for the signal, or has ended."""
    with contextlib.suppress(OSError):
        while True:
            status = Path(f"/proc/{pid}/status").read_text()
            caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
            if int(caught, 16) >> (number - 1) & 1 or "State:\tZ" in status:
                return
            time.sleep(0.001)


def state_of(pid: int) -> str:
    """Return the letter of a process's state; T is stopped."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "-"
