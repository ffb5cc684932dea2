"""`mnistae history`: the losses of runs, epoch by epoch."""

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mnistae.cli import inputs, options, results
from mnistae.cli.console import Reporter
from mnistae.core.errors import CheckpointError
from mnistae.core.records import EpochRecord
from mnistae.outputs import figures
from mnistae.outputs.terminal.canvas import Canvas
from mnistae.outputs.terminal.charts import plot
from mnistae.store import runs
from mnistae.store.runs import Checkpoint

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
    reporter = Reporter("history", quiet=quiet, as_json=as_json)
    target = _target(reporter, references or [], output, format_)
    results.refuse_to_overwrite_inputs(target, *(references or []))
    found = _load(references or [os.environ.get("MNISTAE_CHECKPOINT") or None])
    histories = {name: checkpoint.metadata.history for name, checkpoint in found.items()}
    document = {"runs": [_document(checkpoint) for checkpoint in found.values()]}

    def draw(canvas: Canvas) -> list[str]:
        return plot(canvas, {name: [epoch.loss for epoch in epochs] for name, epochs in histories.items()})

    if target is None:
        reporter.result(_csv(histories), {**document, "figure": None}, draw)
        return
    reporter.draw(draw)
    figure = figures.loss_curve(*histories.values(), names=list(histories))
    results.write_result(reporter, target, lambda kind: figures.render(figure, kind), document)


def _target(
    reporter: Reporter, references: Sequence[str], output: str | None, format_name: str | None
) -> results.Destination | None:
    if output is not None:
        return results.explicit(reporter, output, format_name, formats=results.FIGURE_FORMATS)
    return results.default(format_name, name=["history", *references], formats=results.FIGURE_FORMATS) if format_name else None


def _load(references: Sequence[str | None]) -> dict[str, Checkpoint]:
    """Return the checkpoints by name, or as they were called. Raises CheckpointError for one that never was trained."""
    found: dict[str, Checkpoint] = {}
    for reference in references:
        checkpoint = runs.load(reference)
        name = checkpoint.name or str(checkpoint.path)
        if not checkpoint.metadata.history:
            raise CheckpointError(
                f"'{name}' was imported: it has no history of losses",
                hint="name a run that was trained here: see 'mnistae checkpoints list'",
            )
        found[name] = checkpoint
    return found


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    epochs = [dataclasses.asdict(epoch) for epoch in checkpoint.metadata.history]
    return {**inputs.describe_checkpoint(checkpoint), "history": epochs}


def _csv(histories: Mapping[str, Sequence[EpochRecord]]) -> list[str]:
    """Return a header and a row for each epoch of each run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "epoch", "loss", "learning_rate"])
    for name, epochs in histories.items():
        writer.writerows([name, epoch.number, epoch.loss, epoch.learning_rate] for epoch in epochs)
    return text.getvalue().removesuffix("\n").split("\n")
