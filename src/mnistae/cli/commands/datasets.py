"""`mnistae datasets`: which data sets there are, where they lie, and whether they are whole."""

from typing import Annotated, Any

import typer

from mnistae.cli import inputs, options
from mnistae.cli.console import Reporter, format_table
from mnistae.core.errors import DataError, UsageError
from mnistae.data.sets import registry, resolve
from mnistae.data.sets.dataset import Split

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(registry.DATASETS)}.", show_default=True)]


def list_(quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """List the data sets by name, and which of them are here."""
    reporter = Reporter("datasets list", quiet=quiet, as_json=as_json)
    found: list[dict[str, Any]] = [_row(entry) for entry in registry.DATASETS.values()]
    found.append({"name": registry.GLYPHS, "path": None, "state": "built in", "about": "digits drawn from fonts"})
    rows = [[row["name"], row["about"], row["path"] or row["state"]] for row in found]
    reporter.result(format_table([("name", "what", "where"), *rows]), {"datasets": found})


def fetch(name: Name = registry.DEFAULT, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Download a data set, verified, unless it is here already; print its folder."""
    reporter = Reporter("datasets fetch", quiet=quiet, as_json=as_json)
    if name == registry.GLYPHS:
        raise UsageError("glyphs is built in: there is nothing to fetch", hint="use it with --dataset glyphs")
    entry = _entry(name)
    inputs.open_dataset(reporter, name)
    folder = resolve.find_folder(entry)
    reporter.result([str(folder)], {"name": name, "path": str(folder)})


def verify(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name, or a path to data.")] = registry.DEFAULT,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read a data set from its files, whatever the cache says, and check it; never downloads."""
    reporter = Reporter("datasets verify", quiet=quiet, as_json=as_json)
    data = resolve.open_local(name)
    data.reload()
    counts = {split.value: data.length(split) for split in Split if data.has(split)}
    told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    rows = [("data set", data.name), ("from", data.location), ("images", told), ("digest", data.digest)]
    document = {"name": data.name, "location": data.location, "images": counts, "digest": data.digest}
    reporter.result(format_table(rows), document)


def path(name: Name = registry.DEFAULT, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Print the folder that holds a data set's files; never downloads."""
    reporter = Reporter("datasets path", quiet=quiet, as_json=as_json)
    folder = resolve.require_local_dir(_entry(name))
    reporter.result([str(folder)], {"name": name, "path": str(folder)})


def _row(entry: registry.DatasetInfo) -> dict[str, Any]:
    try:
        folder = resolve.find_folder(entry)
    except DataError as error:
        return {"name": entry.name, "path": None, "state": error.message, "about": entry.about}
    state = "here" if folder else "not here"
    return {"name": entry.name, "path": str(folder) if folder else None, "state": state, "about": entry.about}


def _entry(name: str) -> registry.DatasetInfo:
    if name not in registry.DATASETS:
        raise registry.unknown(name)
    return registry.DATASETS[name]
