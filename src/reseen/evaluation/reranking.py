"""k-reciprocal re-ranking (Zhong et al., CVPR 2017): those are alike who have like neighbours.

Neighbourhoods are sparse matrices over all N = Q + G tracklets, so that nothing but the result
grows faster than N.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from reseen.data.embeddings import Embeddings, joined
from reseen.evaluation.metrics import Floats
from reseen.evaluation.scoring import (
    DISTANCES_AT_ONCE,
    Augmented,
    paired_augmentations,
    summed_distances,
)

Indices = NDArray[np.int64]

PAIRS_AT_ONCE = 1 << 16
"""Differences of features held in memory at a time."""


def reranked_distances(
    query: Augmented, gallery: Augmented, k1: int = 20, k2: int = 6, original_share: float = 0.3
) -> NDArray[np.float32]:
    """Distances (Q, G) that mix the Jaccard distance of neighbourhoods with the original one.

    As in the authors' program, the original distance is the Euclidean one, squared once and
    divided by the greatest of its row; half of `k1` is rounded to even; and a neighbour's
    neighbours join when more than two thirds of them are shared.

    Args:
        query, gallery: who is searched for and what is searched; distances of test-time
            augmentations add up.
        k1: how many neighbours a tracklet has besides itself.
        k2: over how many nearest tracklets, itself included, neighbourhoods are averaged.
        original_share: the weight of the original distance, λ in the paper.
    """
    pairs = paired_augmentations(query, gallery)
    every = [joined(wanted, searched) for wanted, searched in pairs]
    queries, searched = len(pairs[0][0]), len(pairs[0][1])
    nearest, greatest = _neighbours(every, k1)
    weights = _neighbour_weights(every, nearest, greatest, k1)
    weights = _indicator(nearest[:, :k2]) @ weights / nearest[:, :k2].shape[1]
    columns = csc_array(weights[queries:])
    distances = np.empty((queries, searched), dtype=np.float32)
    for rows in _row_blocks(*distances.shape):
        original = summed_distances(query, gallery, rows) ** 2 / greatest[rows, np.newaxis]
        distances[rows] = original_share * original
    for row, distance in enumerate(distances):
        distance += (1 - original_share) * _jaccard(weights, row, columns)
    return distances


def _row_blocks(rows: int, columns: int) -> list[slice]:
    """Rows that make up at most `DISTANCES_AT_ONCE` distances each."""
    step = max(1, DISTANCES_AT_ONCE // columns)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _neighbours(every: list[Embeddings], k1: int) -> tuple[Indices, Floats]:
    """Each tracklet's nearest ones (N, k1 + 1), itself first, and its greatest squared distance."""
    count = len(every[0])
    kept = min(k1 + 1, count)
    nearest = np.empty((count, kept), dtype=np.int64)
    greatest = np.empty(count)
    for rows in _row_blocks(count, count):
        distances = summed_distances(every, every, rows)
        greatest[rows] = np.maximum(
            distances.max(axis=1).astype(np.float64) ** 2, np.finfo(float).tiny
        )
        own = np.arange(rows.start, rows.stop)
        distances[np.arange(len(own)), own] = -1
        some = np.argpartition(distances, kept - 1, axis=1)[:, :kept]
        order = np.argsort(np.take_along_axis(distances, some, axis=1), axis=1, kind="stable")
        nearest[rows] = np.take_along_axis(some, order, axis=1)
    return nearest, greatest


def _indicator(members: Indices) -> csr_array:
    """Sparse (N, N) with ones where row i lists column j; members (N, k)."""
    count, each = members.shape
    starts = np.arange(0, count * each + 1, each)
    return csr_array((np.ones(members.size), members.ravel(), starts), shape=(count, count))


def _reciprocal(nearest: Indices) -> csr_array:
    """R(p, k) of the paper: who are neighbours of each other; (N, N) of ones."""
    neighbours = _indicator(nearest)
    return neighbours.multiply(neighbours.T).tocsr()


def _neighbour_weights(
    every: list[Embeddings], nearest: Indices, greatest: Floats, k1: int
) -> csr_array:
    """How near the members of the paper's R*(p, k1) are; (N, N), rows add up to 1."""
    near, nearer = _reciprocal(nearest), _reciprocal(nearest[:, : round(k1 / 2) + 1])
    shared = csr_array((near @ nearer.T).multiply(near))
    shared.data = np.float64(3 * shared.data > 2 * nearer.sum(axis=1)[shared.indices])
    members = csr_array(near + shared @ nearer)
    members.eliminate_zeros()
    rows, columns = members.nonzero()
    squares = _pair_distances(every, rows, columns) ** 2
    members.data = np.exp(-squares / greatest[rows])
    members.data /= members.sum(axis=1)[rows]
    return members


def _pair_distances(every: list[Embeddings], rows: Indices, columns: Indices) -> Floats:
    """Distances of some pairs (P,), summed over test-time augmentations."""
    distances = np.zeros(len(rows))
    for some in np.array_split(np.arange(len(rows)), 1 + len(rows) // PAIRS_AT_ONCE):
        for augmented in every:
            differences = augmented.features[rows[some]] - augmented.features[columns[some]]
            distances[some] += np.linalg.norm(differences, axis=1)
    return distances


def _jaccard(weights: csr_array, row: int, columns: csc_array) -> Floats:
    """Jaccard distances (G,) of one query's neighbourhood to the gallery's."""
    own = slice(weights.indptr[row], weights.indptr[row + 1])
    common = columns[:, weights.indices[own]]
    each = np.repeat(weights.data[own], np.diff(common.indptr))
    smaller = np.minimum(common.data, each)
    shared = np.bincount(common.indices, smaller, minlength=columns.shape[0])
    return 1 - shared / (2 - shared)
