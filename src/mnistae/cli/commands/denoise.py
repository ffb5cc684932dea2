"""`mnistae denoise`: noise added to images, and removed by the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, FigureOutput, Images, checkpoint_option
from mnistae.cli.inputs import Inputs
from mnistae.cli.views import images as view
from mnistae.core.errors import UsageError
from mnistae.data import references
from mnistae.outputs import figures
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store import builtin
from mnistae.tasks import inference
from mnistae.tasks import noise as noises
from mnistae.tasks.inference import Denoising
from mnistae.tasks.noise import Noise

HEADINGS = ("image", "label", "PSNR noisy", "PSNR denoised", "gain")


@dataclass(frozen=True)
class DenoiseInput(DatasetOptions):
    """Input with a default checkpoint of its own."""

    checkpoint: Annotated[
        str | None, checkpoint_option("Checkpoint name or .safetensors file (default: the built-in `denoise`).")
    ] = None


@dataclass(frozen=True)
class NoiseOptions:
    """Kind, level and seed of the noise."""

    noise: Annotated[Noise, typer.Option("--noise", help="Noise to add; none if the images are already noisy.")] = Noise.UNIFORM
    level: Annotated[
        float | None,
        typer.Option(
            "--level",
            help="Noise level: half-width for uniform (default: 0.625), standard deviation for gaussian (0.35), fraction of "
            "pixels for salt-pepper (0.25) and mask (0.5).",
            show_default=False,
        ),
    ] = None
    seed: Annotated[int, typer.Option("--seed", help="Random seed of the noise.")] = 0

    def suffixes(self) -> list[str]:
        """Return what the default file name says of the noise."""
        values = {"": self.noise if self.noise is not Noise.UNIFORM else None, "level": self.level, "seed": self.seed or None}
        return [f"{name}{value}" for name, value in values.items() if value is not None]


def denoise(images: Images, *, noise: NoiseOptions, source: DenoiseInput, out: FigureOutput, reporter: Reporter) -> None:
    """Add noise to images and remove it with the network.

    The default checkpoint is the built-in `denoise`; networks trained on clean images perform worse. Writes a figure in the
    lab's layout and prints its path; the PSNR before and after goes to stderr. With --noise none, the images are assumed to
    be noisy already; there is no clean reference, so no PSNR is reported.
    """
    if noise.noise is Noise.NONE and noise.seed:
        raise UsageError("--seed has no effect with --noise none", hint="leave one of them out")
    level, seed = noises.check_level(noise.noise, noise.level), noises.check_seed(noise.seed)
    target = results.for_images(reporter, images, source, out, suffixes=noise.suffixes())
    are_noisy = noise.noise is Noise.NONE
    job = inputs.load_inputs(reporter, images, source, default=builtin.DENOISE, are_noisy=are_noisy)
    found = inference.denoise(job.network, references.stack(job.images), kind=noise.noise, level=level, seed=seed)
    has_reference = not are_noisy
    if has_reference:
        reporter.table(_table(job, found))
    _preview(reporter, job, found, has_reference=has_reference)

    def render(kind: str) -> bytes:
        clean = found.originals if has_reference else None
        return figures.render(figures.denoisings(clean, found.noisy, found.outputs), kind)

    document = {
        **job.describe(),
        "images": [inputs.describe_image(image) for image in job.images],
        "noisy": view.documents(job.images, found.before) if has_reference else None,
        "denoised": view.documents(job.images, found.after) if has_reference else None,
        "noise": {"kind": noise.noise.value, "level": level, "seed": seed},
    }
    results.write_result(reporter, target, render, document)
    job.exit_with_failures()


def _table(job: Inputs, found: Denoising) -> list[Sequence[object]]:
    rows = zip(job.images, found.before.psnr, found.after.psnr, strict=True)
    return [
        HEADINGS,
        *(
            [image.name, view.label(image), f"{before:.2f}", f"{after:.2f}", f"{after - before:.2f}"]
            for image, before, after in rows
        ),
    ]


def _preview(reporter: Reporter, job: Inputs, found: Denoising, *, has_reference: bool) -> None:
    columns = {"noisy": found.noisy, "denoised": found.outputs} if has_reference else {"denoised": found.outputs}
    names = [image.name for image in job.images]
    reporter.preview(lambda canvas: mosaic(canvas, found.originals, *columns.values(), names=names, titles=tuple(columns)))
