"""Fixtures of the reliability tests."""

from pathlib import Path

import numpy as np
import pytest

from mnistae.cli import console
from tests.conftest import write_idx


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, digits: dict[str, np.ndarray]) -> Path:
    """The tiny data set, for runs that several tests compare with: a checkpoint contains its path. No test changes it."""
    return write_idx(tmp_path_factory.mktemp("data") / "data", digits)


@pytest.fixture(params=["pipe", "terminal"])
def reporter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the commands take their streams for a terminal."""
    if request.param == "terminal":
        monkeypatch.setattr(console, "is_terminal", lambda _stream: True)
    return str(request.param)
