"""`mnistae interpolate`: from one image to the next along a path between their codes."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import MAX_STEPS, DatasetOptions, FrameOutput, Images
from mnistae.core import config as configs
from mnistae.core.errors import UsageError
from mnistae.data import references
from mnistae.outputs import figures, image_io
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.tasks import inference


@dataclass(frozen=True)
class PathOptions:
    """The path between the codes, and how fast a GIF follows it."""

    steps: Annotated[
        int,
        typer.Option(
            "--steps",
            "-n",
            help="Frames per segment, including both ends. A strip, GIF or array contains a frame of two segments once.",
        ),
    ] = 8
    closed: Annotated[bool, typer.Option("--closed", help="Close the path: end at the first image.")] = False
    slerp: Annotated[bool, typer.Option("--slerp", help="Spherical interpolation (slerp) instead of linear.")] = False
    fps: Annotated[float, typer.Option("--fps", help="Frames per second, from 0.1 to 50 (GIF only).")] = 8
    ping_pong: Annotated[bool, typer.Option("--ping-pong", help="Play forwards, then backwards (GIF only).")] = False

    def __post_init__(self) -> None:
        configs.check_integer("--steps", self.steps, 2, MAX_STEPS)
        if not 0.1 <= self.fps <= 50:
            raise UsageError(f"invalid value for --fps: {self.fps:g}", hint="must be a number from 0.1 to 50")
        if self.closed and self.ping_pong:
            raise UsageError("--closed and --ping-pong cannot be combined", hint="leave one of them out")

    def suffixes(self) -> list[str]:
        """Return what the default file name says of the path."""
        changed = {
            f"steps{self.steps}": self.steps != 8,
            "closed": self.closed,
            "slerp": self.slerp,
            f"fps{self.fps:g}": self.fps != 8,
            "ping_pong": self.ping_pong,
        }
        return [name for name, is_changed in changed.items() if is_changed]


def interpolate(images: Images, *, path: PathOptions, source: DatasetOptions, out: FrameOutput, reporter: Reporter) -> None:
    """Morph one image into the next by interpolating between their codes.

    Writes the lab's figure (png, svg, pdf: original, frames, original) or, with -f, a strip without axes (strip), an animation
    (gif) or an array (npy). Prints the path.
    """
    target = results.for_images(reporter, images, source, out, suffixes=path.suffixes())
    if (path.ping_pong or path.fps != 8) and target is not None and target.format != "gif":
        raise UsageError("--fps and --ping-pong apply to GIF output only", hint="add -f gif, or name a .gif file with -o")
    job = inputs.load_inputs(reporter, images, source, needs_all=True)
    inference.require_two(len(job.images))  # --closed makes two of one
    pixels = references.stack(job.images)
    originals = np.concatenate([pixels, pixels[:1]]) if path.closed else pixels
    segments = inference.interpolate(job.network, originals, steps=path.steps, slerp=path.slerp)
    frames = inference.join_segments(segments, closed=path.closed, ping_pong=path.ping_pong)
    reporter.preview(lambda canvas: mosaic(canvas, frames))

    def render(kind: str) -> bytes:
        match kind:
            case "strip":
                return image_io.strip(frames)
            case "gif":
                return image_io.gif(frames, frames_per_second=path.fps)
            case "npy":
                return image_io.npy_bytes(frames)
            case _:
                return figures.render(figures.interpolations(originals, segments), kind)

    document = {
        **job.describe(),
        "images": [inputs.describe_image(image) for image in job.images],
        "steps": path.steps,
        "closed": path.closed,
        "slerp": path.slerp,
        "codes": job.network.encode(pixels).astype(float).tolist(),
    }
    results.write_result(reporter, target, render, document)
