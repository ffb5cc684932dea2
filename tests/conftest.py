"""Fixtures for all tests: an empty home, tiny data, and the command line in this process and in another."""

import dataclasses
import functools
import gzip
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest

from tests.support import client
from tests.support.terminals import Terminal, attach

if TYPE_CHECKING:
    from mnistae.data.sets.registry import DatasetInfo
    from tests.support.http_mirror import Mirror

# What a CI system, a notebook, a terminal or a user sets would change what commands print, where and how fast.
SURROUNDINGS = re.compile(
    "_?MNISTAE_(?!CAMPAIGN|LEDGER|TEST)|CI$|GITHUB_|JPY_|JUPYTER_|TERM|TTY_|COLUMNS$|LINES$|(NO|FORCE|CLICOLOR|PY)_?COLOR|COLORTERM$"
    "|XDG_|MPL|OMP_(?!NUM_THREADS$)|GOMP_|KMP_|MKL_|SLURM_|TORCH|PYTORCH_|PYTHON(WARN|UTF8|UNBUFF|DEV|OPT)"
)
for _name in filter(SURROUNDINGS.match, list(os.environ)):
    del os.environ[_name]

# No test trusts a certificate but its own, and loading those of the system takes a tenth of a second for each request.
os.environ["SSL_CERT_FILE"] = os.devnull

os.umask(0o022)  # tests compare the permissions of files

# A shell makes background jobs ignore SIGINT, and nohup SIGHUP: the tests' child processes would inherit that.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL)

# The same examples at each check, others in each campaign; no deadline, as the machine may be busy.
hypothesis.settings.register_profile(
    "mnistae", deadline=None, derandomize=not client.LONG, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile("mnistae")

Digits = dict[str, np.ndarray]
"""Arrays by their roles, from `train_images` to `test_labels`."""

SHARED = Path(__file__).resolve().parents[2] / "shared"
REAL_MNIST = SHARED / "data" / "mnist"
REFERENCE = SHARED / "reference" / "lab-MLP.8.pth"

TRAIN, TEST = 600, 100
"""Images in the tiny data set: enough for two batches and a rest, small enough for a step of milliseconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave random inputs out of the coverage, which slows them; skip the tests that need a GPU where there is none."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:  # only then is torch imported
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test an empty home and working folder, and none of the user's settings."""
    monkeypatch.setenv("MNISTAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MNISTAE_OFFLINE", "1")
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    monkeypatch.setenv("TERM", "dumb")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path / "home"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Log tests that fail or are skipped: they end before the line that logs their result."""
    report = yield
    if not report.passed:
        documented = (getattr(item, "function", None), getattr(item, "module", None))
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
        rows = client.rows_of(*(inspect.getdoc(one) or "" for one in documented))
        client.log_outcome(item.name, rows, failed=report.failed, reason=reason.removeprefix("Skipped: "))
    return report


@pytest.fixture(scope="session")
def digits() -> Digits:
    """Tiny train and test arrays, drawn by the product: images (N, 28, 28) of bytes, labels (N,)."""
    from mnistae.data.sets import glyphs

    train_images, train_labels = glyphs.draw(TRAIN, seed=0)
    test_images, test_labels = glyphs.draw(TEST, seed=1)
    return {"train_images": train_images, "train_labels": train_labels, "test_images": test_images, "test_labels": test_labels}


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of bytes as an IDX file."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, digits: Digits, *, compress: bool = False) -> Path:
    """Write the tiny data under MNIST's file names."""
    from mnistae.data.sets.registry import DATASETS, ROLES

    folder.mkdir(parents=True, exist_ok=True)
    for role, name in zip(ROLES, DATASETS["mnist"].files, strict=True):
        data = idx_bytes(digits[role])
        (folder / (f"{name}.gz" if compress else name)).write_bytes(gzip.compress(data, mtime=0) if compress else data)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, digits: Digits) -> Path:
    """A folder of raw IDX files named `tiny`: given as a path, a data set of its own."""
    return write_idx(tmp_path / "tiny", digits)


