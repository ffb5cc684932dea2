"""What `evaluate` found: of one checkpoint, of several side by side, as CSV, as a document and as a figure."""

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnistae import figures
from mnistae.cli import work
from mnistae.cli.commands import reconstruct
from mnistae.cli.console import aligned
from mnistae.evaluation import Evaluation, Extremes, Gain, Row
from mnistae.figures import Section
from mnistae.store.runs import Checkpoint
from mnistae.text import escape

WIDTH = 80
CSV_HEADINGS = ("checkpoint", "measure", "label", "item", "value")


@dataclass(frozen=True)
class Report:
    """A checkpoint and what was found about it."""

    checkpoint: Checkpoint
    found: Evaluation

    @property
    def name(self) -> str:
        """The checkpoint's name, or its path if it has none."""
        return self.checkpoint.name or str(self.checkpoint.path)


def lines(reports: Sequence[Report], data: str) -> list[str]:
    """Return what people read: all about one checkpoint, or what several are compared by."""
    return _side_by_side(reports, data) if len(reports) > 1 else _whole(reports[0], data)


def render(reports: Sequence[Report], kind: str) -> bytes:
    """Return a file: CSV, or the figure of the extremes of one checkpoint, or of the gains of all."""
    if kind == "csv":
        return as_csv(reports).encode("utf-8", "surrogateescape")
    first = reports[0].found
    if first.worst and first.best:
        drawn = figures.gallery([_section("Worst, above their reconstructions", first.worst), _section("Best", first.best)])
    else:
        drawn = figures.gains([(_drawable(report.name), report.found.gains or ()) for report in reports])
    return figures.render(drawn, kind)


