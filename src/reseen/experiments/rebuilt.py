"""Methods of the paper's Table 1, rebuilt on our own features, where their papers say enough.

Their features are not ours, so a row measures a method's way of comparing, not its whole.
"""

import numpy as np
from numpy.typing import NDArray

from reseen.data.embeddings import Embeddings
from reseen.data.projections import Matrix, principal_components
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.evaluation.evaluate import Evaluation
from reseen.evaluation.metric_learning import Metric
from reseen.evaluation.metrics import Scores, score
from reseen.evaluation.protocol import find_protocol, searched_gallery

STEPS = 500
"""Of either method's descent."""


def top_push(points: Matrix, persons: NDArray[np.int64]) -> Matrix:
    """The positive semi-definite M (D, D) of TDL (You et al., CVPR 2016).

    With d(x, y) = (x - y)ᵀ M (x - y), the mean over all ordered pairs (i, j) of one person of
    d(i, j) / 2 + max(0, d(i, j) + 1 - min d(i, k)) / 2 is brought down, k being anybody else:
    a match should lie nearer than even the nearest other person. Steps along the gradient, ever
    shorter since the loss has kinks, with negative eigenvalues set to zero after each; the best
    M on the way is kept.

    Args:
        points: (N, D), scaled so that 1 is a margin that says something.
        persons: (N,), two people at least, one of them twice.
    """
    matrix = best = np.eye(points.shape[1])
    least = np.inf
    for step in np.geomspace(1, 1e-3, STEPS):
        value, gradient = top_push_loss(matrix, points, persons)
        if value < least:
            least, best = value, matrix
        moved = matrix - step * gradient / max(float(np.linalg.norm(gradient)), 1e-12)
        variances, directions = np.linalg.eigh(moved)
        matrix = (directions * np.maximum(variances, 0)) @ directions.T
    return best


def top_push_loss(
    matrix: Matrix, points: Matrix, persons: NDArray[np.int64]
) -> tuple[float, Matrix]:
    """What `top_push` brings down, and its gradient (D, D)."""
    alike = persons[:, np.newaxis] == persons
    same = alike & ~np.eye(len(persons), dtype=np.bool_)
    distances = Metric(np.eye(len(matrix)), matrix).distances(points, points)
    others = np.where(alike, np.inf, distances)
    nearest = others.argmin(axis=1)
    over = distances + 1 - others.min(axis=1, keepdims=True)
    active = same & (over > 0)
    value = (distances[same].sum() + over[active].sum()) / (2 * same.sum())
    weights = (same.astype(np.float64) + active) / (2 * same.sum())
    np.add.at(weights, (np.arange(len(weights)), nearest), -active.sum(axis=1) / (2 * same.sum()))
    both = weights + weights.T
    return float(value), points.T @ (np.diag(both.sum(axis=1)) - both) @ points


def fit_tdl(train: Embeddings, dimensions: int = 100) -> Metric:
    """`top_push` after a principal component analysis, as its authors have it.

    Coordinates are scaled to a mean squared distance of 1 between tracklets.

    Raises:
        ReseenError: there are fewer than two people, or none with two tracklets.
    """
    people = np.flatnonzero(train.persons > DISTRACTOR)
    persons = train.persons[people]
    if not 1 < len(np.unique(persons)) < len(persons):
        raise ReseenError("TDL learns from at least two people, one of them with two tracklets")
    features = train.features[people].astype(np.float64)
    projection = principal_components(features, dimensions)
    projection /= np.sqrt(2 * (features @ projection).var(axis=0).sum())
    return Metric(projection, top_push(features @ projection, persons))


def block_sparse_distances(query: Matrix, blocks: Matrix, weight: float = 0.2) -> Matrix:
    """Distances (Q, G) by SRID (Karanam et al., CVPRW 2015): who is needed to compose a query?

    The distance to a block is ‖y - B_g a_g‖ with the codes of `block_sparse_codes`; blocks that
    take no part follow after all others, the most alike first.

    Args:
        query: (Q, D); taken to length 1.
        blocks: (G, V, D), V features of each gallery tracklet; each taken to length 1.
        weight: as for `block_sparse_codes`.
    """
    query = query / np.linalg.norm(query, axis=1, keepdims=True)
    blocks = blocks / np.linalg.norm(blocks, axis=2, keepdims=True)
    codes = block_sparse_codes(query, blocks, weight)
    composed = np.einsum("qgv,gvd->qgd", codes, blocks)
    distances: Matrix = np.linalg.norm(query[:, np.newaxis] - composed, axis=2)
    alike = np.linalg.norm(np.einsum("qd,gvd->qgv", query, blocks), axis=2)
    absent = ~codes.any(axis=2)
    distances[absent] = distances.max() + alike.max() - alike[absent]
    return distances


def block_sparse_codes(query: Matrix, blocks: Matrix, weight: float) -> Matrix:
    """Codes a (Q, G, V) that compose each query y of few blocks B: the group lasso, by FISTA.

    They minimise ‖y - Σ B_g a_g‖² / 2 + λ Σ ‖a_g‖ (Beck and Teboulle, 2009, equations 4.1-4.3).

    Args:
        query: (Q, D).
        blocks: (G, V, D).
        weight: λ as a share of the least λ at which no block takes part.
    """
    shape = (len(query), *blocks.shape[:2])
    atoms = blocks.reshape(-1, blocks.shape[2])
    alike = np.linalg.norm((query @ atoms.T).reshape(shape), axis=2)
    rate = 1 / np.linalg.norm(atoms, 2) ** 2
    limit = rate * weight * alike.max(axis=1)[:, np.newaxis, np.newaxis]
    codes = ahead = np.zeros(shape)
    momentum = 1.0
    for _ in range(STEPS):
        missing = query - ahead.reshape(len(query), -1) @ atoms
        moved = ahead + rate * (missing @ atoms.T).reshape(shape)
        lengths = np.maximum(np.linalg.norm(moved, axis=2, keepdims=True), np.finfo(float).tiny)
        before, codes = codes, moved * np.maximum(1 - limit / lengths, 0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = codes + (momentum - 1) / following * (codes - before)
        momentum = following
    return codes


def srid_scores(final: Evaluation) -> Scores:
    """What SRID finds by a trial's fused features, one of a block for each augmentation."""
    query, protocol = final.query["fused"], find_protocol(final.protocol)
    gallery = searched_gallery(protocol, query, final.gallery["fused"])
    blocks = np.stack([each.features for each in gallery], axis=1).astype(np.float64)
    wanted = np.stack([each.features for each in query]).mean(axis=0, dtype=np.float64)
    distances = block_sparse_distances(wanted, blocks)
    people = (query[0].persons, query[0].cameras, gallery[0].persons, gallery[0].cameras)
    return score(distances, *people, protocol.average_precision)


REBUILT = ("TDL", "SRID")
"""Methods that compare our features in their own way."""

TRAINED = {
    "IDE + Euclidean": ("ide", "euclidean"),
    "IDE + XQDA": ("ide", "xqda"),
    "RCN + KISSME": ("mclaughlin", "kissme"),
}
"""Methods that are networks of their own: the variant, and the metric that compares its feature."""

NOT_REBUILT = {
    "DVR": "it chooses fragments of raw video by HOG3D, which stored frames of 64×48 do not give",
    "STFV3D of K. Liu et al.": "its body-action units need Fisher vectors of whole walking cycles",
}
"""Methods of Table 1 without a row of ours, and why."""
