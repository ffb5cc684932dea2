"""Where a command's result goes: path and format, checked before any work, and the writing."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistae.cli import console, terminal
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, OutputOptions
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.core.text import slug
from mnistae.data import references
from mnistae.store import runs

_PLAIN = re.compile(r"[^\W_]+(?:[._][^\W_]+)*")
_LIKE_REFERENCE = re.compile(r"stdin|(?:train|test|digit)_[0-9_]+")

_FORMATS = {
    *("png", "jpg", "jpeg", "gif", "bmp", "pgm", "ppm", "tif", "tiff", "webp", "avif", "heic", "svg", "pdf", "eps", "ps"),
    *("mp4", "webm", "mov", "avi", "html", "htm", "json", "jsonl", "csv", "tsv", "txt", "md", "xlsx", "ods", "parquet"),
    *("npy", "npz", "onnx", "safetensors", "pth", "pt", "ckpt", "pkl", "h5", "mat", "zip", "gz"),
}
"""Extensions that stand for a format, also where a command cannot write it."""

_ALSO = {"csv": {"txt"}, "jsonl": {"json", "txt"}}
"""Other extensions that suit a format."""

TEXT_FORMATS = {"csv", "jsonl"}
"""Formats that a terminal can show."""


@dataclass(frozen=True)
class Destination:
    """Where a result goes and in which format. `path` is None for stdout."""

    path: Path | None
    format: str


def for_images(
    reporter: Reporter, images: Sequence[str], source: DatasetOptions, options: OutputOptions, *, suffixes: Sequence[str] = ()
) -> Destination | None:
    """Return where the result of a command on images goes; None with --json and no -o. Raises UsageError.

    The default name is made of the command, its arguments and the `suffixes` for other options that are not at their default.
    """
    stem = source_stem(reporter, images, source, [*suffixes, *["strip"] * (options.format == "strip")])
    target = None
    if reporter.as_json and options.output is None:
        _check_format_has_effect(options)
    else:
        target = resolve(reporter, options, stem=stem)
    refuse_to_overwrite_inputs(target, source.checkpoint, source.dataset, images=images)
    return target


def source_stem(reporter: Reporter, images: Sequence[str], source: DatasetOptions, suffixes: Sequence[str]) -> str:
    """Return the default name of a result that is made with a checkpoint, a data set and perhaps --raw."""
    given = [name for name in (source.checkpoint, source.dataset) if name]
    return default_stem(reporter.command, images, [*given, *["raw"] * source.raw, *suffixes])


def resolve(reporter: Reporter, options: OutputOptions, *, stem: str | None = None) -> Destination:
    """Return where a result goes: where -o says, else to a file of this name, else to stdout. Raises UsageError."""
    chosen = options.format or options.formats[0]
    if options.output == "-" or (options.output is None and stem is None):
        if reporter.as_json and options.output is not None:
            raise UsageError("--json and -o - cannot be combined", hint="leave one of them out")
        if reporter.as_json:
            _check_format_has_effect(options)
        if terminal.is_terminal(sys.stdout) and not (reporter.as_json or chosen in TEXT_FORMATS):
            raise UsageError("refusing to write binary data to a terminal", hint="pipe it, or write to a file with -o")
        return Destination(None, chosen)
    path = Path(f"{stem}.{_extension(chosen)}" if options.output is None else options.output)
    atomic.check_writable(path)
    return Destination(path, _format_of(path, options))


def _check_format_has_effect(options: OutputOptions) -> None:
    if options.format is not None:
        raise UsageError("--format cannot be combined with --json", hint="leave --format out, or name a file with -o")


def _format_of(path: Path, options: OutputOptions) -> str:
    """Return the format that the file extension names, or --format if the extension names none or the same."""
    extension = path.suffix.removeprefix(".").lower()
    formats = options.formats
    if options.format is None:
        only = f"use .{formats[0]}" if len(formats) == 1 else None  # a command with one format has no --format
        if not extension:
            hint = only or f"add one, or give --format {'|'.join(formats)}"
            raise UsageError(f"cannot infer the format of '{path}': no file extension", hint=hint)
        if extension not in formats:
            raise UsageError(f"unsupported output format: '{extension}'", hint=only or f"choose one of: {', '.join(formats)}")
        return extension
    own = _extension(options.format)
    if extension in {*formats, *_FORMATS} - {own} - _ALSO.get(own, set()):
        hint = "leave --format out" if extension in formats else f"name the file with .{own}"
        raise UsageError(f"extension of '{path}' does not match --format {options.format}", hint=hint)
    return options.format


def _extension(chosen: str) -> str:
    return "png" if chosen == "strip" else chosen


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
    reporter: Reporter, target: Destination | None, render: Callable[[str], bytes | dict[str, bytes]], document: dict[str, Any]
) -> None:
    """Render and write the file, or a folder of files by name, and print its path, which the document has under `output`."""
    if target is None:
        reporter.result([], {**document, "output": None})
        return
    data = render(target.format)
    files = {"": data} if isinstance(data, bytes) else data
    if target.path is None:
        send(target, files.values())
    else:
        for name, content in files.items():
            atomic.write_bytes(target.path / name, content)
    report_path(reporter, target, document)


def send(target: Destination, chunks: Iterable[bytes]) -> None:
    """Write the bytes of a result as they are computed."""
    if target.path is not None:
        with atomic.open_atomic(target.path) as writer:
            for chunk in chunks:
                writer.write(chunk)
        return
    for chunk in chunks:
        if target.format in TEXT_FORMATS:
            console.write(chunk.decode("utf-8", "surrogateescape"))
        else:
            console.write_bytes(chunk)


def report_path(reporter: Reporter, target: Destination, document: Mapping[str, Any]) -> None:
    """Print the path of the file, or its document, unless the result itself is on stdout."""
    if target.path is not None:
        reporter.result([str(target.path)], {**document, "output": str(target.path)})


def default_stem(command: str, inputs: Sequence[str], options: Sequence[str] = ()) -> str:
    """Return the default name, without extension, of the output of a command. Other arguments give other names.

    References to a data set, plain file names and names of checkpoints are legible as they are; anything else adds a digest.
    """
    shown = [_legible(name) for name in inputs]
    files = [name for name in inputs if name != "-" and not references.OF_DATASET.fullmatch(name)]
    is_ambiguous = any(runs.is_path(name) or references.OF_DATASET.fullmatch(name) for name in options)
    words = [command, *(word or name for word, name in zip(shown, inputs, strict=True))]
    words += [Path(name).stem if runs.is_path(name) else name for name in options]
    is_clear = None not in shown and not is_ambiguous and (not files or (len(files) == len(inputs) and not options))
    return slug(words, identity=None if is_clear else [command, *inputs, "", *options])


def _legible(name: str) -> str | None:
    """Return the part of a default name that stands for an input; None if it could stand for another one too."""
    if name == "-" or references.OF_DATASET.fullmatch(name):
        return "stdin" if name == "-" else name
    path = Path(name)
    if not _PLAIN.fullmatch(name) or not path.suffix[1:2].isalpha() or _LIKE_REFERENCE.fullmatch(path.stem):
        return None
    is_kept = path.stem.isdecimal() or "." in path.stem  # 5.png is not the training image 5, nor a.jpg.png a.jpg
    return name if is_kept else name.removesuffix(".png")