def as_csv(reports: Sequence[Report]) -> str:
    """Return every number on a line of its own, with the checkpoint, the measure and what it was measured on."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADINGS)
    for report in reports:
        writer.writerows((report.name, *fact) for fact in _facts(report.found))
    return text.getvalue()


def document(report: Report) -> dict[str, Any]:
    """Return all about one checkpoint, for programs; parts that were not asked for, or need labels, are null."""
    found = report.found
    return {
        "checkpoint": work.describe_checkpoint(report.checkpoint),
        "digits": [asdict(row) for row in found.digits],
        "total": asdict(found.total),
        "living_units": found.living_units,
        "bottleneck": found.bottleneck,
        "mean_activations": found.activations,
        "pca_mse": found.pca_mse,
        "noisy_mse": found.lab.noisy_mse,
        "denoised_mse": found.lab.denoised_mse,
        "denoising": [_gain_document(gain) for gain in found.gains] if found.gains else None,
        "worst": reconstruct.documents(found.worst.pictures, found.worst.found.measures) if found.worst else None,
        "best": reconstruct.documents(found.best.pictures, found.best.found.measures) if found.best else None,
        "knn": asdict(found.vote) if found.vote else None,
    }


def _whole(report: Report, data: str) -> list[str]:
    found = report.found
    return [
        escape(f"{report.name} on the {found.split} images of {data}"),
        "",
        *aligned([("digit", "images", "MSE", "PSNR", "SSIM"), *map(_cells, (*found.digits, found.total))]),
        "",
        f"living bottleneck units: {found.living_units} of {found.bottleneck}",
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
        *aligned([("", *names), *rows]),
    ]
    for heading, extremes in (("worst", [one.worst for one in found]), ("best", [one.best for one in found])):
        cells = [_short(one) for one in extremes if one]
        ranked = [(rank, *row) for rank, row in enumerate(zip(*cells, strict=True), 1)]
        lines += ["", *aligned([(heading, *names), *ranked])] if ranked else []
    return lines


def _cells(row: Row) -> list[object]:
    name = "all" if row.digit is None else row.digit
    return [name, f"{row.count:,}", f"{row.mse:.6f}", f"{row.psnr:.2f}", f"{row.ssim:.4f}"]


def _wrapped(heading: str, cells: Sequence[str]) -> list[str]:
    return textwrap.wrap(" ".join([heading, *cells]), WIDTH, subsequent_indent="  ")


def _extreme_lines(heading: str, extremes: Extremes) -> list[str]:
    rows = reconstruct.rows(extremes.pictures, extremes.found.measures)
    return ["", *aligned([(f"{heading} image", *reconstruct.HEADINGS[1:]), *rows])]


def _gain_lines(gains: Sequence[Gain]) -> list[str]:
    rows = [
        (gain.kind, f"{gain.level:g}", f"{gain.noisy_psnr:.2f}", f"{gain.denoised_psnr:.2f}", f"{gain.decibels:.2f}")
        for gain in gains
    ]
    return ["", *aligned([("noise", "level", "PSNR noisy", "PSNR denoised", "gain"), *rows])]


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
        ("living units", str(found.living_units)),
        ("MSE of PCA, same size", f"{found.pca_mse:.4f}"),
        ("MSE, the lab's noise", f"{found.lab.noisy_mse:.4f}"),
        ("MSE, denoised", f"{found.lab.denoised_mse:.4f}"),
        *([(f"labels by {found.vote.k} codes, %", f"{100 * found.vote.accuracy:.2f}")] if found.vote else []),
        *((f"gain, {gain.kind} {gain.level:g}", f"{gain.decibels:.2f}") for gain in found.gains or ()),
    ]


def _short(extremes: Extremes) -> list[str]:
    errors = extremes.found.measures.mse
    return [f"{picture.word} {mse:.4f}" for picture, mse in zip(extremes.pictures, errors, strict=True)]


def _facts(found: Evaluation) -> Iterator[tuple[str, object, object, object]]:
    """Yield a measure, the label and the item that it is of (empty for all), and the value."""
    for row in (*found.digits, found.total):
        for measure, value in (("images", row.count), ("mse", row.mse), ("psnr", row.psnr), ("ssim", row.ssim)):
            yield measure, row.digit, None, value
    yield "bottleneck", None, None, found.bottleneck
    yield "living_units", None, None, found.living_units
    for unit, mean in enumerate(found.activations):
        yield "mean_activation", None, unit, mean
    yield "pca_mse", None, None, found.pca_mse
    yield "noisy_mse", None, None, found.lab.noisy_mse
    yield "denoised_mse", None, None, found.lab.denoised_mse
    if found.vote:
        yield "knn_accuracy", None, found.vote.k, found.vote.accuracy
    for measure, extremes in (("worst_mse", found.worst), ("best_mse", found.best)):
        if extremes:
            for picture, mse in zip(extremes.pictures, extremes.found.measures.mse.tolist(), strict=True):
                yield measure, picture.label, picture.word, mse
    for gain in found.gains or ():
        item = f"{gain.kind}:{gain.level:g}"
        yield "noisy_psnr", None, item, gain.noisy_psnr
        yield "denoised_psnr", None, item, gain.denoised_psnr
        yield "psnr_gain", None, item, gain.decibels


def _gain_document(gain: Gain) -> dict[str, Any]:
    psnr = {"noisy_psnr": gain.noisy_psnr, "denoised_psnr": gain.denoised_psnr, "gain": gain.decibels}
    return {"noise": gain.kind.value, "level": gain.level, **psnr}


def _drawable(name: str) -> str:
    """Return a name that the figure's font has letters for, and that fits; of a path that is its end."""
    plain = name.encode("ascii", "backslashreplace").decode()
    return plain if len(plain) <= 60 else f"...{plain[-57:]}"


def _section(heading: str, extremes: Extremes) -> Section:
    captions = [
        f"{picture.word}{'' if picture.label is None else f' ({picture.label})'}\n{mse:.5f}"
        for picture, mse in zip(extremes.pictures, extremes.found.measures.mse, strict=True)
    ]
    return Section(heading, captions, extremes.found.originals, extremes.found.outputs)
