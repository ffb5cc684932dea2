"""Rows A2, B1, B5 and B6 of the fault matrix: a kill or a disk that refuses costs the save in progress, and nothing else."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from mnistae.core.errors import CheckpointError, OutputError
from mnistae.core.files import atomic
from mnistae.store import runs, verification
from tests.support import child_hooks
from tests.support.client import LONG, ForkServer, Hook, Result, is_clean_error, log_result, trials
from tests.support.faults import Fault, inject, injected, write_in_place
from tests.support.resumable import NEVER, Case, check_failed_save, check_store, finish, leftovers, make_case, neither, stored
from tests.support.saved_runs import METADATA, state, tree

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE)


def save(seed: int) -> None:
    runs.save("one", state(seed), METADATA)


def start_over(store: Path, old: dict[str, bytes]) -> None:
    shutil.rmtree(store, ignore_errors=True)
    if old:
        save(0)


def check_every_error(store: Path, old: dict[str, bytes]) -> int:
    """Let every primitive of a save on top of `old` fail with every error; return how many failures that were."""
    start_over(store, old)
    with injected() as shim:
        save(9)
    new, count = tree(store), len(shim.calls)
    for code in ERRORS[: trials(1, len(ERRORS))]:
        for k in range(count):
            start_over(store, old)
            with (
                injected(Fault("error", at=k, errno=code)),
                pytest.raises(OutputError, match=r"^cannot (write|make) ") as error,
            ):
                save(9)
            assert os.strerror(code) in error.value.message
            assert neither(tree(store), old, new) == [], (code, k)
            assert not old or verification.verify("one") is None
    return count * trials(1, len(ERRORS))


def careless(fd: int) -> None:
    """Flush and do not mind a failure: the second defect."""
    try:
        vars(atomic)["os"].fsync(fd)
    except OSError:
        return


def test_every_error_at_every_primitive(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B1: whichever call of a save fails, with whichever error, every file is old or new, and there are no others."""
    store = home / "checkpoints"
    save(0)
    old = tree(store)
    count = check_every_error(store, {}) + check_every_error(store, old)
    defects: dict[str, Callable[..., None]] = {"write_bytes": write_in_place, "_fsync": careless, "discard": lambda _self: None}
    for name, defect in defects.items():
        with monkeypatch.context() as patch:
            patch.setattr(atomic.Writer if name == "discard" else atomic, name, defect)
            with pytest.raises((AssertionError, pytest.fail.Exception)):
                check_every_error(store, old)
    what = "files written in place, fsync's errors ignored, temporary files left"
    log_result("B1", trials=count, control=f"{what}: detected in 3 of 3", note="every primitive of a save with 6 errors each")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, data: Path) -> Case:
    return make_case(forks, "overwrite", tmp_path_factory.mktemp("faults"), data)


