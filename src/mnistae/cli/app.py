"""Command registry: every command by name, in the order of the help."""

import builtins
import importlib
import inspect
import keyword
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import typer

import mnistae
from mnistae.cli import completion, console, groups

TRAIN, USE, CODES, MANAGE = "Train", "Use a network", "Codes", "Manage"


@dataclass(frozen=True)
class CommandInfo:
    """What the help of a command begins with, its panel in the list of commands, and two examples."""

    summary: str
    panel: str
    examples: tuple[str, str]


COMMANDS = {
    "train": CommandInfo(
        "Train the autoencoder and save it; print the checkpoint's path.",
        TRAIN,
        ("mnistae train --epochs 50 --device cuda", "mnistae train --resume --epochs 100"),
    ),
    "history": CommandInfo(
        "Plot the loss per epoch of one or more runs; print CSV when piped.",
        TRAIN,
        ("mnistae history", "mnistae history lab-mnist-seed0 fast-mnist-seed0 -o losses.svg"),
    ),
    "summary": CommandInfo(
        "Print the layer table with parameters, multiply-adds and memory; with -c also how the network was trained.",
        TRAIN,
        ("mnistae summary", "mnistae summary -c lab-mnist-seed0"),
    ),
    "reconstruct": CommandInfo(
        "Draw images beside their reconstructions and measure the error.",
        USE,
        ("mnistae reconstruct 1 2", "mnistae reconstruct photo.png -o out.svg"),
    ),
    "denoise": CommandInfo(
        "Add noise to images and remove it with the network.",
        USE,
        ("mnistae denoise 1 2", "mnistae denoise scan.png --noise none"),
    ),
    "interpolate": CommandInfo(
        "Morph one image into the next by interpolating between their codes.",
        USE,
        ("mnistae interpolate 1 2 --steps 8", "mnistae interpolate digit:3 digit:8 digit:0 -o morph.gif"),
    ),
    "traverse": CommandInfo(
        "Latent traversal: vary one bottleneck unit at a time over its training range.",
        USE,
        ("mnistae traverse 1", "mnistae traverse digit:7 --unit 3 -o unit3.gif"),
    ),
    "evaluate": CommandInfo(
        "Measure a checkpoint over the test set: MSE, PSNR and SSIM by digit, active units, PCA, denoising.",
        USE,
        ("mnistae evaluate -c lab --extremes 8 -o extremes.png", "mnistae evaluate lab fast-mnist-seed0 --knn 5 -f csv"),
    ),
    "map": CommandInfo(
        "Draw the codes of a data set as a map in the plane, coloured by class.",
        USE,
        ("mnistae map", "mnistae map lab --method pca -o map.csv"),
    ),
    "report": CommandInfo(
        "Write the lab's report of a network as one HTML file, with the network in it.",
        USE,
        ("mnistae report", "mnistae report lab --images digit:3 digit:8 -o lab.html"),
    ),
    "encode": CommandInfo(
        "Encode images into codes: JSON lines, CSV or an array (npy).",
        CODES,
        ("mnistae encode 1 2", "mnistae encode --split test -f npy -o codes.npy"),
    ),
    "decode": CommandInfo(
        "Decode codes into images; the input format (JSON, CSV, npy and others) is detected.",
        CODES,
        ("mnistae encode 1 2 | mnistae decode -o digits.png", "mnistae decode codes.npy -o digits/"),
    ),
    "doctor": CommandInfo(
        "Show versions, devices, paths, and the state of data sets and checkpoints.",
        MANAGE,
        ("mnistae doctor", "mnistae doctor --json"),
    ),
    "checkpoints list": CommandInfo(
        "List the runs, newest first, then the built-in checkpoints.",
        MANAGE,
        ("mnistae checkpoints list", "mnistae checkpoints list --json"),
    ),
    "checkpoints show": CommandInfo(
        "Show how a checkpoint was trained.",
        MANAGE,
        ("mnistae checkpoints show", "mnistae checkpoints show lab"),
    ),
    "checkpoints path": CommandInfo(
        "Print the path of a checkpoint's model file.",
        MANAGE,
        ("mnistae checkpoints path", 'cp "$(mnistae checkpoints path lab)" lab.safetensors'),
    ),
    "checkpoints import": CommandInfo(
        "Import weights: any network of four linear layers, 784-h-b-h-784, whatever their names.",
        MANAGE,
        ("mnistae checkpoints import lab-MLP.8.pth --name lab", "mnistae checkpoints import model.ckpt --input-range -1:1"),
    ),
    "checkpoints export": CommandInfo(
        "Export a checkpoint: ONNX, NumPy's npz, or a PyTorch state dict as safetensors.",
        MANAGE,
        ("mnistae checkpoints export lab -o lab.onnx", "mnistae checkpoints export lab --part encoder -o encoder.onnx"),
    ),
    "checkpoints verify": CommandInfo(
        "Verify every file of the given runs; exit with 3 if any is damaged.",
        MANAGE,
        ("mnistae checkpoints verify", "mnistae checkpoints verify lab"),
    ),
    "checkpoints remove": CommandInfo(
        "Remove runs with all their files.",
        MANAGE,
        ("mnistae checkpoints remove lab-mnist-seed0", "mnistae checkpoints remove first second"),
    ),
    "datasets list": CommandInfo(
        "List known data sets and whether they are installed.",
        MANAGE,
        ("mnistae datasets list", "mnistae datasets list --json"),
    ),
    "datasets fetch": CommandInfo(
        "Download and verify a data set unless it is already present; print its folder.",
        MANAGE,
        ("mnistae datasets fetch", "mnistae datasets fetch fashion-mnist"),
    ),
    "datasets verify": CommandInfo(
        "Verify a data set from its source files, ignoring the cache; never downloads.",
        MANAGE,
        ("mnistae datasets verify", "mnistae datasets verify ./my-digits.npz"),
    ),
    "datasets path": CommandInfo(
        "Print the folder of a data set's files; never downloads.",
        MANAGE,
        ("mnistae datasets path", 'ls "$(mnistae datasets path mnist)"'),
    ),
}
"""Every command by its full name; tests compare the summaries with the help pages and run the examples."""

