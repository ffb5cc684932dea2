"""How good a network is over a whole split: by digit, beside PCA of the same size, and at denoising."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistae import inference, metrics, noise
from mnistae.datasets.dataset import NO_LABEL, Dataset, Split, to_float
from mnistae.inference import Codec, Measures
from mnistae.noise import LEVELS, Noise
from mnistae.records import count_living


@dataclass(frozen=True)
class Row:
    """Means over the images of one digit, or over all of them. PSNR is that of the mean MSE."""

    digit: int | None
    count: int
    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds. The denoising errors are those under the lab's noise, seed 0."""

    split: Split
    digits: tuple[Row, ...]
    total: Row
    living_units: int
    bottleneck: int
    pca_mse: float
    noisy_mse: float
    denoised_mse: float


def evaluate(codec: Codec, dataset: Dataset, split: Split) -> Evaluation:
    """Measure the network on a split; units are counted and PCA is fitted on the training images."""
    images, labels = to_float(dataset.images(split)), dataset.labels(split)
    train = dataset.images(Split.TRAIN)
    found = inference.reconstruct(codec, images)
    pca = metrics.PCA.fit(to_float(train), codec.config.bottleneck)
    noisy = noise.add(images, Noise.UNIFORM, level=LEVELS[Noise.UNIFORM], seed=0)
    digits = sorted({int(label) for label in np.unique(labels)} - {NO_LABEL})
    return Evaluation(
        split=split,
        digits=tuple(_row(found.measures, labels == digit, digit) for digit in digits),
        total=_row(found.measures, np.ones(len(images), bool), None),
        living_units=count_living(inference.unit_ranges(codec, train)),
        bottleneck=codec.config.bottleneck,
        pca_mse=float(metrics.mse(images, pca.reconstruct(images)).mean()),
        noisy_mse=float(metrics.mse(images, noisy).mean()),
        denoised_mse=float(metrics.mse(images, codec.reconstruct(noisy)).mean()),
    )


def _row(measures: Measures, chosen: NDArray[np.bool_], digit: int | None) -> Row:
    error = measures.mse[chosen].mean()
    psnr = metrics.psnr(np.array([error]))[0]
    return Row(digit, int(chosen.sum()), float(error), float(psnr), float(measures.ssim[chosen].mean()))
