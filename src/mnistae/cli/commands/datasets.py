"""`mnistae datasets`: which data sets there are, where they lie, and whether they are whole."""

from typing import Annotated, Any

import typer

from mnistae.cli import options, work
from mnistae.cli.console import Screen, aligned
from mnistae.datasets import catalogue, sources
from mnistae.datasets.dataset import Split
from mnistae.errors import DataError, UsageError

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(catalogue.ENTRIES)}.", show_default=True)]


def list_(quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """List the data sets by name, and which of them are here."""
    screen = Screen("datasets list", quiet=quiet, as_json=as_json)
    found: list[dict[str, Any]] = [_row(entry) for entry in catalogue.ENTRIES.values()]
    found.append({"name": catalogue.GLYPHS, "path": None, "state": "built in", "about": "digits drawn from fonts"})
    rows = [[row["name"], row["about"], row["path"] or row["state"]] for row in found]
    screen.result(aligned([("name", "what", "where"), *rows]), {"datasets": found})


def fetch(name: Name = catalogue.DEFAULT, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Download a data set, verified, unless it is here already; print its folder."""
    screen = Screen("datasets fetch", quiet=quiet, as_json=as_json)
    if name == catalogue.GLYPHS:
        raise UsageError("glyphs is built in: there is nothing to fetch", hint="use it with --dataset glyphs")
    entry = _entry(name)
    work.open_dataset(screen, name)
    folder = sources.find_folder(entry)
    screen.result([str(folder)], {"name": name, "path": str(folder)})


def verify(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name, or a path to data.")] = catalogue.DEFAULT,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read a data set from its files, whatever the cache says, and check it; never downloads."""
    screen = Screen("datasets verify", quiet=quiet, as_json=as_json)
    data = sources.open_present(name)
    data.reload()
    counts = {split.value: data.length(split) for split in Split if data.has(split)}
    told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    rows = [("data set", data.name), ("from", data.location), ("images", told), ("digest", data.digest)]
    document = {"name": data.name, "location": data.location, "images": counts, "digest": data.digest}
    screen.result(aligned(rows), document)


def path(name: Name = catalogue.DEFAULT, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Print the folder that holds a data set's files; never downloads."""
    screen = Screen("datasets path", quiet=quiet, as_json=as_json)
    folder = sources.present_folder(_entry(name))
    screen.result([str(folder)], {"name": name, "path": str(folder)})


def _row(entry: catalogue.Entry) -> dict[str, Any]:
    try:
        folder = sources.find_folder(entry)
    except DataError as error:
        return {"name": entry.name, "path": None, "state": error.message, "about": entry.about}
    state = "here" if folder else "not here"
    return {"name": entry.name, "path": str(folder) if folder else None, "state": state, "about": entry.about}


def _entry(name: str) -> catalogue.Entry:
    if name not in catalogue.ENTRIES:
        raise catalogue.unknown(name)
    return catalogue.ENTRIES[name]
