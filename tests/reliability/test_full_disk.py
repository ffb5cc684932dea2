"""Rows B2 to B4, B7 and B8: disks that are full, folders that are closed or gone, and names that no disk takes."""

import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli, write_idx
from tests.support import child_hooks
from tests.support.client import LONG, NEEDS_ROOT, ForkServer, Result, is_clean_error, log_result, trials, wait_until
from tests.support.faults import Fault, injected
from tests.support.http_mirror import Mirror
from tests.support.invocations import UNPRIVILEGED, Invocation, create_fixtures
from tests.support.resumable import (
    NEVER,
    Case,
    check_failed_save,
    check_store,
    digest,
    make_case,
    run_folder,
    stored,
    train_reference,
)

FULL = "No space left on device"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, data: Path) -> Case:
    """The lab's network: a state of 7.5 MB and a model of 2.5 MB, to be overwritten."""
    return make_case(forks, "overwrite", tmp_path_factory.mktemp("full"), data, hidden=392)


LIMITS = (1 << 20, 1024, 4096, 2_516_582)[: trials(1, 4)]  # the messages, which go to a file as well, are shorter


def test_file_size_limit(forks: ForkServer, case: Case, tmp_path: Path) -> None:
    """A limit on the size of files, from 1 KiB to 2.4 MiB, is a failed save."""
    for limit in LIMITS:
        home = tmp_path / str(limit)
        shutil.copytree(case.base, home)
        end = forks.run(*case.words, home=home, before=[partial(child_hooks.limit, FSIZE=limit)])
        assert "File too large" in end.err
        check_failed_save(forks, case, home, end)
    log_result("B2", trials=len(LIMITS), note="limits on the size of a file")


def on_tmpfs(case: Case, home: Path, options: str, fill: str = "true") -> Result:
    """Run the case's words in a real process whose home is a small file system of its own; copy what is left to `home`."""
    probe = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0"', tempfile.gettempdir()]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system of its own")
    disk = home.parent / "disk"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o {options} none "$DISK" && cp -a "$BASE/home" "$DISK/home" && {{ {fill}; }} 2>/dev/null
        "$@"; code=$?
        mkdir "$AFTER" && cp -a "$DISK/home" "$AFTER/home"; exit $code"""
    places = {"DISK": disk, "BASE": case.base, "AFTER": home, "MNISTAE_HOME": disk / "home"}
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "mnistae", *map(str, case.words)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("is_out_of_names", [False, True][: trials(1, 2)])
def test_full_file_system(forks: ForkServer, case: Case, tmp_path: Path, is_out_of_names: bool) -> None:
    """B2, B8: a file system with room for a checkpoint and a half, or for no more names, keeps the checkpoint that it has."""
    if is_out_of_names:
        end = on_tmpfs(case, tmp_path / "home", "size=40m,nr_inodes=40", 'i=0; while touch "$DISK/$i"; do i=$((i+1)); done')
        log_result("B8", trials=1, note="no inode left")
    else:
        end = on_tmpfs(case, tmp_path / "home", "size=12m")
        log_result("B2", trials=1, note="a real file system of 12 MiB")
    assert FULL in end.err
    check_failed_save(forks, case, tmp_path / "home", end)


def test_disk_fills_during_a_download(cli: Cli, mirror: Mirror, home: Path) -> None:
    """B3: whichever call of a download finds the disk full: exit 7, whole archives and no others; the next fetch continues."""
    folder = home / "datasets" / "mnist"
    for k in itertools.count(0, trials(7, 1)):
        with injected(Fault("error", at=k, errno=errno.ENOSPC)) as shim:
            answer = cli("datasets", "fetch")
        if len(shim.calls) <= k:  # nothing failed any more
            break
        archives = sum(op == "replace" and name.endswith(".gz") for op, name in shim.calls[:k])
        if archives == 4 and "datasets" not in shim.calls[k][1]:  # the cache, which is done without
            assert answer.code == 0
        else:
            assert (answer.code, FULL in answer.err, is_clean_error(answer)) == (7, True, True), answer
        for path in folder.glob("*") if folder.exists() else ():
            assert path.read_bytes() == mirror.files[path.name]
        shutil.rmtree(home)
    assert sorted(path.name for path in folder.iterdir()) == sorted(mirror.files)
    log_result("B3", trials=k, note="every call of a download of four archives; unpacked data is never written to disk")


LONG_NAMES: list[tuple[tuple[object, ...], str, int]] = [
    (("train", "--name", "x" * 65), "", 2),
    (("train", "--name", "r" * 64), "/".join(["x" * 300]), 7),
    (("train", "--name", "r"), "/".join(["x" * 200] * 25), 7),
    (("summary", "-c", "r"), "/".join(["x" * 200] * 25), 3),
    (("summary", "-c", f"{'x' * 300}.safetensors"), "", 3),
    (("summary", "-c", f"{'/x' * 2500}.safetensors"), "", 3),
    (("reconstruct", f"{'x' * 500}.png"), "", 4),
    (("reconstruct", "1", "-o", f"{'x' * 500}/x.png"), "", 7),
    (("evaluate", "--dataset", "x" * 500), "", 2),
]


@pytest.mark.parametrize(("words", "where", "code"), LONG_NAMES, ids=lambda value: str(value)[:30])
def test_names_that_are_too_long(
    cli: Cli, data: Path, tmp_path: Path, words: tuple[object, ...], where: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name or a path that no file system takes is a usage error, a missing checkpoint or a failed write, never a bug."""
    if where:
        monkeypatch.setenv("MNISTAE_HOME", str(tmp_path / where))
    words = (*words, "--dataset", data) if words[0] == "train" else words
    answer = cli(*words)
    assert (answer.code, is_clean_error(answer)) == (code, True), answer
    log_result("B8", trials=1, note="names and paths that are too long")


def test_names_that_differ_by_case(cli: Cli, trained: str, tiny: Path, home: Path) -> None:
    """Where the file system holds `TINY` and `tiny` for one name, the run that is there is not written over."""
    (home / "checkpoints" / "TINY").symlink_to("tiny")
    before = stored(home.parent)
    answer = cli("train", "--dataset", tiny, "-e", 1, "--name", trained.upper())
    assert answer.code == 7
    assert "run 'TINY' already exists" in answer.err
    assert stored(home.parent) == before
    log_result("B8", trials=1, note="names that differ by case: a link imitates the file system")


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
    "no permission to enter": (lambda home: home.chmod(0o644), 3),
    "read-only parent": (without_home, 3),
    "a file for a home": (file_as_home, 3),
    "a dangling link for a home": (dangling_home, 3),
}
"""What is done to the home, and what commands that only read a run then end with."""


def expected(invocation: Invocation, kind: str, reads: int) -> int:
    """Return the code that a command ends with."""
    is_closed = kind == "no permission to enter"  # a store that cannot be read is not an empty one
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
        hooks = (partial(child_hooks.audit, log), partial(child_hooks.drop_privileges, NOBODY))
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


@pytest.mark.parametrize("happens", [moved, replaced_by_file, replaced_by_link, removed, run_moved][: trials(2, 5)])
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
