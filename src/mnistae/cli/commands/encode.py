"""`mnistae encode`: images to codes, for a pipe."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from mnistae import atomic, codes
from mnistae.cli import console, options, work
from mnistae.cli.console import Screen
from mnistae.codes import Block
from mnistae.datasets import words
from mnistae.datasets.dataset import NO_LABEL, Dataset, Split, to_float
from mnistae.errors import UsageError
from mnistae.inference import Codec
from mnistae.store.runs import Checkpoint

Images = Annotated[list[str] | None, typer.Argument(metavar="IMAGE...", help=f"What to use: {options.IMAGE_HELP}")]


def encode(
    images: Images = None,
    every: Annotated[
        Split | None, typer.Option("--all", help="Encode all images of a split in place of IMAGE....", show_default=False)
    ] = None,
    checkpoint: options.Checkpoint = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PATH|-", help="Where to write; by default standard output.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="jsonl, csv or npy; by default what the suffix says, or jsonl."),
    ] = None,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Encode images: one code a line, as JSON, as CSV, or all of them as an array (npy).

    The codes go to standard output as they are made, or with -o to a file, whose path is printed.
    """
    screen = Screen("encode", quiet=quiet, as_json=as_json)
    if bool(images) == (every is not None):
        raise UsageError("give images, or --all train, or --all test", hint="run 'mnistae encode --help'")
    target = _target(screen, output, format_)
    work.check_is_no_input(target, checkpoint, dataset, images=images or [])
    if every is None:
        job = work.prepare(screen, images or [], checkpoint=checkpoint, dataset=dataset, device=device, raw=raw)
        words_, labels = zip(*((picture.word, picture.label) for picture in job.pictures), strict=True)
        block = Block(words_, labels, job.codec.encode(words.stack(job.pictures)))
        document = {"dataset": job.dataset, "failed": work.describe_failures(job)}
        _deliver(screen, target, job.checkpoint, document, len(words_), iter([block]))
        work.end(job)
        return
    found, codec = work.open_model(screen, checkpoint, device)
    data = work.open_dataset(screen, work.dataset_of(found, dataset))
    _deliver(screen, target, found, {"dataset": data.name, "failed": []}, data.length(every), _of_split(codec, data, every))


def _target(screen: Screen, output: str | None, format_name: str | None) -> work.Target:
    if output is not None and output != "-":
        return work.named_target(screen, output, format_name, formats=codes.FORMATS)
    if screen.as_json and output is None and format_name is not None:
        raise UsageError("--json lays the codes out in its own way", hint="leave --format out, or name a file with -o")
    kind = work.check_format(format_name or "jsonl", codes.FORMATS)
    if output == "-" or kind == "npy":
        console.check_stdout_takes_bytes(as_json=screen.as_json)
    return work.Target(None, kind)


def _of_split(codec: Codec, data: Dataset, split: Split) -> Iterator[Block]:
    for start in range(0, data.length(split), codes.BLOCK):
        images, labels = data.block(split, start, start + codes.BLOCK)
        yield Block(
            [f"{split}:{k}" for k in range(start, start + len(images))],
            [None if label == NO_LABEL else int(label) for label in labels],
            codec.encode(to_float(images)),
        )


def _deliver(
    screen: Screen, target: work.Target, checkpoint: Checkpoint, source: dict[str, Any], count: int, blocks: Iterator[Block]
) -> None:
    document = {"checkpoint": work.describe_checkpoint(checkpoint), **source, "count": count}
    if target.path is None and screen.as_json:
        screen.result([], {**document, "output": None, "images": [row for block in blocks for row in _rows(block)]})
        return
    head = codes.head(target.format, count, checkpoint.description.model.bottleneck)
    if target.path is None:
        send = console.write_bytes if target.format == "npy" else _show
        _send(send, head, target.format, blocks)
        return
    with atomic.writing(target.path) as writer:
        _send(writer.write, head, target.format, blocks)
    screen.result([str(target.path)], {**document, "output": str(target.path)})


def _send(send: Callable[[bytes], None], head: bytes, kind: str, blocks: Iterator[Block]) -> None:
    send(head)
    for block in blocks:
        send(codes.body(kind, block))


def _show(text: bytes) -> None:
    console.write(text.decode("utf-8", "surrogateescape"))


def _rows(block: Block) -> list[dict[str, Any]]:
    rows = zip(block.images, block.labels, block.codes.astype(float).tolist(), strict=True)
    return [{"image": image, "label": label, "code": code} for image, label, code in rows]
