"""Option groups: dataclasses whose fields become the options of a command."""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import pytest
import typer

from mnistae.cli.console import Reporter, format_table
from mnistae.cli.groups import flatten


@dataclass(frozen=True)
class Base:
    """Options of a test."""

    path: Annotated[str | None, typer.Option("--path", help="A path.")] = None
    count: Annotated[int, typer.Option("--count", help="A number.")] = 3


@dataclass(frozen=True)
class Required(Base):
    """A group that makes an inherited option required."""

    path: Annotated[str, typer.Option("--path", help="A path.")] = dataclasses.field()


def command(group: type[Base]) -> tuple[Callable[..., None], list[dict[str, Any]]]:
    """Return a flattened command with this group, and a list of its calls."""
    calls: list[dict[str, Any]] = []

    def function(name: str, flag: bool = False, *, group: Any, reporter: Reporter) -> None:
        calls.append({"name": name, "flag": flag, "group": group, "reporter": reporter})

    function.__annotations__["group"] = group
    return flatten(function, "say hello"), calls


def test_groups_become_options() -> None:
    """The signature and the annotations, which Typer and the reference read, have the fields in the place of the group."""
    function, _ = command(Base)
    assert list(inspect.signature(function).parameters) == ["name", "flag", "path", "count", "quiet", "as_json"]
    assert get_type_hints(function, include_extras=True)["count"] == get_type_hints(Base, include_extras=True)["count"]


def test_the_command_gets_its_groups() -> None:
    """The function is called with dataclasses, and its reporter knows the command's name."""
    function, calls = command(Base)
    function(name="x", flag=True, path="p", count=4, quiet=True, as_json=False)
    reporter = Reporter("say hello", quiet=True, as_json=False)
    assert calls == [{"name": "x", "flag": True, "group": Base("p", 4), "reporter": reporter}]


@pytest.mark.parametrize("group", [Base, Required])
def test_an_option_can_be_made_required(group: type[Base]) -> None:
    """A field without a default is a parameter without one."""
    default = inspect.signature(command(group)[0]).parameters["path"].default
    assert default is (inspect.Parameter.empty if group is Required else None)


def test_wide_characters_are_aligned() -> None:
    """Columns of a table are aligned by the width of the characters on a terminal, numbers to the right."""
    rows = [("name", "n"), ("數字", 1), ("a", 10)]
    assert format_table(rows) == ["name   n", "數字   1", "a     10"]
    assert format_table(rows[1:], has_headings=False) == ["數字  1", "a     10"]
