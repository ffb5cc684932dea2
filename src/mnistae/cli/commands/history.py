"""`mnistae history`: the losses of runs, epoch by epoch."""

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mnistae import figures
from mnistae.cli import options, targets, work
from mnistae.cli.console import Screen
from mnistae.errors import CheckpointError
from mnistae.records import Epoch
from mnistae.store import runs
from mnistae.store.runs import Checkpoint
from mnistae.terminal.canvas import Canvas
from mnistae.terminal.charts import plot

Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Names in the store or .safetensors files; by default what MNISTAE_CHECKPOINT names, else the newest run.",
    ),
]


def history(
    references: Runs = None,
    output: Annotated[str | None, options.output("Where to write a figure; by default none is drawn.")] = None,
    format_: options.Format = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Plot the losses of one run or several, epoch by epoch; in a pipe print them as CSV.

    The columns are run, epoch, loss and learning_rate. With -o or --format a figure of all curves is written (PNG, SVG or
    PDF) and its path printed.
    """
    screen = Screen("history", quiet=quiet, as_json=as_json)
    target = _target(screen, references or [], output, format_)
    targets.check_is_no_input(target, *(references or []))
    found = _load(references or [os.environ.get("MNISTAE_CHECKPOINT") or None])
    histories = {name: checkpoint.description.history for name, checkpoint in found.items()}
    document = {"runs": [_document(checkpoint) for checkpoint in found.values()]}

    def draw(canvas: Canvas) -> list[str]:
        return plot(canvas, {name: [epoch.loss for epoch in epochs] for name, epochs in histories.items()})

    if target is None:
        screen.result(_csv(histories), {**document, "figure": None}, draw)
        return
    screen.draw(draw)
    figure = figures.loss_curve(*histories.values(), names=list(histories))
    targets.deliver(screen, target, lambda kind: figures.render(figure, kind), document)


def _target(screen: Screen, references: Sequence[str], output: str | None, format_name: str | None) -> targets.Target | None:
    if output is not None:
        return targets.named(screen, output, format_name, formats=targets.FIGURE_FORMATS)
    return targets.default(format_name, name=["history", *references], formats=targets.FIGURE_FORMATS) if format_name else None


def _load(references: Sequence[str | None]) -> dict[str, Checkpoint]:
    """Return the checkpoints by name, or as they were called. Raises CheckpointError for one that never was trained."""
    found: dict[str, Checkpoint] = {}
    for reference in references:
        checkpoint = runs.load(reference)
        name = checkpoint.name or str(checkpoint.path)
        if not checkpoint.description.history:
            raise CheckpointError(
                f"'{name}' was imported: it has no history of losses",
                hint="name a run that was trained here: see 'mnistae checkpoints list'",
            )
        found[name] = checkpoint
    return found


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    epochs = [dataclasses.asdict(epoch) for epoch in checkpoint.description.history]
    return {**work.describe_checkpoint(checkpoint), "history": epochs}


def _csv(histories: Mapping[str, Sequence[Epoch]]) -> list[str]:
    """Return a header and a row for each epoch of each run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "epoch", "loss", "learning_rate"])
    for name, epochs in histories.items():
        writer.writerows([name, epoch.number, epoch.loss, epoch.learning_rate] for epoch in epochs)
    return text.getvalue().removesuffix("\n").split("\n")
