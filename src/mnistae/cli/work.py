"""What the commands that use a checkpoint share: find it, its data and its pictures, and put a figure where it belongs."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from mnistae import api, atomic
from mnistae.cli import console
from mnistae.cli.console import Screen
from mnistae.datasets import catalogue, sources, words
from mnistae.datasets.dataset import Dataset
from mnistae.datasets.words import Failure, Picture
from mnistae.errors import UsageError
from mnistae.inference import Codec
from mnistae.records import Description
from mnistae.store import runs
from mnistae.store.runs import Checkpoint
from mnistae.text import file_stem

FRAME_FORMATS = ("png", "svg", "pdf", "strip", "gif", "npy")
"""Formats of decoded frames: figures, a strip without axes, a film and an array."""

MAX_STEPS = 1000


@dataclass(frozen=True)
class Job:
    """A checkpoint ready for use, and the pictures to use it on.

    `stream` reads them as they are asked for, once, and `failures` grow meanwhile; `pictures` are all of them at once.
    `open_dataset` gives the data set in any case, and opens it but once.
    """

    checkpoint: Checkpoint
    codec: Codec
    stream: Iterator[Picture]
    failures: list[Failure]
    needs_dataset: bool
    open_dataset: Callable[[], Dataset]

    @functools.cached_property
    def pictures(self) -> list[Picture]:
        """What the stream holds."""
        return list(self.stream)

    @property
    def dataset(self) -> str | None:
        """The name of the data set if a picture came from it."""
        return self.open_dataset().name if self.needs_dataset else None


@dataclass(frozen=True)
class Target:
    """Where a result file goes, and its format. `path` is None for standard output."""

    path: Path | None
    format: str


def prepare(
    screen: Screen,
    images: Sequence[str],
    *,
    checkpoint: str | None,
    dataset: str | None,
    device: str | None,
    raw: bool,
    default: str | None = None,
    needs_all: bool = False,
) -> Job:
    """Return the checkpoint and the pictures that the options name.

    What is wrong with a word is found before the first picture is read. A file that gives none is told about and left out,
    unless the command `needs_all` or nothing else is left. `default` is the checkpoint if none is named; without it that is
    the newest run.
    """
    parsed = [words.parse(image) for image in images]
    found, codec = open_model(screen, checkpoint, device, default=default)
    warn_dead(screen, found.description)

    @functools.cache
    def open_once() -> Dataset:
        return open_dataset(screen, dataset_of(found, dataset))

    failures: list[Failure] = []
    items = words.resolve(parsed, open_once, raw=raw)
    stream = _needed(screen, items) if needs_all else _readable(screen, items, failures)
    return Job(found, codec, stream, failures, words.need_dataset(parsed), open_once)


def _needed(screen: Screen, items: Iterable[Picture | Failure]) -> Iterator[Picture]:
    for item in items:
        if isinstance(item, Failure):
            raise item.error
        _note(screen, item)
        yield item


def _readable(screen: Screen, items: Iterable[Picture | Failure], failures: list[Failure]) -> Iterator[Picture]:
    """Yield the pictures; tell of each failure and keep it. If there are failures alone, the last one is the error."""
    is_empty, untold = True, None
    for item in items:
        if untold:
            console.say_error(untold.message, untold.hint)
            untold = None
        if isinstance(item, Picture):
            _note(screen, item)
            yield item
            is_empty = False
        else:
            failures.append(item)
            untold = item.error  # until it is known not to be the last of nothing but failures
    if untold and is_empty:
        raise untold
    if untold:
        console.say_error(untold.message, untold.hint)


def _note(screen: Screen, picture: Picture) -> None:
    if picture.notes:
        screen.note(f"{picture.word}: {'; '.join(picture.notes)}")


def open_model(
    screen: Screen, checkpoint: str | None, device: str | None, *, default: str | None = None
) -> tuple[Checkpoint, Codec]:
    """Return the checkpoint that an option names, else the default, and its network, on the device of another."""
    model = api.load(default if checkpoint is None else checkpoint, device=device)
    if checkpoint is None and model.checkpoint.is_builtin:
        screen.note(f"checkpoint: {model.checkpoint.name}, built in")
    return model.checkpoint, model.codec


def open_dataset(screen: Screen, reference: str) -> Dataset:
    """Return the data set that `reference` means, with what it takes to get it shown, and named if it is not MNIST."""
    with screen.progress() as progress:
        dataset = sources.open_dataset(reference, progress=progress)
        _ = dataset.digest  # whatever has to be read, drawn or verified is so now
    if dataset.name == catalogue.GLYPHS:
        screen.note("data: glyphs, the built-in digits (not MNIST)")
    elif dataset.name != catalogue.DEFAULT:
        screen.note(f"data: {dataset.location}")
    return dataset


def dataset_of(checkpoint: Checkpoint, asked: str | None) -> str:
    """Return the data set to use with a checkpoint: the one asked for, the one it was trained on, or MNIST."""
    training = checkpoint.description.training
    return asked or (training.dataset if training else catalogue.DEFAULT)


def target(
    screen: Screen, output: str | None, format_name: str | None, *, name: Sequence[str], formats: Sequence[str]
) -> Target | None:
    """Return where the result goes, checked before any work; None if there is nothing to write (--json without -o)."""
    if output is not None:
        return named_target(screen, output, format_name, formats=formats)
    return None if screen.as_json else default_target(format_name, name=name, formats=formats)


def default_target(format_name: str | None, *, name: Sequence[str], formats: Sequence[str]) -> Target:
    """Return the place and format of a result that nobody named, checked before any work."""
    chosen = check_format(format_name or formats[0], formats)
    path = Path(f"{file_stem(name)}.{'png' if chosen == 'strip' else chosen}")
    atomic.check_target(path)
    return Target(path, chosen)


def named_target(screen: Screen, output: str, format_name: str | None, *, formats: Sequence[str]) -> Target:
    """Return the place and format of a result that -o names, checked before any work."""
    if output == "-":
        console.check_stdout_takes_bytes(as_json=screen.as_json)
        return Target(None, check_format(format_name or formats[0], formats))
    path = Path(output)
    atomic.check_target(path)
    return Target(path, _format_of(path, format_name, formats))


def _format_of(path: Path, format_name: str | None, formats: Sequence[str]) -> str:
    """Return the format that the suffix says, or the one asked for where it says none or the same."""
    suffix = path.suffix.removeprefix(".").lower()
    if format_name is None:
        if not suffix:
            raise UsageError(f"the output '{path}' has no suffix to tell its format", hint=f"give --format {'|'.join(formats)}")
        return check_format(suffix, formats)
    chosen = check_format(format_name, formats)
    if suffix in formats and suffix != ("png" if chosen == "strip" else chosen):
        raise UsageError(f"the output '{path}' is not to be of the format '{chosen}'", hint="leave --format out")
    return chosen


def check_is_no_input(target: Target | None, *others: str | None, images: Sequence[str] = ()) -> None:
    """Raise UsageError if the result would replace a picture, a data set or a checkpoint that it is made from.

    A result that would come to lie among the pictures of a folder or a pattern is refused as well: the next run would use it.
    """
    path = target.path if target else None
    if path is None:
        return
    # os.path's exists, as Path's raises for a name too long
    is_one = path.exists() and any(os.path.exists(word) and path.samefile(word) for word in (*images, *others) if word)  # noqa: PTH110
    if is_one or any(words.covers(words.parse(image), path) for image in images):
        raise UsageError(f"'{path}' is both input and output", hint="choose another place with -o")


def deliver(
    screen: Screen, target: Target | None, make: Callable[[str], bytes], document: dict[str, Any], *, key: str = "figure"
) -> None:
    """Make the file, write it and tell where it is, in the document under `key`."""
    if target is None:
        screen.result([], {**document, key: None})
        return
    data = make(target.format)
    if target.path is None:
        console.write_bytes(data)
        return
    atomic.write_bytes(target.path, data)
    screen.result([str(target.path)], {**document, key: str(target.path)})


def end(job: Job) -> None:
    """End the command with the code of what was left out, if anything was, now that the rest is delivered."""
    if job.failures:
        raise typer.Exit(job.failures[-1].error.exit_code)


def describe_failures(job: Job) -> list[dict[str, str]]:
    """Return what was left out and why for a JSON document."""
    return [{"image": failure.word, "message": failure.error.message, "hint": failure.error.hint} for failure in job.failures]


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's name and path for a JSON document."""
    return {"name": checkpoint.name, "path": str(checkpoint.path)}


