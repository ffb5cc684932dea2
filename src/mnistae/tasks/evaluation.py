"""Evaluation of networks over a whole split: by digit, by image, against PCA of the same size, and at denoising.

Several networks share the arrays, the principal components and the noise.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mnistae.core.arrays import NO_LABEL, Array, Bytes, to_float
from mnistae.core.errors import DataError
from mnistae.core.records import count_active
from mnistae.data.references import InputImage
from mnistae.data.sets.dataset import Dataset, Progress, Split, no_progress
from mnistae.metrics import knn, quality
from mnistae.metrics.pca import PCA
from mnistae.model.backend import Network
from mnistae.tasks import inference
from mnistae.tasks import noise as noises
from mnistae.tasks.inference import Metrics, Reconstruction
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise

LAB_NOISE = (Noise.UNIFORM, DEFAULT_LEVELS[Noise.UNIFORM])
"""The noise of the lab, which is part of every evaluation."""

NOISE_LEVELS = {
    kind: [round(level * factor, 4) for factor in (0.4, 0.8, 1.0, 1.2, 1.6)] for kind, level in DEFAULT_LEVELS.items() if level
}
"""The levels of the noise grid, around the default level of each kind."""

QUALITY = ("count", "mse", "psnr", "ssim")
SUMMARY = ("active_units", "bottleneck", "pca_mse", "noisy_mse", "denoised_mse")
"""The metrics of all images and of each digit, and those of the network."""

SHORT = 30_000
"""Images times steps up to which no progress is reported: one network on the test images of MNIST, without options."""


class Record(NamedTuple):
    """One number: a metric, the label and the item that it refers to, if any, and the value.

    An item is a bottleneck unit, a number of neighbours, an image such as test:7, or a noise such as mask:0.5.
    """

    metric: str
    label: int | None
    item: str | int | None
    value: float


@dataclass(frozen=True)
class Extremes:
    """The images with the largest or the smallest MSE, the most extreme first."""

    images: list[InputImage]
    reconstruction: Reconstruction


@dataclass(frozen=True)
class Evaluation:
    """The results of one network. PSNR is computed from the mean MSE; mean activations are over the training images."""

    split: Split
    records: tuple[Record, ...]
    worst: Extremes | None
    best: Extremes | None
    classes: Sequence[str]
    """The names of the labels, if they have names."""

    def pivot(self, *metrics: str) -> dict[tuple[int | None, str | int | None], dict[str, float]]:
        """Return the values of some metrics by label and item, and then by metric."""
        rows: dict[tuple[int | None, str | int | None], dict[str, float]] = {}
        for record in self.records:
            if record.metric in metrics:
                rows.setdefault((record.label, record.item), {})[record.metric] = record.value
        return rows


@dataclass(frozen=True)
class _EvalData:
    """The images (N, 784) of a split with their labels (N,), and the training images of the same data set as bytes."""

    dataset: Dataset
    split: Split
    images: Array
    labels: Bytes
    train: Bytes
    train_labels: Bytes


def evaluate(
    networks: Sequence[Network],
    dataset: Dataset,
    split: Split,
    *,
    extremes: int = 0,
    denoising: bool = False,
    knn: int = 0,
    progress: Progress = no_progress,
) -> list[Evaluation]:
    """Evaluate networks on a split. Activations, PCA and neighbours are those of the training images. Raises DataError.

    `extremes` adds that many worst and best images, `denoising` the noise grid, `knn` the accuracy of that many nearest
    neighbours. Progress is reported only if there is more to do than SHORT.
    """
    if not dataset.has(Split.TRAIN):
        reason = f"data set '{dataset.name}' has no training images, which PCA and the active units are computed from"
        raise DataError(reason, hint="give both splits: a folder with the two files, or an .npz with x_train and x_test")
    noise_grid = [(kind, level) for kind, levels in NOISE_LEVELS.items() for level in levels] if denoising else [LAB_NOISE]
    total = 1 + (len(noise_grid) + 1) * len(networks)
    images, labels = to_float(dataset.images(split)), dataset.labels(split)
    data = _EvalData(dataset, split, images, labels, dataset.images(Split.TRAIN), dataset.labels(Split.TRAIN))
    is_long = len(images) * (total + len(networks) * bool(knn)) > SHORT
    steps = itertools.count()

    def advance() -> None:
        if is_long:
            progress(f"evaluating {len(images):,} images", next(steps), total)

    advance()
    records = _pca(data, [network.config.bottleneck for network in networks])
    advance()
    for kind, level in noise_grid:
        noisy = noises.add(images, kind, level=level, seed=0)  # one copy at a time, shared by all networks
        for own, network in zip(records, networks, strict=True):
            own.extend(_denoising(network, images, noisy, (kind, level), is_listed=denoising))
            advance()
    found = []
    for own, network in zip(records, networks, strict=True):
        found.append(_evaluate(network, data, own, extremes, knn))
        advance()
    return found


def _evaluate(network: Network, data: _EvalData, shared: list[Record], extremes: int, k: int) -> Evaluation:
    result = inference.reconstruct(network, data.images)
    codes = inference.encode_uint8(network, data.train)
    records = list(_quality(result.metrics, data.labels))
    records.append(Record("active_units", None, None, count_active(inference.unit_ranges(codes))))
    activations = codes.mean(axis=0, dtype=np.float64).tolist()
    records += [Record("mean_activation", None, unit, mean) for unit, mean in enumerate(activations)]
    records += [*shared, *_knn_accuracy(network, data, codes, k)]
    ends: dict[str, Extremes] = {}
    signs = {"worst": -1, "best": 1} if extremes else {}
    for end, sign in signs.items():
        chosen = np.argsort(sign * result.metrics.mse, kind="stable")[:extremes]
        images = []
        for index in chosen:
            label = None if data.labels[index] == NO_LABEL else int(data.labels[index])
            name = None if label is None else data.dataset.class_name(label)
            images.append(InputImage(f"{data.split}:{index}", data.images[index], label, class_name=name))
        metrics = Metrics(result.metrics.mse[chosen], result.metrics.psnr[chosen], result.metrics.ssim[chosen])
        ends[end] = Extremes(images, Reconstruction(result.originals[chosen], result.outputs[chosen], metrics))
        errors = zip(images, metrics.mse.tolist(), strict=True)
        records += [Record(f"{end}_mse", image.label, image.name, mse) for image, mse in errors]
    return Evaluation(data.split, tuple(records), ends.get("worst"), ends.get("best"), data.dataset.classes)


def _quality(metrics: Metrics, labels: Bytes) -> Iterator[Record]:
    """Yield the means over all images and over those of each digit."""
    digits = sorted({int(label) for label in np.unique(labels)} - {NO_LABEL})
    for digit, chosen in [(None, np.ones(len(labels), bool)), *((digit, labels == digit) for digit in digits)]:
        mse = np.asarray(metrics.mse[chosen].mean())
        yield Record("count", digit, None, int(chosen.sum()))
        yield Record("mse", digit, None, float(mse))
        yield Record("psnr", digit, None, float(quality.psnr(mse)))
        yield Record("ssim", digit, None, float(metrics.ssim[chosen].mean()))


def _denoising(
    network: Network, images: Array, noisy: Array, noise: tuple[Noise, float], *, is_listed: bool
) -> Iterator[Record]:
    """Yield the errors before and after denoising: MSE for the lab's noise, PSNR if it is listed. Negative gains are losses."""
    before = float(quality.mse(images, noisy).mean())
    after = float(quality.mse(images, network.reconstruct(noisy)).mean())
    if noise == LAB_NOISE:
        yield Record("noisy_mse", None, None, before)
        yield Record("denoised_mse", None, None, after)
    if is_listed:
        item = f"{noise[0]}:{noise[1]:g}"
        psnrs = quality.psnr(np.array([before, after])).tolist()
        yield Record("noisy_psnr", None, item, psnrs[0])
        yield Record("denoised_psnr", None, item, psnrs[1])
        yield Record("psnr_gain", None, item, psnrs[1] - psnrs[0])


