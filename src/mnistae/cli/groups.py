"""Options that several commands share: frozen dataclasses that `flatten` turns into the parameters of a command."""

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, get_type_hints

import typer
from typer.models import ArgumentInfo

from mnistae.cli.console import Reporter
from mnistae.core.errors import UsageError

IMAGE_HELP = "an index (N, train:N, test:N), digit:D, digit:D/K, a file, a folder, 'scans/*.png', or - for stdin."

Images = Annotated[list[str], typer.Argument(metavar="IMAGE", help=f"Image: {IMAGE_HELP}", show_default=False)]

OptionalCheckpoint = Annotated[
    str | None, typer.Argument(metavar="CHECKPOINT", help="Checkpoint, instead of -c.", show_default=False)
]

Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing run.")]


def checkpoint_option(about: str, *, envvar: str | None = "MNISTAE_CHECKPOINT") -> Any:
    """Return the option that names a checkpoint."""
    return typer.Option("--checkpoint", "-c", metavar="NAME|PATH", envvar=envvar, help=about)


def device_option(default: str) -> Any:
    """Return the option that names the device."""
    about = f"Device: auto, cpu, cuda, cuda:N, xpu or mps (default: {default})."
    return typer.Option("--device", metavar="DEVICE", envvar="MNISTAE_DEVICE", help=about)


@dataclass(frozen=True)
class NetworkOptions:
    """A checkpoint and what computes with it."""

    checkpoint: Annotated[
        str | None,
        checkpoint_option("Checkpoint name or .safetensors file (default: the newest run, else the built-in `lab`)."),
    ] = None
    device: Annotated[str | None, device_option("NumPy on the CPU")] = None
    default: ClassVar[str | None] = None
    """The checkpoint instead of the newest run."""


@dataclass(frozen=True)
class DatasetOptions(NetworkOptions):
    """A checkpoint and a data set."""

    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME|PATH",
            help="Data set to read images from (default: the one the checkpoint was trained on).",
        ),
    ] = None
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Skip preprocessing: files must be 28x28, light on dark; a data set is never inverted."),
    ] = False


@dataclass(frozen=True)
class RunOptions(DatasetOptions):
    """A checkpoint, also as an argument, and a data set."""

    run: OptionalCheckpoint = None

    def __post_init__(self) -> None:
        (chosen,) = choose_checkpoints([] if self.run is None else [self.run], self.checkpoint, "CHECKPOINT")
        object.__setattr__(self, "checkpoint", chosen)


def choose_checkpoints(arguments: Sequence[str], option: str | None, metavar: str) -> Sequence[str | None]:
    """Return the arguments, else the value of -c. Arguments precede the environment and exclude -c. Raises UsageError."""
    if arguments and option not in {None, os.environ.get("MNISTAE_CHECKPOINT")}:
        raise UsageError(f"-c cannot be combined with {metavar}", hint=f"leave '-c {option}' out")
    return arguments or [option]


@dataclass(frozen=True)
class Settings:
    """Options that are None unless given, or have a default of their own."""

    def given(self) -> dict[str, Any]:
        """Return the options that were given."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True)
class SizeOptions(Settings):
    """Sizes of a network."""

    bottleneck: Annotated[int | None, typer.Option("--bottleneck", "-z", help="Size of the bottleneck (default: 8).")] = None
    hidden: Annotated[int | None, typer.Option("--hidden", help="Size of the hidden layers (default: 392).")] = None


@dataclass(frozen=True)
class OutputOptions:
    """Where to write and in which format."""

    output: str | None = None
    format: str | None = None
    formats: ClassVar[Sequence[str]]
    """Those of the command; the first one is the default."""


def output_options(
    *formats: str,
    about: str = "Output file, or - for stdout (default: a name derived from the arguments).",
    metavar: str = "PATH|-",
    is_required: bool = False,
    names_default: bool = True,
) -> type[OutputOptions]:
    """Return OutputOptions for these formats. The first one is the default, which the help names if `names_default`."""
    output = typer.Option("--output", "-o", metavar=metavar, help=about)
    fields: list[Any] = [("output", Annotated[str | None, output], dataclasses.field() if is_required else None)]
    if len(formats) > 1:
        fallback = f", else {formats[0]}" if names_default and not is_required else ""
        option = typer.Option("--format", "-f", help=f"Output format (default: from the file extension{fallback}).")
        members = {name.upper(): name for name in formats}  # a member called strip would hide the method
        kind = StrEnum("Format", members) | None  # type: ignore[operator]  # for mypy the new class is a member
        fields.append(("format", Annotated[kind, option], None))
    return dataclasses.make_dataclass("Output", fields, bases=(OutputOptions,), namespace={"formats": formats}, frozen=True)


FigureOutput = Annotated[OutputOptions, output_options("png", "svg", "pdf")]

FrameOutput = Annotated[OutputOptions, output_options("png", "svg", "pdf", "strip", "gif", "npy")]
"""Decoded frames: a figure, a strip without axes, an animation or an array."""


def flatten(function: Callable[..., None], command: str) -> Callable[..., None]:
    """Return a command as Typer takes it: each parameter that is a dataclass, or Annotated with one, gives way to its options.

    Fields that are not annotated as options keep their defaults; the Reporter gets the command's name. An empty value of an
    option or an argument is refused: it is not the default.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Any, list[str]]] = {}
    for parameter in _parameters(function):
        (group, *_), options = getattr(parameter.annotation, "__metadata__", [parameter.annotation]), [parameter]
        if dataclasses.is_dataclass(group):
            options = [field for field in _parameters(group) if hasattr(field.annotation, "__metadata__")]
            groups[parameter.name] = group, [option.name for option in options]
        parameters += options

    @functools.wraps(function)
    def wrapper(**given: Any) -> None:
        for option in parameters:
            if given[option.name] == "":
                about = option.annotation.__metadata__[0]
                name = about.metavar if isinstance(about, ArgumentInfo) else f"--{option.name}"
                hint = "give a value; if it is a variable of the shell, is it set?"
                raise UsageError(f"empty value for {name}: ''", hint=hint)
        for name, (group, names) in groups.items():
            values = {option: given.pop(option) for option in names}
            given[name] = group(command, **values) if group is Reporter else group(**values)
        function(**given)

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer and docs/generate.py read
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


def _parameters(of: Any) -> list[inspect.Parameter]:
    """Return the parameters of a function or the fields of a dataclass, with their types resolved."""
    hints = get_type_hints(of, include_extras=True)
    found = inspect.signature(of).parameters.values()
    return [one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[one.name]) for one in found]
