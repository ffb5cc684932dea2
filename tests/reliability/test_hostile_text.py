"""Rows T12, T13 and T15: foreign text and foreign names do not steer a terminal, are no markup, and keep no pattern busy."""

import ast
import dataclasses
import functools
import importlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mnistae
from mnistae.cli import console
from mnistae.cli.app import COMMANDS
from mnistae.core import text
from mnistae.core.config import TrainConfig
from mnistae.store import runs
from tests.conftest import Cli, run_in_pty
from tests.support.checkpoint_bytes import forged
from tests.support.client import LONG, log_result, trials
from tests.support.hostile import HOSTILE, MARKUP, STEERING, steers
from tests.support.invocations import INVOCATIONS, Parameter, create_fixtures, parameters

pytestmark = pytest.mark.timeout(1200 if LONG else 120)

QUOTING = {("summary", "-c"), ("checkpoints", "show")}
"""Commands that print the foreign text of a checkpoint unchanged if it is printable."""


def checkpoint(foreign: str) -> bytes:
    """Return a whole checkpoint that says foreign text wherever it may say any."""
    training = dataclasses.asdict(TrainConfig(dataset=foreign, recipe=foreign))
    provenance = {"data_digest": foreign, "device": foreign, "threads": 1, "versions": {foreign: foreign}}
    return forged(source=foreign, training=training, provenance=provenance)


def commands_about(foreign: str, home: Path) -> list[tuple[str, ...]]:
    """Return commands that print foreign text: of a checkpoint, of a name, of any argument."""
    run = home / "checkpoints" / "foreign" / "model.safetensors"
    run.parent.mkdir(parents=True, exist_ok=True)
    run.write_bytes(checkpoint(foreign))
    argument = re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "", foreign)  # what the arguments of a process cannot hold
    return [
        *(("summary", "-c", "foreign"), ("checkpoints", "show", "foreign"), ("checkpoints", "list"), ("--", argument)),
        *(("evaluate", "-c", "foreign"), ("reconstruct", "1", "-c", "foreign"), ("train", "--resume", "--name", "foreign")),
        (f"--{argument}",),
        *(parameter.words(argument) for parameter in parameters()),
    ]


def test_known_escapes(cli: Cli, trained: str, home: Path, reporter: str) -> None:
    """T12, T13: no known escape gets out of any printing command, in text or in JSON; what rich takes for markup is text."""
    tried = 0
    for foreign in HOSTILE + MARKUP if LONG else (HOSTILE + MARKUP)[reporter == "terminal" :: 4]:
        for command in commands_about(foreign, home)[:8]:  # test_every_parameter tries the others with each text
            for extra in ((), ("--json",))[: 2 if reporter == "pipe" and len(command) > 1 else 1]:
                answer = cli(*command[:2], *extra, *command[2:])
                assert not steers(answer), (command, answer)
                assert "Traceback" not in answer.err
                assert answer.code != 1, (command, answer)
                is_quoted = foreign in MARKUP and not extra and command[:2] in QUOTING
                assert not is_quoted or foreign in answer.out + answer.err, (command, answer)
                tried += 1
    with console.Reporter("x", quiet=False, as_json=False).progress() as progress:
        for foreign in MARKUP:
            progress(foreign, 0, None)
    log_result("T12", trials=tried, note=f"{len(HOSTILE)} escapes, in text and in JSON, piped and on a terminal")
    log_result("T13", trials=tried)


def test_any_text(cli: Cli, trained: str, home: Path) -> None:
    """T12: nor does any text that can be made up."""
    tried = 0

    @settings(max_examples=trials(20, 5000))
    @given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\x1b\x9b\x07\r[];m"), min_size=1, max_size=50))
    def try_one(foreign: str) -> None:
        nonlocal tried
        commands = commands_about(foreign, home)
        command = commands[tried % len(commands)]
        tried += 1
        answer = cli(*command)
        assert not steers(answer), command
        assert answer.code != 1, (command, answer)

    try_one()
    log_result("T12", trials=tried, note=f"{tried:,} generated texts")