GROUPS = {
    "checkpoints": "Manage checkpoints.",
    "datasets": "Find, download and verify data sets.",
}


HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mnistae {mnistae.__version__}")
        raise typer.Exit


def _show_completion(wanted: bool) -> None:
    if wanted:
        console.write(completion.script(completion.detect()))
        raise typer.Exit


def _install_completion(wanted: bool) -> None:
    if wanted:
        console.write(f"{completion.install(completion.detect())}\n")
        console.eprint("completion works in new shells")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", metavar="", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option("--install-completion", metavar="", callback=_install_completion, help="Complete commands in this shell."),
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", metavar="", callback=_show_completion, help="Print the script for this shell.")
    ] = False,
) -> None:
    """Train, inspect and use a small MNIST autoencoder (MLP, 784-392-8-392-784).

    Results go to stdout, everything else to stderr; every command takes --json and --quiet.
    """


def load(name: str) -> Callable[..., None]:
    """Return a command as Typer takes it: `checkpoints list` is `list_` in mnistae.cli.commands.checkpoints."""
    words = name.split()
    module = importlib.import_module(f"mnistae.cli.commands.{words[0]}")
    is_taken = keyword.iskeyword(words[-1]) or hasattr(builtins, words[-1])
    return groups.flatten(getattr(module, f"{words[-1]}_" if is_taken else words[-1]), command=name)


def build(words: Iterable[str]) -> typer.Typer:
    """Return the application for a command line of these words.

    Only the commands that they name are imported, so help and version need neither NumPy nor a dozen modules.
    """
    root = _typer(_unwrap(_root))
    root.callback()(_root)
    subcommands = {name: _typer(about) for name, about in GROUPS.items()}
    given = set(words)
    for name, command in COMMANDS.items():
        is_named = given.issuperset(name.split())
        function = load(name) if is_named else _placeholder
        first, second = command.examples
        subcommands.get(name.split()[0], root).command(
            name.split()[-1],
            help=_unwrap(function) if is_named else command.summary,
            epilog=f"Examples:\n\n$ {first}\n\n$ {second}",
            context_settings=HELP_OPTIONS,
            rich_help_panel=command.panel if name.split()[0] == name else None,
        )(function)
    for name, group in subcommands.items():
        root.add_typer(group, name=name, rich_help_panel=MANAGE)
    return root


def _typer(about: str | None = None) -> typer.Typer:
    return typer.Typer(
        context_settings=HELP_OPTIONS,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # main.py alone turns failures into text
        help=about,
    )


def _unwrap(function: Callable[..., None]) -> str:
    """Return a function's docstring with one line per paragraph: Typer would keep its line breaks."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _placeholder() -> None:
    raise NotImplementedError  # never called: naming a command imports it
