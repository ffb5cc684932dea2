"""What `evaluate` found, for programs and for files: a JSON document, CSV and figures."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnistae.cli import inputs
from mnistae.cli.commands import reconstruct
from mnistae.outputs import figures
from mnistae.outputs.figures import Section
from mnistae.store.runs import Checkpoint
from mnistae.tasks.denoising import DenoisingResult
from mnistae.tasks.evaluation import Evaluation, Extremes

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
        "checkpoint": inputs.describe_checkpoint(report.checkpoint),
        "digits": [asdict(row) for row in found.digits],
        "total": asdict(found.total),
        "active_units": found.active_units,
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


def _facts(found: Evaluation) -> Iterator[tuple[str, object, object, object]]:
    """Yield a measure, the label and the item that it is of (empty for all), and the value."""
    for row in (*found.digits, found.total):
        for measure, value in (("images", row.count), ("mse", row.mse), ("psnr", row.psnr), ("ssim", row.ssim)):
            yield measure, row.digit, None, value
    yield "bottleneck", None, None, found.bottleneck
    yield "active_units", None, None, found.active_units
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
        yield "psnr_gain", None, item, gain.psnr_gain


def _gain_document(gain: DenoisingResult) -> dict[str, Any]:
    psnr = {"noisy_psnr": gain.noisy_psnr, "denoised_psnr": gain.denoised_psnr, "gain": gain.psnr_gain}
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
