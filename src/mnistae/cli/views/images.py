"""Tables and JSON of the commands that measure images."""

from collections.abc import Sequence
from typing import Any

from mnistae.cli import inputs
from mnistae.data.references import InputImage
from mnistae.tasks.inference import Metrics

HEADINGS = ("image", "label", "MSE", "PSNR", "SSIM")


def rows(images: Sequence[InputImage], metrics: Metrics) -> list[Sequence[object]]:
    """Return the metrics of each image for a table."""
    return [
        [image.name, label(image), f"{mse:.6f}", f"{psnr:.2f}", f"{ssim:.4f}"]
        for image, mse, psnr, ssim in zip(images, metrics.mse, metrics.psnr, metrics.ssim, strict=True)
    ]


def documents(images: Sequence[InputImage], metrics: Metrics) -> list[dict[str, Any]]:
    """Return the metrics of each image for a JSON document."""
    return [
        {**inputs.describe_image(image), "mse": float(mse), "psnr": float(psnr), "ssim": float(ssim)}
        for image, mse, psnr, ssim in zip(images, metrics.mse, metrics.psnr, metrics.ssim, strict=True)
    ]


def label(image: InputImage) -> object:
    """Return an image's class or label for a table."""
    return image.class_name or ("-" if image.label is None else image.label)
