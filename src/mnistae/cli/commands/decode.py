"""`mnistae decode`: codes from a pipe to images."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mnistae.cli import console, inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import NetworkOptions, OutputOptions, format_option, output_option
from mnistae.cli.results import Destination
from mnistae.core.arrays import Array
from mnistae.core.errors import DataError, UsageError
from mnistae.core.files import atomic
from mnistae.data import references
from mnistae.model.backend import Network
from mnistae.outputs import code_io, image_io
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store.runs import Checkpoint

FOLDER = "folder"
COLUMNS = 20
MAX_FRAMES = 1000
"""Images in one picture or animation; a folder or an array holds any number."""

Codes = Annotated[str, typer.Argument(metavar="CODES", help="A file of codes, or - for stdin.")]


ImageFormat = StrEnum("ImageFormat", ["PNG", "GIF", "NPY"])


@dataclass(frozen=True)
class ImageOutput(OutputOptions):
    """Decoded images in a file, a folder or on stdout."""

    output: Annotated[
        str | None,
        output_option("Output file, folder, or - for stdout (default: a name derived from CODES).", metavar="PATH|DIR/|-"),
    ] = None
    format: Annotated[ImageFormat | None, format_option("png")] = None


def decode(codes: Codes = "-", *, source: NetworkOptions, out: ImageOutput, reporter: Reporter) -> None:
    """Decode codes into images; the input format (JSON, CSV, npy and others) is detected.

    Writes a contact sheet (png), an animation (gif), an array (npy) or, if -o names a folder, a 28x28 PNG for each code.
    Prints the path. Folders and arrays are written in constant memory. Codes written by NumPy, pandas or a spreadsheet are
    read as well; what is skipped, such as a header or an index column, is reported on stderr.
    """
    target = _target(reporter, codes, out)
    results.refuse_to_overwrite_inputs(target, codes, source.checkpoint)
    checkpoint, network = inputs.open_model(reporter, source.checkpoint, source.device)
    name = "stdin" if codes == "-" else f"'{codes}'"
    with _open_codes(codes) as stream:
        blocks = code_io.read(stream, width=network.config.bottleneck, name=name, note=reporter.info)
        first = next(blocks, None)
        if first is None:
            raise DataError(f"no codes in {name}", hint="give a file of codes, or pipe in the output of 'mnistae encode'")
        count = _write(target, network, _checked(reporter, checkpoint, itertools.chain([first], blocks)), name)
    reporter.preview(lambda canvas: mosaic(canvas, network.decode(first), total=count))
    if target.path is not None:
        document = {"checkpoint": inputs.describe_checkpoint(checkpoint), "count": count, "output": str(target.path)}
        reporter.result([str(target.path)], document)


def _target(reporter: Reporter, codes: str, out: ImageOutput) -> Destination:
    if out.output is not None and out.output != "-" and (out.output.endswith(("/", os.sep)) or Path(out.output).is_dir()):
        if out.format is not None:
            raise UsageError("--format cannot be combined with a folder (always PNG)", hint="leave one of them out")
        atomic.check_writable(Path(out.output) / "0.png")
        return Destination(Path(out.output), FOLDER)
    return results.resolve(reporter, out, stem=results.default_stem("decode", [codes]))


def _open_codes(codes: str) -> BufferedReader:
    if codes == "-":
        return references.open_stdin()
    try:
        return Path(codes).open("rb")
    except OSError as error:
        raise DataError(f"cannot read codes from '{codes}': {error.strerror}", hint="give a file, or - for stdin") from error


def _checked(reporter: Reporter, checkpoint: Checkpoint, blocks: Iterable[Array]) -> Iterator[Array]:
    """Yield the codes, then warn if some are far outside the range of the training images' codes."""
    high = max((unit.high for unit in checkpoint.metadata.unit_ranges or ()), default=0)
    count, negative, large = 0, 0, 0
    for block in blocks:
        count += len(block)
        negative += int((block < -high / 100).any(axis=1).sum())
        large += int((block > 3 * high).any(axis=1).sum()) if high else 0
        yield block
    if negative:
        reporter.warn(f"{negative:,} of {count:,} codes contain negative values, which the encoder never produces")
    if large:
        reporter.warn(f"{large:,} of {count:,} codes contain values above {3 * high:.0f}, three times the training maximum")


def _write(target: Destination, network: Network, blocks: Iterator[Array], name: str) -> int:
    """Decode the blocks, write the images and return their number."""
    if target.format == "npy":
        return _write_array(target.path, network, blocks)
    if target.path is not None and target.format == FOLDER:
        return _write_folder(target.path, network, blocks)
    images = network.decode(_collect_limited(blocks, name))
    data = image_io.gif(images) if target.format == "gif" else image_io.strip(images, columns=COLUMNS)
    if target.path is None:
        console.write_bytes(data)
    else:
        atomic.write_bytes(target.path, data)
    return len(images)


def _collect_limited(blocks: Iterable[Array], name: str) -> Array:
    """Return all codes as one array. Raises DataError if they are too many for one image."""
    found: list[Array] = []
    for block in blocks:
        found.append(block)
        if sum(map(len, found)) > MAX_FRAMES:
            reason = f"too many codes in {name} for one image or GIF (max {MAX_FRAMES:,})"
            raise DataError(reason, hint="write an array or a folder: -o x.npy, -o DIR/")
    return np.concatenate(found)


def _write_folder(folder: Path, network: Network, blocks: Iterable[Array]) -> int:
    count = 0
    for image in itertools.chain.from_iterable(map(network.decode, blocks)):
        atomic.write_bytes(folder / f"{count:05}.png", image_io.png(image))
        count += 1
    return count


def _write_array(path: Path | None, network: Network, blocks: Iterable[Array]) -> int:
    """Write an array. Its header contains the row count, so the codes, which are small, are spooled to disk first."""
    row = network.config.bottleneck * 4
    with tempfile.TemporaryFile() as spool:
        for block in blocks:
            spool.write(block.tobytes())
        count = spool.tell() // row
        spool.seek(0)

        def send(write: Callable[[bytes], None]) -> None:
            write(image_io.npy_header(count))
            while data := spool.read(code_io.BLOCK * row):
                write(network.decode(np.frombuffer(data, np.float32).reshape(-1, network.config.bottleneck)).tobytes())

        if path is None:
            send(console.write_bytes)
        else:
            with atomic.open_atomic(path) as writer:
                send(writer.write)
    return count
