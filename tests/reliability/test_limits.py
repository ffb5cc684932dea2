"""Rows F4 to F7 of the fault matrix: little memory, few files and threads, devices that fail, numbers that are not finite."""

import json
import os
import resource
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_process
from tests.support import child_hooks
from tests.support.client import ForkServer, Hook, Result, is_clean_error, log_result, trials
from tests.support.resumable import ReferenceRun, check_store, digest, resume, run_folder

MIB = 2**20


def succeeded_or_reported(ended: Result) -> bool:
    """Whether a command worked, or failed in a line and a hint, without a traceback."""
    return ended.code == 0 or (ended.code is not None and ended.code > 0 and is_clean_error(ended))


def test_little_memory(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F4: with any amount of memory a run ends well or with a line; the store is whole, and a resume gives the same bytes."""
    steps = [2**k * MIB for k in range(10)] + [3 * 2**k * MIB for k in range(8)]
    steps = sorted(steps)[:: trials(14, 1)]
    failed = aborted = 0
    for step in steps:
        home = tmp_path / str(step)
        ended = forks.run(*whole.words, home=home, before=[partial(child_hooks.limit, AS=step)])
        # safetensors is Rust, which aborts where Python raises MemoryError: a kill like any other
        is_aborted = ended.code == -signal.SIGABRT and ended.err.startswith("memory allocation of")
        assert succeeded_or_reported(ended) or is_aborted, (step, ended.code, ended.err)
        aborted += is_aborted
        failed += ended.code != 0
        assert resume(forks, home, whole) == whole.digest
    assert 0 < failed < len(steps), "some of them are too little, and not all"
    note = f"1 to 512 MiB more than at the start: {failed} runs failed, {aborted} of them aborted by safetensors"
    log_result("F4", trials=len(steps), note=note)


def test_memory_errors(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F4: a MemoryError in any function of the product ends in a line, and costs nothing that was saved."""
    places = [int(3000 ** (k / 24)) for k in range(1, 26)][:: trials(9, 1)]
    failed = 0
    for place in places:
        home = tmp_path / str(place)
        ended = forks.run(*whole.words, home=home, before=[partial(child_hooks.no_memory, place)])
        assert succeeded_or_reported(ended), (place, ended.code, ended.err)
        failed += ended.code != 0
        assert resume(forks, home, whole) == whole.digest
    assert failed > len(places) // 2
    log_result("F4", trials=len(places), note=f"a MemoryError in the k-th function call: {failed} runs ended with an error")


@pytest.mark.parametrize(
    "bounds", [{"NOFILE": 6}, {"STACK": 256 * 1024}, {"NOFILE": 16}, {"NPROC": 1}, {"NOFILE": 32}][: trials(2, 5)], ids=str
)
def test_limits(forks: ForkServer, whole: ReferenceRun, tmp_path: Path, bounds: dict[str, int]) -> None:
    """F5: with few files, processes or little stack a command works, or says what it lacks."""
    commands = (whole.words, ("checkpoints", "list"), ("evaluate",), ("summary",), ("reconstruct", "1"))[: trials(3, 5)]
    if "NPROC" in bounds and os.geteuid() == 0:
        pytest.skip("root is exempt from the limit on processes")
    for command in commands:
        ended = forks.run(*command, home=tmp_path, before=[partial(child_hooks.limit, **bounds)])
        assert succeeded_or_reported(ended), (bounds, command, ended.code, ended.err)
    check_store(tmp_path)
    log_result("F5", trials=len(commands), note="limits of files, processes and stack")


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


SETTINGS: list[dict[str, Any]] = [
    {"preexec_fn": few_files},
    *({"env": {"OMP_NUM_THREADS": value}} for value in ("abc", "0", "1000")),
    *({"env": {"CUDA_VISIBLE_DEVICES": value}} for value in ("", "99", "garbage")),
]


@pytest.mark.parametrize("setting", SETTINGS[: trials(1, 7)], ids=lambda setting: str(setting.get("env", "16 files")))
def test_whole_processes(whole: ReferenceRun, home: Path, setting: dict[str, Any]) -> None:
    """F5: with 16 files, and with any numbers of threads and devices, a whole process works, imports and all."""
    words = ("summary",) if "preexec_fn" in setting else whole.words
    done = run_process(*words, **setting | {"env": os.environ | setting.get("env", {})})
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    log_result("F5", trials=1, note="16 files from the start; odd OMP_NUM_THREADS and CUDA_VISIBLE_DEVICES")


@pytest.mark.gpu
def test_real_device(whole: ReferenceRun, tmp_path: Path) -> None:
    """F6: where there is a GPU it is chosen, named, and trains the same bytes twice."""
    for home in ("a", "b"):
        done = run_process(*whole.words, "--json", env={**os.environ, "MNISTAE_HOME": str(tmp_path / home / "home")})
        assert json.loads(done.stdout)["device"].startswith("cuda"), done.stderr
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    log_result("F6", trials=2, note="on a GPU")


STEPS = 3
PLACES = ("loss", "gradient", "weights", "first", "second")


def check(forks: ForkServer, home: Path, whole: ReferenceRun, place: str, at: int, value: str, *hooks: Hook) -> None:
    """Check that a run fails at a step, keeps the epochs before it, and ends with the same bytes when it is resumed."""
    ended = forks.run(*whole.words, home=home, before=[*hooks, partial(child_hooks.fail_at_step, place, at, value)])
    assert (ended.code, is_clean_error(ended)) == (5 if place == "memory" else 6, True), ended.err
    assert place == "memory" or "diverged" in ended.err
    assert run_folder(home).exists() == (at >= STEPS)
    history = run_folder(home) / "history.csv"
    assert (len(history.read_text().splitlines()) if history.exists() else 1) == at // STEPS + 1
    assert resume(forks, home, whole) == whole.digest


def test_device_that_fills_up(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F6: a device that runs out of memory while it trains ends with 5; what was trained is kept and can be resumed."""
    steps = (4, 0, 8)[: trials(1, 3)]
    for at in steps:
        check(forks, tmp_path / str(at), whole, "memory", at, "")
    log_result("F6", trials=len(steps), note="out of memory in training: exit 5, resumed to the same bytes")


def test_not_finite(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F7: NaN or infinity anywhere ends with 6 and the last good epoch, from which a resume ends with the same bytes."""
    cases = [(place, at, value) for at in (4, 0, 8, 11) for value in ("inf", "nan") for place in PLACES]
    cases = cases[: trials(3, len(cases))]
    for number, case in enumerate(cases):
        check(forks, tmp_path / str(number), whole, *case)
    log_result("F7", trials=len(cases), note="NaN and infinity in loss, gradient, weights and moments, then resumed")


def test_not_finite_control(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F7, the negative control: without the check of the numbers, every one of them is seen by the test above."""
    places = PLACES[: trials(2, 5)]
    for place in places:
        with pytest.raises(AssertionError):
            check(forks, tmp_path / place, whole, place, 4, "nan", child_hooks.disable_finite_check)
    log_result("F7", trials=0, control=f"no check of the numbers: detected in {len(places)} of {len(places)}")


def test_rate_without_measure(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F7: rates up to the largest number either train or end with 6; never with a state that cannot be read."""
    rates = ("1e300", "10", "1e10", "1e30", "1e38")[: trials(2, 5)]
    for rate in rates:
        ended = forks.run(*whole.words, "--lr", rate, home=tmp_path / rate)
        assert ended.code in {0, 6}, ended.err
        assert ended.code == 0 or is_clean_error(ended), ended.err
        assert ended.code == 0 or "hint: lower --lr" in ended.err
        assert "RuntimeWarning" not in ended.err
        check_store(tmp_path / rate)
    log_result("F7", trials=len(rates), note="learning rates up to 1e300")
