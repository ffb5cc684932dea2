"""What networks are measured by over a split, against calculations by hand."""

from pathlib import Path

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL, to_float
from mnistae.core.config import ModelConfig
from mnistae.data.sets.dataset import Arrays, Dataset, DatasetSpec, Split
from mnistae.metrics import quality
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.tasks import evaluation, noise
from mnistae.tasks.denoising import DenoisingResult
from mnistae.tasks.evaluation import EvaluationOptions
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise


def make_network(seed: int, bottleneck: int = 4) -> NumpyNetwork:
    """Return a network of random weights, some of its units alive and the last one dead."""
    generator = np.random.default_rng(seed)
    sizes = ModelConfig(hidden=16, bottleneck=bottleneck)
    weights = {name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in sizes.shapes().items()}
    weights["fc2.bias"][:] = 0.5
    weights["fc2.bias"][-1] = -100
    return NumpyNetwork.from_weights(weights)


def dataset(digits: dict[str, np.ndarray], **other: np.ndarray) -> Dataset:
    """Return a data set of the tiny arrays, with others in the place of some."""
    arrays: Arrays = {name: array.reshape(len(array), -1).squeeze() for name, array in {**digits, **other}.items()}
    return Dataset(DatasetSpec("own", str(Path("own").absolute()), sorted(other), lambda: arrays))


def test_extremes_are_the_ends_of_the_errors(digits: dict[str, np.ndarray]) -> None:
    """The worst come with falling, the best with rising errors; word, label, pixels and output belong together."""
    data, network = dataset(digits), make_network(0)
    (found,) = evaluation.evaluate([network], data, Split.TEST, EvaluationOptions(extremes=3))
    images = to_float(data.images(Split.TEST))
    errors = ((images - network.reconstruct(images)).astype(float) ** 2).mean(axis=1)
    order = np.argsort(errors)
    assert found.worst
    assert found.best
    assert [picture.word for picture in found.worst.pictures] == [f"test:{k}" for k in order[:-4:-1]]
    assert [picture.word for picture in found.best.pictures] == [f"test:{k}" for k in order[:3]]
    assert [picture.label for picture in found.best.pictures] == data.labels(Split.TEST)[order[:3]].tolist()
    np.testing.assert_allclose(found.worst.found.measures.mse, errors[order[:-4:-1]], rtol=1e-6)
    np.testing.assert_array_equal(found.best.found.originals, images[order[:3]])
    np.testing.assert_allclose(found.best.found.outputs, network.reconstruct(images[order[:3]]), atol=1e-6)


def test_more_extremes_than_images_are_all_of_them(digits: dict[str, np.ndarray]) -> None:
    """A split of three images has three worst and three best."""
    few = {"test_images": digits["test_images"][:3], "test_labels": digits["test_labels"][:3]}
    (found,) = evaluation.evaluate([make_network(0)], dataset(digits, **few), Split.TEST, EvaluationOptions(extremes=100))
    assert found.worst
    assert found.best
    assert [one.word for one in found.worst.pictures] == [one.word for one in reversed(found.best.pictures)]
    assert len(found.worst.pictures) == 3


def test_gains_are_the_difference_of_two_psnrs() -> None:
    """An error that falls to a tenth is a gain of 10 dB, whatever it was."""
    gain = DenoisingResult(Noise.MASK, 0.5, 0.1, 0.01)
    assert (gain.noisy_psnr, gain.denoised_psnr, gain.psnr_gain) == pytest.approx((10, 20, 10))


def test_every_noise_is_measured_around_its_level(digits: dict[str, np.ndarray]) -> None:
    """Four kinds at five levels, each kind's usual one among them; one of them is worked out by hand."""
    data, network = dataset(digits), make_network(0)
    (found,) = evaluation.evaluate([network], data, Split.TEST, EvaluationOptions(denoising=True))
    assert found.gains
    levels = {kind: [gain.level for gain in found.gains if gain.kind is kind] for kind in Noise if kind is not Noise.NONE}
    assert levels[Noise.UNIFORM] == [0.25, 0.5, 0.625, 0.75, 1.0]
    assert levels[Noise.MASK] == [0.2, 0.4, 0.5, 0.6, 0.8]
    assert all(DEFAULT_LEVELS[kind] in own and len(own) == 5 for kind, own in levels.items())
    assert found.lab in found.gains

    chosen = next(gain for gain in found.gains if (gain.kind, gain.level) == (Noise.MASK, 0.4))
    images = to_float(data.images(Split.TEST))
    noisy = noise.add(images, Noise.MASK, level=0.4, seed=0)
    before, after = (((images - other).astype(float) ** 2).mean() for other in (noisy, network.reconstruct(noisy)))
    assert (chosen.noisy_mse, chosen.denoised_mse) == pytest.approx((before, after), rel=1e-5)
    assert chosen.psnr_gain == pytest.approx(10 * np.log10(before / after), abs=1e-4)


