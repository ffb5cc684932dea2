"""Where a command's result goes: the place and the format, checked before any work, and the delivery."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistae.cli import console
from mnistae.cli.console import Reporter
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.core.text import slug
from mnistae.data import references
from mnistae.store import runs

FIGURE_FORMATS = ("png", "svg", "pdf")

FRAME_FORMATS = (*FIGURE_FORMATS, "strip", "gif", "npy")
"""Formats of decoded frames: figures, a strip without axes, a film and an array."""


@dataclass(frozen=True)
class Destination:
    """Where a result file goes, and its format. `path` is None for standard output."""

    path: Path | None
    format: str


def resolve(
    reporter: Reporter, output: str | None, format_name: str | None, *, name: Sequence[str], formats: Sequence[str]
) -> Destination | None:
    """Return where the result goes, checked before any work; None if there is nothing to write (--json without -o)."""
    if output is not None:
        return explicit(reporter, output, format_name, formats=formats)
    return None if reporter.as_json else default(format_name, name=name, formats=formats)


def default(format_name: str | None, *, name: Sequence[str], formats: Sequence[str]) -> Destination:
    """Return the place and format of a result that nobody named, checked before any work."""
    chosen = check_format(format_name or formats[0], formats)
    path = Path(f"{slug(name)}.{'png' if chosen == 'strip' else chosen}")
    atomic.check_writable(path)
    return Destination(path, chosen)


def explicit(reporter: Reporter, output: str, format_name: str | None, *, formats: Sequence[str]) -> Destination:
    """Return the place and format of a result that -o names, checked before any work."""
    if output == "-":
        console.check_stdout_takes_bytes(as_json=reporter.as_json)
        return Destination(None, check_format(format_name or formats[0], formats))
    path = Path(output)
    atomic.check_writable(path)
    return Destination(path, _format_of(path, format_name, formats))


def _format_of(path: Path, format_name: str | None, formats: Sequence[str]) -> str:
    """Return the format that the suffix says, or the one asked for where it says none or the same."""
    suffix = path.suffix.removeprefix(".").lower()
    if format_name is None:
        if not suffix:
            raise UsageError(f"the output '{path}' has no suffix to tell its format", hint=f"give --format {'|'.join(formats)}")
        return check_format(suffix, formats)
    chosen = check_format(format_name, formats)
    if suffix in formats and suffix != ("png" if chosen == "strip" else chosen):
        raise UsageError(f"the output '{path}' is not to be of the format '{chosen}'", hint="leave --format out")
    return chosen


def check_format(chosen: str, formats: Sequence[str]) -> str:
    """Return the format if it is one of these. Raises UsageError."""
    if chosen not in formats:
        raise UsageError(f"cannot write the format '{chosen}'", hint=f"choose one of: {', '.join(formats)}")
    return chosen


def refuse_to_overwrite_inputs(target: Destination | None, *others: str | None, images: Sequence[str] = ()) -> None:
    """Raise UsageError if the result would replace a picture, a data set or a checkpoint that it is made from.

    A result that would come to lie among the pictures of a folder or a pattern is refused as well: the next run would use it.
    """
    path = target.path if target else None
    if path is None:
        return
    # os.path's exists, as Path's raises for a name too long
    is_one = path.exists() and any(os.path.exists(word) and path.samefile(word) for word in (*images, *others) if word)  # noqa: PTH110
    if is_one or any(references.matches(references.parse(image), path) for image in images):
        raise UsageError(f"'{path}' is both input and output", hint="choose another place with -o")


def write_result(
    reporter: Reporter,
    target: Destination | None,
    make: Callable[[str], bytes],
    document: dict[str, Any],
    *,
    key: str = "figure",
) -> None:
    """Make the file, write it and tell where it is, in the document under `key`."""
    if target is None:
        reporter.result([], {**document, key: None})
        return
    data = make(target.format)
    if target.path is None:
        console.write_bytes(data)
        return
    atomic.write_bytes(target.path, data)
    reporter.result([str(target.path)], {**document, key: str(target.path)})


def name_parts(images: Sequence[str], *, checkpoint: str | None, dataset: str | None, raw: bool) -> list[str]:
    """Return the words that a figure's default name is made of, after the command's."""
    explicit = [Path(word).stem if runs.is_path(word) else word for word in (checkpoint, dataset) if word]
    return [*(_name_part(image) for image in images), *explicit, *(["raw"] if raw else [])]


def _name_part(image: str) -> str:
    if image == "-":
        return "stdin"
    path = Path(image)
    is_number = path.stem == image.removesuffix(path.suffix) and path.stem.isdecimal()  # 5.png is not the training image 5
    return image.removesuffix(path.suffix) if path.suffix.lower() in references.SUFFIXES and not is_number else image
