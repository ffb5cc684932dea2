from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistae.core.errors import DataError
from mnistae.data.sets import glyphs

Bytes = NDArray[np.uint8]
Drawn = tuple[Bytes, Bytes]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return glyphs.draw(2000, seed=0)


def extent(ink: Bytes, axis: int) -> NDArray[np.intp]:
    """Return the length (N,) from the first to the last line with ink, a line running along `axis`."""
    occupied = ink.max(axis) > 0
    length: NDArray[np.intp] = 28 - occupied.argmax(1) - occupied[:, ::-1].argmax(1)
    return length


def test_other_seed_other_bytes(drawn: Drawn) -> None:
    """Another seed draws other images, in another order after those that MNIST's training set begins with."""
    images, labels = glyphs.draw(500, seed=1)
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert not np.array_equal(labels, drawn[1][:500])
    both = np.concatenate([images, drawn[0]]).reshape(-1, 784)
    assert len(np.unique(both, axis=0)) > 0.99 * len(both)


@pytest.mark.parametrize("count", [0, 7, 500, 501])
def test_prefix(drawn: Drawn, count: int) -> None:
    """The same seed gives the same bytes; a short draw is the beginning of a long one, at the end of a block too."""
    images, labels = glyphs.draw(count, seed=0)
    assert images.dtype == labels.dtype == np.uint8
    assert images.shape == (count, 28, 28)
    assert np.array_equal(images, drawn[0][:count])
    assert np.array_equal(labels, drawn[1][:count])


def test_balance(drawn: Drawn) -> None:
    """Whole blocks hold every digit equally often, in no order that repeats."""
    blocks = drawn[1].reshape(-1, 500)
    assert all(np.bincount(block).tolist() == [50] * 10 for block in blocks)
    assert len(np.unique(blocks, axis=0)) == len(blocks)


def test_normalisation(drawn: Drawn) -> None:
    """As in MNIST, the longer side of the ink's box is 20 pixels, and the centre of mass is within half a pixel of (14, 14)."""
    longer = np.maximum(extent(drawn[0], 2), extent(drawn[0], 1))
    assert longer.max() == 20
    assert (longer == 20).mean() > 0.99
    ink = drawn[0].astype(float)
    for across in (1, 2):
        assert np.abs(ink.sum(across) @ np.arange(28) / ink.sum((1, 2)) - 14).max() < 0.51


def test_amount_of_ink(drawn: Drawn) -> None:
    """Ink and paper are shared as in MNIST (mean 0.131, 19.1 % of the pixels inked), and no stroke is faint."""
    images = drawn[0]
    assert images.mean() / 255 == pytest.approx(0.131, abs=0.01)
    assert (images > 0).mean() == pytest.approx(0.191, abs=0.015)
    assert images.max((1, 2)).min() > 200


def test_principal_components(drawn: Drawn) -> None:
    """Eight principal components leave an error of the order of MNIST's 0.0375: neither trivial nor noise."""
    x = drawn[0][:250].reshape(-1, 784) / 255
    centred = x - x.mean(0)
    squares = np.linalg.eigvalsh(centred @ centred.T)  # 250 x 250: as the covariance's, but for its zeros
    assert 0.02 < squares[:-8].sum() / x.size < 0.06


def test_digits_can_be_told_apart(drawn: Drawn) -> None:
    """The nearest class mean names most digits of another seed, and the labels in another order name few."""
    images, labels = glyphs.draw(1000, seed=1)
    x = images.reshape(-1, 784).astype(float)
    means = np.stack([drawn[0][drawn[1] == digit].mean(0).ravel() for digit in range(10)])
    named = np.linalg.norm(x[:, None] - means, axis=2).argmin(1)
    assert (named == labels).mean() > 0.6
    assert (named == np.roll(labels, 1)).mean() < 0.2


def test_missing_font(tmp_path: Path) -> None:
    """A font that cannot be read is an expected failure that names the file."""
    with pytest.raises(DataError, match=r"gone\.ttf"):
        glyphs._glyph(tmp_path / "gone.ttf", "0")
