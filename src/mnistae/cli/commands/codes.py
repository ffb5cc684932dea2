"""`mnistae encode` and `mnistae decode`: images to codes, for a pipe, and codes from a pipe to images."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import IMAGE_HELP, DatasetOptions, NetworkOptions, OutputOptions, output_options
from mnistae.cli.inputs import Inputs
from mnistae.cli.results import Destination
from mnistae.core.arrays import Array, to_float
from mnistae.core.errors import DataError, OutputError, UsageError
from mnistae.core.files import atomic
from mnistae.core.text import counted
from mnistae.data import references
from mnistae.data.images import files
from mnistae.data.sets.dataset import Split
from mnistae.model.backend import Network
from mnistae.outputs import code_io, image_io
from mnistae.outputs.code_io import Block
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store.runs import Checkpoint
from mnistae.tasks import drift

IMAGE_BATCH = 64
"""Images that are read before their codes are passed on."""

Images = Annotated[list[str] | None, typer.Argument(metavar="IMAGE", help=f"Image: {IMAGE_HELP}")]
SplitOption = Annotated[
    Split | None, typer.Option("--split", help="Encode a whole split instead of IMAGE.", show_default=False)
]
FOLDER = "folder"
COLUMNS = 20
MAX_FRAMES = 1000
"""Images in one picture or animation; a folder or an array holds any number."""

Codes = Annotated[str, typer.Argument(metavar="CODES", help="A file of codes, or - for stdin.")]

CodeOutput = Annotated[OutputOptions, output_options(*code_io.FORMATS, about="Output file, or - for stdout (default: stdout).")]
ImageOutput = Annotated[
    OutputOptions,
    output_options(
        *("png", "gif", "npy"),
        about="Output file, folder, or - for stdout (default: a name derived from CODES).",
        metavar="PATH|DIR/|-",
    ),
]


def encode(
    images: Images = None, split: SplitOption = None, *, source: DatasetOptions, out: CodeOutput, reporter: Reporter
) -> None:
    """Encode images into codes: JSON lines, CSV or an array (npy).

    The codes go to stdout as they are computed, or with -o to a file, whose path is printed. A .npy header contains the row
    count, so without --split an array is written after the last image has been read.
    """
    if images and split is not None:
        raise UsageError("images and --split cannot be combined", hint="leave one of them out")
    if not images and split is None:
        raise UsageError("no images given", hint="name images, or use --split train or --split test")
    target = results.resolve(reporter, out)
    results.refuse_to_overwrite_inputs(target, source.checkpoint, source.dataset, images=images or [])
    job = inputs.load_inputs(reporter, images or [], source)
    _write(job, target, _of_images(job) if split is None else _of_split(job, split), split)
    job.exit_with_failures()


def _of_images(job: Inputs) -> Iterator[Block]:
    stream = job.read()
    while images := list(itertools.islice(stream, IMAGE_BATCH)):
        codes = job.network.encode(references.stack(images))
        has_classes = job.dataset is not None and bool(job.data.classes)
        classes = [image.class_name for image in images] if has_classes else None
        yield Block([image.name for image in images], [image.label for image in images], codes, classes)


def _of_split(job: Inputs, split: Split) -> Iterator[Block]:
    """Warn of dead units, yield the codes, then warn if the images are unlike the training images."""
    data, found = job.data, []
    inputs.warn_dead(job.reporter, job.checkpoint.metadata)
    for start in range(0, data.length(split), code_io.BLOCK):
        images, labels = data.block(split, start, start + code_io.BLOCK)
        names = [f"{split}:{k}" for k in range(start, start + len(images))]
        yield Block.labelled(names, labels, job.network.encode(to_float(images)), data.classes)
        found.append(drift.brightness(images))
    inputs.warn_unlike_split(job.reporter, [job.checkpoint], data, split, np.concatenate(found, axis=1))


def _write(job: Inputs, target: Destination, rest: Iterator[Block], split: Split | None) -> None:
    """Write the codes as they are computed; an array is collected first, unless it is of a split."""
    first = next(rest)  # finds invalid references before anything is written
    blocks = itertools.chain([first], rest)
    count = None if split is None else job.data.length(split)
    facts: dict[str, Any] = {}
    if job.reporter.as_json:
        facts["checkpoint"] = {**inputs.describe_checkpoint(job.checkpoint), "digest": job.checkpoint.digest}
    if split is not None:
        facts["dataset"] = job.data.name
    if target.path is None and job.reporter.as_json:
        images = []
        for block in blocks:
            codes = block.codes.astype(float).tolist()
            images += [{**head, "code": code} for head, code in zip(block.heads(), codes, strict=True)]
        job.reporter.result([], {**job.describe(), **facts, "count": len(images), "output": None, "images": images})
        return
    sizes: list[int] = []

    def chunks() -> Iterator[bytes]:
        # the header of an array contains the row count
        collected = list(blocks) if target.format == "npy" and count is None else []
        total = sum(len(block.images) for block in collected) if count is None else count
        yield code_io.header(target.format, total, first.codes.shape[1], has_classes=first.classes is not None)
        for block in collected or blocks:
            sizes.append(len(block.images))
            yield code_io.format_block(target.format, block)

    results.send(target, chunks())
    results.report_path(job.reporter, target, {**job.describe(), **facts, "count": sum(sizes)})


def decode(codes: Codes = "-", *, source: NetworkOptions, out: ImageOutput, reporter: Reporter) -> None:
    """Decode codes into images; the input format (JSON, CSV, npy and others) is detected.

    Writes a contact sheet (png), an animation (gif), an array (npy) or, if -o names a folder, a 28x28 PNG for each code.
    Prints the path. Folders and arrays are written in constant memory. Codes written by NumPy, pandas or a spreadsheet are
    read as well; what is skipped, such as a header or an index column, is reported on stderr.
    """
    target = _target(reporter, codes, out)
    results.refuse_to_overwrite_inputs(target, codes, source.checkpoint)
    checkpoint, network = inputs.open_model(reporter, source)
    name = "stdin" if codes == "-" else f"'{codes}'"
    with _open_codes(codes) as stream:
        check = _origin_check(reporter, checkpoint)
        blocks = code_io.read(stream, width=network.config.bottleneck, name=name, note=reporter.info, check_origin=check)
        first = next(blocks, None)
        if first is None:
            raise DataError(f"no codes in {name}", hint="give a file of codes, or pipe in the output of 'mnistae encode'")
        count = _write_images(reporter, target, network, _checked(reporter, checkpoint, itertools.chain([first], blocks)), name)
    reporter.preview(lambda canvas: mosaic(canvas, network.decode(first), total=count))
    results.report_path(reporter, target, {"checkpoint": inputs.describe_checkpoint(checkpoint), "count": count})


def _target(reporter: Reporter, codes: str, out: ImageOutput) -> Destination:
    if out.output is not None and out.output != "-" and (out.output.endswith(("/", os.sep)) or Path(out.output).is_dir()):
        if out.format is not None:
            raise UsageError("--format cannot be combined with a folder (always PNG)", hint="leave one of them out")
        atomic.check_writable(Path(out.output) / "00000.png")
        return Destination(Path(out.output), FOLDER)
    return results.resolve(reporter, out, stem=results.default_stem("decode", [codes]))


def _open_codes(codes: str) -> BufferedReader:
    if codes == "-":
        return references.open_stdin()
    try:
        return Path(codes).open("rb")
    except OSError as error:
        raise DataError(f"cannot read codes from '{codes}': {error.strerror}", hint="give a file, or - for stdin") from error


def _origin_check(reporter: Reporter, checkpoint: Checkpoint) -> Callable[[Any], None]:
    """Return a function of the `checkpoint` of a document that warns once if its codes were made with another network."""
    is_reported = False

    def check(made_with: Any) -> None:
        nonlocal is_reported
        digest = made_with.get("digest") if isinstance(made_with, dict) else None
        if is_reported or not isinstance(digest, str) or digest == checkpoint.digest:
            return
        is_reported = True
        other = str(made_with.get("name") or made_with.get("path"))[:200]  # a file outside the store has no name
        reporter.warn(
            f"the codes were made with another network ('{other}'), decoded with '{checkpoint.name or checkpoint.path}'"
        )

    return check


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


def _write_images(reporter: Reporter, target: Destination, network: Network, blocks: Iterator[Array], name: str) -> int:
    """Decode the blocks, write the images and return their number."""
    if target.format == "npy":
        return _write_array(target, network, blocks)
    if target.path is not None and target.format == FOLDER:
        count = 0
        for image in itertools.chain.from_iterable(map(network.decode, blocks)):
            atomic.write_bytes(target.path / f"{count:05}.png", image_io.png(image))
            count += 1
        others = sum(files.is_image(path.name) for path in target.path.iterdir()) - count
        if others:
            reporter.warn(f"'{target.path}' also contains {counted(others, 'other image')}")
        return count
    codes = list(itertools.islice(itertools.chain.from_iterable(blocks), MAX_FRAMES + 1))
    if len(codes) > MAX_FRAMES:
        reason = f"too many codes in {name} for one image or GIF (max {MAX_FRAMES:,})"
        raise DataError(reason, hint="write an array or a folder: -o x.npy, -o DIR/")
    images = network.decode(np.stack(codes))
    results.send(target, [image_io.gif(images) if target.format == "gif" else image_io.strip(images, columns=COLUMNS)])
    return len(images)


def _write_array(target: Destination, network: Network, blocks: Iterable[Array]) -> int:
    """Write an array. Its header contains the row count, so the codes, which are small, are spooled to disk first."""
    width = network.config.bottleneck
    with contextlib.ExitStack() as stack:
        try:
            spool = stack.enter_context(tempfile.TemporaryFile())
            spool.writelines(block.tobytes() for block in blocks)
            spool.flush()
        except OSError as error:
            reason = f"cannot write a temporary file: {error.strerror}"
            raise OutputError(reason, hint="set TMPDIR to a folder with free space") from error
        count = spool.tell() // (4 * width)
        spool.seek(0)
        pieces = iter(lambda: spool.read(code_io.BLOCK * 4 * width), b"")
        images = (network.decode(np.frombuffer(piece, np.float32).reshape(-1, width)).tobytes() for piece in pieces)
        results.send(target, itertools.chain([image_io.npy_header(count)], images))
    return count
