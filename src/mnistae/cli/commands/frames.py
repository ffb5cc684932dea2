"""`mnistae interpolate` and `mnistae traverse`: images decoded along a path between codes, or along the units of one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import IMAGE_HELP, DatasetOptions, FrameOutput, Images
from mnistae.cli.inputs import Inputs
from mnistae.core import config as configs
from mnistae.core.arrays import Array
from mnistae.core.errors import UsageError
from mnistae.core.records import UnitRange, count_active
from mnistae.data import references
from mnistae.data.sets.dataset import Split
from mnistae.outputs import figures, image_io
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.tasks import inference

MAX_FRAMES = 10_000

Image = Annotated[str, typer.Argument(metavar="IMAGE", help=f"Starting image: {IMAGE_HELP}", show_default=False)]
Unit = Annotated[int | None, typer.Option("--unit", metavar="K", help="Traverse only unit K, counted from 0 (default: all).")]
Steps = Annotated[int, typer.Option("--steps", "-n", help="Frames per unit, including both ends of its range.")]


@dataclass(frozen=True)
class PathOptions:
    """The path between the codes, and how fast a GIF follows it."""

    steps: Annotated[
        int,
        typer.Option(
            "--steps",
            "-n",
            help="Frames per segment, including both ends. Strips, GIFs and arrays omit repeated ends.",
        ),
    ] = 8
    closed: Annotated[bool, typer.Option("--closed", help="Close the path: end at the first image.")] = False
    slerp: Annotated[bool, typer.Option("--slerp", help="Spherical interpolation (slerp) instead of linear.")] = False
    fps: Annotated[float, typer.Option("--fps", help="Frames per second, from 0.1 to 50 (GIF only).")] = 8
    ping_pong: Annotated[bool, typer.Option("--ping-pong", help="Play forwards, then backwards (GIF only).")] = False

    def __post_init__(self) -> None:
        configs.check_integer("--steps", self.steps, 2, inference.MAX_STEPS)
        if not 0.1 <= self.fps <= 50:
            raise UsageError(f"invalid value for --fps: {self.fps:g}", hint="must be a number from 0.1 to 50")
        if self.closed and self.ping_pong:
            raise UsageError("--closed and --ping-pong cannot be combined", hint="leave one of them out")

    def suffixes(self) -> list[str]:
        """Return what the default file name says of the path."""
        words = {f"steps{self.steps}": self.steps != 8, "closed": self.closed, "slerp": self.slerp}
        words |= {f"fps{self.fps:g}": self.fps != 8, "ping_pong": self.ping_pong}
        return [word for word, is_changed in words.items() if is_changed]


def interpolate(images: Images, *, path: PathOptions, source: DatasetOptions, out: FrameOutput, reporter: Reporter) -> None:
    """Morph one image into the next by interpolating between their codes.

    Writes the lab's figure (png, svg, pdf: original, frames, original) or, with -f, a strip without axes (strip), an animation
    (gif) or an array (npy). Prints the path.
    """
    target = results.for_images(reporter, images, source, out, suffixes=path.suffixes())
    if (path.ping_pong or path.fps != 8) and (target is None or target.format != "gif"):
        raise UsageError("--fps and --ping-pong apply to GIF output only", hint="add -f gif, or name a .gif file with -o")
    job = inputs.load_inputs(reporter, images, source, needs_all=True)
    inference.require_two(len(job.images))  # --closed makes two of one
    pixels = references.stack(job.images)
    originals = np.concatenate([pixels, pixels[:1]]) if path.closed else pixels
    segments = inference.interpolate(job.network, originals, steps=path.steps, slerp=path.slerp)
    frames = inference.join_segments(segments, closed=path.closed, ping_pong=path.ping_pong)
    reporter.preview(lambda canvas: mosaic(canvas, frames))
    document = {
        **job.describe(),
        "images": [inputs.describe_image(image) for image in job.images],
        "steps": path.steps,
        "closed": path.closed,
        "slerp": path.slerp,
        "codes": job.network.encode(pixels).astype(float).tolist(),
    }

    def render(kind: str) -> bytes:
        return _render(kind, frames, frames, lambda: figures.interpolations(originals, segments), fps=path.fps)

    results.write_result(reporter, target, render, document)


def traverse(
    image: Image, unit: Unit = None, steps: Steps = 8, *, source: DatasetOptions, out: FrameOutput, reporter: Reporter
) -> None:
    """Latent traversal: vary one bottleneck unit at a time over its training range.

    The other units keep the values of the image's code. Writes a figure (png, svg, pdf) with a row for each unit, the values
    above the frames and a triangle at the image's own value, or, with -f, the frames without axes (strip), a ping-pong
    animation of all units side by side (gif) or an array of them, unit after unit (npy). Prints the path.
    For imported checkpoints the ranges are computed from the training images of the data set.
    """
    configs.check_integer("--steps", steps, 2, inference.MAX_STEPS)
    suffixes = [f"unit{unit}"] if unit is not None else []
    suffixes += [f"steps{steps}"] if steps != 8 else []
    target = results.for_images(reporter, [image], source, out, suffixes=suffixes)
    job = inputs.load_inputs(reporter, [image], source, needs_all=True)
    units = _units(job, unit, steps)
    ranges, dataset = _ranges(reporter, job)
    found = inference.traverse(job.network, job.images[0].pixels, ranges, units=units, steps=steps)
    rows = [(k, f"{ranges[k].low:.2f}", f"{ranges[k].high:.2f}", f"{found.code[k]:.2f}") for k in units]
    reporter.table([("unit", "from", "to", "image"), *rows])
    by_step = found.frames.swapaxes(0, 1)  # (steps, U, 784)
    names = [f"unit {unit}" for unit in units]
    if len(units) > 1:  # a row for each unit if the terminal is wide enough
        reporter.preview(lambda canvas: mosaic(canvas, *by_step, names=names))
    else:
        reporter.preview(lambda canvas: mosaic(canvas, found.frames[0]))
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

    def render(kind: str) -> bytes:
        frames, animated = np.concatenate(found.frames), inference.join_segments(by_step[None], ping_pong=True)
        own = found.code[units]
        return _render(kind, frames, animated, lambda: figures.traversals(found.units, found.values, found.frames, own), steps)

    results.write_result(reporter, target, render, document)


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
    data = job.data
    reporter.info(f"unit ranges are not stored in this checkpoint; computed from the training images of {data.name}")
    ranges = inference.unit_ranges(inference.encode_uint8(job.network, data.images(Split.TRAIN)))
    inputs.warn_dead(reporter, replace(metadata, active_units=count_active(ranges), unit_ranges=ranges))
    return ranges, data.name


def _render(
    kind: str, frames: Array, animated: Array, figure: Callable[[], Any], columns: int | None = None, *, fps: float = 8
) -> bytes:
    """Return the frames as a file of the format `kind`: `animated` as an animation, side by side if there are several."""
    match kind:
        case "strip":
            return image_io.strip(frames, columns=columns)
        case "gif":
            return image_io.gif(animated, frames_per_second=fps)
        case "npy":
            return image_io.npy_header(len(frames)) + frames.tobytes()
        case _:
            return figures.render(figure(), kind)
