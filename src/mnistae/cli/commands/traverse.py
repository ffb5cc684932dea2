"""`mnistae traverse`: what each number of a code does to an image."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import IMAGE_HELP, MAX_STEPS, DatasetOptions, FrameOutput
from mnistae.cli.inputs import Inputs
from mnistae.core import config as configs
from mnistae.core.errors import UsageError
from mnistae.core.records import UnitRange, count_active
from mnistae.data.sets.dataset import Split
from mnistae.outputs import figures, image_io
from mnistae.outputs.terminal.canvas import Canvas
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.tasks import inference
from mnistae.tasks.inference import Traversal

MAX_FRAMES = 10_000
HEADINGS = ("unit", "from", "to", "image")

Image = Annotated[str, typer.Argument(metavar="IMAGE", help=f"Starting image: {IMAGE_HELP}", show_default=False)]
Unit = Annotated[int | None, typer.Option("--unit", metavar="K", help="Traverse only unit K, counted from 0 (default: all).")]
Steps = Annotated[int, typer.Option("--steps", "-n", help="Frames per unit, including both ends of its range.")]


def traverse(
    image: Image, unit: Unit = None, steps: Steps = 8, *, source: DatasetOptions, out: FrameOutput, reporter: Reporter
) -> None:
    """Latent traversal: vary one bottleneck unit at a time over its training range.

    The other units keep the values of the image's code. Writes a figure (png, svg, pdf) with a row for each unit, the values
    above the frames and a triangle at the image's own value, or, with -f, the frames without axes (strip), a ping-pong
    animation of all units side by side (gif) or an array of them, unit after unit (npy). Prints the path.
    For imported checkpoints the ranges are computed from the training images of the data set.
    """
    configs.check_integer("--steps", steps, 2, MAX_STEPS)
    changed = {f"unit{unit}": unit is not None, f"steps{steps}": steps != 8}
    suffixes = [name for name, is_changed in changed.items() if is_changed]
    target = results.for_images(reporter, [image], source, out, suffixes=suffixes)
    job = inputs.load_inputs(reporter, [image], source, needs_all=True)
    units = _units(job, unit, steps)
    ranges, dataset = _ranges(reporter, job)
    found = inference.traverse(job.network, job.images[0].pixels, ranges, units=units, steps=steps)
    rows = [(k, f"{ranges[k].low:.2f}", f"{ranges[k].high:.2f}", f"{found.code[k]:.2f}") for k in units]
    reporter.table([HEADINGS, *rows])
    reporter.preview(lambda canvas: _preview(canvas, found))
    document = {
        **job.describe(),
        "dataset": dataset,
        "image": inputs.describe_image(job.images[0]),
        "code": found.code.astype(float).tolist(),
        "steps": steps,
        "units": [
            {"unit": k, "low": ranges[k].low, "high": ranges[k].high, "values": values.astype(float).tolist()}
            for k, values in zip(units, found.values, strict=True)
        ],
    }
    results.write_result(reporter, target, lambda kind: _render(found, kind), document)


def _units(job: Inputs, unit: int | None, steps: int) -> list[int]:
    """Return the units to traverse. Raises UsageError for a unit that does not exist, and for too many frames."""
    if len(job.images) != 1:
        raise UsageError(f"traverse takes exactly one image, got {len(job.images)}", hint="name an image file or an index")
    size = job.network.config.bottleneck
    if unit is not None:
        configs.check_integer("--unit", unit, 0, size - 1)
    units = list(range(size)) if unit is None else [unit]
    if len(units) * steps > MAX_FRAMES:
        raise UsageError(
            f"too many frames: {len(units)} units of {steps:,} steps (max {MAX_FRAMES:,})",
            hint="lower --steps, or select one --unit",
        )
    return units


def _ranges(reporter: Reporter, job: Inputs) -> tuple[Sequence[UnitRange], str | None]:
    """Return the ranges of all units, computed if the checkpoint has none, and the name of the data set used."""
    metadata = job.checkpoint.metadata
    if metadata.unit_ranges is not None:
        return metadata.unit_ranges, job.dataset
    data = job.open_dataset()
    reporter.info(f"unit ranges are not stored in this checkpoint; computed from the training images of {data.name}")
    ranges = inference.unit_ranges(inference.encode_uint8(job.network, data.images(Split.TRAIN)))
    inputs.warn_dead(reporter, count_active(ranges), len(ranges), ranges=ranges)
    return ranges, data.name


def _preview(canvas: Canvas, found: Traversal) -> list[str]:
    """Return one unit as rows of frames, or a row for each unit if the terminal is wide enough."""
    if len(found.units) == 1:
        return mosaic(canvas, found.frames[0])
    return mosaic(canvas, *found.frames.swapaxes(0, 1), names=[f"unit {unit}" for unit in found.units])


def _render(found: Traversal, kind: str) -> bytes:
    """Return the frames as a file of the format `kind`."""
    match kind:
        case "strip":
            return image_io.strip(np.concatenate(found.frames), columns=found.values.shape[1])
        case "gif":
            side_by_side = found.frames.swapaxes(0, 1)  # (steps, U, 784)
            return image_io.gif(inference.join_segments(side_by_side[None], ping_pong=True))
        case "npy":
            return image_io.npy_bytes(np.concatenate(found.frames))
        case _:
            own = found.code[list(found.units)]
            return figures.render(figures.traversals(found.units, found.values, found.frames, own), kind)
