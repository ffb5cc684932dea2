"""Codes in the plane: t-SNE (van der Maaten and Hinton, 2008), or their first two principal components."""

import contextlib
import hashlib
import io
import json
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import Self

import numpy as np

from mnistae.core import paths, records
from mnistae.core.arrays import NO_LABEL, Array, Bytes, Indices
from mnistae.core.errors import DataError
from mnistae.core.records import Weights
from mnistae.data.sets import cache
from mnistae.data.sets.dataset import Dataset, Progress, Split
from mnistae.metrics import knn
from mnistae.metrics.pca import PCA
from mnistae.model.backend import Network
from mnistae.tasks import inference

STEPS = 500
PERPLEXITY = 30
ANGLE = 0.8
"""Parameters of t-SNE: 8 s for 5,000 codes on two cores. The defaults, 1,000 steps and an angle of 0.5, take 29 s."""

THREADS = 2
"""Threads of t-SNE: with more than two, the order of a sum, and so the last bits, would differ from run to run."""


class Method(StrEnum):
    """How codes are placed in the plane."""

    TSNE = "tsne"
    PCA = "pca"
    CODES = "codes"  # as they are: a bottleneck of 2


TITLES = {Method.TSNE: "t-SNE", Method.PCA: "PCA", Method.CODES: "codes"}


@dataclass(frozen=True)
class Sample:
    """Images (N, 784) of a split with their indices and labels (N,), and codes (N, bottleneck)."""

    split: Split
    indices: Indices
    images: Bytes
    labels: Bytes
    codes: Array

    @classmethod
    def take(cls, network: Network, dataset: Dataset, split: Split, indices: Indices) -> Self:
        """Encode the images of these indices. Codes that are not finite, of diverged weights, become finite."""
        images = dataset.images(split)[indices]
        codes = np.nan_to_num(inference.encode_uint8(network, images))
        return cls(split, indices, images, dataset.labels(split)[indices], codes)

    @property
    def names(self) -> list[str]:
        """The references of the images, such as test:7."""
        return [f"{self.split}:{index}" for index in self.indices]


@dataclass(frozen=True)
class Embedding(Sample):
    """A sample with the positions (N, 2) of its codes in the plane."""

    positions: Array
    method: Method

    def accuracy(self, k: int) -> float | None:
        """Return the share of labelled images whose class their k nearest neighbours in the plane predict; None for too few."""
        places, labels = self.positions[self.labels != NO_LABEL], self.labels[self.labels != NO_LABEL]
        if len(labels) <= k:
            return None
        return float((knn.classify(places, labels, places, k, leave_one_out=True) == labels).mean())


@dataclass(frozen=True)
class Selection:
    """Which codes are placed: those of `count` evenly spaced images of a split, or of all if it has fewer; and how."""

    split: Split
    count: int
    method: Method
    seed: int = 0


def embed(model: tuple[Weights, Network], dataset: Dataset, what: Selection, progress: Progress) -> Embedding:
    """Place the codes of a data set in the plane. `model` is a network and its weights. Raises DataError."""
    weights, network = model
    total = dataset.length(what.split)
    if total < 4:
        raise DataError(f"too few images for a map: {total}", hint="use a data set with four images or more")
    sample = Sample.take(network, dataset, what.split, spread(total, what.count))
    codes = sample.codes / max(float(np.abs(sample.codes).max()) / 1e15, 1.0)  # squares of larger ones overflow
    if what.method is Method.TSNE:
        # not the codes, whose last bits depend on the threads
        source = [records.digest(weights), dataset.digest, what.split, len(codes), what.seed]
        source += [STEPS, PERPLEXITY, ANGLE, version("scikit-learn")]
        name = hashlib.sha256(json.dumps(source).encode()).hexdigest()[:12]
        path = paths.cache_dir() / f"map-{name}.safetensors"
        positions: Array | None = None
        with contextlib.suppress(cache.StaleCacheError):
            positions = cache.CacheFile.open(path, source).rows("positions", 0, len(codes)).view("<f4")
        if positions is None:
            positions = _tsne(codes, what.seed, progress)
            cache.write(path, source, {"positions": positions.astype("<f4").view(np.uint8)})
    elif what.method is Method.PCA:
        pca = PCA.fit(codes, 2)
        positions = np.zeros((len(codes), 2), np.float32)  # a bottleneck of 1 is a line
        positions[:, : len(pca.components)] = (codes - pca.mean) @ pca.components.T
    else:
        positions = np.clip(sample.codes, -1e37, 1e37)  # differences of larger ones overflow
    return Embedding(**vars(sample), positions=positions, method=what.method)


def spread(total: int, count: int) -> Indices:
    """Return `count` evenly spaced indices below `total`, or all. The halves of MNIST's test set differ: no half will do."""
    count = min(total, count)
    return np.arange(count) * total // count


def metric(codes: Array) -> str:
    """Return the metric of t-SNE: the length of a code says how bold the stroke is, and its direction which digit it is.

    Codes of a single active unit have one direction.
    """
    return "cosine" if np.count_nonzero(np.ptp(codes, axis=0)) >= 2 else "Euclidean"


def _tsne(codes: Array, seed: int, progress: Progress) -> Array:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_info, threadpool_limits

    measure = metric(codes)
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(codes) - 1) / 3),
        max_iter=STEPS,
        angle=ANGLE,
        metric=measure.lower(),
        init="pca" if measure == "cosine" else "random",  # PCA has nothing to start from on a line
        random_state=seed,
        verbose=2,  # prints every fiftieth step
    )
    threads = min(THREADS, *(pool["num_threads"] for pool in threadpool_info()))
    with threadpool_limits(threads), contextlib.redirect_stdout(_Steps(progress, f"t-SNE of {len(codes):,} codes")):
        positions: Array = tsne.fit_transform(codes)
    return positions


class _Steps(io.StringIO):
    """Reports the progress of t-SNE, which scikit-learn only prints."""

    def __init__(self, progress: Progress, what: str) -> None:
        super().__init__()
        self._progress, self._what = progress, what
        progress(what, 0, STEPS)

    def write(self, text: str) -> int:
        """Read one line, such as "[t-SNE] Iteration 50: error = 86.1"."""
        words = text.replace(":", " ").split()
        if words[1:2] == ["Iteration"] and words[2].isdigit():
            self._progress(self._what, int(words[2]), STEPS)
        return len(text)
