"""Commands that are imported when somebody calls them: help, version and completion need neither NumPy nor a dozen modules."""

import builtins
import importlib
import inspect
import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Entry:
    """A command in the table of contents: what its help begins with, and two examples."""

    about: str
    examples: tuple[str, str]


def load(name: str) -> Callable[..., None]:
    """Return the function of a command: `checkpoints list` is `list_` in mnistae.cli.commands.checkpoints."""
    words = name.split()
    module = importlib.import_module(f"mnistae.cli.commands.{words[0]}")
    is_taken = keyword.iskeyword(words[-1]) or hasattr(builtins, words[-1])
    function: Callable[..., None] = getattr(module, f"{words[-1]}_" if is_taken else words[-1])
    return function


def register(group: typer.Typer, entries: Mapping[str, Entry]) -> None:
    """Put commands, by their whole names, into a group."""
    for name, entry in entries.items():
        group.command(name.split()[-1], help=entry.about, cls=_later(name, entry))(_placeholder)


def _unfolded(function: Callable[..., None]) -> str:
    """Return what a function's docstring says, a line a paragraph: typer would keep its line breaks."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _placeholder() -> None:
    raise NotImplementedError  # never called: the command's own context has taken its place


def _later(name: str, entry: Entry) -> type[TyperCommand]:
    """Return a command that knows its help's first line, and becomes the real one as soon as it gets its words."""

    class Later(TyperCommand):
        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            first, second = entry.examples
            epilog = f"Examples:\n\n$ {first}\n\n$ {second}"
            function = load(name)
            alone.command(self.name, help=_unfolded(function), epilog=epilog, context_settings=HELP_OPTIONS)(function)
            return typer.main.get_command(alone).make_context(info_name, args, parent=parent, **extra)

    return Later
