"""What the commands that use a checkpoint share: opening it, its data set and the images."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import typer

from mnistae import api
from mnistae.cli import console
from mnistae.cli.console import Reporter
from mnistae.cli.groups import DatasetOptions, NetworkOptions
from mnistae.core.arrays import Vector
from mnistae.core.errors import DataError
from mnistae.core.records import Metadata
from mnistae.data import references
from mnistae.data.references import ImageRef, InputImage, SkippedImage
from mnistae.data.sets import idx, registry, resolve
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.data.sets.registry import DatasetInfo
from mnistae.model.backend import Network
from mnistae.store import runs
from mnistae.store.runs import Checkpoint
from mnistae.tasks import drift


@dataclass(frozen=True)
class Inputs:
    """An opened checkpoint and the images to use it on. Reading them fills `failures`."""

    reporter: Reporter
    source: DatasetOptions
    references: Sequence[ImageRef]
    checkpoint: Checkpoint
    network: Network
    needs_all: bool
    are_noisy: bool
    failures: list[SkippedImage] = field(default_factory=list)

    @functools.cached_property
    def data(self) -> Dataset:
        """The data set, opened when it is needed."""
        return open_dataset_of(self.reporter, self.checkpoint, self.source)

    @functools.cached_property
    def images(self) -> list[InputImage]:
        """All images."""
        return list(self.read())

    @property
    def dataset(self) -> str | None:
        """The name of the data set if an image came from it."""
        return self.data.name if references.needs_dataset(self.references) else None

    def read(self) -> Iterator[InputImage]:
        """Yield the images, report and collect the failures, then warn of dead units and of unlike images.

        If all fail, the last failure is raised.
        """
        found: list[tuple[str, Vector]] = []
        pending = None
        items = references.load(self.references, lambda: self.data, raw=self.source.raw)
        for item in itertools.chain(items, [None]):  # one at a time: the next image of a pipe may come late
            if pending:
                if item is None and not found:
                    raise pending
                console.print_error(pending.message, pending.hint)
                pending = None
            if isinstance(item, InputImage):
                if item.notes:
                    self.reporter.info(f"{item.name}: {'; '.join(item.notes)}")
                found.append((item.name, drift.brightness(item.pixels[np.newaxis])))
                yield item
            elif item is not None:
                if self.needs_all:
                    raise item.error
                self.failures.append(item)
                pending = item.error
        warn_dead(self.reporter, self.checkpoint.metadata)
        if not self.are_noisy:
            _warn_unlike_images(self.reporter, self.checkpoint, found)

    def describe(self) -> dict[str, Any]:
        """Return the part of a JSON document that all commands on images share."""
        failed = [{"image": item.name, "message": item.error.message, "hint": item.error.hint} for item in self.failures]
        return {"checkpoint": describe_checkpoint(self.checkpoint), "dataset": self.dataset, "failed": failed}

    def exit_with_failures(self) -> None:
        """Exit with the code of the last skipped image, if any, now that the result has been written."""
        if self.failures:
            raise typer.Exit(self.failures[-1].error.exit_code)


def load_inputs(
    reporter: Reporter, images: Sequence[str], source: DatasetOptions, *, needs_all: bool = False, are_noisy: bool = False
) -> Inputs:
    """Return the checkpoint and the images that the arguments name.

    Invalid references are found before the first image is read. A file without a usable image is reported and skipped, unless
    the command `needs_all` or there is no other image. Images that are unlike the training images are reported unless they
    `are_noisy`.
    """
    parsed = [references.parse(image) for image in images]
    return Inputs(reporter, source, parsed, *open_model(reporter, source), needs_all, are_noisy)


def _warn_unlike_images(reporter: Reporter, checkpoint: Checkpoint, images: Sequence[tuple[str, Vector]]) -> None:
    """Warn if images, of these names and brightness, are unlike the training images: one of them, or all together."""
    if images:
        found = np.concatenate([brightness for _, brightness in images], axis=1)
        for warning in drift.image_warnings([f"'{name}'" for name, _ in images], found, checkpoint.metadata, checkpoint.name):
            reporter.warn(warning)


def warn_unlike_split(
    reporter: Reporter, checkpoints: Iterable[Checkpoint], dataset: Dataset, split: Split, brightness: Vector | None = None
) -> None:
    """Warn if the images of a split, of this brightness if that is known, are unlike those of the checkpoints' training."""
    if brightness is None:
        brightness = drift.brightness(dataset.images(split))
    for checkpoint in checkpoints:
        _warn_unlike(reporter, checkpoint, f"the {split.text} images of '{dataset.name}'", brightness)


