"""`mnistae datasets`: which data sets there are, where they are, and whether they are intact."""

from typing import Annotated

import typer

from mnistae.cli import inputs
from mnistae.cli.console import Reporter, format_table
from mnistae.core.arrays import NO_LABEL
from mnistae.core.errors import UsageError
from mnistae.core.text import counted
from mnistae.data.sets import registry, resolve
from mnistae.data.sets.dataset import Split
from mnistae.data.sets.registry import DatasetInfo

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(registry.DATASETS)}.", show_default=True)]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name, or a path to data.")]
Raw = Annotated[bool, typer.Option("--raw", help="Do not invert images whose size is not 28x28.")]


def list_(*, reporter: Reporter) -> None:
    """List known data sets and whether they are installed."""
    found: list[dict[str, str | None]] = []
    for entry in registry.DATASETS.values():
        folder, state = inputs.dataset_state(entry)
        found.append({"name": entry.name, "path": folder, "description": entry.description, "state": state})
    found.append({"name": registry.GLYPHS, "path": None, "state": "built-in", "description": "digits drawn from fonts"})
    rows = [[row["name"], row["description"], row["path"] or row["state"]] for row in found]
    reporter.result(format_table([("name", "description", "location"), *rows]), {"datasets": found})


def fetch(name: Name = registry.DEFAULT, *, reporter: Reporter) -> None:
    """Download and verify a data set unless it is already present; print its folder."""
    if name == registry.GLYPHS:
        raise UsageError("'glyphs' is built in and needs no download", hint="use it with 'mnistae train --dataset glyphs'")
    _entry(name)  # raises UsageError
    inputs.open_dataset(reporter, name)
    path(name, reporter=reporter)


def verify(name: NameOrPath = registry.DEFAULT, raw: Raw = False, *, reporter: Reporter) -> None:
    """Verify a data set from its source files, ignoring the cache; never downloads."""
    with reporter.progress(is_bytes=name in registry.NAMES) as progress:
        data = resolve.open_local(name, raw=raw, progress=progress)
        data.reload()
    splits = [split for split in Split if data.has(split)]
    counts = {split.value: data.length(split) for split in splits}
    labels = {split.value: len(set(data.labels(split).tolist()) - {NO_LABEL}) for split in splits}
    rows = [("data set", data.name), ("location", data.location)]
    for split, count in counts.items():
        rows.append((split, f"{counted(count, 'image')}, {counted(labels[split], 'class') if labels[split] else 'no labels'}"))
    rows += [("classes", ", ".join(data.classes))] if data.classes else []
    rows += [("note", note) for note in data.notes]
    document = {"name": data.name, "location": data.location, "images": counts, "digest": data.digest}
    about = {"labels": labels, "classes": list(data.classes), "notes": list(data.notes)}
    reporter.result(format_table([*rows, ("digest", data.digest)], has_headings=False), {**document, **about})


def path(name: Name = registry.DEFAULT, *, reporter: Reporter) -> None:
    """Print the folder of a data set's files; never downloads."""
    entry = _entry(name)
    folder = str(resolve.require_local(entry))
    reporter.result([folder], {"name": entry.name, "path": folder})


def _entry(name: str) -> DatasetInfo:
    if name not in registry.DATASETS:
        raise registry.unknown(name, takes_paths=False)
    return registry.DATASETS[name]
