"""Rows F8 and F9 of the fault matrix: a file that Windows holds, and the ways in which Python is run."""

import contextlib
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import mnistae
from mnistae.core.files import atomic
from tests.support.client import ForkServer, log_result, trials
from tests.support.resumable import digest


@pytest.mark.parametrize(("failures", "waits"), [(0, 0), (2, 2), (4, 4), (5, None)])
def test_scanner_on_windows(monkeypatch: pytest.MonkeyPatch, failures: int, waits: int | None) -> None:
    """F8: on Windows a target that a scanner has opened is tried again for a second."""
    answers = [PermissionError(13, "held")] * failures
    slept: list[float] = []

    def replace(_source: Path, _target: Path) -> None:
        if answers:
            raise answers.pop()

    monkeypatch.setattr(atomic, "os", SimpleNamespace(name="nt", replace=replace))
    monkeypatch.setattr(time, "sleep", slept.append)
    with contextlib.nullcontext() if waits is not None else pytest.raises(PermissionError):
        atomic._replace(Path("a"), Path("b"))
    assert slept == [0.25] * (4 if waits is None else waits)
    log_result("F8", trials=1, note="a file that is held; tests/store/test_names.py has the reserved names")


SCRIPT = str(Path(sys.executable).with_name("mnistae"))
ZIPPED = "import mnistae.__main__ as m; assert '.zip' in m.__file__; m.main()"
MODES = [("-W", "error", SCRIPT), ("-c", ZIPPED), *((*flags, SCRIPT) for flags in (("-O",), ("-OO",), ("-I",), ("-X", "dev")))]


@pytest.mark.parametrize("mode", MODES[: trials(2, 6)], ids=lambda mode: mode[0])
def test_interpreter_modes(forks: ForkServer, tmp_path: Path, tiny: Path, mode: tuple[str, ...]) -> None:
    """F9: with warnings as errors, without assertions, isolated, or from a zip archive, a run ends with the same bytes."""
    words = ("train", "--dataset", tiny, "-e", 1, "-b", 256, "--hidden", 16, "--name", "r", "-q")
    assert forks.run(*words, home=tmp_path / "plain").code == 0
    env = {**os.environ, "MNISTAE_HOME": str(tmp_path / "odd" / "home")}
    if ZIPPED in mode:
        root = Path(mnistae.__file__).parent
        with zipfile.ZipFile(tmp_path / "mnistae.zip", "w") as archive:
            for path in (*root.rglob("*.py"), *root.rglob("*.json")):
                archive.write(path, path.relative_to(root.parent))
        env["PYTHONPATH"] = str(tmp_path / "mnistae.zip")
    command = [sys.executable, *mode, *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert digest(tmp_path / "odd") == digest(tmp_path / "plain")
    log_result("F9", trials=1, note="-W error, -O, -OO, -I, -X dev, and from a zip archive")
