"""`mnistae reconstruct`: images beside their reconstructions."""

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, FigureOutput, Images
from mnistae.cli.views import images as view
from mnistae.data import references
from mnistae.outputs import figures
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.tasks import inference


def reconstruct(images: Images, *, source: DatasetOptions, out: FigureOutput, reporter: Reporter) -> None:
    """Draw images beside their reconstructions and measure the error.

    Writes a figure in the lab's layout and prints its path; MSE, PSNR and SSIM go to stderr. With --json and no -o, no figure
    is drawn.
    """
    target = results.for_images(reporter, images, source, out)
    job = inputs.load_inputs(reporter, images, source)
    found = inference.reconstruct(job.network, references.stack(job.images))
    reporter.table([view.HEADINGS, *view.rows(job.images, found.metrics)])
    names = [image.name for image in job.images]
    reporter.preview(lambda canvas: mosaic(canvas, found.originals, found.outputs, names=names, titles=("reconstructed",)))

    def render(kind: str) -> bytes:
        return figures.render(figures.reconstructions(found.originals, found.outputs), kind)

    results.write_result(reporter, target, render, {**job.describe(), "images": view.documents(job.images, found.metrics)})
    job.exit_with_failures()
