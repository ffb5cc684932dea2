"""Options and arguments that more than one command takes. Their defaults stay in each command's signature."""

from typing import Annotated, Any

import typer

IMAGE_HELP = "N, train:N, test:N, digit:D, digit:D/K, a picture's path, a folder, 'scans/*.png', or - for standard input."

Images = Annotated[list[str], typer.Argument(metavar="IMAGE", help=f"What to use: {IMAGE_HELP}", show_default=False)]

Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        "-c",
        metavar="NAME|PATH",
        envvar="MNISTAE_CHECKPOINT",
        help="A name in the store or a .safetensors file; by default the newest run, else the built-in `lab`.",
    ),
]

Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|PATH",
        help="Data set of the words N, train:N, test:N and digit:D; by default the one the checkpoint was trained on.",
    ),
]

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        envvar="MNISTAE_DEVICE",
        help="auto, cpu, cuda, cuda:N, xpu or mps.",
    ),
]


def output(about: str, metavar: str = "PATH|-") -> Any:
    """Return the option that says where to write."""
    return typer.Option("--output", "-o", metavar=metavar, help=about)


def file_format(about: str) -> Any:
    """Return the option that says in which format."""
    return typer.Option("--format", "-f", metavar="FORMAT", help=about)


Output = Annotated[str | None, output("Where to write; by default a name made from the arguments.")]

Format = Annotated[str | None, file_format("The file's format; by default what the suffix says.")]

Raw = Annotated[bool, typer.Option("--raw", help="Take picture files as they are: 28x28, light on dark.")]

Force = Annotated[bool, typer.Option("--force", help="Replace a run that has this name.")]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors on standard error.")]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document in place of the result.")]