def stems(images: Sequence[str], *, checkpoint: str | None, dataset: str | None, raw: bool) -> list[str]:
    """Return the words that a figure's default name is made of, after the command's."""
    named = [Path(word).stem if runs.is_path(word) else word for word in (checkpoint, dataset) if word]
    return [*(_stem(image) for image in images), *named, *(["raw"] if raw else [])]


def _stem(image: str) -> str:
    if image == "-":
        return "stdin"
    path = Path(image)
    is_number = path.stem == image.removesuffix(path.suffix) and path.stem.isdecimal()  # 5.png is not the training image 5
    return image.removesuffix(path.suffix) if path.suffix.lower() in words.SUFFIXES and not is_number else image


def check_format(chosen: str, formats: Sequence[str]) -> str:
    """Return the format if it is one of these. Raises UsageError."""
    if chosen not in formats:
        raise UsageError(f"cannot write the format '{chosen}'", hint=f"choose one of: {', '.join(formats)}")
    return chosen


def check_steps(steps: int) -> None:
    """Raise UsageError for a number of frames that no walk has."""
    if not 2 <= steps <= MAX_STEPS:
        raise UsageError(f"steps is '{steps}'", hint=f"give a whole number from 2 to {MAX_STEPS}: both ends count")


def warn_dead(screen: Screen, description: Description) -> None:
    """Warn of a checkpoint's dead units, by number where their ranges are known."""
    alive, size, ranges = description.living_units, description.model.bottleneck, description.unit_ranges
    if alive is None or alive == size:
        return
    dead = [str(unit) for unit, found in enumerate(ranges or ()) if found.is_dead]
    names = f" ({'unit' if len(dead) == 1 else 'units'} {', '.join(dead)})" if dead else ""
    screen.warn(f"{size - alive} of {size} bottleneck units are dead: always zero{names}")