@pytest.fixture
def entry(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> "DatasetInfo":
    """MNIST's entry with the sums of the tiny files, in the catalogue."""
    from mnistae.data.sets.registry import DATASETS
    from tests.support.downloads import archives, sums

    monkeypatch.setitem(DATASETS, "mnist", dataclasses.replace(DATASETS["mnist"], sha256=sums(archives(digits))))
    return DATASETS["mnist"]


@pytest.fixture
def mirror(entry: "DatasetInfo", digits: Digits, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Mirror]":
    """A mirror of the tiny files as MNIST's, and the network allowed."""
    from tests.support.downloads import archives
    from tests.support.http_mirror import Mirror

    with Mirror(archives(digits)) as served:
        monkeypatch.setenv("MNISTAE_OFFLINE", "0")
        monkeypatch.setenv("MNISTAE_MIRROR", served.url)
        yield served


@pytest.fixture(scope="session")
def mnist_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the tests on the real MNIST: 55 MB, once for each worker."""
    return tmp_path_factory.mktemp("mnist")


@pytest.fixture
def real_mnist(monkeypatch: pytest.MonkeyPatch, home: Path, mnist_cache: Path) -> Path:
    """The real MNIST, if it is in ../shared."""
    if not REAL_MNIST.is_dir():
        pytest.skip(f"the real MNIST is not at {REAL_MNIST}")
    home.mkdir()
    (home / "cache").symlink_to(mnist_cache)
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(REAL_MNIST))
    return REAL_MNIST


Result = client.Result
Cli = Callable[..., Result]


def document(answer: Result) -> Any:
    """Return the JSON document of a successful command."""
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process, through its error boundary."""
    from mnistae.cli import main

    def run(*args: object) -> Result:
        words = [str(arg) for arg in args]
        monkeypatch.setattr(sys, "argv", ["mnistae", *words])
        capfd.readouterr()
        code = main.run()
        captured = capfd.readouterr()
        return Result(int(code), captured.out, captured.err)

    return run


def run_process(*args: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in an interpreter of its own."""
    command = [sys.executable, "-m", "mnistae", *map(str, args)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, check=False, timeout=100, **{**streams, **options})


def run_cli(*args: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own: a child of the fork server unless that could make a difference."""
    environment = options.get("env", os.environ)
    if options.keys() - {"env"} or not client.shared_server().is_ready_for(environment):
        return run_process(*args, **options)
    with tempfile.TemporaryDirectory() as folder:
        running = _fork(args, Path(folder), environment)
        code = running.wait(100).code
        out, err = (path.read_bytes() for path in (running.out, running.err))
    assert code is not None, "it did not end"
    return subprocess.CompletedProcess([*map(str, args)], code, out, err)


def run_in_pty(*args: object, **environment: str) -> tuple[int, str]:
    """Run the command line with a terminal as its standard streams; return its code and what the terminal got."""
    if not client.shared_server().is_ready_for(whole := os.environ | environment):
        return run_program_in_pty([sys.executable, "-m", "mnistae", *map(str, args)], **environment)
    with tempfile.TemporaryDirectory() as folder, Terminal() as terminal:
        code = _fork(args, Path(folder), whole, functools.partial(attach, terminal.name)).wait(100).code
        assert code is not None, "it did not end"
        return code, terminal.text()


def _fork(args: tuple[object, ...], folder: Path, environment: Mapping[str, str], *before: client.Hook) -> client.Running:
    env = dict.fromkeys([*os.environ, "MNISTAE_HOME"]) | dict(environment)
    return client.shared_server().start(*args, home=folder, cwd=Path.cwd(), env=env, save_every=None, before=before)


def run_program_in_pty(command: list[str], **environment: str) -> tuple[int, str]:
    """Run any program with a terminal as its standard streams; return its code and what the terminal got."""
    with Terminal() as terminal:
        return terminal.start(command, os.environ | environment).wait(60), terminal.text()


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory: pytest.TempPathFactory, digits: Digits, forks: client.ForkServer) -> Path:
    """A store with the run `tiny`, trained for two epochs on tiny data. No test changes it."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_idx(folder / "tiny", digits)
    ended = forks.run("train", "--dataset", data, "-e", 2, "-b", 256, "--name", "tiny", "-q", home=folder)
    assert ended.code == 0, ended.err
    return folder / "home"


@pytest.fixture
def trained(trained_store: Path, home: Path) -> str:
    """The name of a run in this test's own store."""
    shutil.copytree(trained_store, home, dirs_exist_ok=True)
    return "tiny"


@pytest.fixture(scope="session")
def forks() -> client.ForkServer:
    """The fork server."""
    return client.shared_server()
