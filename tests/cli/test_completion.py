"""Completion in the shell: what is offered, at which cost, and how it is installed."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import shellingham

from mnistae.cli import completion
from mnistae.cli.app import COMMANDS
from tests.conftest import Cli

RUNS = ["denoise", "lab", "run-a", "run-b"]
ZSH = "local -a found; found=(\n'0\\:1'\n'0\\:255'\n); _describe mnistae found\n"


@pytest.fixture
def store(home: Path) -> Path:
    """A store with two runs that hold no model, and a folder whose name no run can have."""
    for name in ("run-a", "run-b", "not a run"):
        (home / "checkpoints" / name).mkdir(parents=True)
    return home


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", [name for name in ("checkpoints", "datasets", *COMMANDS) if " " not in name]),
        ("tr", ["train", "traverse"]),
        ("checkpoints ", [name.split()[1] for name in COMMANDS if name.startswith("checkpoints ")]),
        ("bogus ", []),
        ("train --recipe ", ["lab", "fast", "best", "denoise"]),
        ("train --recipe='f", ["--recipe=fast"]),
        ("train --res", ["--resume"]),
        ("train --recipe fast --rec", []),
        ("train --resume --name ", RUNS),
        ("reconstruct ", []),
        ("reconstruct -- -", []),
        ("evaluate -- run-a ", RUNS),
        ("history 'run-", ["run-a", "run-b"]),
        ("summary -c l", ["lab"]),
        ("datasets fetch k", ["kmnist"]),
        ("checkpoints import --input-range -", ["-1:1"]),
        ("--ver", ["--version"]),
    ],
)
def test_candidates(store: Path, line: str, expected: list[str]) -> None:
    """The names and values that a command line can continue; none where the shell has to complete a file."""
    *words, word = line.split(" ")
    assert list(completion.candidates(words, word)) == expected
    assert (store / "checkpoints" / "not a run").is_dir()


def test_an_unreadable_store_offers_what_is_built_in(home: Path) -> None:
    """Completion never fails: here the home is a file."""
    home.touch()
    assert list(completion.candidates(["summary", "-c"], "")) == ["denoise", "lab"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("shell", "variables", "expected"),
    [
        ("bash", {"COMP_WORDS": "mnistae\nevaluate", "COMP_CWORD": "2"}, "".join(f"{name}\n" for name in RUNS)),
        ("bash", {"COMP_WORDS": "mnistae\ntrain\n--recipe\n=\nf", "COMP_CWORD": "4"}, "fast\n"),
        ("bash", {"COMP_WORDS": "mnistae\ncheckpoints\nimport\n--input-range\n0\n:", "COMP_CWORD": "5"}, "1\n255\n"),
        ("bash", {"COMP_WORDS": "mnistae\nhistory\n'run", "COMP_CWORD": "2"}, "run-a\nrun-b\n"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "mnistae checkpoints import --input-range 0"}, ZSH),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "mnistae reconstruct "}, "_files\n"),
        ("fish", {"_TYPER_COMPLETE_ARGS": "mnistae datasets f"}, f"fetch\t{completion.table()['datasets fetch'][0]}\n"),
    ],
)
def test_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str, variables: dict[str, str], expected: str
) -> None:
    """Each shell asks and gets its answer in its own form; bash splits words at = and at colons."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert completion.answer(shell) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(("line", "code"), [("mnistae train --recipe ", 0), ("mnistae reconstruct ", 1)])
def test_fish_asks_whether_to_complete_files(monkeypatch: pytest.MonkeyPatch, line: str, code: int) -> None:
    """The exit code of the question is 1 where fish has to complete a file."""
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "is-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    assert completion.answer("fish") == code


def test_a_large_store_costs_no_heavy_import(home: Path) -> None:
    """A Tab for the names of 100 runs imports neither NumPy nor Typer and reads no file of a run."""
    for number in range(100):
        (home / "checkpoints" / f"run{number}" / "model.safetensors").mkdir(parents=True)
    variables = {"_MNISTAE_COMPLETE": "complete_bash", "COMP_WORDS": "mnistae summary -c", "COMP_CWORD": "3"}
    command = [sys.executable, "-X", "importtime", "-m", "mnistae"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **variables})
    assert len(done.stdout.split()) == 102
    assert not {"numpy", "typer", "rich", "torch"} & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user of bash."""
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_installation_keeps_the_users_file(cli: Cli, user: Path) -> None:
    """A second installation changes nothing; a shell with the line in its start-up file completes."""
    startup = user / ".bashrc"
    startup.write_bytes(b"# \xe9t\xe9\n")
    for _ in range(2):
        done = cli("--install-completion")
        assert (done.code, done.out) == (0, f"{user}/.bash_completions/mnistae.sh\n"), done.err
        assert startup.read_bytes() == b"# \xe9t\xe9\n\nsource ~/.bash_completions/mnistae.sh\n"
    shown = subprocess.run(["bash", "--norc", "-c", ". ~/.bashrc; complete -p mnistae"], check=True, capture_output=True)
    assert shown.stdout == b"complete -o default -F _mnistae_completion mnistae\n"
    assert cli("--show-completion").out == (user / ".bash_completions/mnistae.sh").read_text()


@pytest.mark.parametrize("blocked", [".bashrc", ".bash_completions"])
def test_installation_that_fails_has_a_hint(cli: Cli, user: Path, blocked: str) -> None:
    """A start-up file or a folder that cannot be written is exit 7 with a hint."""
    (user / ".bashrc").mkdir()
    (user / blocked).touch()
    done = cli("--install-completion")
    assert (done.code, done.out) == (7, "")
    assert f"error: cannot write '{user}/{blocked}" in done.err
    assert 'reads when it starts: eval "$(mnistae --show-completion)"' in done.err


@pytest.mark.parametrize(("shell", "name"), [(("dash", "/bin/dash"), "dash"), (shellingham.ShellDetectionFailure, "unknown")])
def test_a_shell_without_completion(cli: Cli, monkeypatch: pytest.MonkeyPatch, shell: object, name: str) -> None:
    """A shell without completion, or none among the parents of the program, is exit 7 with a hint."""
    monkeypatch.setattr(shellingham, "detect_shell", Mock(side_effect=[shell]))
    done = cli("--install-completion")
    message = f"error: no completion for the shell '{name}'\nhint: start bash, zsh or fish, and run it there\n"
    assert (done.code, done.err) == (7, message)


@pytest.mark.parametrize(("shell", "path"), [("zsh", ".zfunc/_mnistae"), ("fish", ".config/fish/completions/mnistae.fish")])
def test_places(user: Path, monkeypatch: pytest.MonkeyPatch, shell: str, path: str) -> None:
    """The script is where the shell reads it; zsh's answers its first Tab."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert completion.install(shell) == user / path
    text = (user / path).read_text()
    assert f"complete_{shell}" in text
    assert (completion.ZSH_FIRST_TAB in text) == (shell == "zsh")
