"""`mnistae interpolate`: from one image to the next along the straight line between their codes."""

from typing import Annotated

import typer

from mnistae import figures, inference
from mnistae.cli import options, work
from mnistae.cli.console import Screen
from mnistae.datasets import words
from mnistae.errors import UsageError
from mnistae.inference import Array

MAX_STEPS = 1000
FORMATS = ("png", "svg", "pdf", "strip", "gif", "npy")


def interpolate(
    images: options.Images,
    steps: Annotated[
        int, typer.Option("--steps", "-n", help="Decoded frames from one image to the next, both ends among them.")
    ] = 8,
    checkpoint: options.Checkpoint = None,
    output: options.Output = None,
    format_: options.Format = None,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Morph one image into the next through the bottleneck.

    Writes the lab's figure (png, svg, pdf: original, frames, original), a strip of frames without axes (strip), a film
    (gif) or the frames as an array (npy), and prints its path. A frame that two legs share stands once in strip, gif and npy.
    """
    screen = Screen("interpolate", quiet=quiet, as_json=as_json)
    if not 2 <= steps <= MAX_STEPS:
        raise UsageError(f"steps is '{steps}'", hint=f"give a whole number from 2 to {MAX_STEPS}: both ends count")
    changed = [f"steps{steps}"] if steps != 8 else []
    kind = [format_] if format_ == "strip" else []
    name = ["interpolate", *work.stems(images, checkpoint=checkpoint, dataset=dataset, raw=raw), *changed, *kind]
    target = work.target(screen, output, format_, name=name, formats=FORMATS)
    work.check_is_no_input(target, *images, checkpoint, dataset)
    job = work.prepare(screen, images, checkpoint=checkpoint, dataset=dataset, device=device, raw=raw)
    if len(job.pictures) < 2:
        raise UsageError("an interpolation goes from one image to another", hint="give at least two images")
    originals = words.stack(job.pictures)
    frames = inference.interpolate(job.codec, originals, steps=steps)
    document = {
        "checkpoint": work.describe_checkpoint(job.checkpoint),
        "dataset": job.dataset,
        "images": [{"image": picture.word, "label": picture.label} for picture in job.pictures],
        "steps": steps,
        "codes": job.codec.encode(originals).astype(float).tolist(),
    }
    work.deliver(screen, target, lambda chosen: _make(chosen, originals, frames), document)


def _make(chosen: str, originals: Array, frames: Array) -> bytes:
    if chosen == "strip":
        return figures.strip(inference.film(frames))
    if chosen == "gif":
        return figures.animation(inference.film(frames))
    if chosen == "npy":
        return figures.array(inference.film(frames))
    return figures.render(figures.interpolations(originals, frames), chosen)
