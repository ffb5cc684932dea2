"""`mnistae evaluate`: how good a checkpoint is over a whole split."""

import dataclasses
from typing import Annotated

import typer

from mnistae import evaluation
from mnistae.cli import options, work
from mnistae.cli.console import Screen, aligned
from mnistae.datasets.dataset import Split
from mnistae.evaluation import Evaluation, Row
from mnistae.text import escape


def evaluate(
    checkpoint: options.Checkpoint = None,
    split: Annotated[Split, typer.Option("--split", help="Which images to measure on.")] = Split.TEST,
    dataset: options.Dataset = None,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Measure a checkpoint over the test set: MSE, PSNR and SSIM by digit, living units, PCA, denoising.

    PSNR is that of the mean MSE. PCA has as many components as the bottleneck has units and is fitted on the training
    images. The denoising line is under the lab's noise, uniform in [-0.625, 0.625], seed 0.
    """
    screen = Screen("evaluate", quiet=quiet, as_json=as_json)
    found, codec = work.open_model(screen, checkpoint, device)
    data = work.open_dataset(screen, work.dataset_of(found, dataset))
    result = evaluation.evaluate(codec, data, split)
    if result.living_units < result.bottleneck:
        dead = result.bottleneck - result.living_units
        screen.warn(f"{dead} of {result.bottleneck} bottleneck units are dead: always zero")
    document = {
        "checkpoint": work.describe_checkpoint(found),
        "dataset": data.name,
        **dataclasses.asdict(result),
    }
    screen.result(_lines(result, found.name or str(found.path), data.name), document)


def _lines(result: Evaluation, checkpoint: str, data: str) -> list[str]:
    table = aligned([("digit", "images", "MSE", "PSNR", "SSIM"), *map(_cells, (*result.digits, result.total))])
    return [
        escape(f"{checkpoint} on the {result.split} images of {data}"),
        "",
        *table,
        "",
        f"living bottleneck units: {result.living_units} of {result.bottleneck}",
        f"MSE of PCA with {result.bottleneck} components: {result.pca_mse:.4f}",
        f"MSE under the lab's noise: {result.noisy_mse:.4f} noisy, {result.denoised_mse:.4f} denoised",
    ]


def _cells(row: Row) -> list[object]:
    name = "all" if row.digit is None else row.digit
    return [name, f"{row.count:,}", f"{row.mse:.6f}", f"{row.psnr:.2f}", f"{row.ssim:.4f}"]
