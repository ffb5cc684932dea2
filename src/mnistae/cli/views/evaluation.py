"""Results of `evaluate` as a JSON document, CSV, tables and figures."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnistae.cli import inputs
from mnistae.cli.console import format_table
from mnistae.cli.views import images as image_view
from mnistae.core.text import csv_text, escape
from mnistae.outputs import figures
from mnistae.store.runs import Checkpoint
from mnistae.tasks.evaluation import QUALITY, SUMMARY, Evaluation, Extremes
from mnistae.tasks.inference import Reconstruction
from mnistae.tasks.noise import Noise

CSV_COLUMNS = ("checkpoint", "metric", "label", "item", "value")
DENOISING = ("noisy_psnr", "denoised_psnr", "psnr_gain")
WIDTH = 80

FORMATS = {
    "count": ("images", ",d"),
    "mse": ("MSE", ".6f"),
    "psnr": ("PSNR", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "bottleneck": ("bottleneck units", "d"),
    "active_units": ("active units", "d"),
    "pca_mse": ("MSE of PCA, same size", ".4f"),
    "noisy_mse": ("MSE, lab noise", ".4f"),
    "denoised_mse": ("MSE, denoised", ".4f"),
    "knn_accuracy": ("{}-NN accuracy", ".4f"),
    "noisy_psnr": ("PSNR noisy", ".2f"),
    "denoised_psnr": ("PSNR denoised", ".2f"),
    "psnr_gain": ("gain, {}", ".2f"),
}
"""Headings and number formats of the metrics in tables; {} is the item."""

COMPARED = FORMATS.keys() - {"count", "noisy_psnr", "denoised_psnr"}


@dataclass(frozen=True)
class Report:
    """A checkpoint and its results."""

    checkpoint: Checkpoint
    result: Evaluation

    @property
    def name(self) -> str:
        """The checkpoint's name, or its path if it has none."""
        return self.checkpoint.name or str(self.checkpoint.path)


def document(reports: Sequence[Report], dataset: str) -> dict[str, Any]:
    """Return the JSON document; parts that were not requested, or need labels, are null."""
    documents: list[dict[str, Any]] = []
    for report in reports:
        result = report.result
        digits: list[dict[str, Any]] = []
        for (digit, _), row in result.pivot(*QUALITY).items():
            name = _class(result, digit)
            digits.append({"digit": digit, **({} if name is None else {"class": name}), **row})
        noises = [(str(item).partition(":"), row) for (_, item), row in result.pivot(*DENOISING).items()]
        neighbours = [{"k": k, "accuracy": row["knn_accuracy"]} for (_, k), row in result.pivot("knn_accuracy").items()]
        worst, best = (
            one and image_view.documents(one.images, one.reconstruction.metrics) for one in (result.worst, result.best)
        )
        documents.append(
            {
                "checkpoint": inputs.describe_checkpoint(report.checkpoint),
                "digits": digits[1:],
                "total": digits[0],
                **result.pivot(*SUMMARY)[None, None],
                "mean_activations": [row["mean_activation"] for row in result.pivot("mean_activation").values()],
                "denoising": [{"noise": kind, "level": float(level), **row} for (kind, _, level), row in noises] or None,
                "worst": worst,
                "best": best,
                "knn": neighbours[0] if neighbours else None,
            }
        )
    shared = {"dataset": dataset, "split": reports[0].result.split}
    return {**shared, "evaluations": documents} if len(documents) > 1 else {**shared, **documents[0]}


def _class(result: Evaluation, label: int | None) -> str | None:
    return result.classes[label] if label is not None and label < len(result.classes) else None


def render(reports: Sequence[Report], kind: str) -> bytes:
    """Return a file: CSV, or the figure of one checkpoint's worst and best images, or of the PSNR gains of all."""
    if kind == "csv":
        rows = ((report.name, *record) for report in reports for record in report.result.records)
        return csv_text([CSV_COLUMNS, *rows]).encode("utf-8", "surrogateescape")
    first = reports[0].result
    if first.worst and first.best:
        drawn = figures.gallery([_section("Worst, above their reconstructions", first.worst), _section("Best", first.best)])
        return figures.render(drawn, kind)
    curves = []
    for report in reports:
        gains = [(str(item).partition(":"), row["psnr_gain"]) for (_, item), row in report.result.pivot("psnr_gain").items()]
        curves.append((report.name, {(Noise(kind), float(level)): gain for (kind, _, level), gain in gains}))
    return figures.render(figures.psnr_gains(curves), kind)


