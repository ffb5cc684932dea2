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
        help="Decoded frames from one image to the next, both ends among them. Where one leg ends and the next begins, or "
        "a loop ends where it began, the frame is the same: strips, films and arrays show it once.",
    ),
]
Loop = Annotated[bool, typer.Option("--loop", help="Come back from the last image to the first.")]
Spherical = Annotated[bool, typer.Option("--spherical", help="Go along the arc between two codes, not the straight line.")]
Fps = Annotated[float, typer.Option("--fps", help="Frames a second of a film (gif).")]
Back = Annotated[bool, typer.Option("--there-and-back", help="Let a film (gif) run back to where it began.")]


def interpolate(
    images: options.Images,
    steps: Steps = 8,
    loop: Loop = False,
    slerp: Spherical = False,
    fps: Fps = 8,
    back: Back = False,
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
    _check(steps, fps, loop=loop, back=back)
    given = {f"steps{steps}": steps != 8, "loop": loop, "spherical": slerp, f"fps{fps:g}": fps != 8, "back": back}
    changed = [word for word, is_given in given.items() if is_given]
    kind = [format_] if format_ == "strip" else []
    name = ["interpolate", *results.name_parts(images, checkpoint=checkpoint, dataset=dataset, raw=raw), *changed, *kind]
    target = results.resolve(reporter, output, format_, name=name, formats=results.FRAME_FORMATS)
    if (back or fps != 8) and target is not None and target.format != "gif":
        raise UsageError("--fps and --there-and-back are for films", hint="add -f gif, or name a .gif with -o")
    results.refuse_to_overwrite_inputs(target, checkpoint, dataset, images=images)
    job = inputs.load_inputs(reporter, images, checkpoint=checkpoint, dataset=dataset, device=device, raw=raw, needs_all=True)
    inference.require_two(len(job.pictures))  # a loop makes two of one
    pixels = references.stack(job.pictures)
    originals = np.concatenate([pixels, pixels[:1]]) if loop else pixels
    frames = inference.interpolate(job.network, originals, steps=steps, slerp=slerp)
    film = inference.join_segments(frames, closed=loop, back=back)
    reporter.draw(lambda canvas: mosaic(canvas, film))
    makers: dict[str, Callable[[], bytes]] = {
        "strip": lambda: image_io.strip(film),
        "gif": lambda: image_io.gif(film, frames_per_second=fps),
        "npy": lambda: image_io.npy_bytes(film),
    }

    def make(kind: str) -> bytes:
        return makers[kind]() if kind in makers else figures.render(figures.interpolations(originals, frames), kind)

    codes = job.network.encode(pixels).astype(float).tolist()
    document = _document(job, steps=steps, loop=loop, slerp=slerp, codes=codes)
    results.write_result(reporter, target, make, document)


def _document(job: inputs.Inputs, **more: object) -> dict[str, Any]:
    return {
        "checkpoint": inputs.describe_checkpoint(job.checkpoint),
        "dataset": job.dataset,
        "images": [{"image": picture.word, "label": picture.label} for picture in job.pictures],
        **more,
    }


def _check(steps: int, fps: float, *, loop: bool, back: bool) -> None:
    inputs.check_steps(steps)
    if not 0.1 <= fps <= 50:
        raise UsageError(f"fps is '{fps:g}'", hint="give a number from 0.1 to 50")
    if loop and back:
        raise UsageError("a loop comes back by itself", hint="leave out --loop or --there-and-back")
