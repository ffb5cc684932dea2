"""`mnistae history`: the loss per epoch of runs."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Annotated

import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import OutputOptions, output_options
from mnistae.core.errors import CheckpointError
from mnistae.core.text import csv_text
from mnistae.outputs import figures
from mnistae.outputs.terminal.charts import plot
from mnistae.store import runs
from mnistae.store.runs import Checkpoint

Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CHECKPOINT",
        help="Checkpoint names or files (default: MNISTAE_CHECKPOINT, else the newest run, else the built-in `lab`).",
    ),
]
HistoryOutput = Annotated[
    OutputOptions, output_options("png", "svg", "pdf", about="Write a figure to this file, or - for stdout.")
]


def history(references: Runs = None, *, out: HistoryOutput, reporter: Reporter) -> None:
    """Plot the loss per epoch of one or more runs; print CSV when piped.

    The columns are run, epoch, loss and learning_rate. With -o or --format all curves are written as a figure instead, and
    its path is printed.
    """
    is_figure = out.output is not None or out.format is not None
    stem = None if reporter.as_json else results.default_stem("history", [], references or [])
    target = results.resolve(reporter, out, stem=stem) if is_figure else None
    results.refuse_to_overwrite_inputs(target, *(references or []))
    found: dict[str, Checkpoint] = {}
    wanted: Sequence[str | None] = references or [os.environ.get("MNISTAE_CHECKPOINT") or None]
    for reference in wanted:
        checkpoint = runs.load(reference)
        name = checkpoint.name or str(checkpoint.path)
        if not checkpoint.metadata.history:
            hint = "name a run that was trained here: see 'mnistae checkpoints list'"
            raise CheckpointError(f"'{name}' was imported and has no loss history", hint=hint)
        found[name] = checkpoint
    if not references:
        inputs.report_default(reporter, wanted[0], next(iter(found.values())))
    histories = {name: checkpoint.metadata.history for name, checkpoint in found.items()}
    documents = [
        {**inputs.describe_checkpoint(checkpoint), "history": [dataclasses.asdict(epoch) for epoch in histories[name]]}
        for name, checkpoint in found.items()
    ]
    losses = {name: [epoch.loss for epoch in epochs] for name, epochs in histories.items()}
    if target is None:
        rows = [(name, one.number, one.loss, one.learning_rate) for name, epochs in histories.items() for one in epochs]
        lines = csv_text([("run", "epoch", "loss", "learning_rate"), *rows]).removesuffix("\n").split("\n")
        reporter.result(lines, {"runs": documents, "output": None}, lambda canvas: plot(canvas, losses))
        return
    reporter.preview(lambda canvas: plot(canvas, losses))
    figure = figures.loss_curve(*histories.values(), names=list(histories))
    results.write_result(reporter, target, lambda kind: figures.render(figure, kind), {"runs": documents})
