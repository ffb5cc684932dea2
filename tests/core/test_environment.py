"""Environment variables: refused, expanded, and named in messages."""

from pathlib import Path

import pytest

from mnistae.core import environment, paths
from mnistae.core.errors import UsageError


@pytest.mark.parametrize("value", ['"/data"', "'/data'", "/data\r", "/data\n", '"/data', "/da\tta", "\x7f"])
def test_what_no_shell_has_removed_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Quotes of an env file, a carriage return of a file with Windows line ends."""
    monkeypatch.setenv("MNISTAE_DATA_DIR", value)
    with pytest.raises(UsageError, match="invalid MNISTAE_DATA_DIR: "):
        paths.user_data_dir()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("~/data", "{home}/data"), ("~", "{home}"), (" /data ", "/data"), ("/a~b", "/a~b"), ("/data é", "/data é")],
)
def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, expected: str) -> None:
    """A leading ~ is the home directory; what else is in a path stays."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MNISTAE_DATA_DIR", value)
    assert paths.user_data_dir() == Path(expected.format(home=tmp_path))


@pytest.mark.parametrize(
    ("arguments", "expected"), [(["train"], "MNISTAE_DEVICE"), (["train", "--device=cuda9"], ""), (["--device", "cuda9"], "")]
)
def test_blame(monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str) -> None:
    """A message about the value of a variable names it, unless the value was given as an argument."""
    monkeypatch.setenv("MNISTAE_DEVICE", "cuda9")
    assert environment.blame("unknown device: 'cuda9'", arguments) == expected
    assert not environment.blame("no such checkpoint: 'x'", arguments)
