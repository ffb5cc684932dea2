"""What the commands that use a checkpoint share: find it, its data and its pictures."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from mnistae import api
from mnistae.cli import console
from mnistae.cli.console import Reporter
from mnistae.core.errors import UsageError
from mnistae.core.records import Metadata
from mnistae.data import references
from mnistae.data.references import InputImage, SkippedImage
from mnistae.data.sets import registry, resolve
from mnistae.data.sets.dataset import Dataset
from mnistae.model.backend import Network
from mnistae.store.runs import Checkpoint

MAX_STEPS = 1000


@dataclass(frozen=True)
class Inputs:
    """A checkpoint ready for use, and the pictures to use it on.

    `stream` reads them as they are asked for, once, and `failures` grow meanwhile; `pictures` are all of them at once.
    `open_dataset` gives the data set in any case, and opens it but once.
    """

    checkpoint: Checkpoint
    network: Network
    stream: Iterator[InputImage]
    failures: list[SkippedImage]
    needs_dataset: bool
    open_dataset: Callable[[], Dataset]

    @functools.cached_property
    def pictures(self) -> list[InputImage]:
        """What the stream holds."""
        return list(self.stream)

    @property
    def dataset(self) -> str | None:
        """The name of the data set if a picture came from it."""
        return self.open_dataset().name if self.needs_dataset else None


def load_inputs(
    reporter: Reporter,
    images: Sequence[str],
    *,
    checkpoint: str | None,
    dataset: str | None,
    device: str | None,
    raw: bool,
    default: str | None = None,
    needs_all: bool = False,
) -> Inputs:
    """Return the checkpoint and the pictures that the options name.

    What is wrong with a word is found before the first picture is read. A file that gives none is told about and left out,
    unless the command `needs_all` or nothing else is left. `default` is the checkpoint if none is named; without it that is
    the newest run.
    """
    parsed = [references.parse(image) for image in images]
    found, network = open_model(reporter, checkpoint, device, default=default)

    @functools.cache
    def open_once() -> Dataset:
        return open_dataset(reporter, dataset_of(found, dataset))

    failures: list[SkippedImage] = []
    items = references.load(parsed, open_once, raw=raw)
    stream = _fail_fast(reporter, items) if needs_all else _skip_failures(reporter, items, failures)
    return Inputs(
        found, network, _then_warn(reporter, found.metadata, stream), failures, references.needs_dataset(parsed), open_once
    )


def _fail_fast(reporter: Reporter, items: Iterable[InputImage | SkippedImage]) -> Iterator[InputImage]:
    for item in items:
        if isinstance(item, SkippedImage):
            raise item.error
        _note(reporter, item)
        yield item


def _skip_failures(
    reporter: Reporter, items: Iterable[InputImage | SkippedImage], failures: list[SkippedImage]
) -> Iterator[InputImage]:
    """Yield the pictures; tell of each failure and keep it. If there are failures alone, the last one is the error."""
    is_empty, untold = True, None
    for item in items:
        if untold:
            console.print_error(untold.message, untold.hint)
            untold = None
        if isinstance(item, InputImage):
            _note(reporter, item)
            yield item
            is_empty = False
        else:
            failures.append(item)
            untold = item.error  # until it is known not to be the last of nothing but failures
    if untold and is_empty:
        raise untold
    if untold:
        console.print_error(untold.message, untold.hint)


def _then_warn(reporter: Reporter, metadata: Metadata, pictures: Iterator[InputImage]) -> Iterator[InputImage]:
    """Yield the pictures, then warn of dead units: an error comes alone."""
    yield from pictures
    warn_dead(reporter, metadata)


def _note(reporter: Reporter, picture: InputImage) -> None:
    if picture.notes:
        reporter.note(f"{picture.word}: {'; '.join(picture.notes)}")


def open_model(
    reporter: Reporter, checkpoint: str | None, device: str | None, *, default: str | None = None
) -> tuple[Checkpoint, Network]:
    """Return the checkpoint that an option names, else the default, and its network, on the device of another."""
    model = api.load(default if checkpoint is None else checkpoint, device=device)
    if checkpoint is None and model.checkpoint.is_builtin:
        reporter.note(f"checkpoint: {model.checkpoint.name}, built in")
    return model.checkpoint, model.network


def open_dataset(reporter: Reporter, reference: str) -> Dataset:
    """Return the data set that `reference` means, with what it takes to get it shown, and named if it is not MNIST."""
    with reporter.progress() as progress:
        dataset = resolve.open_dataset(reference, progress=progress)
        _ = dataset.digest  # whatever has to be read, drawn or verified is so now
    if dataset.name == registry.GLYPHS:
        reporter.note("data: glyphs, the built-in digits (not MNIST)")
    elif dataset.name != registry.DEFAULT:
        reporter.note(f"data: {dataset.location}")
    return dataset


def dataset_of(checkpoint: Checkpoint, asked: str | None) -> str:
    """Return the data set to use with a checkpoint: the one asked for, the one it was trained on, or MNIST."""
    training = checkpoint.metadata.training
    return asked or (training.dataset if training else registry.DEFAULT)


def exit_with_failures(job: Inputs) -> None:
    """End the command with the code of what was left out, if anything was, now that the rest is delivered."""
    if job.failures:
        raise typer.Exit(job.failures[-1].error.exit_code)


def describe_failures(job: Inputs) -> list[dict[str, str]]:
    """Return what was left out and why for a JSON document."""
    return [{"image": failure.word, "message": failure.error.message, "hint": failure.error.hint} for failure in job.failures]


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's name and path for a JSON document."""
    return {"name": checkpoint.name, "path": str(checkpoint.path)}


def check_steps(steps: int) -> None:
    """Raise UsageError for a number of frames that no walk has."""
    if not 2 <= steps <= MAX_STEPS:
        raise UsageError(f"steps is '{steps}'", hint=f"give a whole number from 2 to {MAX_STEPS}: both ends count")


def warn_dead(reporter: Reporter, metadata: Metadata) -> None:
    """Warn of a checkpoint's dead units, by number where their ranges are known."""
    alive, size, ranges = metadata.active_units, metadata.model.bottleneck, metadata.unit_ranges
    if alive is None or alive == size:
        return
    dead = [str(unit) for unit, found in enumerate(ranges or ()) if found.is_dead]
    names = f" ({'unit' if len(dead) == 1 else 'units'} {', '.join(dead)})" if dead else ""
    reporter.warn(f"{size - alive} of {size} bottleneck units are dead: always zero{names}")
