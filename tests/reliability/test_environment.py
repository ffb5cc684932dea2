"""Rows F1 to F3, F8 and F9 of the fault matrix, T11 of the threats: homes, variables, clocks, Windows, and Python's modes."""

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import mnistae
from mnistae.core.files import atomic
from tests.conftest import run_process
from tests.support import child_hooks
from tests.support.client import LONG, NEEDS_ROOT, ForkServer, Result, is_clean_error, log_result, trials
from tests.support.invocations import INVOCATIONS, UNPRIVILEGED, create_fixtures
from tests.support.resumable import digest

HUGE = "9" * 10_000  # more digits than int() takes
NOBODY, STRANGER = 65534, 54321
"""An unprivileged user, and a user without an entry in the password file."""

LIGHT = [
    *("MNISTAE_HOME", "MNISTAE_DATA_DIR", "MNISTAE_CHECKPOINT", "MNISTAE_DEVICE", "MNISTAE_OFFLINE", "MNISTAE_MIRROR"),
    *("MNISTAE_DEBUG", "HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR", "TERMINAL_WIDTH", "COLUMNS"),
    *("LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "LANG", "LC_ALL", "TZ", "PYTHONWARNINGS"),
]
HEAVY = [
    *("MPLBACKEND", "MPLCONFIGDIR", "MATPLOTLIBRC", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("TORCHINDUCTOR_CACHE_DIR", "CUBLAS_WORKSPACE_CONFIG"),
]
"""Variables that are read when the program starts, and such as matter to torch and matplotlib, when those are imported."""

DOCUMENTED = {0, 2, 3, 4, 5, 7}


def values(tmp_path: Path) -> dict[str, str]:
    """Return the values to set a variable to. Not even root can write below a file."""
    (tmp_path / "file").touch()
    return {
        "empty": "",
        "garbage": "\x1b]0;x\x07 %s $(id) ä🙂 -1",
        "huge": HUGE,
        "relative": "rel/ative",
        "unwritable": str(tmp_path / "file" / "below"),
    }


def check(ended: Result, case: tuple[object, ...]) -> None:
    """Check that a command worked, or failed as documented, in one line and a hint."""
    assert ended.code in DOCUMENTED, (case, ended.code, ended.err[-2000:])
    if case[0] == "MNISTAE_DEBUG":  # any value but those for "off" asks for a traceback before the line
        return
    assert "Traceback" not in ended.out + ended.err, case
    assert ended.code == 0 or is_clean_error(ended), (case, ended.err[-2000:])


def test_variables(forks: ForkServer, tmp_path: Path, tiny: Path) -> None:
    """F2, T11: no variable of the environment, whatever is in it, ends a command in a traceback."""
    (tmp_path / "me").mkdir()
    cases = [(name, value) for name in (*HEAVY, *LIGHT) for value in values(tmp_path).items()]
    chosen = random.Random(0).sample(cases, trials(2, len(cases)))
    train = ("train", "--dataset", tiny, "-e", 1, "-b", 256, "--hidden", 16, "-q", "--force")
    for number, (name, (kind, value)) in enumerate(chosen):
        # where the home follows from the variable, there is no other
        is_home = name in {"HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"}
        variables: dict[str, str | None] = {"MNISTAE_HOME": None, "HOME": str(tmp_path / "me")} if is_home else {}
        variables[name] = value
        if LONG or number % 2 == 0:
            environment = {key: text for key, text in {**os.environ, **variables}.items() if text is not None}
            # what torch and matplotlib read when they are imported matters to a training
            done = run_process(*(train if name in HEAVY else ("summary",)), env=environment)
            check(Result(done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")), (name, kind))
        if LONG or number % 2:
            check(forks.run(*train, home=tmp_path / str(number), env=variables), (name, kind, "train"))
    log_result("F2", trials=len(chosen), note="pairs of a variable and a value")
    log_result("T11", trials=len(chosen), note="see F2")


def test_variables_in_every_command(
    forks: ForkServer, tmp_path: Path, trained_store: Path, digits: dict[str, np.ndarray]
) -> None:
    """F2: nor does any of them in any command; the pairs take turns with the uses, and every use gets some."""
    cases = [(name, value) for name in LIGHT for value in values(tmp_path).items()]
    chosen = random.Random(2).sample(cases, trials(len(INVOCATIONS) // 6, len(cases)))
    substitutions = create_fixtures(tmp_path, "plain", digits, trained_store / "checkpoints" / "tiny" / "model.safetensors")
    count, share = 0, trials(len(INVOCATIONS), 8)
    for number, (name, (kind, value)) in enumerate(chosen):
        for invocation in INVOCATIONS[number * trials(6, 1) % share :: share]:
            home = tmp_path / f"home{count}"
            shutil.copytree(trained_store, home)
            ended = forks.run(*invocation.words(substitutions), home=tmp_path, env={"MNISTAE_HOME": str(home), name: value})
            check(ended, (name, kind, invocation))
            shutil.rmtree(home)
            count += 1
    log_result("F2", trials=count, note="every command")


@NEEDS_ROOT
def test_homes(forks: ForkServer, open_folder: Path, digits: dict[str, np.ndarray], trained_store: Path) -> None:
    """F1: without a home, with an unusual one, and for a user without a name: it works or says why; no folder ~ is created."""
    model = trained_store / "checkpoints" / "tiny" / "model.safetensors"
    substitutions = create_fixtures(open_folder, "plain", digits, model, f"{open_folder}/")
    (open_folder / "file").touch()
    (open_folder / "locked").mkdir(mode=0o755)
    homes: dict[str, dict[str, str | None]] = {
        "no home": {"HOME": None},
        "home is nowhere": {"HOME": str(open_folder / "locked" / "nowhere")},
        "home is not writable": {"HOME": str(open_folder / "locked")},
        "home is a file": {"HOME": str(open_folder / "file")},
        "relative": {"HOME": str(open_folder / "me"), "XDG_DATA_HOME": "rel/ative", "XDG_CACHE_HOME": "rel"},
        "empty": {"HOME": str(open_folder / "me"), "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""},
        "a file": {
            "HOME": str(open_folder / "me"),
            **dict.fromkeys(("XDG_DATA_HOME", "XDG_CACHE_HOME"), str(open_folder / "file")),
        },
        "named": {"HOME": None, "MNISTAE_HOME": str(open_folder / "me"), "USER": None, "LOGNAME": None},
    }
    train = ("train", "--dataset", substitutions["data"], "-e", 1, "-b", 256, "--hidden", 16)
    commands = [("summary",), ("checkpoints", "list"), train, ("evaluate",), ("reconstruct", "1")]
    others = [invocation.words(substitutions) for invocation in UNPRIVILEGED]
    none: dict[str, str | None] = dict.fromkeys(("MNISTAE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME"))
    users, count = (STRANGER, NOBODY)[: trials(1, 2)], 0
    for user in users:
        become = partial(child_hooks.drop_privileges, user)
        for number, (kind, variables) in enumerate(homes.items()):
            place = open_folder / f"{user}-{number}"
            place.mkdir(mode=0o777)
            place.chmod(0o777)
            (open_folder / "me").mkdir(exist_ok=True)
            (open_folder / "me").chmod(0o777)
            for command in (*commands, *others) if LONG else (train, commands[4], *others[number :: 4 * len(homes)]):
                count += 1
                ended = forks.run(*command, home=place, env=none | variables, before=[become])
                check(ended, (user, kind, command))
                is_usable = kind in {"relative", "empty", "named"}
                assert ended.code == 0 or not is_usable or command not in commands, (kind, command, ended)
            shutil.rmtree(open_folder / "me")
            assert not [path for path in place.rglob("*") if "~" in path.name]
    log_result("F1", trials=count, note="eight homes, every command, two users, one of them without a name")


def test_clocks(forks: ForkServer, tmp_path: Path, tiny: Path) -> None:
    """F3: whatever the clock of the wall does, weights, the newest run and what is shown stay the same."""
    words = ("train", "--dataset", tiny, "-e", 3, "-b", 256, "--hidden", 64)
    assert forks.run(*words, "--name", "r", home=tmp_path / "steady").code == 0
    expected = digest(tmp_path / "steady")
    kinds = ("backwards", "zero", "ten years ahead", "ten years behind", "to and fro")[: trials(1, 5)]
    for kind in kinds:
        home = tmp_path / kind
        for name in ("z", "r"):
            ended = forks.run(*words, "--name", name, home=home, before=[partial(child_hooks.clock, kind)])
            assert ended.code == 0, ended.err
            assert not re.search(r"\s-[0-9]", ended.err), "a negative duration is shown"
        assert digest(home) == expected
        check_newest(forks, home)
    zones = ("Pacific/Kiritimati", "Nowhere/Else", "")[: trials(1, 3)]
    for zone in zones:
        assert forks.run(*words, "--name", "r", home=tmp_path / f"zone{zone[:3]}", env={"TZ": zone}).code == 0
        assert digest(tmp_path / f"zone{zone[:3]}") == expected
    for moment in (0, 2**31 - 2, 2**33):
        for path in (tmp_path / "backwards" / "home").rglob("*"):
            os.utime(path, (moment, moment))
        check_newest(forks, tmp_path / "backwards")
    note = "jumps, zones, and file times that are all the same or in the future"
    log_result("F3", trials=len(kinds) + len(zones) + 3, note=note)


def check_newest(forks: ForkServer, home: Path) -> None:
    """Check that the run saved last is the newest, against the alphabet and the clock."""
    assert forks.run("checkpoints", "path", home=home).out == f"{home / 'home' / 'checkpoints' / 'r' / 'model.safetensors'}\n"


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
    log_result("F8", trials=1, note="a file that is held open; tests/store/test_names.py has the reserved names")


SCRIPT = str(Path(sys.executable).with_name("mnistae"))
ZIPPED = "import mnistae.__main__ as m; assert '.zip' in m.__file__; m.main()"
MODES = [("-W", "error", SCRIPT), ("-c", ZIPPED), *((*flags, SCRIPT) for flags in (("-O",), ("-OO",), ("-I",), ("-X", "dev")))]


@pytest.mark.parametrize("mode", MODES[: trials(1, 6)], ids=lambda mode: mode[0])
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
