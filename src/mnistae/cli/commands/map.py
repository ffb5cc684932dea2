"""`mnistae map`: the codes of many images in the plane."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter
from mnistae.cli.groups import OutputOptions, RunOptions, output_options
from mnistae.core import config as configs
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.outputs import figures, maps
from mnistae.tasks import embedding
from mnistae.tasks import noise as noises
from mnistae.tasks.embedding import Embedding, Method, Selection

DEFAULT_COUNT = 5000
MAX_COUNT = 60_000
NEIGHBOURS = 10
MapOutput = Annotated[
    OutputOptions,
    output_options(
        *("png", "svg", "pdf", "csv", "projector"),
        about="Output file, or - for stdout; a folder for -f projector (default: a name derived from the arguments).",
    ),
]
"""A figure, the positions, or a folder of files for TensorBoard's Embedding Projector."""


@dataclass(frozen=True)
class MapOptions:
    """Which codes are shown, and how they are placed."""

    split: Annotated[Split, typer.Option("--split", help="Images whose codes are shown.")] = Split.TEST
    count: Annotated[int, typer.Option("--count", "-n", help="Number of images, evenly spaced in the split.")] = DEFAULT_COUNT
    method: Annotated[
        Method | None, typer.Option("--method", help="Placement (default: tsne; for a bottleneck of 2, the codes themselves).")
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", help="Random seed of t-SNE (default: 0).")] = None

    def __post_init__(self) -> None:
        configs.check_integer("--count", self.count, 4, MAX_COUNT)
        noises.check_seed(self.seed or 0)

    def suffixes(self) -> list[str]:
        """Return what the default file name says of the options."""
        values = {"": self.method, "n": self.count if self.count != DEFAULT_COUNT else None, "seed": self.seed or None}
        split = ["train"] if self.split is Split.TRAIN else []
        return split + [f"{name}{value}" for name, value in values.items() if value is not None]


def map_(*, source: RunOptions, options: MapOptions, out: MapOutput, reporter: Reporter) -> None:
    """Draw the codes of a data set as a map in the plane, coloured by class.

    Codes of similar images are close to each other. t-SNE, with cosine distances (Euclidean if only one unit is active), takes
    about 10 seconds for 5,000 codes and is cached; PCA shows the two directions of largest variance. For a bottleneck of 2 the
    codes are drawn as they are, over a grid of decoded images. Writes a figure (png, svg, pdf), the positions (csv) or a folder
    for TensorBoard's Embedding Projector (projector). Prints the path.
    """
    target = _target(reporter, source, options, out)
    checkpoint, network = inputs.open_model(reporter, source)
    size = network.config.bottleneck
    if options.method is Method.CODES and size != 2:
        raise UsageError(f"invalid value for --method: 'codes' (the bottleneck is {size})", hint="use tsne or pca")
    method = options.method or (Method.CODES if size == 2 else Method.TSNE)
    if options.seed is not None and method is not Method.TSNE:
        raise UsageError(f"--seed has no effect with --method {method}", hint="leave --seed out, or use --method tsne")
    dataset = inputs.open_dataset_of(reporter, checkpoint, source)
    inputs.warn_unlike_split(reporter, [checkpoint], dataset, options.split)
    with reporter.progress(is_bytes=False) as progress:
        what = Selection(options.split, options.count, method, options.seed or 0)
        shown = embedding.embed((checkpoint.weights, network), dataset, what, progress)
    document = {"checkpoint": inputs.describe_checkpoint(checkpoint), **_document(dataset, what, shown)}
    title = f"{options.split.text} images of {dataset.name}, {embedding.TITLES[method]}"
    reporter.info(f"{document['count']:,} of {document['total']:,} {title}")
    if document["accuracy"] is not None:
        share = f"{document['accuracy']:.1%}"
        reporter.info(f"{NEIGHBOURS} nearest neighbours in the map predict the class of {share} of the images")
    reporter.preview(lambda canvas: maps.as_text(canvas, shown, dataset.classes))
    if target is None:
        document["points"] = maps.points(shown, dataset.classes)

    def render(kind: str) -> bytes | dict[str, bytes]:
        if kind == "csv":
            return maps.as_csv(shown, dataset.classes).encode("utf-8", "surrogateescape")
        if kind == "projector":
            return maps.projector_files(shown, dataset.classes)
        name = checkpoint.name or checkpoint.path.name
        return figures.render(maps.figure(shown, dataset.classes, f"{name}: {title}", network), kind)

    results.write_result(reporter, target, render, document)


def _document(dataset: Dataset, what: Selection, shown: Embedding) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "split": what.split,
        "method": what.method,
        "seed": what.seed,
        "count": len(shown.codes),
        "total": dataset.length(what.split),
        "neighbours": NEIGHBOURS,
        "accuracy": shown.accuracy(NEIGHBOURS),
    }


def _target(reporter: Reporter, source: RunOptions, options: MapOptions, out: MapOutput) -> results.Destination | None:
    """Return where the map goes; None with --json and no -o. Raises UsageError."""
    if out.format != "projector" or (reporter.as_json and out.output is None):
        return results.for_images(reporter, [], source, out, suffixes=options.suffixes())
    if out.output == "-":
        raise UsageError("-f projector writes a folder, not a stream", hint="name a folder with -o")
    folder = Path(out.output or f"{results.source_stem(reporter, [], source, options.suffixes())}-projector")
    atomic.check_writable(folder / "vectors.tsv")
    target = results.Destination(folder, "projector")
    results.refuse_to_overwrite_inputs(target, source.checkpoint, source.dataset)
    return target
