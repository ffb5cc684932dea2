"""Evaluation of networks, against independent calculations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL, to_float
from mnistae.core.config import ModelConfig
from mnistae.core.errors import DataError
from mnistae.data.sets.dataset import Arrays, Content, Dataset, Split
from mnistae.metrics import quality
from mnistae.metrics.pca import PCA
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.tasks import evaluation, noise
from mnistae.tasks.evaluation import Evaluation, Record
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise


def make_network(seed: int, bottleneck: int = 4) -> NumpyNetwork:
    """Return a network of random weights, some of its units active and the last one dead."""
    generator = np.random.default_rng(seed)
    sizes = ModelConfig(hidden=16, bottleneck=bottleneck)
    weights = {name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in sizes.shapes().items()}
    weights["fc2.bias"][:] = 0.5
    weights["fc2.bias"][-1] = -100
    return NumpyNetwork.from_weights(weights)


NETWORK = make_network(0)


def dataset(digits: dict[str, np.ndarray], **other: np.ndarray) -> Dataset:
    """Return a data set of the tiny arrays, some of them replaced, in memory."""
    arrays: Arrays = {name: array.reshape(len(array), -1).squeeze() for name, array in {**digits, **other}.items()}
    data = Dataset("own", str(Path("own").absolute()), sorted(other), lambda: Content(arrays))
    data.reload()
    return data


@pytest.fixture(scope="module")
def data(digits: dict[str, np.ndarray]) -> Dataset:
    return dataset(digits)


@pytest.fixture(scope="module")
def result(data: Dataset) -> Evaluation:
    """The evaluation of one network with all options."""
    return evaluation.evaluate([NETWORK], data, Split.TEST, extremes=3, denoising=True, knn=5)[0]


@pytest.fixture(scope="module")
def images(data: Dataset) -> np.ndarray:
    return to_float(data.images(Split.TEST))


def errors(images: np.ndarray, outputs: np.ndarray) -> Any:
    """Return the mean squared error of each image in double precision."""
    return ((images - outputs).astype(float) ** 2).mean(axis=1)


def values(result: Evaluation, metric: str) -> list[float]:
    """Return the values of a metric in their order."""
    return [record.value for record in result.records if record.metric == metric]


def test_extremes_are_the_ends_of_the_errors(data: Dataset, result: Evaluation, images: np.ndarray) -> None:
    """The worst are in descending, the best in ascending order; reference, label, pixels and output belong together."""
    found = errors(images, NETWORK.reconstruct(images))
    order = np.argsort(found)
    assert result.worst
    assert result.best
    names = [[image.name for image in ends.images] for ends in (result.worst, result.best)]
    assert names == [[f"test:{k}" for k in rows] for rows in (order[:-4:-1], order[:3])]
    assert [image.label for image in result.best.images] == data.labels(Split.TEST)[order[:3]].tolist()
    np.testing.assert_allclose(values(result, "worst_mse"), found[order[:-4:-1]], rtol=1e-6)
    np.testing.assert_array_equal(result.best.reconstruction.originals, images[order[:3]])
    np.testing.assert_allclose(result.best.reconstruction.outputs, NETWORK.reconstruct(images[order[:3]]), atol=1e-6)


def test_metrics_of_a_digit_are_those_of_its_images(data: Dataset, result: Evaluation, images: np.ndarray) -> None:
    """Each digit has its count, its mean MSE, the PSNR of that and its mean SSIM; the first row is all images."""
    labels, outputs = data.labels(Split.TEST), NETWORK.reconstruct(images)
    rows = result.pivot("count", "mse", "psnr", "ssim")
    assert list(rows) == [(None, None), *((digit, None) for digit in range(10))]
    for (digit, _), row in rows.items():
        chosen = labels == digit if digit is not None else labels < 10
        mse = errors(images[chosen], outputs[chosen]).mean()
        ssim = quality.ssim(images[chosen], outputs[chosen]).mean()
        assert list(row.values()) == pytest.approx([chosen.sum(), mse, -10 * np.log10(mse), ssim], rel=1e-5)


def test_every_noise_is_measured_around_its_level(result: Evaluation, images: np.ndarray) -> None:
    """Four kinds at five levels, including the default level; the values are those of an independent calculation."""
    rows = result.pivot("noisy_psnr", "denoised_psnr", "psnr_gain")
    items = [str(item) for _, item in rows]
    assert items[:5] == [f"uniform:{level}" for level in ("0.25", "0.5", "0.625", "0.75", "1")]
    assert len(items) == 20
    assert {f"{kind}:{level:g}" for kind, level in DEFAULT_LEVELS.items() if kind is not Noise.NONE} < set(items)
    noisy = noise.add(images, Noise.MASK, level=0.4, seed=0)
    before, after = (errors(images, other).mean() for other in (noisy, NETWORK.reconstruct(noisy)))
    expected = [-10 * np.log10(before), -10 * np.log10(after), 10 * np.log10(before / after)]
    assert list(rows[None, "mask:0.4"].values()) == pytest.approx(expected, abs=1e-4)
    lab = result.pivot("noisy_mse", "denoised_mse")[None, None].values()
    assert [-10 * np.log10(mse) for mse in lab] == pytest.approx(list(rows[None, "uniform:0.625"].values())[:2])


def test_activations_are_means_over_the_training_images(data: Dataset, result: Evaluation) -> None:
    """For any split, units are measured on the training images, and the dead one is at zero."""
    codes = NETWORK.encode(to_float(data.images(Split.TRAIN)))
    activations = values(result, "mean_activation")
    assert activations == pytest.approx(codes.mean(axis=0, dtype=float).tolist())
    assert (activations[-1], values(result, "bottleneck")) == (0, [4])
    assert values(result, "active_units") == [sum(mean > 0 for mean in activations)]


@pytest.mark.parametrize("split", Split)
def test_knn_accuracy_is_that_of_brute_force(data: Dataset, split: Split) -> None:
    """The training codes classify the split; on the training split an image is not its own neighbour."""
    (result,) = evaluation.evaluate([NETWORK], data, split, knn=5)
    codes, queries = (NETWORK.encode(to_float(data.images(part))).astype(float) for part in (Split.TRAIN, split))
    distances = ((queries[:, None] - codes[None]) ** 2).sum(axis=2)
    if split is Split.TRAIN:
        np.fill_diagonal(distances, np.inf)
    labels = data.labels(Split.TRAIN)[np.argsort(distances, axis=1, kind="stable")[:, :5]]
    guesses = [max(row, key=row.tolist().count) for row in labels]  # the first of the most frequent
    assert Record("knn_accuracy", None, 5, float(np.mean(guesses == data.labels(split)))) in result.records


def test_without_labels_the_rest_is_the_same(digits: dict[str, np.ndarray], result: Evaluation) -> None:
    """No digits and no neighbours; the extremes have no labels; all other numbers are the same."""
    blank = {name: np.full(len(digits[name]), NO_LABEL, np.uint8) for name in ("train_labels", "test_labels")}
    (found,) = evaluation.evaluate([NETWORK], dataset(digits, **blank), Split.TEST, extremes=3, denoising=True, knn=5)
    kept = [one for one in result.records if one.label is None or "_mse" in one.metric]
    assert found.records == tuple(one._replace(label=None) for one in kept if one.metric != "knn_accuracy")
    assert found.worst
    assert [image.label for image in found.worst.images] == [None] * 3


def test_without_training_images_the_reason_is_named(digits: dict[str, np.ndarray]) -> None:
    """PCA and the active units need training images, also if the test split is evaluated."""
    arrays: Arrays = {name: digits[name].reshape(len(digits[name]), -1) for name in ("test_images", "test_labels")}
    tested = Dataset("tested", "tests", "tested", lambda: Content(arrays))
    with pytest.raises(DataError, match="data set 'tested' has no training images, which PCA"):
        evaluation.evaluate([NETWORK], tested, Split.TEST)


def test_images_without_a_label_are_left_out_of_knn(digits: dict[str, np.ndarray]) -> None:
    """With three labelled training images k is 3; an unlabelled test image is not classified."""
    train, test = digits["train_labels"].copy(), digits["test_labels"].copy()
    train[:3] = test[0]
    train[3:] = NO_LABEL
    test[1:] = NO_LABEL
    (result,) = evaluation.evaluate([NETWORK], dataset(digits, train_labels=train, test_labels=test), Split.TEST, knn=5)
    assert result.pivot("knn_accuracy") == {(None, 3): {"knn_accuracy": 1.0}}
    train[1:] = NO_LABEL
    (single,) = evaluation.evaluate([NETWORK], dataset(digits, train_labels=train), Split.TRAIN, knn=5)
    assert single.pivot("knn_accuracy") == {}  # the only labelled image has no neighbour


def test_together_is_the_same_as_alone(data: Dataset, images: np.ndarray) -> None:
    """Networks of two sizes evaluated together get the same numbers as alone; PCA has the size of each."""
    networks = [NETWORK, make_network(1, bottleneck=6)]
    together = evaluation.evaluate(networks, data, Split.TEST, knn=3)
    assert together == [evaluation.evaluate([network], data, Split.TEST, knn=3)[0] for network in networks]
    pca = PCA.fit(to_float(data.images(Split.TRAIN)), 6)
    assert values(together[1], "pca_mse") == pytest.approx([errors(images, pca.reconstruct(images)).mean()], rel=1e-6)


@pytest.mark.parametrize(("options", "steps"), [({}, 0), ({"knn": 3}, 3), ({"denoising": True}, 22)])
def test_progress_is_reported(data: Dataset, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], steps: int) -> None:
    """From none to all steps are reported, but nothing where there is as little to do as for the test images of MNIST."""
    monkeypatch.setattr(evaluation, "SHORT", 3 * data.length(Split.TEST))
    seen: list[tuple[int, int | None]] = []
    evaluation.evaluate([NETWORK], data, Split.TEST, **options, progress=lambda _what, *steps: seen.append(steps))
    assert seen == [(done, steps) for done in range(steps + 1) if steps]
