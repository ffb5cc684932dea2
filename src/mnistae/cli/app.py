"""The table of contents: every command, by name, in the order of the help."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

import mnistae
from mnistae.cli.commands import (
    checkpoints,
    datasets,
    decode,
    denoise,
    doctor,
    encode,
    evaluate,
    interpolate,
    reconstruct,
    summary,
    train,
)

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

EXAMPLES = {
    "train": ("mnistae train --epochs 50 --device cuda", "mnistae train --resume --epochs 100"),
    "summary": ("mnistae summary", "mnistae summary -c lab-mnist-seed0"),
    "reconstruct": ("mnistae reconstruct 1 2", "mnistae reconstruct photo.png -o out.svg"),
    "denoise": ("mnistae denoise 1 2", "mnistae denoise scan.png --noise none"),
    "interpolate": ("mnistae interpolate 1 2 --steps 8", "mnistae interpolate digit:3 digit:8 digit:0 -o film.gif"),
    "encode": ("mnistae encode 1 2", "mnistae encode --all test -f npy -o codes.npy"),
    "decode": ("mnistae encode 1 2 | mnistae decode -o digits.png", "mnistae decode codes.npy -o digits/"),
    "evaluate": ("mnistae evaluate", "mnistae evaluate -c lab --split train --json"),
    "doctor": ("mnistae doctor", "mnistae doctor --json"),
    "checkpoints list": ("mnistae checkpoints list", "mnistae checkpoints list --json"),
    "checkpoints show": ("mnistae checkpoints show", "mnistae checkpoints show lab"),
    "checkpoints path": ("mnistae checkpoints path", 'cp "$(mnistae checkpoints path lab)" lab.safetensors'),
    "checkpoints import": (
        "mnistae checkpoints import lab-MLP.8.pth --name lab",
        "mnistae checkpoints import weights.safetensors --force",
    ),
    "checkpoints verify": ("mnistae checkpoints verify", "mnistae checkpoints verify lab"),
    "checkpoints remove": ("mnistae checkpoints remove lab", "mnistae checkpoints remove first second"),
    "datasets list": ("mnistae datasets list", "mnistae datasets list --json"),
    "datasets fetch": ("mnistae datasets fetch", "mnistae datasets fetch fashion-mnist"),
    "datasets verify": ("mnistae datasets verify", "mnistae datasets verify ./my-digits.npz"),
    "datasets path": ("mnistae datasets path", 'ls "$(mnistae datasets path mnist)"'),
}
"""Two examples a command; a test walks them."""


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


def _epilog(name: str) -> str:
    first, second = EXAMPLES[name]
    return f"Examples:\n\n$ {first}\n\n$ {second}"


def _register(group: typer.Typer, commands: Mapping[str, Callable[..., None]], *, prefix: str = "") -> None:
    for name, command in commands.items():
        group.command(name, epilog=_epilog(f"{prefix}{name}"))(command)


app = typer.Typer(
    context_settings=HELP_OPTIONS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # failures become text in boundary.py alone
)
app.callback()(_root)
_register(
    app,
    {
        "train": train.train,
        "summary": summary.summary,
        "reconstruct": reconstruct.reconstruct,
        "denoise": denoise.denoise,
        "interpolate": interpolate.interpolate,
        "encode": encode.encode,
        "decode": decode.decode,
        "evaluate": evaluate.evaluate,
    },
)

checkpoints_app = typer.Typer(context_settings=HELP_OPTIONS, no_args_is_help=True, help="Look after the runs in the store.")
_register(
    checkpoints_app,
    {
        "list": checkpoints.list_,
        "show": checkpoints.show,
        "path": checkpoints.path,
        "import": checkpoints.import_,
        "verify": checkpoints.verify,
        "remove": checkpoints.remove,
    },
    prefix="checkpoints ",
)
app.add_typer(checkpoints_app, name="checkpoints")

datasets_app = typer.Typer(context_settings=HELP_OPTIONS, no_args_is_help=True, help="Find, fetch and verify data sets.")
_register(
    datasets_app,
    {
        "list": datasets.list_,
        "fetch": datasets.fetch,
        "verify": datasets.verify,
        "path": datasets.path,
    },
    prefix="datasets ",
)
app.add_typer(datasets_app, name="datasets")

_register(app, {"doctor": doctor.doctor})
