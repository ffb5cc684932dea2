"""`mnistae encode`: images to codes, for a pipe."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mnistae.cli import console, inputs, options, results
from mnistae.cli.console import Reporter
from mnistae.core.arrays import NO_LABEL, to_float
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.data import references
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model.backend import Network
from mnistae.outputs import code_io
from mnistae.outputs.code_io import Block
from mnistae.store.runs import Checkpoint

PICTURES = 64
"""Pictures that are read before their codes are passed on."""

Images = Annotated[list[str] | None, typer.Argument(metavar="IMAGE", help=f"What to use: {options.IMAGE_HELP}")]


@dataclass(frozen=True)
class _Images:
    """Codes as they are made, and how many there will be, if that is known; `describe` tells where from, at the end."""

    checkpoint: Checkpoint
    blocks: Iterator[Block]
    count: int | None
    describe: Callable[[], dict[str, Any]]


def encode(
    images: Images = None,
    split: Annotated[
        Split | None, typer.Option("--split", help="Encode a whole split instead of IMAGE.", show_default=False)
    ] = None,
    checkpoint: options.Checkpoint = None,
    output: Annotated[str | None, options.output("Where to write; by default standard output.")] = None,
    format_: Annotated[str | None, options.file_format("jsonl, csv or npy; by default what the suffix says, or jsonl.")] = None,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Encode images: one code a line, as JSON, as CSV, or all of them as an array (npy).

    The codes go to standard output as they are made, or with -o to a file, whose path is printed. A .npy header
    contains the row count, so without --split an array is written after the last image has been read.
    """
    reporter = Reporter("encode", quiet=quiet, as_json=as_json)
    if bool(images) == (split is not None):
        raise UsageError("give images or --split", hint="name images, or use --split train or --split test")
    target = _target(reporter, output, format_)
    results.refuse_to_overwrite_inputs(target, checkpoint, dataset, images=images or [])
    if split is not None:
        found, network = inputs.open_model(reporter, checkpoint, device)
        data = inputs.open_dataset(reporter, inputs.dataset_of(found, dataset))
        inputs.warn_dead(reporter, found.metadata)
        blocks = _of_split(network, data, split)
        _deliver(reporter, target, _Images(found, blocks, data.length(split), lambda: {"dataset": data.name, "failed": []}))
        return
    job = inputs.load_inputs(reporter, images or [], checkpoint=checkpoint, dataset=dataset, device=device, raw=raw)
    _deliver(reporter, target, _Images(job.checkpoint, _of_pictures(job), None, lambda: _describe_job(job)))
    inputs.exit_with_failures(job)


def _target(reporter: Reporter, output: str | None, format_name: str | None) -> results.Destination:
    if output is not None and output != "-":
        return results.explicit(reporter, output, format_name, formats=code_io.FORMATS)
    if reporter.as_json and output is None and format_name is not None:
        raise UsageError("--json lays the codes out in its own way", hint="leave --format out, or name a file with -o")
    kind = results.check_format(format_name or "jsonl", code_io.FORMATS)
    if output == "-" or kind == "npy":
        console.check_stdout_takes_bytes(as_json=reporter.as_json)
    return results.Destination(None, kind)


def _describe_job(job: inputs.Inputs) -> dict[str, Any]:
    return {"dataset": job.dataset, "failed": inputs.describe_failures(job)}


def _of_pictures(job: inputs.Inputs) -> Iterator[Block]:
    while pictures := list(itertools.islice(job.stream, PICTURES)):
        yield Block(
            [picture.word for picture in pictures],
            [picture.label for picture in pictures],
            job.network.encode(references.stack(pictures)),
        )


def _of_split(network: Network, data: Dataset, split: Split) -> Iterator[Block]:
    for start in range(0, data.length(split), code_io.BLOCK):
        images, labels = data.block(split, start, start + code_io.BLOCK)
        yield Block(
            [f"{split}:{k}" for k in range(start, start + len(images))],
            [None if label == NO_LABEL else int(label) for label in labels],
            network.encode(to_float(images)),
        )


def _deliver(reporter: Reporter, target: results.Destination, source: _Images) -> None:
    first = list(itertools.islice(source.blocks, 1))  # what is wrong with the words is found before anything is written
    blocks = itertools.chain(first, source.blocks)
    if target.path is None and reporter.as_json:
        images = [row for block in blocks for row in _rows(block)]
        reporter.result([], {**_describe(source, len(images)), "output": None, "images": images})
    elif target.path is None:
        _send(console.write_bytes if target.format == "npy" else _show, target.format, source, blocks)
    else:
        with atomic.open_atomic(target.path) as writer:
            count = _send(writer.write, target.format, source, blocks)
        reporter.result([str(target.path)], {**_describe(source, count), "output": str(target.path)})


def _describe(source: _Images, count: int) -> dict[str, Any]:
    return {"checkpoint": inputs.describe_checkpoint(source.checkpoint), **source.describe(), "count": count}


def _send(send: Callable[[bytes], None], kind: str, source: _Images, blocks: Iterable[Block]) -> int:
    """Send the codes on as they come, and return how many they were. Those of an array wait for the number of them all."""
    count = source.count
    if kind == "npy" and count is None:
        blocks = list(blocks)
        count = sum(len(block.images) for block in blocks)
    send(code_io.header(kind, count or 0, source.checkpoint.metadata.model.bottleneck))
    done = 0
    for block in blocks:
        send(code_io.format_block(kind, block))
        done += len(block.images)
    return done


def _show(text: bytes) -> None:
    console.write(text.decode("utf-8", "surrogateescape"))


def _rows(block: Block) -> list[dict[str, Any]]:
    rows = zip(block.images, block.labels, block.codes.astype(float).tolist(), strict=True)
    return [{"image": image, "label": label, "code": code} for image, label, code in rows]
