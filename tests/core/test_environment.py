"""Environment variables: refused, expanded, and named in messages."""

from pathlib import Path

import pytest

from mnistae.core import environment, paths
from mnistae.core.errors import UsageError


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, "") for value in ('"/data"', "'/data'", "/data\r", '"/data', "/da\tta", "\x7f")),
        ("~no-such-user/data", ": there is no user 'no-such-user'"),
    ],
)
def test_what_no_shell_has_removed_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, reason: str) -> None:
    """Quotes of an env file, a carriage return of a file with Windows line ends, a ~ that cannot be expanded."""
    monkeypatch.setenv("MNISTAE_DATA_DIR", value)
    with pytest.raises(UsageError, match=f"invalid MNISTAE_DATA_DIR: .*{reason}$"):
        paths.user_data_dir()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None),
        ("~/data", "/user/data"),
        ("~", "/user"),
        (" /data ", "/data"),
        ("/a~b", "/a~b"),
        ("/data é", "/data é"),
        ("mnist", "{work}/mnist"),
    ],
)
def test_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, expected: str | None) -> None:
    """A leading ~ is the home directory, empty is as unset, and a relative path belongs to the working folder."""
    monkeypatch.setenv("HOME", "/user")
    monkeypatch.setenv("MNISTAE_DATA_DIR", value)
    assert paths.user_data_dir() == (Path(expected.format(work=tmp_path / "work")) if expected else None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MNISTAE_DATADIR", "MNISTAE_DATA_DIR"),
        ("MNISTAE_DEVICE", None),
        ("MNISTAE_OFF_LINE", "MNISTAE_OFFLINE"),
        *((f"MNISTAE_{word}", None) for word in ("PORT", "HOSTNAME", "HOMEPAGE", "LINE")),
        ("MNISTAE_SERVICE_HOST", None),
    ],
)
def test_misspelt(monkeypatch: pytest.MonkeyPatch, name: str, expected: str | None) -> None:
    """A variable that looks like one of ours is reported, and no other: Kubernetes sets some for a service of our name."""
    monkeypatch.setattr("os.environ", {name: "x"})
    assert environment.misspelt().get(name) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"), [(["train"], "MNISTAE_DEVICE"), (["train", "--device=cuda9"], ""), (["--device", "cuda9"], "")]
)
def test_blame(monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str) -> None:
    """A message about the value of a variable names it, unless the value was given as an argument."""
    monkeypatch.setenv("MNISTAE_DEVICE", "cuda9")
    assert environment.blame("unknown device: 'cuda9'", arguments) == expected
    assert not environment.blame("no such checkpoint: 'x'", arguments)
    monkeypatch.setenv("MNISTAE_OFFLINE", "0")
    assert not environment.blame("it is '0', not '5'", arguments)
