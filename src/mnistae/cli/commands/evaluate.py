"""`mnistae evaluate`: checkpoints measured over a whole split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, OutputOptions, Settings, choose_checkpoints, output_options
from mnistae.cli.results import Destination
from mnistae.cli.views import evaluation as view
from mnistae.cli.views.evaluation import Report
from mnistae.core import config as configs
from mnistae.core.errors import UsageError
from mnistae.data.sets import registry
from mnistae.data.sets.dataset import Split
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store.runs import Checkpoint
from mnistae.tasks import evaluation

MAX_CHECKPOINTS = 20

Checkpoints = Annotated[
    list[str] | None,
    typer.Argument(metavar="CHECKPOINT", help="Checkpoints to measure and compare, instead of -c.", show_default=False),
]
EvaluationOutput = Annotated[
    OutputOptions,
    output_options(
        *("csv", "png", "svg", "pdf"),
        about="Write CSV, or the figure of --extremes or --denoising, to this file, or - for stdout.",
        names_default=False,
    ),
]


@dataclass(frozen=True)
class Parts(Settings):
    """Which images are measured, and what is reported besides."""

    split: Annotated[Split, typer.Option("--split", help="Images to measure on.")] = Split.TEST
    extremes: Annotated[
        int | None, typer.Option("--extremes", metavar="N", help="Also list the N worst and N best reconstructions.")
    ] = None
    denoising: Annotated[
        bool, typer.Option("--denoising", help="Also report the PSNR gain for each kind of noise at five levels.")
    ] = False
    knn: Annotated[
        int | None, typer.Option("--knn", metavar="K", help="Also report k-nearest-neighbour accuracy on the codes.")
    ] = None

    def __post_init__(self) -> None:
        for option, value in (("--extremes", self.extremes), ("--knn", self.knn)):
            if value is not None:
                configs.check_integer(option, value, 1, 100)


def evaluate(
    checkpoints: Checkpoints = None, *, parts: Parts, source: DatasetOptions, out: EvaluationOutput, reporter: Reporter
) -> None:
    """Measure a checkpoint on the test set: MSE, PSNR and SSIM by digit, active units, PCA, denoising.

    Several checkpoints are compared side by side, one column each. PSNR is computed from the mean MSE. PCA has as many
    components as the bottleneck has units and is fitted on the training images; mean activations are over the training images.
    Denoising uses the lab's noise, uniform in [-0.625, 0.625], with seed 0. On the training split, --knn is leave-one-out.
    """
    references = choose_checkpoints(checkpoints or [], source.checkpoint, "CHECKPOINT arguments")
    if len(references) > MAX_CHECKPOINTS:
        raise UsageError(f"too many checkpoints: {len(references)}", hint=f"give at most {MAX_CHECKPOINTS}")
    target = None if out.output is None and out.format is None else results.resolve(reporter, out)
    if target is not None and target.format != "csv":
        _check_figure(parts, len(references))
    results.refuse_to_overwrite_inputs(target, *references, source.dataset)
    opened = [inputs.open_model(reporter, replace(source, checkpoint=reference)) for reference in references]
    _check_common_dataset([checkpoint for checkpoint, _ in opened], source)
    dataset = inputs.open_dataset_of(reporter, opened[0][0], source)
    inputs.warn_unlike_split(reporter, [checkpoint for checkpoint, _ in opened], dataset, parts.split)
    networks = [network for _, network in opened]
    with reporter.progress(is_bytes=False) as progress:
        evaluations = evaluation.evaluate(networks, dataset, **parts.given(), progress=progress)
    reports = [Report(checkpoint, result) for (checkpoint, _), result in zip(opened, evaluations, strict=True)]
    for report in reports:
        units = report.result.pivot("active_units")[None, None]
        owner = f" of '{report.name}'" if len(reports) > 1 else ""
        metadata = replace(report.checkpoint.metadata, active_units=int(units["active_units"]), unit_ranges=None)
        inputs.warn_dead(reporter, metadata, owner=owner)
    if len(reports) == 1 and (worst := evaluations[0].worst):
        names, shown = [image.name for image in worst.images], worst.reconstruction
        reporter.preview(lambda canvas: mosaic(canvas, shown.originals, shown.outputs, names=names, titles=("reconstructed",)))
    _write(reporter, target, reports, dataset.name)


def _check_figure(parts: Parts, checkpoints: int) -> None:
    if bool(parts.extremes) == parts.denoising:
        hint = f"{'leave one of them out' if parts.denoising else 'add one of them'}, or name a .csv file with -o"
        raise UsageError("a figure shows either --extremes or --denoising", hint=hint)
    if parts.extremes and checkpoints > 1:
        raise UsageError("--extremes can be drawn for one checkpoint only", hint="name one, or draw --denoising")


def _check_common_dataset(checkpoints: Sequence[Checkpoint], source: DatasetOptions) -> None:
    references = list(dict.fromkeys(inputs.dataset_of(checkpoint, source.dataset) for checkpoint in checkpoints))
    if len(references) > 1:
        first, second = references[:2]
        raise UsageError(
            f"the checkpoints were trained on different data sets: '{first}', '{second}'", hint=f"choose one: --dataset {first}"
        )
    are_raw = {checkpoint.is_raw for checkpoint in checkpoints}
    if len(are_raw) > 1 and not (source.raw or source.dataset or references[0] in registry.NAMES):
        raise UsageError(
            f"the checkpoints were trained on '{references[0]}' with and without --raw",
            hint="give --raw for all of them, or evaluate them one by one",
        )


def _write(reporter: Reporter, target: Destination | None, reports: Sequence[Report], dataset: str) -> None:
    document, lines = view.document(reports, dataset), view.lines(reports, dataset)
    if target is None:
        reporter.result(lines, {**document, "output": None})
        return
    if target.path is not None or target.format != "csv":
        for line in lines:
            reporter.info(line)
    results.write_result(reporter, target, lambda kind: view.render(reports, kind), document)
