"""Nearest neighbours against all distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistae.metrics import knn


def brute(points: np.ndarray, queries: np.ndarray, k: int, *, leave_one_out: bool = False) -> np.ndarray:
    """Return the indices of the k nearest points, ties in order, from all distances in double precision."""
    distances = np.stack([((query.astype(float) - points) ** 2).sum(axis=1) for query in queries])
    if leave_one_out:
        np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("count", [7, 900])
def test_neighbours_are_those_of_brute_force(count: int, leave_one_out: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one batch of queries or several, the nearest are found in order, and no point is its own neighbour."""
    monkeypatch.setattr(knn, "QUERY_BATCH", 400)
    generator = np.random.default_rng(count)
    points = np.maximum(generator.normal(1, 2, (count, 8)), 0).astype(np.float32)
    queries = points if leave_one_out else np.maximum(generator.normal(1, 2, (600, 8)), 0).astype(np.float32)
    found = knn.nearest(points, queries, 5, leave_one_out=leave_one_out)
    np.testing.assert_array_equal(found, brute(points, queries, 5, leave_one_out=leave_one_out))


@given(
    points=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=6, max_size=60),
    k=st.integers(1, 5),
    leave_one_out=st.booleans(),
)
def test_ties_go_in_order(points: list[tuple[int, int]], k: int, leave_one_out: bool) -> None:
    """Of equal codes, as a network with dead units has them, the first count, and never the query itself."""
    array = np.array(points, np.float32)
    found = knn.nearest(array, array, k, leave_one_out=leave_one_out)
    np.testing.assert_array_equal(found, brute(array, array, k, leave_one_out=leave_one_out))


def test_codes_that_are_not_finite_have_neighbours() -> None:
    """NaN counts as 0 and an infinity as the largest number, among points and queries."""
    points = np.array([[np.nan, 1], [np.inf, 1], [5, 1]], np.float32)
    assert knn.nearest(points, np.array([[0, np.nan], [np.inf, 1]], np.float32), 1).tolist() == [[0], [1]]


def test_most_votes_win_and_a_tie_goes_to_the_nearest() -> None:
    """On a line: two votes beat one; with one each, or two each, the nearest point decides."""
    points = np.array([[0], [1], [2], [10], [11], [13], [14]], np.float32)
    labels = np.array([7, 3, 3, 1, 2, 1, 2], np.uint8)
    ask = np.array([[-1.0], [10.9]], np.float32)
    assert knn.classify(points, labels, ask, 1).tolist() == [7, 2]
    assert knn.classify(points, labels, ask, 3).tolist() == [3, 1]  # of 7 3 3, and of 2 1 1
    assert knn.classify(points, labels, ask, 4).tolist() == [3, 2]  # of 7 3 3 1, and of 2 1 1 2
