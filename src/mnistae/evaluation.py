"""How good networks are over a whole split: by digit, image by image, beside PCA of the same size, and at denoising.

Several networks are measured on the same arrays, the same principal components and the same noise, each made once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistae import gains, inference, metrics, neighbours
from mnistae.datasets.dataset import NO_LABEL, Bytes, Dataset, Split, to_float
from mnistae.datasets.words import Picture
from mnistae.gains import Gain
from mnistae.inference import Array, Codec, Measures, Reconstruction
from mnistae.records import count_living


@dataclass(frozen=True)
class Depth:
    """What to look into beyond the usual: so many worst and best images, all kinds of noise, the votes of k neighbours."""

    extremes: int = 0
    denoising: bool = False
    neighbours: int = 0


@dataclass(frozen=True)
class Row:
    """Means over the images of one digit, or over all of them. PSNR is that of the mean MSE."""

    digit: int | None
    count: int
    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Extremes:
    """The images with the largest or the smallest MSE, the most extreme first, and what the network makes of them."""

    pictures: list[Picture]
    found: Reconstruction


@dataclass(frozen=True)
class Vote:
    """The share of labelled images that the k nearest training codes, each with a vote, label rightly."""

    k: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds. `lab` is the gain under the lab's noise; parts that were not asked for are None.

    A unit's activation is its mean over the training images. `vote` is None as well where labels are missing.
    """

    split: Split
    digits: tuple[Row, ...]
    total: Row
    living_units: int
    activations: tuple[float, ...]
    pca_mse: float
    lab: Gain
    gains: tuple[Gain, ...] | None
    worst: Extremes | None
    best: Extremes | None
    vote: Vote | None

    @property
    def bottleneck(self) -> int:
        """Numbers in a code."""
        return len(self.activations)


@dataclass(frozen=True)
class _Material:
    """The images (N, 784) of a split with their labels (N,), and the training images of the same data as bytes."""

    split: Split
    images: Array
    labels: Bytes
    train: Bytes
    train_labels: Bytes

    @classmethod
    def of(cls, dataset: Dataset, split: Split) -> "_Material":
        """Read what a data set has."""
        images, labels = dataset.images(split), dataset.labels(split)
        if split is Split.TRAIN:
            return cls(split, to_float(images), labels, images, labels)
        return cls(split, to_float(images), labels, dataset.images(Split.TRAIN), dataset.labels(Split.TRAIN))


def evaluate(codecs: Sequence[Codec], dataset: Dataset, split: Split, depth: Depth | None = None) -> list[Evaluation]:
    """Measure networks on a split; activations, PCA and neighbours are those of the training images. Raises DataError."""
    depth = depth or Depth()
    material = _Material.of(dataset, split)
    pca = _pca_errors(material, {codec.config.bottleneck for codec in codecs})
    found = gains.measure(codecs, material.images, gains.conditions() if depth.denoising else [gains.LAB])
    return [
        _evaluate(codec, material, depth, pca_mse=pca[codec.config.bottleneck], measured=own)
        for codec, own in zip(codecs, found, strict=True)
    ]


def _evaluate(codec: Codec, material: _Material, depth: Depth, *, pca_mse: float, measured: tuple[Gain, ...]) -> Evaluation:
    found = inference.reconstruct(codec, material.images)
    codes = inference.encode_bytes(codec, material.train)
    digits = sorted({int(label) for label in np.unique(material.labels)} - {NO_LABEL})
    by_error = np.argsort(found.measures.mse, kind="stable")
    by_falling_error = np.argsort(-found.measures.mse, kind="stable")
    return Evaluation(
        split=material.split,
        digits=tuple(_row(found.measures, material.labels == digit, digit) for digit in digits),
        total=_row(found.measures, np.ones(len(material.images), bool), None),
        living_units=count_living(inference.unit_ranges(codes)),
        activations=tuple(codes.mean(axis=0, dtype=np.float64).tolist()),
        pca_mse=pca_mse,
        lab=next(gain for gain in measured if (gain.kind, gain.level) == gains.LAB),
        gains=measured if depth.denoising else None,
        worst=_extremes(material, found, by_falling_error[: depth.extremes]) if depth.extremes else None,
        best=_extremes(material, found, by_error[: depth.extremes]) if depth.extremes else None,
        vote=_vote(codec, material, codes, depth.neighbours) if depth.neighbours else None,
    )


def _row(measures: Measures, chosen: NDArray[np.bool_], digit: int | None) -> Row:
    error = float(measures.mse[chosen].mean())
    return Row(digit, int(chosen.sum()), error, metrics.psnr_of(error), float(measures.ssim[chosen].mean()))


def _pca_errors(material: _Material, sizes: set[int]) -> dict[int, float]:
    """Return the mean error of PCA by its number of components. Fewer components are the first of more."""
    train = material.images if material.split is Split.TRAIN else to_float(material.train)
    widest = metrics.PCA.fit(train, max(sizes))
    images = material.images
    fitted = {size: metrics.PCA(widest.mean, widest.components[:size]) for size in sizes}
    return {size: float(metrics.mse(images, pca.reconstruct(images)).mean()) for size, pca in fitted.items()}


def _extremes(material: _Material, found: Reconstruction, chosen: NDArray[np.intp]) -> Extremes:
    labels = [None if label == NO_LABEL else int(label) for label in material.labels[chosen]]
    pictures = [
        Picture(f"{material.split}:{index}", pixels, label)
        for index, pixels, label in zip(chosen, material.images[chosen], labels, strict=True)
    ]
    measures = found.measures
    shown = Measures(measures.mse[chosen], measures.psnr[chosen], measures.ssim[chosen])
    return Extremes(pictures, Reconstruction(found.originals[chosen], found.outputs[chosen], shown))


def _vote(codec: Codec, material: _Material, codes: Array, k: int) -> Vote | None:
    """Return how well the training codes (N, bottleneck) label the split; on the training split each but its own.

    Images without a label neither vote nor count. Where there are fewer than k labelled training images, all of them vote.
    """
    is_train = material.split is Split.TRAIN
    voters, asked = material.train_labels != NO_LABEL, material.labels != NO_LABEL
    k = min(k, int(voters.sum()) - int(is_train))
    if k < 1 or not asked.any():
        return None
    queries = codes[asked] if is_train else codec.encode(material.images[asked])
    labels = neighbours.classify(codes[voters], material.train_labels[voters], queries, k, leave_one_out=is_train)
    return Vote(k, float((labels == material.labels[asked]).mean()))
