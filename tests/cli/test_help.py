"""Help, examples, version, completion and the generated reference."""

import functools
import inspect
import re
import shlex
from pathlib import Path

import pytest

import mnistae
from mnistae.cli import app
from mnistae.cli.app import COMMANDS, load
from tests.conftest import Cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_two_examples(cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """-h and --help describe a command and its options, with two examples, which are parsed without error."""
    answer = cli(*name.split(), "--help")
    assert answer.code == 0
    assert cli(*name.split(), "-h") == answer
    for example in COMMANDS[name][1:]:
        assert f"$ {example}" in answer.out
        assert f"mnistae {name}" in example
    assert "--json" in answer.out
    assert "--quiet" in answer.out
    assert "<bool>" not in answer.out
    assert "<list" not in answer.out
    monkeypatch.setattr(app, "load", lambda name: functools.wraps(load(name))(lambda **_given: None))
    for example in COMMANDS[name][1:]:
        for command in re.sub(r".*\$\((.*)\).*", r"\1", example).replace('"', "").split(" | "):
            program, *words = shlex.split(command)
            assert (program, cli(*words).code) == ("mnistae", 0), words


def test_paragraphs_fill_the_lines(cli: Cli) -> None:
    """Help text is wrapped at the width of the terminal, not where the source is."""
    *_, paragraph = inspect.cleandoc(load("denoise").__doc__ or "").split("\n\n")
    first, second, *_ = paragraph.splitlines()
    assert f"{first.split()[-1]} {second.split()[0]}" in cli("denoise", "--help").out


def test_version_is_the_packages(cli: Cli) -> None:
    """The version stands in one place."""
    assert cli("--version").out == cli("-V").out == f"mnistae {mnistae.__version__}\n"


def test_commands_are_grouped_by_purpose(cli: Cli) -> None:
    """The list of commands has a panel for each purpose, and each command is listed below its own."""
    shown = cli("--help").out
    assert "Train, inspect and use a small MNIST autoencoder" in shown
    lines = [line.strip("│ ") for line in shown.splitlines()]
    panels = {panel: lines.index(next(line for line in lines if f" {panel} ─" in line)) for panel, *_ in COMMANDS.values()}
    for name, (wanted, *_) in COMMANDS.items():
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{name.split()[0]} ")]
        assert max((at, panel) for panel, at in panels.items() if at < place)[1] == wanted


def test_ci_installs_and_tests_as_the_readme_does() -> None:
    """The README's first block has two commands; CI runs the installation of the second, and `make check` its tests."""
    block = re.search(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    commands = block[1].strip().split("\n\n")
    assert len(commands) == 2
    installation, _, tests = re.sub(r" \\\n\s*", " ", commands[1]).rpartition(" && ")
    assert f"{installation}\nmake check\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert tests == ".venv/bin/python -m pytest"
    assert "$(PYTHON) -m pytest" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_readme_names_every_exit_code_and_variable() -> None:
    """The README's tables are complete."""
    from mnistae.core.environment import VARIABLES
    from mnistae.core.errors import ExitCode

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert re.search(rf"^\| {int(code)}( |,)", text, re.MULTILINE), code
    for variable in VARIABLES:
        assert f"`{variable}`" in text
