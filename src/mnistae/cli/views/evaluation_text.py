"""What `evaluate` found, for people: all about one checkpoint, or several side by side."""

import textwrap
from collections.abc import Sequence

from mnistae.cli.commands import reconstruct
from mnistae.cli.console import format_table
from mnistae.cli.views.evaluation_files import Report
from mnistae.core.text import escape
from mnistae.tasks.denoising import DenoisingResult
from mnistae.tasks.evaluation import DigitMetrics, Evaluation, Extremes

WIDTH = 80


def lines(reports: Sequence[Report], data: str) -> list[str]:
    """Return what people read: all about one checkpoint, or what several are compared by."""
    return _side_by_side(reports, data) if len(reports) > 1 else _whole(reports[0], data)


def _whole(report: Report, data: str) -> list[str]:
    found = report.found
    return [
        escape(f"{report.name} on the {found.split} images of {data}"),
        "",
        *format_table([("digit", "images", "MSE", "PSNR", "SSIM"), *map(_cells, (*found.digits, found.total))]),
        "",
        f"living bottleneck units: {found.active_units} of {found.bottleneck}",
        *_wrapped("mean activations:", [f"{mean:.2f}" for mean in found.activations]),
        f"MSE of PCA with {found.bottleneck} components: {found.pca_mse:.4f}",
        f"MSE under the lab's noise: {found.lab.noisy_mse:.4f} noisy, {found.lab.denoised_mse:.4f} denoised",
        *([f"labels told by the {found.vote.k} nearest codes: {found.vote.accuracy:.2%}"] if found.vote else []),
        *(_extreme_lines("worst", found.worst) if found.worst else []),
        *(_extreme_lines("best", found.best) if found.best else []),
        *(_gain_lines(found.gains) if found.gains else []),
    ]


def _side_by_side(reports: Sequence[Report], data: str) -> list[str]:
    found = [report.found for report in reports]
    names, legend = _headings([report.name for report in reports])
    rows = [(pairs[0][0], *(cell for _, cell in pairs)) for pairs in zip(*map(_column, found), strict=True)]
    lines = [
        escape(f"{len(reports)} checkpoints on the {found[0].total.count:,} {found[0].split} images of {data}"),
        "",
        *legend,
        *format_table([("", *names), *rows]),
    ]
    for heading, extremes in (("worst", [one.worst for one in found]), ("best", [one.best for one in found])):
        cells = [_short(one) for one in extremes if one]
        ranked = [(rank, *row) for rank, row in enumerate(zip(*cells, strict=True), 1)]
        lines += ["", *format_table([(heading, *names), *ranked])] if ranked else []
    return lines


def _cells(row: DigitMetrics) -> list[object]:
    name = "all" if row.digit is None else row.digit
    return [name, f"{row.count:,}", f"{row.mse:.6f}", f"{row.psnr:.2f}", f"{row.ssim:.4f}"]


def _wrapped(heading: str, cells: Sequence[str]) -> list[str]:
    return textwrap.wrap(" ".join([heading, *cells]), WIDTH, subsequent_indent="  ")


def _extreme_lines(heading: str, extremes: Extremes) -> list[str]:
    rows = reconstruct.rows(extremes.pictures, extremes.found.measures)
    return ["", *format_table([(f"{heading} image", *reconstruct.HEADINGS[1:]), *rows])]


def _gain_lines(gains: Sequence[DenoisingResult]) -> list[str]:
    rows = [
        (gain.kind, f"{gain.level:g}", f"{gain.noisy_psnr:.2f}", f"{gain.denoised_psnr:.2f}", f"{gain.psnr_gain:.2f}")
        for gain in gains
    ]
    return ["", *format_table([("noise", "level", "PSNR noisy", "PSNR denoised", "gain"), *rows])]


def _headings(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return headings of columns, and a legend: the names themselves, or numbers where those are too broad or not apart."""
    broad = sum(2 + max(len(name), 9) for name in names) + len("gain, salt-pepper 0.25") > WIDTH
    if not broad and len(set(names)) == len(names):
        return list(names), []
    numbers = [str(number) for number in range(1, len(names) + 1)]
    return numbers, [*(f"{number}  {escape(name)}" for number, name in zip(numbers, names, strict=True)), ""]


def _column(found: Evaluation) -> list[tuple[str, str]]:
    """Return what a checkpoint is compared by: names of measures and cells."""
    return [
        ("MSE", f"{found.total.mse:.6f}"),
        *((f"MSE of digit {row.digit}", f"{row.mse:.6f}") for row in found.digits),
        ("PSNR", f"{found.total.psnr:.2f}"),
        ("SSIM", f"{found.total.ssim:.4f}"),
        ("bottleneck units", str(found.bottleneck)),
        ("living units", str(found.active_units)),
        ("MSE of PCA, same size", f"{found.pca_mse:.4f}"),
        ("MSE, the lab's noise", f"{found.lab.noisy_mse:.4f}"),
        ("MSE, denoised", f"{found.lab.denoised_mse:.4f}"),
        *([(f"labels by {found.vote.k} codes, %", f"{100 * found.vote.accuracy:.2f}")] if found.vote else []),
        *((f"gain, {gain.kind} {gain.level:g}", f"{gain.psnr_gain:.2f}") for gain in found.gains or ()),
    ]


def _short(extremes: Extremes) -> list[str]:
    errors = extremes.found.measures.mse
    return [f"{picture.word} {mse:.5f}" for picture, mse in zip(extremes.pictures, errors, strict=True)]