def _pca(data: _EvalData, sizes: Sequence[int]) -> list[list[Record]]:
    """Return each size with the mean MSE of PCA. The components of a smaller PCA are the first of a larger one."""
    train = data.images if data.split is Split.TRAIN else to_float(data.train)
    largest = PCA.fit(train, max(sizes))
    mse = {}
    for size in set(sizes):
        outputs = PCA(largest.mean, largest.components[:size]).reconstruct(data.images)
        mse[size] = float(quality.mse(data.images, outputs).mean())
    return [[Record("bottleneck", None, None, size), Record("pca_mse", None, None, mse[size])] for size in sizes]


def _knn_accuracy(network: Network, data: _EvalData, codes: Array, k: int) -> Iterator[Record]:
    """Yield how well the training codes (N, bottleneck) classify the split; on the training split leave-one-out.

    Images without a label are left out. With fewer than k labelled training images, k is their number.
    """
    is_train = data.split is Split.TRAIN
    train, queries = data.train_labels != NO_LABEL, data.labels != NO_LABEL
    k = min(k, int(train.sum()) - int(is_train))
    if k > 0 and queries.any():
        query_codes = codes[queries] if is_train else network.encode(data.images[queries])
        labels = knn.classify(codes[train], data.train_labels[train], query_codes, k, leave_one_out=is_train)
        yield Record("knn_accuracy", None, k, float((labels == data.labels[queries]).mean()))