def lines(reports: Sequence[Report], dataset: str) -> list[str]:
    """Return the tables of one checkpoint, or the comparison of several."""
    if len(reports) > 1:
        return _compare(reports, dataset)
    report, result = reports[0], reports[0].result
    value = result.pivot(*SUMMARY)[None, None]
    means = [f"{row['mean_activation']:.2f}" for row in result.pivot("mean_activation").values()]
    total, *digits = [
        ("all" if digit is None else _class(result, digit) or digit, *_cells(row))
        for (digit, _), row in result.pivot(*QUALITY).items()
    ]
    lines = [
        escape(f"{report.name} on the {result.split.text} images of {dataset}"),
        "",
        *format_table([("class" if result.classes else "digit", *(FORMATS[metric][0] for metric in QUALITY)), *digits, total]),
        "",
        f"active bottleneck units: {value['active_units']} of {value['bottleneck']}",
        *textwrap.wrap(" ".join(["mean activations:", *means]), WIDTH, subsequent_indent="  "),
        f"MSE of PCA with {value['bottleneck']} components: {value['pca_mse']:.4f}",
        f"MSE with the lab's noise: {value['noisy_mse']:.4f} noisy, {value['denoised_mse']:.4f} denoised",
    ]
    for (_, k), row in result.pivot("knn_accuracy").items():
        lines.append(f"{k}-nearest-neighbour accuracy on the codes: {row['knn_accuracy']:.2%}")
    for heading, extremes in (("worst image", result.worst), ("best image", result.best)):
        if extremes:
            measured = image_view.rows(extremes.images, extremes.reconstruction.metrics)
            lines += ["", *format_table([(heading, *image_view.HEADINGS[1:]), *measured])]
    if noises := result.pivot(*DENOISING):
        rows = [(*str(item).split(":"), *_cells(row)) for (_, item), row in noises.items()]
        lines += ["", *format_table([("noise", "level", "PSNR noisy", "PSNR denoised", "gain"), *rows])]
    return lines


def _cells(row: dict[str, float]) -> list[str]:
    return [format(value, FORMATS[metric][1]) for metric, value in row.items()]


def _compare(reports: Sequence[Report], dataset: str) -> list[str]:
    first = reports[0].result
    count = first.pivot("count")[None, None]["count"]
    names, legend = [report.name for report in reports], []
    width = sum(2 + max(len(name), 9) for name in names) + len("gain, salt-pepper 0.25")
    if width > WIDTH or len(set(names)) < len(names):  # too wide, or not distinct: numbers as headings, and a legend
        legend = [*(f"{number}  {escape(name)}" for number, name in enumerate(names, 1)), ""]
        names = [str(number) for number in range(1, len(names) + 1)]
    columns = [_column(report.result) for report in reports]
    lines = [
        escape(f"{len(reports)} checkpoints on the {count:,} {first.split.text} images of {dataset}"),
        "",
        *legend,
        *format_table([("", *names), *((heading, *(column[heading] for column in columns)) for heading in columns[0])]),
    ]
    for heading, metric in (("worst", "worst_mse"), ("best", "best_mse")):
        cells = [[f"{item} {row[metric]:.5f}" for (_, item), row in report.result.pivot(metric).items()] for report in reports]
        ranked = [(rank, *row) for rank, row in enumerate(zip(*cells, strict=True), 1)]
        lines += ["", *format_table([(heading, *names), *ranked])] if ranked else []
    return lines


def _column(result: Evaluation) -> dict[str, str]:
    """Return the metrics by which checkpoints are compared: cells by heading. By digit that is only the MSE."""
    cells = {}
    for metric, label, item, value in result.records:
        if metric in COMPARED and (label is None or metric == "mse"):
            heading, number_format = FORMATS[metric]
            heading = heading.format(str(item).replace(":", " "))
            owner = f"{'class' if result.classes else 'digit'} {_class(result, label) or label}" if label is not None else ""
            cells[f"{heading} of {owner}" if owner else heading] = format(value, number_format)
    return cells


def _section(heading: str, extremes: Extremes) -> tuple[str, list[str], Reconstruction]:
    captions = [
        f"{image.name}{'' if image.label is None else f' ({image_view.label(image)})'}\n{mse:.5f}"
        for image, mse in zip(extremes.images, extremes.reconstruction.metrics.mse, strict=True)
    ]
    return heading, captions, extremes.reconstruction
