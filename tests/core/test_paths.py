import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from mnistae.core import paths
from mnistae.core.errors import UsageError


def no_entry(_uid: int) -> NoReturn:
    raise KeyError("getpwuid(): uid not found")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a home of their own and no MNISTAE_HOME."""
    for name in ("MNISTAE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return tmp_path / "user"


def everywhere() -> list[Path]:
    return [paths.checkpoints_dir(), paths.datasets_dir(), paths.cache_dir()]


def test_home_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNISTAE_HOME holds everything, whatever the XDG variables say."""
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert everywhere() == [home / "checkpoints", home / "datasets", home / "cache"]


def test_relative_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative MNISTAE_HOME is resolved against the working folder, at each call."""
    monkeypatch.setenv("MNISTAE_HOME", "here")
    assert paths.cache_dir() == tmp_path / "work" / "here" / "cache"
    monkeypatch.chdir(tmp_path)
    assert paths.cache_dir() == tmp_path / "here" / "cache"


@pytest.mark.skipif(os.name == "nt", reason="the folders of XDG")
@pytest.mark.parametrize(
    ("variables", "data", "cache"),
    [
        ({}, "{home}/.local/share/mnistae", "{home}/.cache/mnistae"),
        ({"MNISTAE_HOME": ""}, "{home}/.local/share/mnistae", "{home}/.cache/mnistae"),
        ({"XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "/cache"}, "/data/mnistae", "/cache/mnistae"),
        ({"XDG_DATA_HOME": "", "XDG_CACHE_HOME": "rel/ative"}, "{home}/.local/share/mnistae", "{home}/.cache/mnistae"),
    ],
)
def test_default(user: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], data: str, cache: str) -> None:
    """Without MNISTAE_HOME the folders are the user's own, as XDG specifies."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    root = Path(data.format(home=user))
    assert everywhere() == [root / "checkpoints", root / "datasets", Path(cache.format(home=user))]


@pytest.mark.skipif(os.name == "nt", reason="there is no passwd entry to miss")
def test_no_home_folder(user: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and passwd entry gets a usage error, never a folder named ~, and can set MNISTAE_HOME."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for ask in (paths.checkpoints_dir, paths.datasets_dir, paths.cache_dir):
        with pytest.raises(UsageError) as failure:
            ask()
        assert failure.value.message == "cannot determine the home directory"
        assert failure.value.hint == "set MNISTAE_HOME to a folder for data and checkpoints"
    monkeypatch.setenv("MNISTAE_HOME", str(home))
    assert everywhere() == [home / "checkpoints", home / "datasets", home / "cache"]


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("", None), ("/data/mnist", "/data/mnist"), ("mnist", "{work}/mnist")]
)
def test_user_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str | None) -> None:
    """MNISTAE_DATA_DIR names the user's own data; empty is as unset."""
    if value is not None:
        monkeypatch.setenv("MNISTAE_DATA_DIR", value)
    assert paths.user_data_dir() == (Path(expected.format(work=tmp_path / "work")) if expected else None)


@pytest.mark.parametrize(
    ("value", "expected", "error"),
    [
        (None, False, None),
        *((word, False, None) for word in ("", " ", "0", "false", "No", "OFF")),
        *((word, True, None) for word in ("1", " true ", "Yes", "ON")),
        *((word, None, f"invalid MNISTAE_OFFLINE: '{word}'") for word in ("2", "maybe", "1 1", "\u0661")),
    ],
)
def test_is_offline(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool | None, error: str | None) -> None:
    """MNISTAE_OFFLINE is yes or no in the usual words; anything else is an error."""
    monkeypatch.delenv("MNISTAE_OFFLINE")
    if value is not None:
        monkeypatch.setenv("MNISTAE_OFFLINE", value)
    if error is None:
        assert paths.is_offline() is expected
        return
    with pytest.raises(UsageError) as failure:
        paths.is_offline()
    assert (failure.value.message, failure.value.hint) == (error, "set it to 1 or 0")


def test_nothing_is_made(home: Path) -> None:
    """Determining the folders makes none."""
    everywhere()
    assert not home.exists()
