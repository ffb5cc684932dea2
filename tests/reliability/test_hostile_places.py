"""T16 to T18, T20 and T21 of the threats: planted locks, other users, secrets, hostile folders, and where files are written."""

import json
import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mnistae.cli import app
from tests.support import child_hooks
from tests.support.client import LONG, NEEDS_ROOT, ROOT, ForkServer, is_clean_error, log_result, trials
from tests.support.invocations import INVOCATIONS, create_fixtures
from tests.support.resumable import digest, run_folder

CONSOLE_SCRIPT = Path(sys.executable).with_name("mnistae")
SECRET = b"root:x:0:0:a secret of somebody else\n"


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "dangling"][: trials(3, 4)])
def test_planted_lock(forks: ForkServer, tmp_path: Path, tiny: Path, kind: str) -> None:
    """T16: whatever is in a lock's place, a command ends at once, and creates and changes nothing outside the store."""
    place = tmp_path / "home" / "checkpoints" / ".locks" / "r.lock"
    place.parent.mkdir(parents=True)
    target = tmp_path / "target"
    if kind in {"link", "dangling"}:
        place.symlink_to(target)
        if kind == "link":
            target.write_bytes(SECRET)
    elif kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    words = ("train", "--dataset", tiny, "-e", 1, "-b", 256, "--hidden", 16, "--name", "r", "-q")
    ended = forks.run(*words, home=tmp_path, timeout=20)
    assert ended.code == (0 if kind == "fifo" else 7), ended.err  # the kernel locks a pipe as it does a file
    assert ended.code == 0 or is_clean_error(ended)
    assert not target.exists() or target.read_bytes() == SECRET
    log_result("T16", trials=1, note="a link, a folder, a pipe in the lock's place")


@NEEDS_ROOT
def test_other_users(forks: ForkServer, tmp_path: Path, tiny: Path) -> None:
    """T17: another user reads and changes nothing in a store that is closed to others."""
    words = ("train", "--dataset", tiny, "-e", 1, "-b", 256, "--hidden", 16, "--name", "r", "-q")
    assert forks.run(*words, home=tmp_path).code == 0
    temporary = Path(tempfile.gettempdir())
    for folder in (place for place in (tmp_path, *tmp_path.parents) if temporary in place.parents):
        folder.chmod(0o755)
    store = tmp_path / "home" / "checkpoints"
    for folder in (store / "r", store / ".locks"):
        folder.chmod(0o700)
    place = tmp_path / "work"
    place.chmod(0o777)
    become = [partial(child_hooks.drop_privileges, 65534)]
    run = partial(forks.run, home=place, env={"MNISTAE_HOME": str(tmp_path / "home")}, before=become)
    for command in (
        ("summary", "-c", "r"),
        ("checkpoints", "verify", "r"),
        ("checkpoints", "remove", "r"),
        (*words, "--force"),
    ):
        ended = run(*command)
        assert ended.code in {3, 7}, (command, ended)
        assert is_clean_error(ended)
    listed = run("checkpoints", "list")
    assert (listed.code, re.findall(r"^r .* (\w+)$", listed.out, re.MULTILINE)) == (0, ["unreadable"])
    device = run("reconstruct", "/dev/null", "-c", "denoise")
    assert ("not a regular file" in device.err, "belongs to" in device.err) == (True, False), "no permission is missing"
    (store / "r").chmod(0o755)
    state = store / "r" / "state.safetensors"
    state.chmod(0o600)
    assert run("checkpoints", "verify", "r").err.endswith("hint: check the folder's permissions\n")  # not: remove it
    assert f"hint: '{state}' belongs to user 'root'" in run("reconstruct", state).err
    assert forks.run("checkpoints", "verify", "r", home=tmp_path).code == 0
    log_result("T17", trials=7, note="as `nobody`, in another user's store")


def test_messages_keep_secrets(forks: ForkServer, tmp_path: Path) -> None:
    """T18: an internal error is one line without a traceback, values of variables, or the environment."""
    env: dict[str, str | None] = {"HF_TOKEN": "hunter2", "MNISTAE_PASSWORD": "hunter2"}
    for command in (("summary",), ("checkpoints", "list"), ("train", "--dataset", "glyphs")):
        ended = forks.run(*command, home=tmp_path, env=env, before=[partial(child_hooks.no_memory, 5)])
        assert is_clean_error(ended), ended.err
        assert "hunter2" not in ended.out + ended.err
        assert len(ended.err.splitlines()) <= 4
    assert app.build(()).pretty_exceptions_enable is False
    log_result("T18", trials=3)


CANARY = "import pathlib; pathlib.Path({mark!r}).touch()\nraise SystemExit(99)\n"
PLOTTING = [
    ("reconstruct", "1", "-o", "r.svg"),
    ("denoise", "1", "-c", "r"),
    ("interpolate", "1", "2"),
    ("interpolate", "1", "2", "-o", "animation.gif"),
    ("evaluate",),
    ("history", "r", "lab", "-o", "h.png"),
]