def _warn_unlike(reporter: Reporter, checkpoint: Checkpoint, what: str, brightness: Vector) -> None:
    if warning := drift.warning(what, brightness, checkpoint.metadata, checkpoint.name):
        reporter.warn(warning)


def open_model(reporter: Reporter, source: NetworkOptions) -> tuple[Checkpoint, Network]:
    """Return the checkpoint given by name or path, or the default one, and its network."""
    model = api.load(source.default if source.checkpoint is None else source.checkpoint, device=source.device)
    report_default(reporter, source.checkpoint, model.checkpoint)
    return model.checkpoint, model.network


def report_default(reporter: Reporter, given: str | None, found: Checkpoint) -> None:
    """Say which checkpoint is used if none was given."""
    if given is None:
        reporter.info(f"using {'built-in checkpoint' if found.is_builtin else 'the newest run'} '{found.name}'")


def report_hidden(reporter: Reporter, name: str) -> None:
    """Say so if a new run of this name hides a built-in checkpoint."""
    if runs.is_builtin(name):
        reporter.info(f"the new run '{name}' hides the built-in checkpoint of that name")


def open_dataset(reporter: Reporter, reference: str, *, raw: bool = False) -> Dataset:
    """Return a data set, reporting what is downloaded, and what it was taken for if it is not MNIST."""
    with reporter.progress(is_bytes=reference in registry.NAMES) as progress:
        dataset = resolve.open_dataset(reference, raw=raw, progress=progress)
        notes = [note for note in dataset.notes if note != idx.VERIFIED]  # reads, generates or verifies the data now
    if dataset.name == registry.GLYPHS:
        reporter.info("using built-in data set 'glyphs' (not MNIST)")
    elif dataset.name != registry.DEFAULT or notes:
        reporter.info(f"using data set {dataset.location}{': ' if notes else ''}{'; '.join(notes)}")
    return dataset


def dataset_state(entry: DatasetInfo) -> tuple[str | None, str]:
    """Return the folder of a data set of the catalogue if it is installed, and its state."""
    try:
        folder = resolve.find(entry)
    except DataError as error:
        return None, error.message
    return (str(folder), "installed") if folder else (None, "not installed")


def open_dataset_of(reporter: Reporter, checkpoint: Checkpoint, source: DatasetOptions) -> Dataset:
    """Return the data set to use with a checkpoint, its images prepared as for the training unless another one is given."""
    raw = source.raw or (source.dataset is None and checkpoint.is_raw)
    return open_dataset(reporter, dataset_of(checkpoint, source.dataset), raw=raw)


def dataset_of(checkpoint: Checkpoint, dataset: str | None) -> str:
    """Return the data set to use with a checkpoint: the one given, the one it was trained on, or MNIST."""
    training = checkpoint.metadata.training
    if dataset is not None:
        return dataset
    return training.dataset if training else registry.DEFAULT


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's name and path for a JSON document."""
    return {"name": checkpoint.name, "path": str(checkpoint.path)}


def describe_image(image: InputImage) -> dict[str, Any]:
    """Return an image's reference and label, and the name of its class if it has one, for a JSON document."""
    named = {"class": image.class_name} if image.class_name is not None else {}
    return {"image": image.name, "label": image.label, **named}


def warn_dead(reporter: Reporter, metadata: Metadata, *, owner: str = "", advice: str = "") -> None:
    """Warn if a checkpoint has dead units, and list them where their ranges are known."""
    active, size = metadata.active_units, metadata.model.bottleneck
    if active is None or active == size:
        return
    dead = [str(unit) for unit, found in enumerate(metadata.unit_ranges or ()) if found.is_dead]
    numbers = f": {'unit' if len(dead) == 1 else 'units'} {', '.join(dead)}" if dead else ""
    verb = "is" if size - active == 1 else "are"
    reporter.warn(f"{size - active} of {size} bottleneck units{owner} {verb} dead (always zero){numbers}{advice}")