def test_activations_are_means_over_the_training_images(digits: dict[str, np.ndarray]) -> None:
    """Whatever the split, units are looked at on the training images, and the dead one is at zero."""
    data, network = dataset(digits), make_network(0)
    (found,) = evaluation.evaluate([network], data, Split.TEST)
    codes = network.encode(to_float(data.images(Split.TRAIN)))
    assert found.activations == pytest.approx(codes.mean(axis=0, dtype=float).tolist())
    assert (found.activations[-1], found.bottleneck) == (0, 4)
    assert found.active_units == sum(mean > 0 for mean in found.activations) <= 3


@pytest.mark.parametrize("split", Split)
def test_labels_are_voted_on_by_training_codes(digits: dict[str, np.ndarray], split: Split) -> None:
    """The accuracy is that of brute force; on the training split an image has no vote on itself."""
    data, network = dataset(digits), make_network(0)
    (found,) = evaluation.evaluate([network], data, split, EvaluationOptions(neighbours=5))
    codes = network.encode(to_float(data.images(Split.TRAIN))).astype(float)
    asked = network.encode(to_float(data.images(split))).astype(float)
    distances = ((asked[:, None] - codes[None]) ** 2).sum(axis=2)
    if split is Split.TRAIN:
        np.fill_diagonal(distances, np.inf)
    labels = data.labels(Split.TRAIN)[np.argsort(distances, axis=1, kind="stable")[:, :5]]
    guesses = [max(row, key=row.tolist().count) for row in labels]  # the first of those that are most
    assert found.vote
    assert (found.vote.k, found.vote.accuracy) == (5, float(np.mean(guesses == data.labels(split))))


def test_without_labels_what_needs_them_is_left_out(digits: dict[str, np.ndarray]) -> None:
    """No digits, no vote; the extremes have no labels, and all the rest is as it was."""
    depth = EvaluationOptions(extremes=2, denoising=True, neighbours=5)
    blank = {name: np.full(len(digits[name]), NO_LABEL, np.uint8) for name in ("train_labels", "test_labels")}
    (known,) = evaluation.evaluate([make_network(0)], dataset(digits), Split.TEST, depth)
    (found,) = evaluation.evaluate([make_network(0)], dataset(digits, **blank), Split.TEST, depth)
    assert (found.digits, found.vote) == ((), None)
    assert found.worst
    assert [picture.label for picture in found.worst.pictures] == [None, None]
    assert (found.total, found.gains, found.activations) == (known.total, known.gains, known.activations)


def test_the_unlabelled_neither_vote_nor_count(digits: dict[str, np.ndarray]) -> None:
    """With three labelled training images only those vote; an unlabelled test image is not asked about."""
    train, test = digits["train_labels"].copy(), digits["test_labels"].copy()
    train[:3] = test[0]
    train[3:] = NO_LABEL
    test[1:] = NO_LABEL
    data = dataset(digits, train_labels=train, test_labels=test)
    (found,) = evaluation.evaluate([make_network(0)], data, Split.TEST, EvaluationOptions(neighbours=5))
    assert found.vote
    assert found.vote.k == 3
    assert found.vote.accuracy == 1.0
    train[1:] = NO_LABEL
    alone = dataset(digits, train_labels=train)
    (lonely,) = evaluation.evaluate([make_network(0)], alone, Split.TRAIN, EvaluationOptions(neighbours=5))
    assert lonely.vote is None  # one labelled image has nobody but itself to ask


def test_together_is_the_same_as_alone(digits: dict[str, np.ndarray]) -> None:
    """Networks of two sizes measured at once get the numbers that each gets by itself; PCA is that of their own size."""
    data, networks = dataset(digits), [make_network(0), make_network(1, bottleneck=6)]
    depth = EvaluationOptions(denoising=True, neighbours=3)
    together = evaluation.evaluate(networks, data, Split.TEST, depth)
    for network, found in zip(networks, together, strict=True):
        (alone,) = evaluation.evaluate([network], data, Split.TEST, depth)
        assert found == alone
    pca = quality.PCA.fit(to_float(data.images(Split.TRAIN)), 6)
    images = to_float(data.images(Split.TEST))
    assert together[1].pca_mse == pytest.approx(quality.mse(images, pca.reconstruct(images)).mean(), rel=1e-6)
