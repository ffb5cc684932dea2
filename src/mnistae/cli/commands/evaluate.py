"""`mnistae evaluate`: how good checkpoints are over a whole split."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

import typer

from mnistae.cli import console, inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, OutputOptions, format_option, output_option
from mnistae.cli.views import evaluation_files, evaluation_text
from mnistae.cli.views.evaluation_files import Report
from mnistae.core.errors import UsageError
from mnistae.data.sets.dataset import Split
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store.runs import Checkpoint
from mnistae.tasks import evaluation
from mnistae.tasks.evaluation import EvaluationOptions, Extremes

MAX_CHECKPOINTS = 20
MAX_EXTREMES = 100
MAX_NEIGHBOURS = 100

Checkpoints = Annotated[
    list[str] | None,
    typer.Argument(metavar="CHECKPOINT", help="Checkpoints to compare, a column each, in place of -c.", show_default=False),
]

Measured = Annotated[Split, typer.Option("--split", help="Which images to measure on.")]
Count = Annotated[
    int, typer.Option("--extremes", metavar="N", help="List the N worst and the N best images.", show_default=False)
]
Denoising = Annotated[bool, typer.Option("--denoising", help="List the PSNR gained under every noise at five levels.")]
Neighbours = Annotated[
    int,
    typer.Option(
        "--knn", metavar="K", help="Guess each label by the vote of the K nearest training codes.", show_default=False
    ),
]


class EvaluationFormat(StrEnum):
    """Formats of evaluations."""

    CSV = "csv"
    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


@dataclass(frozen=True)
class EvaluationOutput(OutputOptions):
    """A table as CSV, or a figure."""

    output: Annotated[
        str | None, output_option("Write CSV, or the figure of --extremes or --denoising, to this file, or - for stdout.")
    ] = None
    format: Annotated[EvaluationFormat | None, format_option()] = None
    formats: ClassVar[type[StrEnum]] = EvaluationFormat


def evaluate(
    checkpoints: Checkpoints = None,
    split: Measured = Split.TEST,
    extremes: Count = 0,
    denoising: Denoising = False,
    knn: Neighbours = 0,
    *,
    source: DatasetOptions,
    out: EvaluationOutput,
    reporter: Reporter,
) -> None:
    """Measure a checkpoint over the test set: MSE, PSNR and SSIM by digit, living units, PCA, denoising.

    Several checkpoints are set side by side. PSNR is that of the mean MSE. PCA has as many components as the bottleneck has
    units and is fitted on the training images; a unit's activation is its mean over them. The denoising line is under the
    lab's noise, uniform in [-0.625, 0.625], seed 0. With --knn an image of the training split has no vote on itself.
    """
    depth = _depth(extremes, denoising=denoising, knn=knn)
    wanted = _wanted(checkpoints or [], source.checkpoint)
    target = _target(reporter, out)
    if target is not None and target.format != "csv":
        _check_figure(depth, len(wanted))
    results.refuse_to_overwrite_inputs(target, *wanted, source.dataset)
    opened = [inputs.open_model(reporter, one, source.device) for one in wanted]
    data = inputs.open_dataset(reporter, _common_dataset([found for found, _ in opened], source.dataset))
    evaluations = evaluation.evaluate([network for _, network in opened], data, split, depth)
    reports = [Report(found, result) for (found, _), result in zip(opened, evaluations, strict=True)]
    _warn_dead(reporter, reports)
    if len(reports) == 1 and evaluations[0].worst:
        _draw(reporter, evaluations[0].worst)
    _deliver(reporter, target, reports, data.name)


def _depth(extremes: int, *, denoising: bool, knn: int) -> EvaluationOptions:
    for name, value, highest in (("extremes", extremes, MAX_EXTREMES), ("knn", knn, MAX_NEIGHBOURS)):
        if not 0 <= value <= highest:
            raise UsageError(f"{name} is '{value}'", hint=f"give a whole number from 1 to {highest}, or 0 for none")
    return EvaluationOptions(extremes, denoising, knn)


def _wanted(several: Sequence[str], one: str | None) -> list[str | None]:
    """Return the references of the checkpoints to measure. Arguments win over the environment's, and exclude -c's."""
    if not several:
        return [one]
    if one not in {None, os.environ.get("MNISTAE_CHECKPOINT")}:
        raise UsageError("-c names one checkpoint, arguments name several", hint=f"leave -c out: mnistae evaluate {one} ...")
    if len(several) > MAX_CHECKPOINTS:
        raise UsageError(f"there are {len(several)} checkpoints to compare", hint=f"give {MAX_CHECKPOINTS} at most")
    return list(several)


def _target(reporter: Reporter, out: EvaluationOutput) -> results.Destination | None:
    """Return where CSV or a figure goes; None if people or programs read the result."""
    if out.output is not None:
        return results.explicit(reporter, out)
    if out.format is None:
        return None
    if reporter.as_json:
        raise UsageError("--format cannot be combined with --json", hint="leave --format out, or name a file with -o")
    if out.format is not EvaluationFormat.CSV:
        console.check_stdout_takes_bytes(as_json=False)
    return results.Destination(None, out.format)


def _check_figure(depth: EvaluationOptions, checkpoints: int) -> None:
    if bool(depth.extremes) == depth.denoising:
        raise UsageError("a figure is of --extremes N or of --denoising", hint="give one of them, or write CSV: -f csv")
    if depth.extremes and checkpoints > 1:
        raise UsageError("a figure of extremes is of one checkpoint", hint="name one, or draw --denoising")


def _common_dataset(found: Sequence[Checkpoint], asked: str | None) -> str:
    references = list(dict.fromkeys(inputs.dataset_of(checkpoint, asked) for checkpoint in found))
    if len(references) > 1:
        first, second = references[:2]
        raise UsageError(
            f"the checkpoints were trained on different data: '{first}', '{second}'", hint=f"choose one: --dataset {first}"
        )
    return references[0]


def _warn_dead(reporter: Reporter, reports: Sequence[Report]) -> None:
    for report in reports:
        owner = f" of '{report.name}'" if len(reports) > 1 else ""
        inputs.warn_dead(reporter, report.found.active_units, report.found.bottleneck, owner=owner)


def _draw(reporter: Reporter, worst: Extremes) -> None:
    names, shown = [picture.word for picture in worst.pictures], worst.found
    reporter.preview(lambda canvas: mosaic(canvas, shown.originals, shown.outputs, names=names, titles=("reconstructed",)))


def _deliver(reporter: Reporter, target: results.Destination | None, reports: Sequence[Report], data: str) -> None:
    shared = {"dataset": data, "split": reports[0].found.split}
    documents = [evaluation_files.document(report) for report in reports]
    document = {**shared, **documents[0]} if len(reports) == 1 else {**shared, "evaluations": documents}
    lines = evaluation_text.lines(reports, data)
    if target is None:
        reporter.result(lines, {**document, "output": None})
        return
    if target.path is None and target.format == "csv":
        console.write(evaluation_files.as_csv(reports))
        return
    for line in lines:
        reporter.info(line)
    results.write_result(reporter, target, lambda kind: evaluation_files.render(reports, kind), document)
