"""What the reliability tests share: the fork server's client, the number of trials, and the log of their results.

A test makes a quick set of its trials in `make check`, and all of them in `make campaign`, which sets MNISTAE_CAMPAIGN=long,
runs for an hour, and writes docs/reliability.md from the log.
"""

import atexit
import functools
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import child_hooks

LONG = os.environ.get("MNISTAE_CAMPAIGN") == "long"
READ_AT_START = re.compile("PYTHON|OMP_|MKL_|MPL|TORCH|CUDA|HOME|XDG_|TERMINAL_WIDTH|FORCE_COLOR|PY_COLORS|GITHUB")
"""Variables that matter when an interpreter starts or a module is imported: a forked child cannot be given other values."""

LOG = os.environ.get("MNISTAE_LEDGER")
"""The file that results are appended to, if any. Read before a test's own environment begins."""

ROOT = Path(__file__).resolve().parents[2]


NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def trials(quick: int, long: int) -> int:
    """Return how many trials a row makes, in `check` and in the campaign."""
    return long if LONG else quick


def log_result(row: str, *, trials: int, failures: int = 0, control: str = "", note: str = "") -> None:
    """Log what a row of the matrix showed: how many trials, how many failed, and what its negative control found.

    `control` says what was broken on purpose, and how often the test noticed. Called after the row's assertions.
    """
    if LOG:
        line = {"row": row, "trials": trials, "failures": failures, "control": control, "note": note}
        with Path(LOG).open("a") as log:
            log.write(json.dumps(line) + "\n")


def rows_of(*docstrings: str) -> list[str]:
    """Return the rows that the first docstring (of a test, then of its module) starts with that starts with any."""
    for docstring in docstrings:
        if start := re.match(r"(?:Rows? )?(?:[A-G]|T)[0-9]+\b[^:]*:", docstring):
            return re.findall(r"\b(?:[A-G]|T)[0-9]+\b", start[0])
    return []


def log_outcome(test: str, rows: list[str], *, failed: bool, reason: str) -> None:
    """Log a test that failed or was skipped, in each of its rows, or under no row if it has none."""
    for row in rows or [""]:
        log_result(row, trials=0, failures=int(failed), note=f"**failed**: {test}" if failed else f"not run: {reason}")


Hook = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """How a command ended: its code (None: killed after the time limit; negative: a signal), its output, and the seconds."""

    code: int | None
    out: str
    err: str
    seconds: float = 0


class Running:
    """A command in a child of the fork server."""

    def __init__(self, server: "ForkServer", pid: int, out: Path, err: Path) -> None:
        self.pid, self.out, self.err = pid, out, err
        self._server = server
        self._started = time.monotonic()

    def kill(self, number: int) -> None:
        """Send a signal. A child that has ended ignores it until it is waited for."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = 30) -> Result:
        """Wait for the end; a child that hangs is killed."""
        code = self._server.ask(is_start=False, pid=self.pid, timeout=timeout)
        seconds = time.monotonic() - self._started
        out, err = (path.read_text(errors="replace") if path.exists() else "" for path in (self.out, self.err))
        return Result(code, out, err, seconds)


class ForkServer:
    """Starts commands. One serves the whole test session; its children get everything from the request.

    What an interpreter reads when it starts, such as its locale, comes from `setting`.
    """

    _counter = itertools.count(1)  # shared by all servers, whose children may write to the same folder

    def __init__(self, setting: Mapping[str, str | None] | None = None) -> None:
        self._environment = _without_none({**os.environ, **(setting or {})})
        command = [sys.executable, "-m", "tests.support.forkserver"]
        self._process = subprocess.Popen(command, stdin=-1, stdout=-1, env=self._environment, cwd=ROOT)

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def is_ready_for(self, environment: Mapping[str, str]) -> bool:
        """Whether a command would find in this environment what the interpreter and its imports have read at their start."""
        names = filter(READ_AT_START.match, environment.keys() | self._environment.keys())
        locales = {
            one.get("LC_ALL") or one.get("LC_CTYPE") or one.get("LANG") or "" for one in (environment, self._environment)
        }
        return len(locales) == 1 and all(environment.get(name) == self._environment.get(name) for name in names)

    def ask(self, *, is_start: bool, **arguments: object) -> Any:
        """Send one request and return its answer. That of an earlier one, which a time limit has interrupted, is skipped."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        number = next(self._counter)
        pickle.dump((number, is_start, arguments), self._process.stdin)
        self._process.stdin.flush()
        answered = 0
        while answered != number:
            answered, result = pickle.load(self._process.stdout)
        return result

    def start(
        self,
        *argv: object,
        home: Path,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        before: Sequence[Hook] = (),
        save_every: float | None = 0,
    ) -> Running:
        """Start a command whose store is in `home`, the working folder by default; its streams go to files there.

        A state is saved after each epoch; `save_every` sets another number of seconds, and None leaves the product's own.
        `before` are functions that the child calls first, such as functools.partial of a function in tests.support.
        """
        home.mkdir(parents=True, exist_ok=True)
        count = next(self._counter)
        out, err = (home / f"{kind}.{count}" for kind in ("out", "err"))
        pace = [] if save_every is None else [functools.partial(child_hooks.replace, "training.run.SAVE_EVERY", save_every)]
        pid = self.ask(
            is_start=True,
            argv=[str(word) for word in argv],
            env=_without_none({**os.environ, "MNISTAE_HOME": str(home / "home"), **(env or {})}),
            cwd=cwd or home,
            out=out,
            err=err,
            before=pickle.dumps([*pace, *before]),
        )
        return Running(self, pid, out, err)

    def run(self, *argv: object, home: Path, timeout: float = 30, **options: Any) -> Result:
        """Start a command and wait for its end."""
        return self.start(*argv, home=home, **options).wait(timeout)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until the condition holds, or the time is over."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.003)


def _without_none(environment: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if value is not None}


@functools.cache
def shared_server() -> ForkServer:
    """Return the fork server of this session, which starts when it is first needed. Its help is 100 columns wide."""
    server = ForkServer({"TERMINAL_WIDTH": "100"})
    atexit.register(server.close)
    return server


def is_clean_error(result: Result) -> bool:
    """Whether a failure was reported as the contract has it: an error and a hint, a line each, and no traceback."""
    lines = [line.partition(":")[0] for line in result.err.splitlines() if line.startswith(("error:", "hint:"))]
    return lines == ["error", "hint"] and "Traceback" not in result.err + result.out
