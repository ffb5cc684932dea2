"""`mnistae reconstruct`: images beside what the network makes of them."""

from typing import Any

from mnistae import figures, inference
from mnistae.cli import options, targets, work
from mnistae.cli.console import Screen
from mnistae.datasets import words
from mnistae.datasets.words import Picture
from mnistae.inference import Measures
from mnistae.terminal.mosaic import mosaic

HEADINGS = ("image", "label", "MSE", "PSNR", "SSIM")


def reconstruct(
    images: options.Images,
    checkpoint: options.Checkpoint = None,
    output: options.Output = None,
    format_: options.Format = None,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Draw images beside their reconstructions, and measure how close they are.

    Writes a figure in the lab's layout (PNG, SVG or PDF) and prints its path; MSE, PSNR and SSIM go to standard error.
    With --json and no -o, no figure is drawn.
    """
    screen = Screen("reconstruct", quiet=quiet, as_json=as_json)
    name = ["reconstruct", *targets.stems(images, checkpoint=checkpoint, dataset=dataset, raw=raw)]
    target = targets.choose(screen, output, format_, name=name, formats=targets.FIGURE_FORMATS)
    targets.check_is_no_input(target, checkpoint, dataset, images=images)
    job = work.prepare(screen, images, checkpoint=checkpoint, dataset=dataset, device=device, raw=raw)
    found = inference.reconstruct(job.codec, words.stack(job.pictures))
    screen.table([HEADINGS, *rows(job.pictures, found.measures)])
    names = [picture.word for picture in job.pictures]
    screen.draw(lambda canvas: mosaic(canvas, found.originals, found.outputs, names=names, titles=("reconstructed",)))
    document = {
        "checkpoint": work.describe_checkpoint(job.checkpoint),
        "dataset": job.dataset,
        "failed": work.describe_failures(job),
        "images": documents(job.pictures, found.measures),
    }
    targets.deliver(
        screen,
        target,
        lambda kind: figures.render(figures.reconstructions(found.originals, found.outputs), kind),
        document,
    )
    work.end(job)


def rows(pictures: list[Picture], measures: Measures) -> list[list[object]]:
    """Return the measures of each picture for people."""
    return [
        [picture.word, "-" if picture.label is None else picture.label, f"{mse:.6f}", f"{psnr:.2f}", f"{ssim:.4f}"]
        for picture, mse, psnr, ssim in zip(pictures, measures.mse, measures.psnr, measures.ssim, strict=True)
    ]


def documents(pictures: list[Picture], measures: Measures) -> list[dict[str, Any]]:
    """Return the measures of each picture for programs."""
    return [
        {"image": picture.word, "label": picture.label, "mse": float(mse), "psnr": float(psnr), "ssim": float(ssim)}
        for picture, mse, psnr, ssim in zip(pictures, measures.mse, measures.psnr, measures.ssim, strict=True)
    ]
