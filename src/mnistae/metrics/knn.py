"""Exact k-nearest-neighbour classification (Cover and Hart, 1967)."""

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array, Indices

QUERY_BATCH = 4096
"""Queries answered at once, to keep the working memory small."""


def classify(
    points: Array, labels: NDArray[np.uint8], queries: Array, k: int, *, leave_one_out: bool = False
) -> NDArray[np.uint8]:
    """Return the most frequent label (B,) of the k points nearest to each query; of tied labels that of the nearest point."""
    neighbours = labels[nearest(points, queries, k, leave_one_out=leave_one_out)]  # (B, k)
    votes = np.zeros(neighbours.shape, np.intp)
    for column in range(k):
        votes += neighbours == neighbours[:, column, None]
    chosen: NDArray[np.uint8] = neighbours[np.arange(len(neighbours)), votes.argmax(axis=1)]
    return chosen


def nearest(points: Array, queries: Array, k: int, *, leave_one_out: bool = False) -> Indices:
    """Return the indices (B, k) of the k points (N, d) nearest to each query (B, d), by distance, then by index.

    With `leave_one_out` the queries are the points themselves and none is its own neighbour; then k is below N, else at
    most N. NaN counts as 0 and an infinity as the largest float32.
    """
    from scipy.spatial import KDTree

    count = k + leave_one_out
    places, queries = np.nan_to_num(points), np.nan_to_num(queries)
    by_place = np.lexsort(places.T)  # stable: equal points stay in order
    is_kept = np.ones(len(places), bool)  # of equal points the first `count`: no other can be found
    is_kept[by_place[count:]] = (places[by_place[count:]] != places[by_place[:-count]]).any(axis=1)
    kept = np.flatnonzero(is_kept)
    tree = KDTree(places[kept])  # in float64
    out = np.empty((len(queries), k), np.intp)
    pending = [(rows, count + 1) for rows in np.array_split(np.arange(len(queries)), len(queries) // QUERY_BATCH + 1)]
    while pending:
        rows, size = pending.pop()
        distances, positions = tree.query(queries[rows], size)  # (b, size); past the last point the distance is infinite
        found = kept[np.minimum(positions, len(kept) - 1)]
        is_cut = distances[:, count - 1] == distances[:, -1]  # more points are as near as the last one that counts
        if is_cut.any():
            pending.append((rows[is_cut], 2 * size))
        if leave_one_out:
            distances[found == rows[:, None]] = np.inf
        order = np.lexsort((found, distances), axis=1)[:, :k]
        out[rows] = np.take_along_axis(found, order, axis=1)
    return out
