"""The table of contents: every command, by name, in the order of the help."""

import builtins
import importlib
import inspect
import keyword
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import typer

import mnistae


@dataclass(frozen=True)
class CommandInfo:
    """A command: what its help begins with, and two examples."""

    about: str
    examples: tuple[str, str]


COMMANDS = {
    "train": CommandInfo(
        "Train the autoencoder and keep it in the store; print the checkpoint's path.",
        ("mnistae train --epochs 50 --device cuda", "mnistae train --resume --epochs 100"),
    ),
    "history": CommandInfo(
        "Plot the losses of one run or several, epoch by epoch; in a pipe print them as CSV.",
        ("mnistae history", "mnistae history lab-mnist-seed0 fast-mnist-seed0 -o losses.svg"),
    ),
    "summary": CommandInfo(
        "Print the layers, their output shapes, parameters, multiply-adds and memory; of a checkpoint also its training.",
        ("mnistae summary", "mnistae summary -c lab-mnist-seed0"),
    ),
    "reconstruct": CommandInfo(
        "Draw images beside their reconstructions, and measure how close they are.",
        ("mnistae reconstruct 1 2", "mnistae reconstruct photo.png -o out.svg"),
    ),
    "denoise": CommandInfo(
        "Add noise to images and let the network take it out again.",
        ("mnistae denoise 1 2", "mnistae denoise scan.png --noise none"),
    ),
    "interpolate": CommandInfo(
        "Morph one image into the next through the bottleneck, along the straight line between their codes.",
        ("mnistae interpolate 1 2 --steps 8", "mnistae interpolate digit:3 digit:8 digit:0 -o film.gif"),
    ),
    "traverse": CommandInfo(
        "Walk the bottleneck units of an image, one at a time, over their ranges in the training images.",
        ("mnistae traverse 1", "mnistae traverse digit:7 --unit 3 -o walk.gif"),
    ),
    "encode": CommandInfo(
        "Encode images: one code a line, as JSON, as CSV, or all of them as an array (npy).",
        ("mnistae encode 1 2", "mnistae encode --split test -f npy -o codes.npy"),
    ),
    "decode": CommandInfo(
        "Decode codes, as `encode` writes them, into images: JSON lines, CSV or an array (npy), told apart by themselves.",
        ("mnistae encode 1 2 | mnistae decode -o digits.png", "mnistae decode codes.npy -o digits/"),
    ),
    "evaluate": CommandInfo(
        "Measure a checkpoint over the test set: MSE, PSNR and SSIM by digit, living units, PCA, denoising.",
        ("mnistae evaluate -c lab --extremes 8 -o extremes.png", "mnistae evaluate lab fast-mnist-seed0 --knn 5 -f csv"),
    ),
    "doctor": CommandInfo(
        "Show versions, devices, paths, and the state of data and store.",
        ("mnistae doctor", "mnistae doctor --json"),
    ),
    "checkpoints list": CommandInfo(
        "List the runs in the store, the newest first, then the checkpoints that are built in.",
        ("mnistae checkpoints list", "mnistae checkpoints list --json"),
    ),
    "checkpoints show": CommandInfo(
        "Show how a checkpoint was trained.",
        ("mnistae checkpoints show", "mnistae checkpoints show lab"),
    ),
    "checkpoints path": CommandInfo(
        "Print where a checkpoint's model file lies.",
        ("mnistae checkpoints path", 'cp "$(mnistae checkpoints path lab)" lab.safetensors'),
    ),
    "checkpoints import": CommandInfo(
        "Bring weights from elsewhere into the store: course checkpoints with fc1 to fc4, of any bottleneck and hidden size.",
        ("mnistae checkpoints import lab-MLP.8.pth --name lab", "mnistae checkpoints import weights.safetensors --force"),
    ),
    "checkpoints export": CommandInfo(
        "Write a checkpoint for other programs: ONNX, NumPy's npz, or a PyTorch state dict as plain safetensors.",
        ("mnistae checkpoints export lab -o lab.onnx", "mnistae checkpoints export lab --part encoder -o encoder.onnx"),
    ),
    "checkpoints verify": CommandInfo(
        "Read every file of the runs to the last bit; end with 3 if one of them is damaged.",
        ("mnistae checkpoints verify", "mnistae checkpoints verify lab"),
    ),
    "checkpoints remove": CommandInfo(
        "Remove runs from the store, with all their files.",
        ("mnistae checkpoints remove lab", "mnistae checkpoints remove first second"),
    ),
    "datasets list": CommandInfo(
        "List the data sets by name, and which of them are here.",
        ("mnistae datasets list", "mnistae datasets list --json"),
    ),
    "datasets fetch": CommandInfo(
        "Download a data set, verified, unless it is here already; print its folder.",
        ("mnistae datasets fetch", "mnistae datasets fetch fashion-mnist"),
    ),
    "datasets verify": CommandInfo(
        "Read a data set from its files, whatever the cache says, and check it; never downloads.",
        ("mnistae datasets verify", "mnistae datasets verify ./my-digits.npz"),
    ),
    "datasets path": CommandInfo(
        "Print the folder that holds a data set's files; never downloads.",
        ("mnistae datasets path", 'ls "$(mnistae datasets path mnist)"'),
    ),
}
"""Every command by its whole name; tests hold the first lines to the help pages and walk the examples."""

GROUPS = {
    "checkpoints": "Look after the runs in the store.",
    "datasets": "Find, fetch and verify data sets.",
}


HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mnistae {mnistae.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, look at and use the four-layer MLP autoencoder of the MNIST course lab.

    Results go to standard output, everything else to standard error; every command takes --json and --quiet.
    """


def load(name: str) -> Callable[..., None]:
    """Return the function of a command: `checkpoints list` is `list_` in mnistae.cli.commands.checkpoints."""
    words = name.split()
    module = importlib.import_module(f"mnistae.cli.commands.{words[0]}")
    is_taken = keyword.iskeyword(words[-1]) or hasattr(builtins, words[-1])
    function: Callable[..., None] = getattr(module, f"{words[-1]}_" if is_taken else words[-1])
    return function


def build(words: Iterable[str]) -> typer.Typer:
    """Return the application for a command line of these words: a command that they do not name is not imported.

    Help, version and completion so need neither NumPy nor a dozen modules.
    """
    root = _group()
    root.callback()(_root)
    groups = {name: _group(about) for name, about in GROUPS.items()}
    given = set(words)
    for name, entry in COMMANDS.items():
        is_named = given.issuperset(name.split())
        function = load(name) if is_named else _placeholder
        first, second = entry.examples
        groups.get(name.split()[0], root).command(
            name.split()[-1],
            help=_unwrap(function) if is_named else entry.about,
            epilog=f"Examples:\n\n$ {first}\n\n$ {second}",
            context_settings=HELP_OPTIONS,
        )(function)
    for name, group in groups.items():
        root.add_typer(group, name=name)
    return root


def _group(about: str | None = None) -> typer.Typer:
    return typer.Typer(
        context_settings=HELP_OPTIONS,
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # failures become text in boundary.py alone
        help=about,
    )


def _unwrap(function: Callable[..., None]) -> str:
    """Return what a function's docstring says, a line a paragraph: typer would keep its line breaks."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _placeholder() -> None:
    raise NotImplementedError  # never called: a command is called by its name, and then it is imported
