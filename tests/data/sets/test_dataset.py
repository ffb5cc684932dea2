"""A data set answers by split, and says clearly what it does not have."""

from collections.abc import Callable

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL, flatten
from mnistae.core.errors import DataError
from mnistae.data.sets.dataset import Arrays, Content, Dataset, Split

IMAGES = np.arange(3 * 784, dtype=np.uint32).astype(np.uint8).reshape(3, 784)
LABELS = np.array([7, 0, NO_LABEL], np.uint8)
TRAIN_ONLY: Arrays = {"train_images": IMAGES, "train_labels": LABELS}


def broken() -> Content:
    """Be a source that cannot be read."""
    raise DataError("the disk is gone", hint="look for it")


@pytest.fixture
def dataset() -> Dataset:
    """A data set without a test split."""
    return Dataset("half", "nowhere", 1, lambda: Content(TRAIN_ONLY))


def test_one_split(dataset: Dataset) -> None:
    """A split is had whole, or an image at a time."""
    assert dataset.has(Split.TRAIN)
    assert dataset.length(Split.TRAIN) == 3
    np.testing.assert_array_equal(dataset.images(Split.TRAIN), IMAGES)
    assert dataset.labels(Split.TRAIN).tolist() == [7, 0, NO_LABEL]
    np.testing.assert_array_equal(dataset.image(Split.TRAIN, 2), IMAGES[2])


@pytest.mark.parametrize("ask", [Dataset.length, Dataset.images, Dataset.labels])
def test_missing_split(dataset: Dataset, ask: Callable[[Dataset, Split], object]) -> None:
    """A missing split is an expected error."""
    assert not dataset.has(Split.TEST)
    with pytest.raises(DataError) as caught:
        ask(dataset, Split.TEST)
    assert caught.value.message == "data set 'half' has no test split"
    assert caught.value.hint == "use --split train or train:N"


def test_opening_reads_nothing() -> None:
    """A source is read when something is asked, not before, and its failure is passed on."""
    dataset = Dataset("broken", "nowhere", 1, broken)
    assert (dataset.name, dataset.location) == ("broken", "nowhere")
    with pytest.raises(DataError, match="the disk is gone"):
        dataset.has(Split.TRAIN)


def test_reload(dataset: Dataset) -> None:
    """Reloading reads the source although the cache is sound, and finds what has become of it."""
    digest = dataset.digest
    dataset.reload()
    assert dataset.digest == digest
    now_broken = Dataset("half", "nowhere", 1, broken)
    assert now_broken.digest == digest
    with pytest.raises(DataError, match="the disk is gone"):
        now_broken.reload()
    changed = Dataset("half", "nowhere", 1, lambda: Content({**TRAIN_ONLY, "train_labels": LABELS[::-1].copy()}))
    assert changed.digest == digest  # the cache's
    changed.reload()
    assert changed.labels(Split.TRAIN).tolist() == [NO_LABEL, 0, 7]
    assert changed.digest != digest


def test_location_with_bytes_that_are_no_text() -> None:
    """A folder's name that is not UTF-8 keeps its cache too."""
    odd = Dataset("odd", "/data/\udcff\udcfe", ["/data/\udcff"], lambda: Content(TRAIN_ONLY))
    assert odd.digest == Dataset("odd", odd.location, odd.fingerprint, broken).digest


def test_flat() -> None:
    """Images become rows in memory of their own, whatever their order was."""
    images = IMAGES.reshape(3, 28, 28)
    rows = flatten(images.transpose(0, 2, 1))
    np.testing.assert_array_equal(rows.reshape(3, 28, 28), images.transpose(0, 2, 1))
    assert rows.flags.c_contiguous
    assert flatten(images).flags.writeable
    assert not np.shares_memory(flatten(images), images)
