"""Rows B4 and B7 of the fault matrix: folders that are closed, or gone while they are used."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_idx
from tests.support.client import LONG, NEEDS_ROOT, ForkServer, is_clean_error, log_result, trials, wait_until
from tests.support.invocations import UNPRIVILEGED, create_fixtures
from tests.support.resumable import check_store, digest, run_folder, train_reference

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write to, outside the tests' own, which is root's."""
    folder = Path(tempfile.mkdtemp(prefix="mnistae-"))
    folder.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(folder)


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


@NEEDS_ROOT
@pytest.mark.parametrize("kind", [*FOLDERS][:: trials(2, 1)])
def test_closed_folders(forks: ForkServer, digits: dict[str, np.ndarray], kind: str, open_folder: Path) -> None:
    """Commands that read work or say why not, and attempt no write; commands that write end with 7 before they train."""
    work = open_folder / "work"
    data = write_idx(open_folder / "data", digits)
    train = ("train", "--dataset", data, "-e", 1, "-b", 256, "--hidden", 8, "--name", "r")
    train_reference(forks, work, (*train, "-q"))
    picture = open_folder / "pictures" / "out.gif"
    picture.parent.mkdir()
    home = work / "home"
    furnished = create_fixtures(open_folder, "plain", digits, run_folder(work) / "model.safetensors")
    substitutions = {name: word.replace("./", f"{open_folder}/") for name, word in furnished.items()} | {"run": "r"}
    forks.run("datasets", "verify", substitutions["data"], home=work)  # what is verified is remembered
    for path in [open_folder, *open_folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    close, reads = FOLDERS[kind]
    close(home)

    commands: list[tuple[tuple[object, ...], int]] = [
        (("checkpoints", "list"), 3 if kind == "no right to enter" else 0),  # a missing store is an empty one
        (("summary", "-c", "r"), reads),
        (("interpolate", "1", "2", "-c", "r", "--dataset", data, "-o", picture), reads),
        (("evaluate", "-c", "r", "--dataset", data), reads),
        ((*train, "--force"), 7),
        (("train", "--resume", "--name", "r", "--dataset", data, "-e", 2), 7),
    ]
    walk = [*commands, *walked(substitutions, kind, reads)]
    for number, (words, code) in enumerate(walk):
        log = open_folder / f"audit{number}"
        streams = open_folder / f"streams{number}"
        hooks = (("audit", str(log)), ("drop_privileges", NOBODY))
        end = forks.run(*words, home=streams, env={"MNISTAE_HOME": str(home)}, before=hooks)
        assert end.code == code, (words, end)
        assert code == 0 or is_clean_error(end)
        assert not re.search(r"epoch +[0-9]+/", end.err)
        attempts = [path for _event, path in map(json.loads, log.read_text().splitlines()) if path.startswith(str(home))]
        is_writer = words[0] == "train" or words[:2] in {("checkpoints", "import"), ("checkpoints", "remove")}
        if number >= len(commands):  # data that are new would be cached; that they cannot be is no trouble
            attempts = [path for path in attempts if path != str(home) and not path.startswith(str(home / "cache"))]
        assert is_writer or attempts == [], (words, attempts)
    assert picture.exists() == (reads == 0)
    log_result("B4", trials=len(walk), note=f"{kind}: as another user")


def walked(substitutions: Mapping[str, str], kind: str, reads: int) -> Iterator[tuple[tuple[object, ...], int]]:
    """Yield every command with the code that it ends with."""
    for invocation in UNPRIVILEGED if LONG else UNPRIVILEGED[list(FOLDERS).index(kind) :: 6]:
        if reads and invocation.text.startswith("train --resume"):
            continue  # a run that is missing is started, with another data set
        code = 7 if invocation.writes else reads if invocation.needs_run else invocation.code
        is_closed = kind == "no right to enter"  # a store that cannot be read is not an empty one
        if invocation.command in (("checkpoints list", "denoise") if is_closed else ("checkpoints remove",)):
            code = 3  # `import` cannot make the run to be removed, and a run could hide the built-in `denoise`
        yield invocation.words(substitutions), code


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
        train_reference(forks, tmp_path / "whole", words)
        if done.code == 7:  # it was in the middle of a file
            assert forks.run("train", "--resume", "--name", "r", "-q", home=tmp_path).code == 0
        assert digest(tmp_path) == digest(tmp_path / "whole")
    log_result("B7", trials=1, note=f"{happens.__name__.replace('_', ' ')}: {done.code}")
