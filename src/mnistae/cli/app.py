"""Command registry: every command by name, in the order of the help."""

import builtins
import functools
import importlib
import inspect
import keyword
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import mnistae
from mnistae.cli import completion, console, groups

TRAIN, USE, CODES, MANAGE = "Train", "Use a network", "Codes", "Manage"


COMMANDS = {
    "train": (TRAIN, "mnistae train --epochs 50 --device cuda", "mnistae train --resume --epochs 100"),
    "history": (TRAIN, "mnistae history", "mnistae history lab-mnist-seed0 fast-mnist-seed0 -o losses.svg"),
    "summary": (TRAIN, "mnistae summary", "mnistae summary -c lab-mnist-seed0"),
    "reconstruct": (USE, "mnistae reconstruct 1 2", "mnistae reconstruct photo.png -o out.svg"),
    "denoise": (USE, "mnistae denoise 1 2", "mnistae denoise scan.png --noise none"),
    "interpolate": (USE, "mnistae interpolate 1 2 --steps 8", "mnistae interpolate digit:3 digit:8 digit:0 -o morph.gif"),
    "traverse": (USE, "mnistae traverse 1", "mnistae traverse digit:7 --unit 3 -o unit3.gif"),
    "evaluate": (
        USE,
        "mnistae evaluate -c lab --extremes 8 -o extremes.png",
        "mnistae evaluate lab fast-mnist-seed0 --knn 5 -f csv",
    ),
    "map": (USE, "mnistae map", "mnistae map lab --method pca -o map.csv"),
    "report": (USE, "mnistae report", "mnistae report lab --images digit:3 digit:8 -o lab.html"),
    "encode": (CODES, "mnistae encode 1 2", "mnistae encode --split test -f npy -o codes.npy"),
    "decode": (CODES, "mnistae encode 1 2 | mnistae decode -o digits.png", "mnistae decode codes.npy -o digits/"),
    "doctor": (MANAGE, "mnistae doctor", "mnistae doctor --json"),
    "checkpoints list": (MANAGE, "mnistae checkpoints list", "mnistae checkpoints list --json"),
    "checkpoints show": (MANAGE, "mnistae checkpoints show", "mnistae checkpoints show lab"),
    "checkpoints path": (MANAGE, "mnistae checkpoints path", 'cp "$(mnistae checkpoints path lab)" lab.safetensors'),
    "checkpoints import": (
        MANAGE,
        "mnistae checkpoints import lab-MLP.8.pth --name lab-original",
        "mnistae checkpoints import model.ckpt --input-range -1:1",
    ),
    "checkpoints export": (
        MANAGE,
        "mnistae checkpoints export lab -o lab.onnx",
        "mnistae checkpoints export lab --part encoder -o encoder.onnx",
    ),
    "checkpoints verify": (MANAGE, "mnistae checkpoints verify", "mnistae checkpoints verify lab"),
    "checkpoints remove": (MANAGE, "mnistae checkpoints remove lab-mnist-seed0", "mnistae checkpoints remove first second"),
    "datasets list": (MANAGE, "mnistae datasets list", "mnistae datasets list --json"),
    "datasets fetch": (MANAGE, "mnistae datasets fetch", "mnistae datasets fetch fashion-mnist"),
    "datasets verify": (MANAGE, "mnistae datasets verify", "mnistae datasets verify ./my-digits.npz"),
    "datasets path": (MANAGE, "mnistae datasets path", 'ls "$(mnistae datasets path mnist)"'),
}
"""By the full name of a command its panel in the list of commands and two examples, in the order of the help."""

GROUPS = {"checkpoints": "Manage checkpoints.", "datasets": "Find, download and verify data sets."}

MODULES = {"reconstruct": "images", "denoise": "images", "interpolate": "frames", "traverse": "frames"}
MODULES |= {"encode": "codes", "decode": "codes"}
"""Modules whose name is not the first word of the command."""

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def _answer(option: typer.CallbackParam, is_given: bool) -> None:
    """Do what an option of the program asks for, in place of a command."""
    if not is_given:
        return
    if option.name == "version":
        typer.echo(f"mnistae {mnistae.__version__}")
    elif option.name == "show_completion":
        console.write(completion.script(completion.detect()))
    else:
        console.write(f"{completion.install(completion.detect())}\n")
        console.eprint("completion works in new shells")
    raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_answer, is_eager=True, help="Print the version.")
    ] = False,
    install_completion: Annotated[
        bool, typer.Option("--install-completion", callback=_answer, help="Install completion for this shell.")
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", callback=_answer, help="Print the completion script for this shell.")
    ] = False,
) -> None:
    """Train, inspect and use a small MNIST autoencoder (MLP, 784-392-8-392-784).

    Results go to stdout, everything else to stderr; every command takes --json and --quiet.
    """


def load(name: str) -> Callable[..., None]:
    """Return a command as Typer takes it: `checkpoints list` is `list_` in mnistae.cli.commands.checkpoints."""
    words = name.split()
    module = importlib.import_module(f"mnistae.cli.commands.{MODULES.get(words[0], words[0])}")
    is_taken = keyword.iskeyword(words[-1]) or hasattr(builtins, words[-1])
    return groups.flatten(getattr(module, f"{words[-1]}_" if is_taken else words[-1]), command=name)


def build(words: Iterable[str]) -> typer.Typer:
    """Return the application for a command line of these words.

    Only the commands that they name are imported, so help and version need neither NumPy nor a dozen modules.
    """
    new_typer = functools.partial(
        typer.Typer,
        cls=_Group,
        context_settings=HELP_OPTIONS,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # main.py alone turns failures into text
    )
    root = new_typer(help=_unwrap(_root))
    root.callback()(_root)
    subcommands = {name: new_typer(help=about) for name, about in GROUPS.items()}
    given, table = set(words), completion.table()
    for name, (panel, first, second) in COMMANDS.items():
        is_named = given.issuperset(name.split())
        function = load(name) if is_named else lambda: None  # never called: naming a command imports it
        group, _, word = name.rpartition(" ")
        subcommands.get(group, root).command(
            word,
            cls=_Command,
            help=_unwrap(function) if is_named else table[name][0],
            epilog=f"Examples:\n\n$ {first}\n\n$ {second}",
            context_settings=HELP_OPTIONS,
            rich_help_panel=None if group else panel,
        )(function)
    for name, subcommand in subcommands.items():
        root.add_typer(subcommand, name=name, rich_help_panel=MANAGE)
    return root


class _WithoutTypes:
    """A command whose help lacks the types `<bool>` of flags and `<list[str]>` of arguments."""

    def get_params(self, ctx: Any) -> Any:
        parameters = super().get_params(ctx)  # type: ignore[misc]  # of Typer's class
        for parameter in parameters:
            if parameter.nargs == -1 or getattr(parameter, "is_flag", False):
                parameter.display_type_rich = lambda ctx: None  # noqa: ARG005
        return parameters


class _Command(_WithoutTypes, TyperCommand):
    pass


class _Group(_WithoutTypes, TyperGroup):
    pass


def _unwrap(function: Callable[..., None]) -> str:
    """Return a function's docstring with one line per paragraph: Typer would keep its line breaks."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
