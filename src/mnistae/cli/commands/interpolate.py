"""`mnistae interpolate`: from one image to the next through the bottleneck."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer

from mnistae.cli import inputs, options, results
from mnistae.cli.console import Reporter
from mnistae.core.errors import UsageError
from mnistae.data import references
from mnistae.outputs import figures, image_io
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.tasks import inference

Steps = Annotated[
    int,
    typer.Option(
        "--steps",
        "-n",
        help="Frames per segment, endpoints included. A strip, GIF or array holds frames that segments share only once.",
    ),
]
Closed = Annotated[bool, typer.Option("--closed", help="Close the path: end at the first image.")]
Slerp = Annotated[bool, typer.Option("--slerp", help="Spherical interpolation (slerp) instead of linear.")]
Fps = Annotated[float, typer.Option("--fps", help="Frames per second (GIF only).")]
PingPong = Annotated[bool, typer.Option("--ping-pong", help="Play forwards, then backwards (GIF only).")]


def interpolate(
    images: options.Images,
    steps: Steps = 8,
    closed: Closed = False,
    slerp: Slerp = False,
    fps: Fps = 8,
    ping_pong: PingPong = False,
    checkpoint: options.Checkpoint = None,
    output: options.Output = None,
    format_: options.Format = None,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Morph one image into the next through the bottleneck, along the straight line between their codes.

    Writes the lab's figure (png, svg, pdf: original, frames, original), a strip of frames without axes (strip), a film
    (gif) or the frames as an array (npy), and prints its path.
    """
    reporter = Reporter("interpolate", quiet=quiet, as_json=as_json)
    _check(steps, fps, closed=closed, ping_pong=ping_pong)
    given = {f"steps{steps}": steps != 8, "closed": closed, "slerp": slerp, f"fps{fps:g}": fps != 8, "ping-pong": ping_pong}
    changed = [word for word, is_given in given.items() if is_given]
    kind = [format_] if format_ == "strip" else []
    name = ["interpolate", *results.name_parts(images, checkpoint=checkpoint, dataset=dataset, raw=raw), *changed, *kind]
    target = results.resolve(reporter, output, format_, name=name, formats=results.FRAME_FORMATS)
    if (ping_pong or fps != 8) and target is not None and target.format != "gif":
        raise UsageError("--fps and --ping-pong apply to GIF output only", hint="add -f gif, or name a .gif file with -o")
    results.refuse_to_overwrite_inputs(target, checkpoint, dataset, images=images)
    job = inputs.load_inputs(reporter, images, checkpoint=checkpoint, dataset=dataset, device=device, raw=raw, needs_all=True)
    inference.require_two(len(job.pictures))  # --closed makes two of one
    pixels = references.stack(job.pictures)
    originals = np.concatenate([pixels, pixels[:1]]) if closed else pixels
    frames = inference.interpolate(job.network, originals, steps=steps, slerp=slerp)
    film = inference.join_segments(frames, closed=closed, back=ping_pong)
    reporter.draw(lambda canvas: mosaic(canvas, film))
    makers: dict[str, Callable[[], bytes]] = {
        "strip": lambda: image_io.strip(film),
        "gif": lambda: image_io.gif(film, frames_per_second=fps),
        "npy": lambda: image_io.npy_bytes(film),
    }

    def make(kind: str) -> bytes:
        return makers[kind]() if kind in makers else figures.render(figures.interpolations(originals, frames), kind)

    codes = job.network.encode(pixels).astype(float).tolist()
    document = _document(job, steps=steps, closed=closed, slerp=slerp, codes=codes)
    results.write_result(reporter, target, make, document)


def _document(job: inputs.Inputs, **more: object) -> dict[str, Any]:
    return {
        "checkpoint": inputs.describe_checkpoint(job.checkpoint),
        "dataset": job.dataset,
        "images": [{"image": picture.word, "label": picture.label} for picture in job.pictures],
        **more,
    }


def _check(steps: int, fps: float, *, closed: bool, ping_pong: bool) -> None:
    inputs.check_steps(steps)
    if not 0.1 <= fps <= 50:
        raise UsageError(f"fps is '{fps:g}'", hint="give a number from 0.1 to 50")
    if closed and ping_pong:
        raise UsageError("--closed and --ping-pong cannot be combined", hint="leave one of them out")
