"""How good networks are over a whole split: by digit, image by image, beside PCA of the same size, and at denoising.

Several networks are measured on the same arrays, the same principal components and the same noise, each made once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Array, Bytes, to_float
from mnistae.core.records import count_active
from mnistae.data.references import InputImage
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.metrics import knn, quality
from mnistae.model.backend import Network
from mnistae.tasks import denoising, inference
from mnistae.tasks.denoising import DenoisingResult
from mnistae.tasks.inference import Metrics, Reconstruction


@dataclass(frozen=True)
class EvaluationOptions:
    """What to look into beyond the usual: so many worst and best images, all kinds of noise, the votes of k neighbours."""

    extremes: int = 0
    denoising: bool = False
    neighbours: int = 0


@dataclass(frozen=True)
class DigitMetrics:
    """Means over the images of one digit, or over all of them. PSNR is that of the mean MSE."""

    digit: int | None
    count: int
    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Extremes:
    """The images with the largest or the smallest MSE, the most extreme first, and what the network makes of them."""

    pictures: list[InputImage]
    found: Reconstruction


@dataclass(frozen=True)
class KnnAccuracy:
    """The share of labelled images that the k nearest training codes, each with a vote, label rightly."""

    k: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds. `lab` is the gain under the lab's noise; parts that were not asked for are None.

    A unit's activation is its mean over the training images. `vote` is None as well where labels are missing.
    """

    split: Split
    digits: tuple[DigitMetrics, ...]
    total: DigitMetrics
    active_units: int
    activations: tuple[float, ...]
    pca_mse: float
    lab: DenoisingResult
    gains: tuple[DenoisingResult, ...] | None
    worst: Extremes | None
    best: Extremes | None
    vote: KnnAccuracy | None

    @property
    def bottleneck(self) -> int:
        """Numbers in a code."""
        return len(self.activations)


@dataclass(frozen=True)
class _EvalData:
    """The images (N, 784) of a split with their labels (N,), and the training images of the same data as bytes."""

    split: Split
    images: Array
    labels: Bytes
    train: Bytes
    train_labels: Bytes

    @classmethod
    def of(cls, dataset: Dataset, split: Split) -> "_EvalData":
        """Read what a data set has."""
        images, labels = dataset.images(split), dataset.labels(split)
        if split is Split.TRAIN:
            return cls(split, to_float(images), labels, images, labels)
        return cls(split, to_float(images), labels, dataset.images(Split.TRAIN), dataset.labels(Split.TRAIN))


def evaluate(
    networks: Sequence[Network], dataset: Dataset, split: Split, depth: EvaluationOptions | None = None
) -> list[Evaluation]:
    """Measure networks on a split; activations, PCA and neighbours are those of the training images. Raises DataError."""
    depth = depth or EvaluationOptions()
    material = _EvalData.of(dataset, split)
    pca = _pca_errors(material, {network.config.bottleneck for network in networks})
    found = denoising.measure(networks, material.images, denoising.noise_grid() if depth.denoising else [denoising.LAB])
    return [
        _evaluate(network, material, depth, pca_mse=pca[network.config.bottleneck], measured=own)
        for network, own in zip(networks, found, strict=True)
    ]


def _evaluate(
    network: Network, material: _EvalData, depth: EvaluationOptions, *, pca_mse: float, measured: tuple[DenoisingResult, ...]
) -> Evaluation:
    found = inference.reconstruct(network, material.images)
    codes = inference.encode_uint8(network, material.train)
    digits = sorted({int(label) for label in np.unique(material.labels)} - {NO_LABEL})
    by_error = np.argsort(found.measures.mse, kind="stable")
    by_falling_error = np.argsort(-found.measures.mse, kind="stable")
    return Evaluation(
        split=material.split,
        digits=tuple(_row(found.measures, material.labels == digit, digit) for digit in digits),
        total=_row(found.measures, np.ones(len(material.images), bool), None),
        active_units=count_active(inference.unit_ranges(codes)),
        activations=tuple(codes.mean(axis=0, dtype=np.float64).tolist()),
        pca_mse=pca_mse,
        lab=next(gain for gain in measured if (gain.kind, gain.level) == denoising.LAB),
        gains=measured if depth.denoising else None,
        worst=_extremes(material, found, by_falling_error[: depth.extremes]) if depth.extremes else None,
        best=_extremes(material, found, by_error[: depth.extremes]) if depth.extremes else None,
        vote=_vote(network, material, codes, depth.neighbours) if depth.neighbours else None,
    )


def _row(measures: Metrics, chosen: NDArray[np.bool_], digit: int | None) -> DigitMetrics:
    error = float(measures.mse[chosen].mean())
    return DigitMetrics(digit, int(chosen.sum()), error, quality.psnr_of(error), float(measures.ssim[chosen].mean()))


def _pca_errors(material: _EvalData, sizes: set[int]) -> dict[int, float]:
    """Return the mean error of PCA by its number of components. Fewer components are the first of more."""
    train = material.images if material.split is Split.TRAIN else to_float(material.train)
    widest = quality.PCA.fit(train, max(sizes))
    images = material.images
    fitted = {size: quality.PCA(widest.mean, widest.components[:size]) for size in sizes}
    return {size: float(quality.mse(images, pca.reconstruct(images)).mean()) for size, pca in fitted.items()}


def _extremes(material: _EvalData, found: Reconstruction, chosen: NDArray[np.intp]) -> Extremes:
    labels = [None if label == NO_LABEL else int(label) for label in material.labels[chosen]]
    pictures = [
        InputImage(f"{material.split}:{index}", pixels, label)
        for index, pixels, label in zip(chosen, material.images[chosen], labels, strict=True)
    ]
    measures = found.measures
    shown = Metrics(measures.mse[chosen], measures.psnr[chosen], measures.ssim[chosen])
    return Extremes(pictures, Reconstruction(found.originals[chosen], found.outputs[chosen], shown))


def _vote(network: Network, material: _EvalData, codes: Array, k: int) -> KnnAccuracy | None:
    """Return how well the training codes (N, bottleneck) label the split; on the training split each but its own.

    Images without a label neither vote nor count. Where there are fewer than k labelled training images, all of them vote.
    """
    is_train = material.split is Split.TRAIN
    voters, asked = material.train_labels != NO_LABEL, material.labels != NO_LABEL
    k = min(k, int(voters.sum()) - int(is_train))
    if k < 1 or not asked.any():
        return None
    queries = codes[asked] if is_train else network.encode(material.images[asked])
    labels = knn.classify(codes[voters], material.train_labels[voters], queries, k, leave_one_out=is_train)
    return KnnAccuracy(k, float((labels == material.labels[asked]).mean()))
