"""`mnistae decode`: codes from a pipe to images."""

import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mnistae.cli import console, inputs, options, results
from mnistae.cli.console import Reporter
from mnistae.core.arrays import Array
from mnistae.core.errors import DataError, UsageError
from mnistae.core.files import atomic
from mnistae.model.backend import Network
from mnistae.outputs import code_io, image_io
from mnistae.outputs.terminal.mosaic import mosaic

FORMATS = ("png", "gif", "npy")
FOLDER = "folder"
COLUMNS = 20
MAX_FRAMES = 1000
"""Images in one picture or one film; a folder or an array takes any number."""


def decode(
    source: Annotated[str, typer.Argument(metavar="CODES", help="A file of codes, or - for standard input.")] = "-",
    checkpoint: options.Checkpoint = None,
    output: Annotated[
        str | None, options.output("Where to write; by default a name made from CODES.", metavar="PATH|DIR/|-")
    ] = None,
    format_: Annotated[str | None, options.file_format("png, gif or npy; by default what the suffix says.")] = None,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Decode codes, as `encode` writes them, into images: JSON lines, CSV or an array (npy), told apart by themselves.

    Writes a picture of them all (png), a film (gif), an array (npy) or, if -o names a folder, a 28x28 PNG for each; prints
    the path. A stream of any length goes through in constant memory to a folder or an array.
    """
    reporter = Reporter("decode", quiet=quiet, as_json=as_json)
    target = _target(reporter, source, output, format_)
    results.refuse_to_overwrite_inputs(target, source, checkpoint)
    found, network = inputs.open_model(reporter, checkpoint, device)
    name = "standard input" if source == "-" else f"'{source}'"
    with _opened(source) as stream:
        blocks = code_io.read(stream, width=network.config.bottleneck, name=name)
        first = list(itertools.islice(blocks, 1))
        count = _write(target, network, itertools.chain(first, blocks), name)
    reporter.draw(lambda canvas: mosaic(canvas, network.decode(first[0]), total=count))
    document = {"checkpoint": inputs.describe_checkpoint(found), "count": count}
    if target.path is not None:
        reporter.result([str(target.path)], {**document, "figure": str(target.path)})


def _target(reporter: Reporter, source: str, output: str | None, format_name: str | None) -> results.Destination:
    if output is not None and output != "-" and (output.endswith(("/", os.sep)) or Path(output).is_dir()):
        if format_name is not None:
            raise UsageError("a folder takes no --format: it gets PNG files", hint="leave one of them out")
        atomic.check_writable(Path(output) / "0.png")
        return results.Destination(Path(output), FOLDER)
    if output is not None:
        return results.explicit(reporter, output, format_name, formats=FORMATS)
    stem = "stdin" if source == "-" else Path(source).stem
    return results.default(format_name, name=["decode", stem], formats=FORMATS)


def _opened(source: str) -> BufferedReader:
    if source != "-":
        try:
            return Path(source).open("rb")
        except OSError as error:
            raise DataError(
                f"cannot read codes from '{source}': {error.strerror}", hint="name a file, or - for a pipe"
            ) from error
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("standard input is closed", hint="pipe codes in, or name their file")
    if sys.stdin.isatty():
        raise UsageError("'-' reads codes from standard input, which is a terminal", hint="pipe codes in, or name their file")
    return sys.stdin.buffer  # type: ignore[return-value]  # it is one, unless somebody put another stream in its place


def _write(target: results.Destination, network: Network, blocks: Iterator[Array], name: str) -> int:
    """Decode the blocks to where they go; return how many codes there were. Raises DataError if there is none."""
    if target.format == "npy":
        return _write_array(target.path, network, blocks, name)
    if target.format == FOLDER:
        return _write_folder(target.path or Path(), network, blocks, name)
    images = network.decode(_few(blocks, name))
    data = image_io.gif(images) if target.format == "gif" else image_io.strip(images, columns=COLUMNS)
    if target.path is None:
        console.write_bytes(data)
    else:
        atomic.write_bytes(target.path, data)
    return len(images)


def _few(blocks: Iterable[Array], name: str) -> Array:
    """Return the codes of a picture or a film. Raises DataError if there are none or too many."""
    found: list[Array] = []
    for block in blocks:
        found.append(block)
        if sum(map(len, found)) > MAX_FRAMES:
            raise DataError(f"{name} has more than {MAX_FRAMES:,} codes", hint="write an array or a folder: -o x.npy, -o DIR/")
    if not found:
        raise _nothing(name)
    return np.concatenate(found)


def _write_folder(folder: Path, network: Network, blocks: Iterable[Array], name: str) -> int:
    count = 0
    for block in blocks:
        for image in network.decode(block):
            atomic.write_bytes(folder / f"{count:05}.png", image_io.png(image))
            count += 1
    if not count:
        raise _nothing(name)
    return count


def _write_array(path: Path | None, network: Network, blocks: Iterable[Array], name: str) -> int:
    """Write an array. Its head says how many rows follow, so the codes, which are small, wait on disk until all are there."""
    width = network.config.bottleneck
    with tempfile.TemporaryFile() as waiting:
        count = 0
        for block in blocks:
            waiting.write(block.tobytes())
            count += len(block)
        if not count:
            raise _nothing(name)
        waiting.seek(0)
        if path is None:
            _send(console.write_bytes, count, _decoded(network, waiting, width))
        else:
            with atomic.open_atomic(path) as writer:
                _send(writer.write, count, _decoded(network, waiting, width))
    return count


def _decoded(network: Network, waiting: Any, width: int) -> Iterator[bytes]:
    while data := waiting.read(code_io.BLOCK * width * 4):
        yield network.decode(np.frombuffer(data, np.float32).reshape(-1, width)).tobytes()


def _send(send: Callable[[bytes], None], count: int, pieces: Iterable[bytes]) -> None:
    send(image_io.npy_header(count))
    for piece in pieces:
        send(piece)


def _nothing(name: str) -> DataError:
    return DataError(f"{name} holds no codes", hint="pipe the output of 'mnistae encode' in")
