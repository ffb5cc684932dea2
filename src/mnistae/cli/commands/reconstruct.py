"""`mnistae reconstruct`: images beside what the network makes of them."""

from typing import Any

from mnistae.cli import inputs, options, results
from mnistae.cli.console import Reporter
from mnistae.data import references
from mnistae.data.references import InputImage
from mnistae.outputs import figures
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.tasks import inference
from mnistae.tasks.inference import Metrics

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
    reporter = Reporter("reconstruct", quiet=quiet, as_json=as_json)
    name = ["reconstruct", *results.name_parts(images, checkpoint=checkpoint, dataset=dataset, raw=raw)]
    target = results.resolve(reporter, output, format_, name=name, formats=results.FIGURE_FORMATS)
    results.refuse_to_overwrite_inputs(target, checkpoint, dataset, images=images)
    job = inputs.load_inputs(reporter, images, checkpoint=checkpoint, dataset=dataset, device=device, raw=raw)
    found = inference.reconstruct(job.network, references.stack(job.pictures))
    reporter.table([HEADINGS, *rows(job.pictures, found.measures)])
    names = [picture.word for picture in job.pictures]
    reporter.draw(lambda canvas: mosaic(canvas, found.originals, found.outputs, names=names, titles=("reconstructed",)))
    document = {
        "checkpoint": inputs.describe_checkpoint(job.checkpoint),
        "dataset": job.dataset,
        "failed": inputs.describe_failures(job),
        "images": documents(job.pictures, found.measures),
    }
    results.write_result(
        reporter,
        target,
        lambda kind: figures.render(figures.reconstructions(found.originals, found.outputs), kind),
        document,
    )
    inputs.exit_with_failures(job)


def rows(pictures: list[InputImage], measures: Metrics) -> list[list[object]]:
    """Return the measures of each picture for people."""
    return [
        [picture.word, "-" if picture.label is None else picture.label, f"{mse:.6f}", f"{psnr:.2f}", f"{ssim:.4f}"]
        for picture, mse, psnr, ssim in zip(pictures, measures.mse, measures.psnr, measures.ssim, strict=True)
    ]


def documents(pictures: list[InputImage], measures: Metrics) -> list[dict[str, Any]]:
    """Return the measures of each picture for programs."""
    return [
        {"image": picture.word, "label": picture.label, "mse": float(mse), "psnr": float(psnr), "ssim": float(ssim)}
        for picture, mse, psnr, ssim in zip(pictures, measures.mse, measures.psnr, measures.ssim, strict=True)
    ]
