"""Fixtures of the reliability tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mnistae.cli import terminal
from tests.conftest import write_idx
from tests.support.client import ForkServer
from tests.support.resumable import ReferenceRun, train_reference


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, digits: dict[str, np.ndarray]) -> Path:
    """The tiny data set, for runs that several tests compare with: a checkpoint contains its path. No test changes it."""
    return write_idx(tmp_path_factory.mktemp("data") / "data", digits)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, data: Path) -> ReferenceRun:
    """An undisturbed run of four epochs of three batches, with a state after each epoch. No test changes it."""
    words = ("train", "--dataset", data, "-e", 4, "-b", 256, "--hidden", 64, "--name", "r", "-q")
    return train_reference(forks, tmp_path_factory.mktemp("whole"), words)


@pytest.fixture(autouse=True)
def not_covered(no_cover: None) -> None:
    """Coverage is that of the rooms' own tests; these run faster without."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write to, outside the tests' own, which is root's."""
    folder = Path(tempfile.mkdtemp(prefix="mnistae-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["pipe", "terminal"])
def reporter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the commands take their streams for a terminal."""
    if request.param == "terminal":
        monkeypatch.setattr(terminal, "is_terminal", lambda _stream: True)
    return str(request.param)