def test_escapes_control(cli: Cli, trained: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: without the escaping nearly every command lets an escape through, so the tests above are sensitive."""
    monkeypatch.setattr(text, "ascii", lambda ch: f"'{ch}'", raising=False)
    commands = commands_about(HOSTILE[0], home)[:: trials(4, 1)]
    seen = sum(steers(cli(*command)) for command in commands)
    assert seen > len(commands) / 2
    log_result("T12", trials=0, control=f"characters not escaped: seen in {seen} of {len(commands)} commands")


def test_on_a_real_terminal(trained: str, home: Path, tiny: Path) -> None:
    """T12, T13: on a terminal of its own too, with bars and colours, foreign text is escaped."""
    odd = tiny.rename(tiny.with_name("od\x1b]0;x\x07d[bold]"))
    run = home / "checkpoints" / "foreign" / "model.safetensors"
    run.parent.mkdir()
    run.write_bytes(checkpoint("\x1b]0;x\x07[/foo]"))
    for command in (("summary", "-c", "foreign"), ("train", "--dataset", str(odd), "-e", "1", "-b", "256", "--hidden", "9")):
        code, shown = run_in_pty(*command, TERM="xterm-256color")
        assert code == 0, shown
        assert "\x07" not in shown
        assert "\x1b]" not in shown
        assert ("[/foo]" if "-c" in command else "d[bold]") in shown
    log_result("T12", trials=2, note="2 on a pseudo-terminal")


SLOW = [
    "a" * 100_000 + "!",
    "-" * 100_000,
    "." * 100_000,
    "_" * 100_000 + "\n",
    "0" * 100_000 + "x",
    "a.1." * 25_000,
    "é" * 100_000,
]
BEGINNINGS = ["", "CON.", "digit:3/", "train:", "cuda:", ".a.", ".1.aaaaaaaa.tmp"]


def uses_of_patterns() -> Iterator[Callable[[str], object]]:
    """Yield the matches and replacements that the package makes with regular expressions, each as a function of the text."""
    root = Path(mnistae.__file__).parent
    for path in root.rglob("*.py"):
        if "re." not in path.read_text():
            continue
        module = vars(importlib.import_module(".".join(path.relative_to(root.parent).with_suffix("").parts)))
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=method), args=[first, *_]):
                    if owner == "re" and method != "compile":
                        if not {name.id for name in ast.walk(first) if isinstance(name, ast.Name)} <= module.keys():
                            continue  # it is made of local variables, which hold escaped text
                        pattern = re.compile(eval(ast.unparse(first), module))
                    elif isinstance(module.get(owner), re.Pattern):
                        pattern = module[owner]
                    else:
                        continue
                    use = functools.partial(pattern.sub, "") if method == "sub" else getattr(pattern, method)
                    is_text = isinstance(pattern.pattern, str)
                    yield use if is_text else functools.partial(lambda match, value: match(value.encode()), use)


def seconds(use: Callable[[str], object], value: str) -> float:
    start = time.process_time()
    use(value)
    return time.process_time() - start


def slowest(use: Callable[[str], object]) -> float:
    """Return the seconds of the slowest of the slow texts; what seems slow is tried again, as others use the processor."""
    worst = 0.0
    for size in (1000, trials(5_000, 100_000)):  # a slow pattern is found with the short texts, before it takes hours
        for value in (beginning + rest[:size] + rest[-1] for beginning in BEGINNINGS[:: trials(3, 1)] for rest in SLOW):
            found = seconds(use, value)
            worst = max(worst, found if found <= 0.05 else min(found, seconds(use, value), seconds(use, value)))
        if worst > 0.05:
            break
    return worst


def test_no_pattern_takes_long() -> None:
    """T15: no text of 100 KB keeps a regular expression of the package busy for more than 50 ms."""
    uses = list(uses_of_patterns())
    assert len(uses) >= 8
    worst = {use: slowest(use) for use in uses}
    assert {use: found for use, found in worst.items() if found > 0.05} == {}
    assert seconds(lambda value: re.fullmatch("(a|a?)+b", value), "a" * 22) > 0.05  # one that does
    note = f"{len(uses)} patterns, at most {1000 * max(worst.values()):.0f} ms"
    log_result("T15", trials=len(uses) * len(SLOW) * len(BEGINNINGS), note=note)


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
    for number, parameter in enumerate(parameters() if LONG else parameters()[2 * (reporter == "terminal") :: 4]):
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
        for invocation in uses if LONG else uses[2 if extra else reporter == "terminal" :: 6]:
            answer = cli(*invocation.words(substitutions, *extra))
            needs_pipe = reporter == "terminal" and invocation.text.endswith("-f npy")
            assert answer.code == (2 if needs_pipe else invocation.code), (invocation, answer)
            assert STEERING.search(answer.err) is None, (invocation, answer)
            assert (reporter == "pipe" and invocation.prints_names and not extra) or not steers(answer), (invocation, answer)
            assert not extra or (answer.out.isascii() and json.loads(answer.out)["schema"] == 1), (invocation, answer)
            tried += 1
    log_result("T12", trials=tried, note="files of hostile names in every command, in text and in JSON")
