"""What the reliability tests share: the fork server's client, the number of trials, and the ledger of what was found.

`make campaign` runs them long and writes docs/reliability.md from the ledger; `make check` runs the quick set.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.faults import Fault

LONG = os.environ.get("MNISTAE_CAMPAIGN") == "long"
LEDGER = os.environ.get("MNISTAE_LEDGER")
"""The file that `record` appends to; without one nothing is kept. Read before a test's own environment begins."""

ROOT = Path(__file__).resolve().parents[2]


def trials(quick: int, long: int) -> int:
    """Return how many trials a row makes, in `check` and in the campaign."""
    return long if LONG else quick


def record(row: str, *, trials: int, failures: int = 0, sabotage: str = "", note: str = "") -> None:
    """Keep what a row of the matrix showed: how many trials, how many failed, and what its sabotage leg did.

    `sabotage` says what was broken on purpose and how often the test saw it. Called after the row's assertions.
    """
    if LEDGER:
        line = {"row": row, "trials": trials, "failures": failures, "sabotage": sabotage, "note": note}
        with Path(LEDGER).open("a") as ledger:
            ledger.write(json.dumps(line) + "\n")


def rows_of(*texts: str) -> list[str]:
    """Return the rows that the first of the texts (of a test, then of its module) begins with that begins with any."""
    for text in texts:
        if begins := re.match(r"(?:Rows? )?(?:[A-G]|T)[0-9]+\b[^:]*:", text):
            return re.findall(r"\b(?:[A-G]|T)[0-9]+\b", begins[0])
    return []


def note_ending(test: str, rows: list[str], *, failed: bool, reason: str) -> None:
    """Keep that a test failed or was left out, in each of its rows, or under no row if it has none."""
    for row in rows or [""]:
        record(row, trials=0, failures=int(failed), note=f"**failed**: {test}" if failed else f"not run: {reason}")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its code (None: it hung and was killed; negative: a signal), what it wrote, and the seconds."""

    code: int | None
    out: str
    err: str
    seconds: float


class Running:
    """A command in a child of the fork server."""

    def __init__(self, server: "ForkServer", pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._server, self._out, self._err = server, out, err
        self._started = time.monotonic()

    def kill(self, number: int) -> None:
        """Send a signal; a child that has ended already does not mind."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = 30) -> Ended:
        """Wait for the end; a child that hangs is killed."""
        code = self._server.ask({"wait": self.pid, "timeout": timeout})["code"]
        seconds = time.monotonic() - self._started
        out, err = (path.read_text(errors="replace") if path.exists() else "" for path in (self._out, self._err))
        return Ended(code, out, err, seconds)


class ForkServer:
    """Starts commands. One for the whole session of tests; its children get everything from the request.

    But for what an interpreter reads when it starts, such as its locale: that it has from `setting`.
    """

    _counter = itertools.count(1)  # of all servers: their streams may lie in one folder

    def __init__(self, setting: Mapping[str, str | None] | None = None) -> None:
        environment = {name: value for name, value in {**os.environ, **(setting or {})}.items() if value is not None}
        command = [sys.executable, "-m", "tests.support.forkserver"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii", env=environment, cwd=ROOT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def start(
        self,
        *argv: object,
        home: Path,
        faults: tuple[Fault, ...] = (),
        log: Path | None = None,
        save_every: float = 0,
        env: dict[str, str | None] | None = None,
        before: tuple[tuple[str, object], ...] = (),
    ) -> Running:
        """Start a command whose store and working folder are in `home`; its streams go to files there.

        A state is saved after each epoch unless `save_every` says another number of seconds. `log` gets the names of
        the writer's primitives in their order. `before` names functions of children.py, or of
        another MODULE.FUNCTION, each with its argument.
        """
        home.mkdir(parents=True, exist_ok=True)
        count = next(self._counter)
        out, err = (home / f"{kind}.{count}" for kind in ("out", "err"))
        environment = {**os.environ, "MNISTAE_HOME": str(home / "home"), **(env or {})}
        request = {
            "argv": [str(word) for word in argv],
            "env": {name: value for name, value in environment.items() if value is not None},
            "cwd": str(home),
            "out": str(out),
            "err": str(err),
            "faults": [fault.to_json() for fault in faults],
            "log": str(log) if log else "",
            "save_every": save_every,
            "before": before,
        }
        return Running(self, self.ask({"start": request})["pid"], out, err)

    def run(self, *argv: object, home: Path, timeout: float = 30, **options: Any) -> Ended:
        """Start a command and wait for its end."""
        return self.start(*argv, home=home, **options).wait(timeout)


def one_line(ended: Ended) -> bool:
    """Whether a failure was told as the contract has it: an error and a hint, a line each, and no traceback."""
    lines = [line.partition(":")[0] for line in ended.err.splitlines() if line.startswith(("error:", "hint:"))]
    return lines == ["error", "hint"] and "Traceback" not in ended.err + ended.out
