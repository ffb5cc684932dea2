import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from mnistae.core import paths
from mnistae.core.errors import UsageError


def everywhere() -> list[Path]:
    return [paths.checkpoints_dir(), paths.datasets_dir(), paths.cache_dir()]


def test_home_wins(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNISTAE_HOME holds everything, whatever the XDG variables say, and is not made by asking for it; it may be relative."""
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert everywhere() == [home / "checkpoints", home / "datasets", home / "cache"]
    assert not home.exists()
    monkeypatch.setenv("MNISTAE_HOME", "here")
    assert paths.cache_dir() == tmp_path / "work" / "here" / "cache"


@pytest.mark.skipif(os.name == "nt", reason="the folders of XDG")
@pytest.mark.parametrize(
    ("variables", "data", "cache"),
    [
        ({"MNISTAE_HOME": ""}, "/user/.local/share/mnistae", "/user/.cache/mnistae"),
        ({"XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "/cache"}, "/data/mnistae", "/cache/mnistae"),
        ({"XDG_DATA_HOME": "", "XDG_CACHE_HOME": "rel/ative"}, "/user/.local/share/mnistae", "/user/.cache/mnistae"),
    ],
)
def test_default(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], data: str, cache: str) -> None:
    """Without MNISTAE_HOME the folders are the user's own, as XDG specifies."""
    monkeypatch.delenv("MNISTAE_HOME")
    for name, value in {"HOME": "/user", **variables}.items():
        monkeypatch.setenv(name, value)
    assert everywhere() == [Path(data, "checkpoints"), Path(data, "datasets"), Path(cache)]


@pytest.mark.skipif(os.name == "nt", reason="there is no passwd entry to miss")
def test_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and passwd entry gets a usage error, never a folder named ~."""

    def no_entry(_uid: int) -> NoReturn:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("MNISTAE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for ask in (paths.checkpoints_dir, paths.datasets_dir, paths.cache_dir):
        with pytest.raises(UsageError) as failure:
            ask()
        assert failure.value.message == "cannot determine the home directory"
        assert failure.value.hint == "set MNISTAE_HOME to a folder for data and checkpoints"


@pytest.mark.parametrize(
    ("value", "expected", "error"),
    [
        *((word, False, None) for word in ("", " ", "0", "false", "No", "OFF")),
        *((word, True, None) for word in ("1", " true ", "Yes", "ON")),
        *((word, None, f"invalid MNISTAE_OFFLINE: '{word}'") for word in ("2", "maybe", "\u0661")),
    ],
)
def test_is_offline(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool | None, error: str | None) -> None:
    """MNISTAE_OFFLINE is yes or no in the usual words; anything else is an error."""
    monkeypatch.setenv("MNISTAE_OFFLINE", value)
    if error is None:
        assert paths.is_offline() is expected
        return
    with pytest.raises(UsageError) as failure:
        paths.is_offline()
    assert (failure.value.message, failure.value.hint) == (error, "set it to 1 or 0")
