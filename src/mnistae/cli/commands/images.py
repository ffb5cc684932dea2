"""`mnistae reconstruct` and `mnistae denoise`: images beside the network's outputs."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, FigureOutput, Images, checkpoint_option
from mnistae.cli.views import images as view
from mnistae.core.errors import UsageError
from mnistae.data import references
from mnistae.outputs import figures
from mnistae.outputs.terminal.mosaic import mosaic
from mnistae.store import builtin
from mnistae.tasks import inference
from mnistae.tasks import noise as noises
from mnistae.tasks.noise import Noise


@dataclass(frozen=True)
class DenoiseInput(DatasetOptions):
    """Input with a default checkpoint of its own."""

    checkpoint: Annotated[
        str | None, checkpoint_option("Checkpoint name or .safetensors file (default: the built-in `denoise`).")
    ] = None
    default: ClassVar[str | None] = builtin.DENOISE


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


def reconstruct(images: Images, *, source: DatasetOptions, out: FigureOutput, reporter: Reporter) -> None:
    """Draw images beside their reconstructions and measure the error.

    Writes a figure in the lab's layout and prints its path; MSE, PSNR and SSIM go to stderr. With --json and no -o, no figure
    is drawn.
    """
    target = results.for_images(reporter, images, source, out)
    job = inputs.load_inputs(reporter, images, source)
    found = inference.reconstruct(job.network, references.stack(job.images))
    reporter.table([view.HEADINGS, *view.rows(job.images, found.metrics)])
    names = [image.name for image in job.images]
    reporter.preview(lambda canvas: mosaic(canvas, found.originals, found.outputs, names=names, titles=("reconstructed",)))

    def render(kind: str) -> bytes:
        return figures.render(figures.reconstructions(found.originals, found.outputs), kind)

    results.write_result(reporter, target, render, {**job.describe(), "images": view.documents(job.images, found.metrics)})
    job.exit_with_failures()


def denoise(images: Images, *, noise: NoiseOptions, source: DenoiseInput, out: FigureOutput, reporter: Reporter) -> None:
    """Add noise to images and remove it with the network.

    The default checkpoint is the built-in `denoise`; networks trained on clean images perform worse. Writes a figure in the
    lab's layout and prints its path; the PSNR before and after goes to stderr. With --noise none, the images are assumed to
    be noisy already; there is no clean reference, so no PSNR is reported.
    """
    are_noisy = noise.noise is Noise.NONE
    if are_noisy and noise.seed:
        raise UsageError("--seed has no effect with --noise none", hint="leave one of them out")
    level, seed = noises.check_level(noise.noise, noise.level), noises.check_seed(noise.seed)
    target = results.for_images(reporter, images, source, out, suffixes=noise.suffixes())
    job = inputs.load_inputs(reporter, images, source, are_noisy=are_noisy)
    found = inference.denoise(job.network, references.stack(job.images), kind=noise.noise, level=level, seed=seed)
    columns = {"denoised": found.outputs} if are_noisy else {"noisy": found.noisy, "denoised": found.outputs}
    if not are_noisy:
        pairs = zip(job.images, found.before.psnr, found.after.psnr, strict=True)
        rows = [(image.name, view.label(image), f"{one:.2f}", f"{two:.2f}", _gain(one, two)) for image, one, two in pairs]
        reporter.table([("image", "label", "PSNR noisy", "PSNR denoised", "gain"), *rows])
    names = [image.name for image in job.images]
    reporter.preview(lambda canvas: mosaic(canvas, found.originals, *columns.values(), names=names, titles=tuple(columns)))

    def render(kind: str) -> bytes:
        return figures.render(figures.denoisings(None if are_noisy else found.originals, found.noisy, found.outputs), kind)

    document = {
        **job.describe(),
        "images": [inputs.describe_image(image) for image in job.images],
        "noisy": None if are_noisy else view.documents(job.images, found.before),
        "denoised": None if are_noisy else view.documents(job.images, found.after),
        "noise": {"kind": noise.noise.value, "level": level, "seed": seed},
    }
    results.write_result(reporter, target, render, document)
    job.exit_with_failures()


def _gain(noisy: float, denoised: float) -> str:
    """Return the gain in PSNR for a table; an image that the noise did not change has none."""
    return "-" if math.isinf(noisy) else f"{denoised - noisy:.2f}"
