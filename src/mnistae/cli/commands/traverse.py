"""`mnistae traverse`: what each number of a code stands for."""

import dataclasses
from typing import Annotated

import numpy as np
import typer

from mnistae.cli import inputs, options, results
from mnistae.cli.console import Reporter
from mnistae.cli.inputs import Inputs
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

Image = Annotated[str, typer.Argument(metavar="IMAGE", help=f"Where to start: {options.IMAGE_HELP}", show_default=False)]
Unit = Annotated[
    int | None, typer.Option("--unit", metavar="K", help="Walk this unit alone, counted from 0; by default all of them.")
]
Steps = Annotated[
    int, typer.Option("--steps", "-n", help="Decoded frames of a walk, both ends of the unit's range among them.")
]


def traverse(
    image: Image,
    unit: Unit = None,
    steps: Steps = 8,
    checkpoint: options.Checkpoint = None,
    output: options.Output = None,
    format_: options.Format = None,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Walk the bottleneck units of an image, one at a time, over their ranges in the training images.

    The other units stay as they are for the image. Writes a figure (png, svg, pdf) with a row for each unit, the values
    over the frames and a triangle at the image's own value; the frames without axes (strip), a film that runs there and
    back (gif: all units side by side) or an array (npy: unit after unit), and prints its path.
    Ranges that the checkpoint does not hold, as after an import, are measured on the training images of the data set.
    """
    reporter = Reporter("traverse", quiet=quiet, as_json=as_json)
    inputs.check_steps(steps)
    changed = [word for word, is_given in {f"unit{unit}": unit is not None, f"steps{steps}": steps != 8}.items() if is_given]
    kind = [format_] if format_ == "strip" else []
    name = ["traverse", *results.name_parts([image], checkpoint=checkpoint, dataset=dataset, raw=raw), *changed, *kind]
    target = results.resolve(reporter, output, format_, name=name, formats=results.FRAME_FORMATS)
    results.refuse_to_overwrite_inputs(target, checkpoint, dataset, images=[image])
    job = inputs.load_inputs(reporter, [image], checkpoint=checkpoint, dataset=dataset, device=device, raw=raw, needs_all=True)
    units = _units(job, unit, steps)
    ranges, data = _ranges(reporter, job)
    found = inference.traverse(job.network, job.pictures[0].pixels, ranges, units=units, steps=steps)
    rows = [(k, f"{ranges[k].low:.2f}", f"{ranges[k].high:.2f}", f"{found.code[k]:.2f}") for k in units]
    reporter.table([HEADINGS, *rows])
    reporter.draw(lambda canvas: _draw(canvas, found))
    walks = [
        {"unit": k, "low": ranges[k].low, "high": ranges[k].high, "values": values.astype(float).tolist()}
        for k, values in zip(units, found.values, strict=True)
    ]
    document = {
        "checkpoint": inputs.describe_checkpoint(job.checkpoint),
        "dataset": data,
        "image": {"image": job.pictures[0].word, "label": job.pictures[0].label},
        "code": found.code.astype(float).tolist(),
    }
    results.write_result(reporter, target, lambda kind: _file(found, kind), {**document, "steps": steps, "units": walks})


def _units(job: Inputs, unit: int | None, steps: int) -> list[int]:
    """Return the units to walk. Raises UsageError for a unit that is not there, and for walks without measure."""
    if len(job.pictures) != 1:
        raise UsageError(f"a walk starts at one image, not at {len(job.pictures)}", hint="give a picture, or an array of one")
    size = job.network.config.bottleneck
    if unit is not None and not 0 <= unit < size:
        raise UsageError(f"there is no unit '{unit}' in the checkpoint", hint=f"give a whole number from 0 to {size - 1}")
    units = list(range(size)) if unit is None else [unit]
    if len(units) * steps > MAX_FRAMES:
        raise UsageError(f"{len(units)} walks of {steps} steps are too many", hint="take fewer --steps, or one --unit")
    return units


def _ranges(reporter: Reporter, job: Inputs) -> tuple[tuple[UnitRange, ...], str | None]:
    """Return the ranges of all units, measured if the checkpoint does not hold them, and the data set that was used."""
    metadata = job.checkpoint.metadata
    if metadata.unit_ranges is not None:
        return metadata.unit_ranges, job.dataset
    data = job.open_dataset()
    reporter.note(f"the checkpoint holds no ranges of its units: measured on the training images of {data.name}")
    ranges = inference.unit_ranges(inference.encode_uint8(job.network, data.images(Split.TRAIN)))
    inputs.warn_dead(reporter, dataclasses.replace(metadata, active_units=count_active(ranges), unit_ranges=ranges))
    return ranges, data.name


def _draw(canvas: Canvas, found: Traversal) -> list[str]:
    """Return one walk as rows of frames, or a row a unit where the terminal is wide enough for that."""
    if len(found.units) == 1:
        return mosaic(canvas, found.frames[0])
    return mosaic(canvas, *found.frames.swapaxes(0, 1), names=[f"unit {unit}" for unit in found.units])


def _file(found: Traversal, kind: str) -> bytes:
    """Return the walks as a file of the format `kind`."""
    steps = found.values.shape[1]
    match kind:
        case "strip":
            return image_io.strip(np.concatenate(found.frames), columns=steps)
        case "gif":
            walk = found.frames.swapaxes(0, 1)  # (steps, U, 784)
            return image_io.gif(inference.join_segments(walk[None], back=True))
        case "npy":
            return image_io.npy_bytes(np.concatenate(found.frames))
        case _:
            own = found.code[list(found.units)]
            return figures.render(figures.traversals(found.units, found.values, found.frames, own), kind)
