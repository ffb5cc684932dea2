"""`mnistae denoise`: images with noise, and without it again."""

import functools
from typing import Annotated, Any

import typer

from mnistae.cli import inputs, options, results
from mnistae.cli.commands.reconstruct import documents
from mnistae.cli.console import Reporter
from mnistae.data import references
from mnistae.outputs import figures
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store import builtin
from mnistae.tasks import inference
from mnistae.tasks import noise as noises
from mnistae.tasks.noise import Noise

HEADINGS = ("image", "label", "PSNR noisy", "PSNR denoised", "gain")


Kind = Annotated[Noise, typer.Option("--noise", help="Kind of noise; none if the images are noisy.")]
Level = Annotated[
    float | None,
    typer.Option(
        "--level",
        help="Half-width (uniform, 0.625), deviation (gaussian, 0.35), share of pixels (salt-pepper 0.25, mask 0.5).",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the noise.")]


def denoise(
    images: options.Images,
    checkpoint: options.Checkpoint = None,
    output: options.Output = None,
    format_: options.Format = None,
    noise: Kind = Noise.UNIFORM,
    level: Level = None,
    seed: Seed = 0,
    dataset: options.Dataset = None,
    raw: options.Raw = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Add noise to images and let the network take it out again.

    Without -c this is the built-in network `denoise`, trained on noisy images; one trained as in the lab does it worse.
    Writes a figure in the lab's layout and prints its path; the PSNR before and after goes to standard error. With
    --noise none the images are taken to be noisy already: then nothing is known to measure against.
    """
    reporter = Reporter("denoise", quiet=quiet, as_json=as_json)
    strength = noises.check_level(noise, level)
    noises.check_seed(seed)
    changed = [f"{option}{value}" for option, value in (("level", level), ("seed", seed or None)) if value is not None]
    other = [] if noise is Noise.UNIFORM else [noise.value]
    name = ["denoise", *results.name_parts(images, checkpoint=checkpoint, dataset=dataset, raw=raw), *other, *changed]
    target = results.resolve(reporter, output, format_, name=name, formats=results.FIGURE_FORMATS)
    results.refuse_to_overwrite_inputs(target, checkpoint, dataset, images=images)
    job = inputs.load_inputs(
        reporter, images, checkpoint=checkpoint, dataset=dataset, device=device, raw=raw, default=builtin.DENOISE
    )
    found = inference.denoise(job.network, references.stack(job.pictures), kind=noise, level=strength, seed=seed)
    is_clean_known = noise is not Noise.NONE
    if is_clean_known:
        reporter.table([HEADINGS, *_rows(job.pictures, found)])
    names = [picture.word for picture in job.pictures]
    columns = {"noisy": found.noisy, "denoised": found.outputs} if is_clean_known else {"denoised": found.outputs}
    reporter.draw(lambda canvas: mosaic(canvas, found.originals, *columns.values(), names=names, titles=tuple(columns)))
    noise_document = {"kind": noise.value, "level": strength, "seed": seed}
    document = {**_document(job, found, is_clean_known=is_clean_known), "noise": noise_document}
    clean = found.originals if is_clean_known else None
    make = functools.partial(figures.denoisings, clean, found.noisy, found.outputs)
    results.write_result(reporter, target, lambda kind: figures.render(make(), kind), document)
    inputs.exit_with_failures(job)


def _document(job: inputs.Inputs, found: inference.Denoising, *, is_clean_known: bool) -> dict[str, Any]:
    return {
        "checkpoint": inputs.describe_checkpoint(job.checkpoint),
        "dataset": job.dataset,
        "failed": inputs.describe_failures(job),
        "images": [{"image": picture.word, "label": picture.label} for picture in job.pictures],
        "noisy": documents(job.pictures, found.before) if is_clean_known else None,
        "denoised": documents(job.pictures, found.after) if is_clean_known else None,
    }


def _rows(pictures: list[references.InputImage], found: inference.Denoising) -> list[list[object]]:
    return [
        [
            picture.word,
            "-" if picture.label is None else picture.label,
            f"{before:.2f}",
            f"{after:.2f}",
            f"{after - before:.2f}",
        ]
        for picture, before, after in zip(pictures, found.before.psnr, found.after.psnr, strict=True)
    ]
