"""Classification by nearest neighbours (Cover and Hart, 1967): how much a point tells about its label. Exact."""

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array, Indices, Vector

QUERIES = 256
GROUP = 32
GROUPS = 64
"""256 queries meet 64 groups of 32 points at once: the working memory is about 15 MB, however many there are of either."""


def classify(
    points: Array, labels: NDArray[np.uint8], queries: Array, k: int, *, leave_one_out: bool = False
) -> NDArray[np.uint8]:
    """Return the label (B,) that most of the k points nearest to each query have; a tie goes to the nearest of the tied."""
    found = labels[nearest(points, queries, k, leave_one_out=leave_one_out)]  # (B, k)
    votes = np.zeros(found.shape, np.intp)
    for voter in range(k):
        votes += found == found[:, voter, None]
    chosen: NDArray[np.uint8] = found[np.arange(len(found)), votes.argmax(axis=1)]
    return chosen


def nearest(points: Array, queries: Array, k: int, *, leave_one_out: bool = False) -> Indices:
    """Return the indices (B, k) of the k points (N, d) nearest to each query (B, d), the nearest first, ties in order.

    With `leave_one_out` the queries are the points themselves, and none is its own neighbour: then k is below N, else at
    most N. The k nearest lie in the k groups whose nearest points are nearest, so only those groups are looked at closely.
    """
    groups = _in_groups(points)
    found = np.empty((len(queries), k), np.intp)
    for start in range(0, len(queries), QUERIES):
        block = queries[start : start + QUERIES].astype(np.float64)
        own = np.arange(start, start + len(block)) if leave_one_out else None
        with np.errstate(over="ignore", invalid="ignore"):  # codes without measure have no neighbours, and give no chatter
            candidates = _candidates(groups, block, k + int(leave_one_out), -(-len(points) // GROUP))
            found[start : start + len(block)] = _closest(points, block, candidates, k, own)
    return found


def _in_groups(points: Array) -> Vector:
    """Return the points as columns (d + 1, M) whose product with (query, 1) is the squared distance less a constant.

    Neighbouring columns belong to neighbouring groups, so that the least of each group is found by whole vectors.
    """
    count, size = points.shape
    rows = np.zeros((-(-count // (GROUP * GROUPS)) * GROUP * GROUPS, size + 1))
    rows[:count, :-1] = -2.0 * points
    rows[:count, -1] = np.square(points, dtype=np.float64).sum(axis=1)
    rows[count:, -1] = np.inf
    shuffled = rows.reshape(-1, GROUPS, GROUP, size + 1).swapaxes(1, 2)
    return np.ascontiguousarray(shuffled.reshape(len(rows), size + 1).T)


def _candidates(groups: Vector, queries: Vector, k: int, count: int) -> Indices:
    """Return the indices (B, C), ascending, of all points in the k nearest of the `count` groups that are not empty."""
    lifted = np.concatenate([queries, np.ones((len(queries), 1))], axis=1)  # (B, d + 1)
    least = np.empty((len(queries), groups.shape[1] // GROUP))
    for at in range(0, groups.shape[1], GROUP * GROUPS):
        distances = lifted @ groups[:, at : at + GROUP * GROUPS]  # (B, 2048)
        least[:, at // GROUP : at // GROUP + GROUPS] = distances.reshape(len(queries), GROUP, GROUPS).min(axis=1)
    chosen = np.empty((len(queries), min(k, count)), np.intp)
    for rank in range(chosen.shape[1]):  # a few times the least: cheaper than to sort
        chosen[:, rank] = least[:, :count].argmin(axis=1)
        np.put_along_axis(least, chosen[:, rank, None], np.inf, axis=1)
    chosen.sort(axis=1)
    return (chosen[:, :, None] * GROUP + np.arange(GROUP)).reshape(len(queries), -1)


def _closest(points: Array, queries: Vector, candidates: Indices, k: int, own: Indices | None) -> Indices:
    """Return the k nearest (B, k) among candidates (B, C), which may be past the last point."""
    difference = points[np.minimum(candidates, len(points) - 1)] - queries[:, None]  # (B, C, d)
    distances = np.einsum("ijk,ijk->ij", difference, difference)
    distances[candidates >= len(points)] = np.inf
    if own is not None:
        distances[candidates == own[:, None]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1)
