"""`mnistae encode`: images to codes, for a pipe."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import typer

from mnistae.cli import console, inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import IMAGE_HELP, DatasetOptions, OutputOptions, format_option, output_option
from mnistae.cli.results import Destination
from mnistae.core.arrays import NO_LABEL, to_float
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.data import references
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model.backend import Network
from mnistae.outputs import code_io
from mnistae.outputs.code_io import Block
from mnistae.store.runs import Checkpoint
from mnistae.tasks import drift

IMAGE_BATCH = 64
"""Images that are read before their codes are passed on."""

Images = Annotated[list[str] | None, typer.Argument(metavar="IMAGE", help=f"Image: {IMAGE_HELP}")]
SplitOption = Annotated[
    Split | None, typer.Option("--split", help="Encode a whole split instead of IMAGE.", show_default=False)
]


CodeFormat = StrEnum("CodeFormat", ["JSONL", "CSV", "NPY"])


@dataclass(frozen=True)
class CodeOutput(OutputOptions):
    """Codes in a file or on stdout."""

    output: Annotated[str | None, output_option("Output file, or - for stdout (default: stdout).")] = None
    format: Annotated[CodeFormat | None, format_option("jsonl")] = None


@dataclass(frozen=True)
class _Codes:
    """Codes as they are computed, and their number if it is known; `describe` is called when all have been computed."""

    blocks: Iterator[Block]
    count: int | None
    width: int
    describe: Callable[[], dict[str, Any]]


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
        raise UsageError("give images or --split", hint="name images, or use --split train or --split test")
    target = results.resolve(reporter, out)
    results.refuse_to_overwrite_inputs(target, source.checkpoint, source.dataset, images=images or [])
    if split is not None:
        _write(reporter, target, _of_split(reporter, split, source))
        return
    job = inputs.load_inputs(reporter, images or [], source)
    _write(reporter, target, _Codes(_encode_images(job), None, job.network.config.bottleneck, job.describe))
    job.exit_with_failures()


def _encode_images(job: inputs.Inputs) -> Iterator[Block]:
    while images := list(itertools.islice(job.stream, IMAGE_BATCH)):
        codes = job.network.encode(references.stack(images))
        has_classes = job.needs_dataset and bool(job.open_dataset().classes)
        classes = [image.class_name for image in images] if has_classes else None
        yield Block([image.name for image in images], [image.label for image in images], codes, classes)


def _of_split(reporter: Reporter, split: Split, source: DatasetOptions) -> _Codes:
    checkpoint, network = inputs.open_model(reporter, source.checkpoint, source.device)
    data = inputs.open_dataset_of(reporter, checkpoint, source)
    metadata, width = checkpoint.metadata, network.config.bottleneck
    inputs.warn_dead(reporter, metadata.active_units, width, ranges=metadata.unit_ranges)
    document = {"checkpoint": inputs.describe_checkpoint(checkpoint), "dataset": data.name, "failed": []}
    blocks = _encode_split(reporter, checkpoint, network, data, split)
    return _Codes(blocks, data.length(split), width, lambda: document)


def _encode_split(reporter: Reporter, checkpoint: Checkpoint, network: Network, data: Dataset, split: Split) -> Iterator[Block]:
    found = []
    for start in range(0, data.length(split), code_io.BLOCK):
        images, labels = data.block(split, start, start + code_io.BLOCK)
        yield Block(
            [f"{split}:{k}" for k in range(start, start + len(images))],
            [None if label == NO_LABEL else int(label) for label in labels],
            network.encode(to_float(images)),
            [data.class_name(label) for label in labels] if data.classes else None,
        )
        found.append(drift.brightness(images))
    means, backgrounds = map(np.concatenate, zip(*found, strict=True))
    inputs.warn_unlike(reporter, checkpoint, f"the {split.text} images of '{data.name}'", means, backgrounds)


def _write(reporter: Reporter, target: Destination, codes: _Codes) -> None:
    first = list(itertools.islice(codes.blocks, 1))  # finds invalid references before anything is written
    blocks = itertools.chain(first, codes.blocks)
    if target.path is None and reporter.as_json:
        images = [row for block in blocks for row in _documents(block)]
        reporter.result([], {**codes.describe(), "count": len(images), "output": None, "images": images})
    elif target.path is None:
        _send(console.write_bytes if target.format == "npy" else _write_text, target.format, codes, blocks)
    else:
        with atomic.open_atomic(target.path) as writer:
            count = _send(writer.write, target.format, codes, blocks)
        reporter.result([str(target.path)], {**codes.describe(), "count": count, "output": str(target.path)})


def _send(send: Callable[[bytes], None], kind: str, codes: _Codes, blocks: Iterable[Block]) -> int:
    """Send the codes as they are computed and return their number. An array of unknown length is collected first."""
    count = codes.count
    if kind == "npy" and count is None:
        blocks = list(blocks)
        count = sum(len(block.images) for block in blocks)
    first = list(itertools.islice(blocks := iter(blocks), 1))
    has_classes = bool(first) and first[0].classes is not None
    send(code_io.header(kind, count or 0, codes.width, has_classes=has_classes))
    sent = 0
    for block in itertools.chain(first, blocks):
        send(code_io.format_block(kind, block))
        sent += len(block.images)
    return sent


def _write_text(text: bytes) -> None:
    console.write(text.decode("utf-8", "surrogateescape"))


def _documents(block: Block) -> list[dict[str, Any]]:
    named = [{}] * len(block.images) if block.classes is None else [{"class": name} for name in block.classes]
    rows = zip(block.images, block.labels, named, block.codes.astype(float).tolist(), strict=True)
    return [{"image": image, "label": label, **name, "code": code} for image, label, name, code in rows]
