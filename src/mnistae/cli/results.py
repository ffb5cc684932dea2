"""Where a command's result goes: path and format, checked before any work, and the writing."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mnistae.cli import console
from mnistae.cli.console import Reporter
from mnistae.cli.groups import InputOptions, OutputOptions
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.core.text import slug
from mnistae.data import references
from mnistae.store import runs

TEXT_FORMATS = {"csv", "jsonl"}
"""Formats that a terminal can show."""


@dataclass(frozen=True)
class Destination:
    """Where a result goes and in which format. `path` is None for stdout."""

    path: Path | None
    format: str


def for_images(
    reporter: Reporter, images: Sequence[str], source: InputOptions, options: OutputOptions, *, suffixes: Sequence[str] = ()
) -> Destination | None:
    """Return where the result of a command on images goes; None with --json and no -o. Raises UsageError.

    The default name is made of the command, its arguments and the `suffixes` for other options that are not at their default.
    """
    strip = ["strip"] if options.format == "strip" else []
    name = [reporter.command, *name_parts(images, source), *suffixes, *strip]
    target = None if reporter.as_json and options.output is None else resolve(reporter, options, name=name)
    refuse_to_overwrite_inputs(target, source.checkpoint, source.dataset, images=images)
    return target


def resolve(reporter: Reporter, options: OutputOptions, *, name: Sequence[str]) -> Destination:
    """Return where a result goes: where -o says, else to a file of this name in the working directory. Raises UsageError."""
    if options.output is not None:
        return explicit(reporter, options)
    chosen = options.format or next(iter(options.formats))
    path = Path(f"{slug(name)}.{_extension(chosen)}")
    atomic.check_writable(path)
    return Destination(path, chosen)


def explicit(reporter: Reporter, options: OutputOptions) -> Destination:
    """Return where -o says that the result goes. Raises UsageError."""
    if options.output in {None, "-"}:
        chosen = options.format or next(iter(options.formats))
        console.check_stdout(as_json=reporter.as_json, is_text=chosen in TEXT_FORMATS)
        return Destination(None, chosen)
    path = Path(str(options.output))
    atomic.check_writable(path)
    return Destination(path, _format_of(path, options))


def _format_of(path: Path, options: OutputOptions) -> StrEnum:
    """Return the format that the file extension names, or --format if the extension names none or the same."""
    extension = path.suffix.removeprefix(".").lower()
    formats = list(options.formats)
    if options.format is None:
        if not extension:
            hint = f"add one, or give --format {'|'.join(formats)}"
            raise UsageError(f"cannot infer the format of '{path}': no file extension", hint=hint)
        if extension not in formats:
            raise UsageError(f"unsupported output format: '{extension}'", hint=f"choose one of: {', '.join(formats)}")
        return options.formats(extension)
    if extension in formats and extension != _extension(options.format):
        raise UsageError(f"extension of '{path}' does not match --format {options.format}", hint="leave --format out")
    return options.format


def _extension(chosen: StrEnum) -> str:
    return "png" if chosen == "strip" else chosen.value


def refuse_to_overwrite_inputs(target: Destination | None, *others: str | None, images: Sequence[str] = ()) -> None:
    """Raise UsageError if the result would replace an image, a data set or a checkpoint that it is made from.

    A result that would be placed among the images of a folder or a pattern is refused as well: the next run would read it.
    """
    path = target.path if target else None
    if path is None:
        return
    # os.path's exists, as Path's raises for a name too long
    is_input = path.exists() and any(os.path.exists(name) and path.samefile(name) for name in (*images, *others) if name)  # noqa: PTH110
    if is_input or any(references.matches(references.parse(image), path) for image in images):
        raise UsageError(f"output would overwrite the input '{path}'", hint="choose another file with -o")


def write_result(
    reporter: Reporter, target: Destination | None, render: Callable[[str], bytes], document: dict[str, Any]
) -> None:
    """Render and write the file and print its path, which the document holds under `output`."""
    if target is None:
        reporter.result([], {**document, "output": None})
    elif target.path is None:
        console.write_bytes(render(target.format))
    else:
        atomic.write_bytes(target.path, render(target.format))
        reporter.result([str(target.path)], {**document, "output": str(target.path)})


def name_parts(images: Sequence[str], source: InputOptions) -> list[str]:
    """Return the parts of a result's default name that stand for the images and their source."""
    explicit = [Path(name).stem if runs.is_path(name) else name for name in (source.checkpoint, source.dataset) if name]
    return [*map(_name_part, images), *explicit, *(["raw"] if source.raw else [])]


def _name_part(image: str) -> str:
    if image == "-":
        return "stdin"
    path = Path(image)
    is_number = path.stem == image.removesuffix(path.suffix) and path.stem.isdecimal()  # 5.png is not the training image 5
    return image.removesuffix(path.suffix) if path.suffix.lower() in references.SUFFIXES and not is_number else image
