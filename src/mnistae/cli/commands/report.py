"""`mnistae report`: a network and its results as one page."""

from dataclasses import replace
from typing import Annotated

import typer

from mnistae import api
from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import IMAGE_HELP, OutputOptions, RunOptions, output_options
from mnistae.cli.views import metadata as view
from mnistae.core import records
from mnistae.core.errors import UsageError
from mnistae.data.sets.dataset import Split
from mnistae.outputs.page import content as contents
from mnistae.outputs.page import page
from mnistae.store import builtin, runs

DEFAULT_IMAGES = ("1", "2")

USUAL_SIZE = 4_000_000
"""Bytes that a page with the lab's sizes may have."""

Images = Annotated[
    tuple[str, str], typer.Option("--images", metavar="A B", help=f"The two images of the lab's figures. Each is {IMAGE_HELP}")
]
PageOutput = Annotated[OutputOptions, output_options("html")]


def report(images: Images = DEFAULT_IMAGES, *, source: RunOptions, out: PageOutput, reporter: Reporter) -> None:
    """Write the lab's report on a network as one HTML file, with the network in it.

    The page needs no server and no network connection. It has the layer table, the training settings, the lab's figures, an
    evaluation and a map of the codes; and in a browser the network itself: sliders for the units, interpolation, noise, and a
    field to draw digits in. Prints the path. The first report of a checkpoint takes about ten seconds longer, for the map.
    """
    target = results.for_images(reporter, [] if images == DEFAULT_IMAGES else images, source, out)
    job = inputs.load_inputs(reporter, images, source, needs_all=True)
    if len(job.images) != len(images):
        raise UsageError(f"--images takes two images, got {len(job.images)}", hint="name image files or indices")
    denoiser = api.load(builtin.FOLDER / builtin.DENOISE / runs.MODEL).network
    dataset = job.data
    inputs.warn_unlike_split(reporter, [job.checkpoint], dataset, Split.TEST if dataset.has(Split.TEST) else Split.TRAIN)
    with reporter.progress(is_bytes=False) as progress:
        content = contents.collect((job.checkpoint, job.network), denoiser, dataset, job.images, progress)
    metadata = job.checkpoint.metadata
    if metadata.active_units is None:  # of an import: the ranges are measured now
        active = records.count_active(content.ranges)
        inputs.warn_dead(reporter, replace(metadata, active_units=active, unit_ranges=tuple(content.ranges)))
    data = page.render(content, view.rows(metadata))
    why = f" for {sum(array.size for array in job.checkpoint.weights.values()):,} weights" if len(data) > USUAL_SIZE else ""
    if target is not None:
        reporter.info(f"report: {len(data) / 1e6:.1f} MB{why}")
    document = {**job.describe(), "dataset": dataset.name, "bytes": len(data)}
    results.write_result(reporter, target, lambda _kind: data, document)