@pytest.mark.parametrize("kind", ["pipe", "settings", "no text"][: trials(1, 3)])
def test_hostile_folder(forks: ForkServer, tmp_path: Path, tiny: Path, kind: str) -> None:
    """T20: modules and matplotlib's settings in the working folder, or named by variables, have no effect at all."""
    folder, clean, mark = tmp_path / "hostile", tmp_path / "clean", tmp_path / "mark"
    folder.mkdir()
    clean.mkdir()
    for name in ("torch", "safetensors", "matplotlib", "numpy", "json", "typer", "sitecustomize", "mnistae"):
        (folder / f"{name}.py").write_text(CANARY.format(mark=str(mark)))
    if kind == "pipe":
        os.mkfifo(folder / "matplotlibrc")
    else:
        settings = b"backend: module://torch\ntext.usetex: True\nno.such: \x1b]0;x\x07\nfigure.dpi: x\n"
        (folder / "matplotlibrc").write_bytes(settings if kind == "settings" else b"\xff\xfe\x00" * 100)
    train = ("train", "--dataset", tiny, "-e", 1, "-b", 256, "--name", "r", "-q")
    variables = {"MATPLOTLIBRC": str(folder / "matplotlibrc"), "MPLBACKEND": "module://nowhere"}
    environment = {**os.environ, "MNISTAE_HOME": str(tmp_path / "a" / "home"), **variables}
    commands = [train, *(PLOTTING if LONG else ())]
    for command in commands:
        words = [str(CONSOLE_SCRIPT), *map(str, command)]
        bad = subprocess.run(words, cwd=folder, env=environment, capture_output=True, timeout=100, check=False)
        good = forks.run(*command, home=clean)
        assert (bad.returncode, good.code, bad.stderr.decode()) == (0, 0, good.err)
        assert not mark.exists()
    assert digest(tmp_path / "a") == digest(clean)
    pictures = [(run_folder(home) / "loss.png").read_bytes() for home in (tmp_path / "a", clean)]
    assert pictures[0] == pictures[1]
    for path in (path for path in clean.iterdir() if path.suffix in {".png", ".svg", ".gif"}):
        assert (folder / path.name).read_bytes() == path.read_bytes()
    log_result("T20", trials=len(commands), note="the console script; `python -m mnistae` has the working folder on its path")


def written(log: Path) -> set[str]:
    """Return the paths that a process tried to change."""
    return {path for _event, path in map(json.loads, log.read_text().splitlines())} - {os.devnull}


def outside(paths: set[str], *allowed: Path) -> set[str]:
    """Return the paths that are not below a folder.

    In the folder for temporary files what is gone is fine, and the empty folder that torchvision makes when it is imported.
    """
    temporary = Path(tempfile.gettempdir())
    found = {path for path in paths if not any(Path(path).is_relative_to(folder) for folder in allowed)}
    found = {path for path in found if not path.startswith(str(temporary / "torchinductor_"))}
    return {path for path in found if Path(path) != temporary and (Path(path).parent != temporary or os.path.lexists(path))}


def test_writes_stay_below_output_and_data_folder(
    forks: ForkServer, trained: str, home: Path, digits: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Whatever a command does, it changes nothing but its output, in the folder `made`, and its own home."""
    work = tmp_path / "audited"
    work.mkdir()
    substitutions = create_fixtures(work, "plain", digits, home / "checkpoints" / trained / "model.safetensors")
    tried = [invocation for k, invocation in enumerate(INVOCATIONS) if LONG or invocation.writes or k % 6 == 0]
    for number, invocation in enumerate(tried):
        log = tmp_path / f"audit{number}"
        words, before = invocation.words(substitutions), [partial(child_hooks.audit, log)]
        ended = forks.run(*words, home=work, env={"MNISTAE_HOME": str(home)}, before=before)
        assert ended.code == invocation.code, (words, ended)
        assert outside(written(log), home, work / "made") == set(), words
    words = ("reconstruct", "1", "-c", trained, "-o", str(tmp_path / "elsewhere" / "x.png"))
    forks.run(*words, home=work, env={"MNISTAE_HOME": str(home)}, before=before)
    assert outside(written(log), home, work / "made") != set()
    control = "a picture written elsewhere: detected in 1 of 1"
    log_result(
        "T21",
        trials=len(tried),
        control=control,
        note="watched by an audit hook, except torchvision's temporary folder",
    )


AUDITED = """
import pathlib, sys
sys.path.insert(0, sys.argv.pop(1))
from tests.support import child_hooks
child_hooks.audit(pathlib.Path(sys.argv.pop(1)))
from mnistae.__main__ import main
main()
"""


@pytest.mark.parametrize("words", [("reconstruct", "1"), ("train", "--resume", "-e", "3")][: trials(1, 2)], ids=" ".join)
def test_whole_process(trained: str, home: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """From the first import on, a process writes nothing elsewhere either, but for what matplotlib keeps of its fonts."""
    fonts = tmp_path / "fonts"
    environment = {**os.environ, "MNISTAE_HOME": str(home), "MPLCONFIGDIR": str(fonts), "PYTHONDONTWRITEBYTECODE": "1"}
    log = tmp_path / "audit"
    command = [sys.executable, "-c", AUDITED, str(ROOT), str(log), *words]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert written(log)
    assert outside(written(log), home, fonts, tmp_path / "work") == set()
    log_result("T21", trials=1, note="also in whole processes")
