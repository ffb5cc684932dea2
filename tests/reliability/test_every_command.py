"""T12 and T13 for every command: whatever value is foreign, and whatever files are named so, nothing steers a terminal.

The table of invocations.py is held against the registry here.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mnistae.cli.app import COMMANDS
from mnistae.store import runs
from tests.conftest import Cli
from tests.support.client import LONG, log_result
from tests.support.hostile import HOSTILE, MARKUP, STEERING, steers
from tests.support.invocations import INVOCATIONS, Parameter, create_fixtures, parameters

pytestmark = pytest.mark.timeout(1200 if LONG else 120)

SHORT = [re.sub("[\0\ud800-\udfff]", "", text) for text in HOSTILE if len(text) < 100]
MANY = ["".join(SHORT[k::3]) for k in range(3)]
"""All that is hostile, in three texts that a process can be given."""


def test_table_has_every_command() -> None:
    """A command that is new in the registry fails here until the table has it."""
    assert {invocation.command for invocation in INVOCATIONS} == set(COMMANDS)
    placed = {word for invocation in INVOCATIONS for word in re.findall(r"{(\w+)}", invocation.text)}
    assert placed == {"run", "data", "picture", "folder", "pattern", "model", "codes", "out"}
    assert {parameter.command for parameter in parameters()} <= set(COMMANDS)
    assert len(parameters()) > 80


def spellings(parameter: Parameter, foreign: str) -> list[str]:
    """Return the values to try: the text, and if that may be a path also as one, of a kind that the command would read."""
    if not parameter.is_text:
        return [foreign]
    if parameter.name == "output":
        return [foreign, f"made/{foreign}.png"]
    if parameter.name in {"image", "images"}:
        return [foreign, f"{foreign}.png"]
    return [foreign, f"./{foreign}", f"{foreign}.safetensors"]


def test_every_parameter(cli: Cli, trained: str, reporter: str) -> None:
    """T12: no value of any parameter of any command gets an escape onto the screen, or ends in an unexpected error."""
    tried = 0
    for number, parameter in enumerate(parameters() if LONG else parameters()[reporter == "terminal" :: 2]):
        for foreign in (*MANY, *SHORT) if LONG else MANY[number % 3 :][:1]:
            for value in spellings(parameter, foreign):
                answer = cli(*parameter.words(value, *("--json",)[: tried % 2]))
                assert answer.code not in {0, 1} or (answer.code, parameter.name) == (0, "output"), (parameter, value, answer)
                assert STEERING.search(answer.err) is None, (parameter, value, answer)
                # what a pipe gets of a name of the user's own are its very bytes
                assert answer.code == 0 or STEERING.search(answer.out) is None, (parameter, value, answer)
                assert reporter == "pipe" or not steers(answer), (parameter, value, answer)
                tried += 1
    log_result("T12", trials=tried, note="every parameter of every command")


def test_every_parameter_takes_markup_for_text(cli: Cli, trained: str) -> None:
    """T13: what rich would take for markup is quoted unchanged wherever text can be given."""
    tried = 0
    for number, parameter in enumerate(parameters()):
        for foreign in MARKUP if LONG else MARKUP[number % len(MARKUP) :][:1]:
            answer = cli(*parameter.words(foreign))
            assert answer.code not in {0, 1}, (parameter, foreign, answer)
            suffix = Path(foreign).suffix.removeprefix(".")
            quoted = suffix if suffix and parameter.name == "output" else foreign
            assert not parameter.is_text or quoted in answer.err, (parameter, foreign, answer)
            tried += 1
    log_result("T13", trials=tried, note="every parameter of every command")


@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["text", "document"])
def test_files_of_hostile_names(
    cli: Cli, trained: str, home: Path, digits: dict[str, np.ndarray], reporter: str, extra: tuple[str, ...]
) -> None:
    """T12: data, pictures, those in a folder or behind a pattern, checkpoints, codes and results may be named anyhow.

    Every command works all the same. Programs at the end of a pipe get the names as they are, people never; with --json each
    of them is in one document of plain ASCII.
    """
    tried = 0
    uses = [use for use in INVOCATIONS if not extra or not use.text.endswith(("--json", "-f csv", "-f npy"))]
    for foreign in (*MANY, *MARKUP) if LONG else (MANY[reporter == "pipe"] + MARKUP[0],):
        substitutions = create_fixtures(Path(), foreign.replace("/", ""), digits, runs.model_path(trained))
        for invocation in uses if LONG else uses[2 if extra else reporter == "terminal" :: 3]:
            answer = cli(*invocation.words(substitutions, *extra))
            needs_pipe = reporter == "terminal" and invocation.text.endswith("-f npy")
            assert answer.code == (2 if needs_pipe else invocation.code), (invocation, answer)
            assert STEERING.search(answer.err) is None, (invocation, answer)
            assert (reporter == "pipe" and invocation.prints_names and not extra) or not steers(answer), (invocation, answer)
            assert not extra or (answer.out.isascii() and json.loads(answer.out)["schema"] == 1), (invocation, answer)
            tried += 1
    log_result("T12", trials=tried, note="files of hostile names in every command, in text and in JSON")
