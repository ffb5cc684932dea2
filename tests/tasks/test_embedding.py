"""Codes in the plane."""

from pathlib import Path

import numpy as np
import pytest

from mnistae import api
from mnistae.core import paths
from mnistae.core.arrays import to_float
from mnistae.core.config import ModelConfig
from mnistae.core.errors import DataError
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Progress, Split, no_progress
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.tasks import embedding
from mnistae.tasks.embedding import Embedding, Method, Selection


def network(bottleneck: int = 8, scale: float = 1.0) -> NumpyNetwork:
    rng = np.random.default_rng(0)
    shapes = ModelConfig(hidden=16, bottleneck=bottleneck).shapes()
    return NumpyNetwork.from_weights({name: (scale * rng.normal(size=s)).astype(np.float32) for name, s in shapes.items()})


def place(
    data: object, method: Method = Method.TSNE, net: NumpyNetwork | None = None, seed: int = 0, progress: Progress = no_progress
) -> Embedding:
    net = net or network()
    what = Selection(Split.TEST, 60, method, seed)
    return embedding.embed((net.weights, net), resolve.open_dataset(str(data)), what, progress)


def test_sample_is_evenly_spaced(tiny: Path, digits: dict[str, np.ndarray]) -> None:
    """The images are evenly spaced in the split, and their codes are the network's."""
    found = place(tiny, Method.PCA)
    assert found.names[:4] == ["test:0", "test:1", "test:3", "test:5"]
    np.testing.assert_array_equal(found.images, digits["test_images"].reshape(-1, 784)[found.indices])
    np.testing.assert_allclose(found.codes, network().encode(to_float(found.images)), rtol=1e-5)
    pair = place(tiny, Method.CODES, network(2))
    np.testing.assert_array_equal(pair.positions, pair.codes, strict=True)
    assert pair.accuracy(60) is None


def test_tsne_is_repeatable_and_cached(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same codes and seed get the same positions, the second time from the cache; a damaged cache is not used.

    Every fiftieth step is reported.
    """
    seen: list[int] = []
    first = place(tiny, progress=lambda _what, done, _total: seen.append(done)).positions
    assert seen[:3] == [0, 50, 100]
    (cached,) = paths.cache_dir().glob("map-*")
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    np.testing.assert_array_equal(place(tiny).positions, first)  # computed again
    monkeypatch.setattr(embedding, "_tsne", None)
    np.testing.assert_array_equal(place(tiny).positions, first)  # from the cache
    with pytest.raises(TypeError):
        place(tiny, seed=1)


@pytest.mark.parametrize("method", [Method.TSNE, Method.PCA])
@pytest.mark.parametrize(
    ("bottleneck", "scale"), [(1, 1.0), (2, 1.0), (8, 0.0), (8, 1e20)], ids=["one unit", "two units", "all dead", "huge"]
)
def test_degenerate_codes_have_finite_positions(tiny: Path, method: Method, bottleneck: int, scale: float) -> None:
    """One unit, none that is active, or codes that overflow still give a map; neighbours in it have similar codes."""
    found = place(tiny, method, network(bottleneck, scale))
    assert found.positions.shape == (60, 2)
    assert np.isfinite(found.positions).all()
    if bottleneck == 1:
        distances = np.linalg.norm(found.positions[:, None] - found.positions, axis=2) + 1e9 * np.eye(60)
        differences = found.codes - found.codes[distances.argmin(axis=1)]
        assert np.abs(differences).mean() < 0.05 * np.ptp(found.codes)


def test_pca_has_the_largest_variance_first(tiny: Path) -> None:
    """The axes of PCA are uncorrelated and in order of their variance."""
    covariance = np.cov(place(tiny, Method.PCA).positions.T)
    assert covariance[0, 0] > covariance[1, 1] > 0
    assert abs(covariance[0, 1]) < 1e-4 * covariance[0, 0]


def test_too_few_images_are_an_error(tmp_path: Path) -> None:
    """Three images make no map."""
    np.savez(tmp_path / "few.npz", x_train=np.zeros((3, 28, 28), np.uint8), x_test=np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(DataError, match="too few images for a map: 3"):
        place(tmp_path / "few.npz")


def test_map_of_mnist_keeps_the_classes_together(real_mnist: Path) -> None:
    """In the map of the lab's weights, 10 neighbours tell the class of at least 85% of the test codes."""
    model, what = api.load("lab"), Selection(Split.TEST, 1000, Method.TSNE)
    found = embedding.embed((model.checkpoint.weights, model.network), resolve.open_dataset("mnist"), what, no_progress)
    assert (found.accuracy(10) or 0) > 0.85
