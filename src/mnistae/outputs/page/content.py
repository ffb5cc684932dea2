"""The content of a report: the lab's figures, the evaluation, the map, and the numbers that the page computes with."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnistae.core import config as configs
from mnistae.core.arrays import Array, Indices, to_float
from mnistae.core.config import PIXELS, ModelConfig
from mnistae.core.records import Metadata, UnitRange
from mnistae.data.references import InputImage, stack
from mnistae.data.sets.dataset import Dataset, Progress, Split
from mnistae.metrics import quality
from mnistae.model.backend import Network
from mnistae.store import builtin
from mnistae.store.runs import Checkpoint
from mnistae.tasks import embedding, evaluation, inference
from mnistae.tasks import noise as noises
from mnistae.tasks.embedding import Embedding, Method, Sample, Selection
from mnistae.tasks.evaluation import LAB_NOISE, NOISE_LEVELS, Evaluation
from mnistae.tasks.inference import Denoising, Reconstruction

EXTREMES = 8
CODES = 5000
"""Codes that t-SNE places: those of `mnistae map`, whose cache is shared."""

POINTS = 2500
"""Codes of the map in the page, whose images are in it, too."""

STARTS = 100
"""Test images to start from, in order of their classes."""

NEIGHBOURS = 1000
"""Training images among which the nearest ones are found."""

EVERY = 5
"""Of the test images to start from, every fifth one can be denoised by both networks."""


@dataclass(frozen=True)
class Content:
    """A checkpoint and everything that its page shows.

    `denoised` is what the built-in `denoise` outputs for every fifth of the images to start from, with each kind and level of
    noise: (kinds, levels, images, 784). The page has no room for a second network's weights.
    """

    checkpoint: Checkpoint
    dataset: Dataset
    images: Sequence[InputImage]
    reconstruction: Reconstruction
    denoising: Denoising
    by_denoiser: Denoising
    frames: Array
    evaluation: Evaluation
    denoiser_mse: float
    map: Embedding
    points: Indices
    ranges: Sequence[UnitRange]
    starts: Sample
    neighbours: Sample
    denoised: Array


def collect(
    model: tuple[Checkpoint, Network], denoiser: Network, dataset: Dataset, images: Sequence[InputImage], progress: Progress
) -> Content:
    """Compute what the report of a checkpoint shows, next to the built-in network `denoise`. Raises DataError."""
    checkpoint, network = model
    split = Split.TEST if dataset.has(Split.TEST) else Split.TRAIN
    pixels = stack(images)
    method = Method.CODES if network.config.bottleneck == 2 else Method.TSNE
    shown = embedding.embed((checkpoint.weights, network), dataset, Selection(split, CODES, method), progress)
    progress(f"evaluation on the {split} images of {dataset.name}", 0, None)
    (own,) = evaluation.evaluate([network], dataset, split, extremes=EXTREMES)
    clean, (kind, level) = to_float(dataset.images(split)), LAB_NOISE
    denoised = denoiser.reconstruct(noises.add(clean, kind, level=level, seed=0))
    by_class = np.argsort(dataset.labels(split), kind="stable")
    starts = Sample.take(network, dataset, split, by_class[embedding.spread(len(by_class), STARTS)])
    train = dataset.images(Split.TRAIN)
    ranges = checkpoint.metadata.unit_ranges or inference.unit_ranges(inference.encode_uint8(network, train))
    return Content(
        checkpoint=checkpoint,
        dataset=dataset,
        images=images,
        reconstruction=inference.reconstruct(network, pixels),
        denoising=inference.denoise(network, pixels, kind=kind, level=level, seed=0),
        by_denoiser=inference.denoise(denoiser, pixels, kind=kind, level=level, seed=0),
        frames=inference.interpolate(network, pixels, steps=8),
        evaluation=own,
        denoiser_mse=float(quality.mse(clean, denoised).mean()),
        map=shown,
        points=embedding.spread(len(shown.codes), POINTS),
        ranges=ranges,
        starts=starts,
        neighbours=Sample.take(network, dataset, Split.TRAIN, embedding.spread(len(train), NEIGHBOURS)),
        denoised=_denoised(denoiser, to_float(starts.images[::EVERY])),
    )


def _denoised(denoiser: Network, images: Array) -> Array:
    """Return the outputs (kinds, levels, N, 784). Each image has the noise that `mnistae denoise` adds to it alone."""
    outputs = []
    for kind, levels in NOISE_LEVELS.items():
        numbers = noises.field(kind, (1, PIXELS), seed=0)
        outputs.append([denoiser.reconstruct(noises.apply(images, numbers, kind, level=level)) for level in levels])
    return np.array(outputs, np.float32)


def train_command(name: str | None, metadata: Metadata) -> str | None:
    """Return the command that trains a run again, with the settings that are not its recipe's; None if none trained it."""
    training, sizes = metadata.training, dataclasses.asdict(metadata.model)
    if training is None or training.recipe not in configs.RECIPES:
        return None
    given: dict[str, object] = {"recipe": training.recipe, "dataset": training.dataset, "seed": training.seed}
    recipe = configs.recipe(training.recipe)
    for field in ("epochs", "batch_size", "learning_rate", "weight_decay", "precision"):
        if getattr(training, field) != getattr(recipe, field):
            given["lr" if field == "learning_rate" else field.replace("_", "-")] = getattr(training, field)
    given |= {size: sizes[size] for size in sizes if sizes[size] != getattr(ModelConfig(), size)}
    if metadata.provenance is not None:
        given["device"] = metadata.provenance.device.split()[0]
    if name is not None and name not in builtin.NAMES:
        given["name"] = name
    words = [word for option, value in given.items() for word in (f"--{option}", str(value))]
    return shlex.join(["mnistae", "train", *words, *(["--raw"] if training.raw else [])])
