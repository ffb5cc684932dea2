"""Photos of a digit are as good for the network as the digit itself, whatever the camera, the paper and the pen."""

from pathlib import Path

import numpy as np
import pytest

from mnistae.core.arrays import to_float
from mnistae.data.images import decode
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model import backend
from mnistae.model.backend import Network
from mnistae.store import importer, runs
from tests.conftest import REFERENCE
from tests.support.photos import PHOTOS

Array = np.ndarray

WORST = 1.5
"""The error of a photo over that of its digit."""


def ten_digits(data: Dataset) -> Array:
    """Return the first test image of each digit: (10, 28, 28) bytes."""
    labels = data.labels(Split.TEST)
    places = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    return np.stack([data.image(Split.TEST, place).reshape(28, 28) for place in places])


def read(files: list[bytes]) -> Array:
    """Return what the product makes of picture files: (n, 784)."""
    return np.stack([decode.read_bytes(data, name="photo").images[0] for data in files]).reshape(len(files), 784)


def errors(network: Network, images: Array, originals: Array) -> Array:
    """Return the MSE (n,) between originals (n, 784) and the reconstructions of images."""
    outputs = network.decode(network.encode(images)).reshape(len(images), 784)
    return np.asarray(((outputs - originals) ** 2).mean(axis=1))


@pytest.mark.parametrize("kind", PHOTOS)
def test_a_photo_of_a_built_in_digit(glyphs_home: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """On average a photo is as good as its digit, with digits and a network that need no download."""
    monkeypatch.setenv("MNISTAE_HOME", str(glyphs_home))
    network = backend.load_network(runs.load("fast").weights, None)
    digits = ten_digits(resolve.open_dataset("glyphs"))
    clean = to_float(digits.reshape(-1, 784))
    images = read([PHOTOS[kind](digit) for digit in digits])
    assert errors(network, images, images).mean() <= WORST * errors(network, clean, clean).mean()
    nearest = ((images[:, None] - clean) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.arange(10)).mean() >= 0.8  # it is this digit and not another that is easier


@pytest.mark.parametrize("kind", PHOTOS)
def test_a_photo_of_a_handwritten_digit(real_mnist: Path, kind: str) -> None:
    """With the lab's weights each photo is as good as its digit, and on average what comes out is the digit itself."""
    if not REFERENCE.exists():
        pytest.skip(f"the lab's weights are not at {REFERENCE}")
    network = backend.load_network(importer.read(REFERENCE)[0], None)
    digits = ten_digits(resolve.open_dataset("mnist"))
    clean = to_float(digits.reshape(-1, 784))
    images = read([PHOTOS[kind](digit) for digit in digits])
    expected = errors(network, clean, clean)
    assert (errors(network, images, images) <= WORST * expected).all()
    assert errors(network, images, clean).mean() <= WORST * expected.mean()
