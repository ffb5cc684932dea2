"""Rows B2, B3 and B8 of the fault matrix: disks that are full, and names that no disk takes."""

import errno
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.client import ForkServer, Result, is_clean_error, log_result, trials
from tests.support.faults import Fault, injected
from tests.support.http_mirror import Mirror
from tests.support.resumable import Case, check_failed_save, make_case, stored

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
        end = forks.run(*case.words, home=home, before=(("limit", {"FSIZE": limit}),))
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
    log_result("B3", trials=k, note="every call of a download of four archives; what is unpacked is never on the disk")


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