@pytest.fixture(scope="module")
def undisturbed(case: Case, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home after the save that nothing disturbs; `log` in it lists its primitives."""
    home = tmp_path_factory.mktemp("undisturbed") / "home"
    assert disturbed(forks, case, home, log=home / "log").code == 0
    return home


def disturbed(
    forks: ForkServer, case: Case, home: Path, *faults: Fault, log: Path | None = None, before: Sequence[Hook] = ()
) -> Result:
    shutil.copytree(case.base, home)
    return forks.run(*case.words, home=home, save_every=NEVER, before=[*before, partial(inject, *faults, log=log)])


def primitives(log: Path) -> list[str]:
    """Return the names of the primitives that a save has called."""
    return [json.loads(line)[0] for line in log.read_text().splitlines()]


def test_every_primitive_of_train(forks: ForkServer, case: Case, undisturbed: Path, tmp_path: Path) -> None:
    """B1, B6: `train` on a disk that refuses ends with 7, an error and a hint; the run before it is whole, and resumes."""
    ops = primitives(undisturbed / "log")
    faults = [Fault("error", at=k, errno=code) for k in range(len(ops)) for code in ERRORS]
    if not LONG:
        faults = [Fault("error", at=ops.index(op), errno=errno.EIO) for op in ("write", "close", "fsync")]
    home = tmp_path / "home"
    for fault in faults:
        check_failed_save(forks, case, home, disturbed(forks, case, home, fault), stored(undisturbed))
        shutil.rmtree(home)
    log_result("B1", trials=len(faults), note=f"the {len(ops)} primitives of `train`: exit code 7, an error and a hint")
    late = sum(fault.errno == errno.EIO and ops[fault.at] in {"close", "fsync"} for fault in faults)
    log_result("B6", trials=late, note="EIO from close and fsync: the save fails, the next one works")


def test_temporary_file_that_cannot_be_removed(forks: ForkServer, case: Case, undisturbed: Path, tmp_path: Path) -> None:
    """A disk that refuses the write and the clean-up after it leaves one file beside the run, which the next start sweeps."""
    home = tmp_path / "home"
    ended = disturbed(forks, case, home, *(Fault("error", op, errno=errno.EIO) for op in ("write", "unlink")))
    assert (ended.code, is_clean_error(ended), len(leftovers(home))) == (7, True, 1)
    assert finish(forks, case, home) in case.digests
    log_result("B1", trials=1, note="also when the clean-up fails")


def test_slow_and_interrupted_disks(forks: ForkServer, case: Case, undisturbed: Path, tmp_path: Path) -> None:
    """A disk that takes a byte at a time, is interrupted at each millisecond or syncs for seconds gets the same bytes."""
    slow = disturbed(forks, case, tmp_path / "slow", Fault("slow", "fsync", seconds=trials(1, 2)))
    assert slow.code == 0
    assert slow.seconds > trials(1, 2)
    assert disturbed(forks, case, tmp_path / "interrupted", before=[partial(child_hooks.interrupt, 0.001)]).code == 0
    assert disturbed(forks, case, tmp_path / "short", Fault("short", "write", at=-1), log=tmp_path / "log").code == 0
    writes = [primitives(log).count("write") for log in (undisturbed / "log", tmp_path / "log")]
    assert writes[1] > 100 * writes[0]
    for name in ("slow", "interrupted", "short"):
        assert stored(tmp_path / name) == stored(undisturbed)
    log_result("B5", trials=3, note="a byte at a time, 1,000 signals a second, 2 s for an fsync: the same bytes")


def check_old_or_new(home: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Every file of the store is as it was before the save or as it is after it, and at most one is half written beside."""
    check_store(home)
    assert not [name for name in neither(stored(home), old, new) if not name.endswith(".tmp")]
    assert len(leftovers(home)) <= 1


@pytest.mark.parametrize("kind", ["overwrite", "first save", "resume"][: trials(1, 3)])
def test_killed_at_every_primitive(forks: ForkServer, kind: str, data: Path, tmp_path: Path) -> None:
    """A2: after a kill at any primitive every file is old or new, and a resume ends with the bytes of an undisturbed run."""
    case, home = make_case(forks, kind, tmp_path, data), tmp_path / "killed"
    assert disturbed(forks, case, tmp_path / "done", log=tmp_path / "log").code == 0
    old, new, ops = stored(case.base), stored(tmp_path / "done"), primitives(tmp_path / "log")
    # a file gets its name; one is half written
    quick = [*[k for k, op in enumerate(ops) if op == "replace"][::2], ops.index("write")]
    faults = [Fault("kill", at=k, before=False) for k in (range(len(ops)) if LONG else quick)]
    faults += [Fault("kill", at=k) for k in range(len(ops)) if LONG]
    outcomes: dict[frozenset[tuple[str, bytes]], str] = {}
    for fault in faults:
        assert disturbed(forks, case, home, fault).code == -signal.SIGKILL
        check_old_or_new(home, old, new)
        key = frozenset(stored(home).items())
        if LONG or key not in outcomes:  # the same store resumes in the same way
            outcomes[key] = finish(forks, case, home)
        assert outcomes[key] in case.digests, fault
        shutil.rmtree(home)
    assert set(outcomes.values()) == case.digests

    files = range(ops.count("replace") if LONG else 1)
    for k in files:
        ended = disturbed(forks, case, home, Fault("kill", "write", at=k), before=[child_hooks.IN_PLACE])
        assert ended.code == -signal.SIGKILL
        with pytest.raises((AssertionError, CheckpointError)):
            check_old_or_new(home, old, new)
        shutil.rmtree(home)
    note = f"{kind}: {len(ops)} primitives, {len(outcomes)} different stores"
    log_result("A2", trials=len(faults), control=f"written in place: detected in {len(files)} of {len(files)}", note=note)


WRITE = """import sys; from pathlib import Path; from mnistae.core.files import atomic
atomic.write_bytes(Path(sys.argv[1]), b"new" * 5000)"""

INJECTIONS = {
    "fsync:error=EIO:when=1": ("Input/output error", {b"old"}),
    "fsync:error=EIO:when=2": ("Input/output error", {b"new" * 5000}),  # the folder's, after the rename
    "fallocate:error=ENOSPC": ("No space left on device", {b"old"}),
    "rename:error=EDQUOT": ("Disk quota exceeded", {b"old"}),
    "fsync,fallocate:error=EINTR:when=1+2": ("", {b"new" * 5000}),
    "rename:signal=KILL": (None, {b"old", b"new" * 5000}),
}
"""What the kernel is made to do; what the process then says, "" for nothing, None for it is killed; what the file holds."""


def test_kernel(tmp_path: Path) -> None:
    """What the shim pretends is what the kernel does: the same failures, made below the process."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-qq", "-e", "trace=none", "true"], check=False).returncode:
        pytest.skip("strace is missing or may not trace")
    for number, (injection, (reason, contents)) in enumerate(INJECTIONS.items()):
        path = tmp_path / str(number) / "file"
        path.parent.mkdir()
        path.write_bytes(b"old")
        command = [strace, "-qq", "-o", os.devnull, "-e", f"inject={injection}", sys.executable, "-c", WRITE, str(path)]
        done = subprocess.run(command, capture_output=True, check=False)
        assert path.read_bytes() in contents, injection
        if reason is None:
            assert done.returncode == -signal.SIGKILL, injection  # strace ends as its child did
        else:
            assert list(path.parent.iterdir()) == [path]
            assert done.stderr.decode().endswith(f"cannot write '{path}': {reason}\n" if reason else ""), injection
            assert done.returncode == (1 if reason else 0)
    log_result("B1", trials=len(INJECTIONS), note=f"{len(INJECTIONS)} faults injected into system calls by strace")
