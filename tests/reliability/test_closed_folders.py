"""Rows B4 and B7 of the fault matrix: folders that are closed, or gone while they are used."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_idx
from tests.support.client import LONG, NEEDS_ROOT, ForkServer, is_clean_error, log_result, trials, wait_until
from tests.support.invocations import UNPRIVILEGED, Invocation, create_fixtures
from tests.support.resumable import NEVER, check_store, digest, run_folder, train_reference

NOBODY = 65534


def read_only(*folders: Path) -> None:
    for folder in folders:
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o555 if path.is_dir() else 0o444)


def without_home(home: Path) -> None:
    shutil.rmtree(home)
    home.parent.chmod(0o555)


def file_as_home(home: Path) -> None:
    shutil.rmtree(home)
    home.write_text("")


def dangling_home(home: Path) -> None:
    shutil.rmtree(home)
    home.symlink_to("nowhere")


FOLDERS: dict[str, tuple[Callable[[Path], None], int]] = {
    "read-only home": (read_only, 0),
    "read-only store": (lambda home: read_only(home / "checkpoints"), 0),
    "no right to enter": (lambda home: home.chmod(0o644), 3),
    "read-only parent": (without_home, 3),
    "a file for a home": (file_as_home, 3),
    "a dangling link for a home": (dangling_home, 3),
}
"""What is done to the home, and what commands that only read a run then end with."""


def expected(invocation: Invocation, kind: str, reads: int) -> int:
    """Return the code that a command ends with."""
    is_closed = kind == "no right to enter"  # a store that cannot be read is not an empty one
    if invocation.command in (("checkpoints list", "denoise") if is_closed else ("checkpoints remove",)):
        return 3  # `import` cannot make the run to be removed, and a run could hide the built-in `denoise`
    if invocation.text.startswith("train --resume") and reads and not is_closed:
        return 4  # a run that is missing is started, with another data set
    return 7 if invocation.writes else reads if invocation.needs_run else invocation.code


@NEEDS_ROOT
@pytest.mark.parametrize("kind", [*FOLDERS][:: trials(2, 1)])
def test_closed_folders(forks: ForkServer, digits: dict[str, np.ndarray], kind: str, open_folder: Path) -> None:
    """Commands that read work or say why not, and attempt no write; commands that write end with 7 before they train."""
    work = open_folder / "work"
    home = work / "home"
    data = write_idx(open_folder / "plain", {role: array[:60] for role, array in digits.items()})
    train_reference(forks, work, ("train", "--dataset", data, "-e", 1, "-b", 256, "--hidden", 8, "--name", "r", "-q"))
    model = run_folder(work) / "model.safetensors"
    substitutions = create_fixtures(open_folder, "plain", digits, model, f"{open_folder}/") | {"run": "r"}
    forks.run("evaluate", "-c", "r", "--dataset", data, home=work)  # what is verified is remembered
    for path in [open_folder, *open_folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    close, reads = FOLDERS[kind]
    close(home)

    share = [*FOLDERS].index(kind)
    tried = [use for k, use in enumerate(UNPRIVILEGED) if LONG or use.writes or k % 6 == share]
    for number, invocation in enumerate(tried):
        log = open_folder / f"audit{number}"
        hooks = (("audit", str(log)), ("drop_privileges", NOBODY))
        streams = open_folder / f"streams{number}"
        end = forks.run(*invocation.words(substitutions), home=streams, env={"MNISTAE_HOME": str(home)}, before=hooks)
        assert end.code == expected(invocation, kind, reads), (invocation, end)
        assert end.code == 0 or is_clean_error(end)
        assert not re.search(r"epoch +[0-9]+/", end.err)
        attempts = [path for _event, path in map(json.loads, log.read_text().splitlines()) if path.startswith(str(home))]
        if invocation.command in {"map", "report"} or (reads and not invocation.needs_run):  # they would cache something
            attempts = [path for path in attempts if path != str(home) and not path.startswith(str(home / "cache"))]
        assert invocation.writes or attempts == [], (invocation, attempts)
    log_result("B4", trials=len(tried), note=f"{kind}: as another user")


def moved(home: Path) -> None:
    (home / "home").rename(home / "elsewhere")


def removed(home: Path) -> None:
    moved(home)
    shutil.rmtree(home / "elsewhere", ignore_errors=True)


def run_moved(home: Path) -> None:
    run_folder(home).rename(home / "elsewhere")


def replaced_by_file(home: Path) -> None:
    run_moved(home)
    run_folder(home).write_text("")


def replaced_by_link(home: Path) -> None:
    run_moved(home)
    run_folder(home).symlink_to(home / "elsewhere")


@pytest.mark.parametrize("happens", [moved, replaced_by_file, replaced_by_link, removed, run_moved][: trials(3, 5)])
def test_store_goes_away(forks: ForkServer, data: Path, tmp_path: Path, happens: Callable[[Path], None]) -> None:
    """A store that disappears during training is recreated, or the run exits with 7 and the reason; it never loops."""
    words = ("train", "--dataset", data, "-e", 40, "-b", 256, "--hidden", 64, "--name", "r", "-q")
    running = forks.start(*words, home=tmp_path)
    wait_until((run_folder(tmp_path) / "model.safetensors").exists)
    happens(tmp_path)
    done = running.wait()
    assert done.code in {0, 7}, done
    assert done.seconds < trials(60, 20)
    if happens is replaced_by_file:
        assert (done.code, is_clean_error(done)) == (7, True)
        assert not (tmp_path / "elsewhere" / "loss.png").exists()  # which the end of a run writes
    else:
        assert is_clean_error(done) or done.code == 0
        check_store(tmp_path)
        whole = train_reference(forks, tmp_path / "whole", words, NEVER)
        if done.code == 7:  # it was in the middle of a file
            assert forks.run("train", "--resume", "--name", "r", "-q", home=tmp_path, save_every=NEVER).code == 0
        assert digest(tmp_path) == whole.digest
    log_result("B7", trials=1, note=f"{happens.__name__.replace('_', ' ')}: {done.code}")
