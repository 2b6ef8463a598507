"""Distances learned from training features: KISSME, XQDA and LDA.

All compare differences within a person with differences between people, and all measure
(x - y)ᵀ W M Wᵀ (x - y). They see training tracklets only; junk and distractors are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from reseen.data.embeddings import Embeddings
from reseen.data.projections import Matrix, lda, principal_components
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.evaluation.metrics import Floats

Indices = NDArray[np.int64]

PAIRS_PER_DIMENSION = 10
"""With fewer pairs than this for each dimension, KISSME's covariances get a ridge."""

ROWS_AT_ONCE = 1 << 10
"""Features turned into float64 at a time: few enough to stay in the processor's cache."""

PAIRS_AT_ONCE = 1 << 16
"""Differences held in memory at a time."""

RIDGE = 0.1
"""KISSME's ridge, as a share of the mean variance."""

REGULARISATION = 0.001
"""What XQDA adds to the diagonal of the covariance within people (its authors' default)."""


@dataclass(frozen=True)
class Metric:
    """A learned distance.

    Attributes:
        projection: W, (D, d) float64.
        matrix: M, (d, d) float64, symmetric; XQDA's need not be positive definite.
    """

    projection: Matrix
    matrix: Matrix

    def distances(self, query: Floats, gallery: Floats) -> Matrix:
        """Distances (Q, G) float64 between features (Q, D) and (G, D); XQDA's may be negative."""
        centre = gallery.mean(axis=0, dtype=np.float64)
        query, gallery = (query - centre) @ self.projection, (gallery - centre) @ self.projection
        weighted = query @ self.matrix
        distances: Matrix = -2 * weighted @ gallery.T
        distances += np.sum(weighted * query, axis=1)[:, np.newaxis]
        distances += np.sum((gallery @ self.matrix) * gallery, axis=1)
        return distances


def fit_kissme(train: Embeddings, dimensions: int = 200, seed: int = 0) -> Metric:
    """Learn KISSME (Köstinger et al., CVPR 2012) after a principal component analysis.

    M = Σ₁⁻¹ - Σ₀⁻¹, with Σ₁ the second moment of differences between a person's tracklets in
    two cameras and Σ₀ that of as many random pairs of two people in two cameras. Where M has
    eigenvalues up to 1e-10 they become 1e-6, which makes it a metric.

    Args:
        dimensions: principal components to keep; fewer where the features span fewer.
        seed: of the random pairs.

    Raises:
        ReseenError: fewer than two people are seen by two cameras, or a person's features do
            not differ.
    """
    people = _tracklets_by_person(train)
    same = _pairs_of_a_person(train, people)
    different = _pairs_of_two_people(train, people, len(same), np.random.default_rng(seed))
    features = train.features.astype(np.float64)
    projection = principal_components(features[np.concatenate(people)], dimensions)
    return Metric(projection, kissme(features @ projection, same, different))


def fit_xqda(train: Embeddings, seed: int = 0) -> Metric:
    """Learn XQDA (Liao et al., CVPR 2015) from two views of the training people.

    With two cameras these are the views. With more, as MARS's own evaluation has it, the
    tracklets of each person are shuffled and halved, and of the pairs between the halves those
    from two cameras are kept.

    Args:
        seed: of the shuffle.

    Raises:
        ReseenError: no person is seen by two cameras, or there is one person only.
    """
    probe, gallery = _two_views(train, np.random.default_rng(seed))
    features, persons = train.features, train.persons
    return xqda(features[gallery], persons[gallery], features[probe], persons[probe])


def fit_lda(train: Embeddings) -> Metric:
    """Learn the Euclidean distance between the coordinates of `lda`.

    Raises:
        ReseenError: there are fewer than two people, or none with two tracklets that differ.
    """
    people = np.flatnonzero(train.persons > DISTRACTOR)
    matrix = lda(train.features[people], train.persons[people]).matrix
    return Metric(matrix, np.eye(matrix.shape[1]))


LEARNED_METRICS: dict[str, Callable[[Embeddings], Metric]] = {
    "kissme": fit_kissme,
    "xqda": fit_xqda,
    "lda": fit_lda,
}


def kissme(features: Matrix, same: Indices, different: Indices) -> Matrix:
    """The matrix M (D, D) of KISSME.

    Args:
        features: (M, D).
        same: (P, 2), indices of pairs of one person.
        different: (P, 2), of pairs of two people.
    """
    within, between = (_second_moment(features, pairs) for pairs in (same, different))
    return _positive(_inverse(within) - _inverse(between))


def xqda(
    gallery: Floats, gallery_persons: Indices, probe: Floats, probe_persons: Indices
) -> Metric:
    """XQDA on a gallery view (n, D) and a probe view (m, D), each with its persons.

    W holds the left singular vectors of Σ_I⁻¹ Σ_E whose singular value is above 1, at least
    one; M = (Wᵀ Σ_I W)⁻¹ - (Wᵀ Σ_E W)⁻¹. With more dimensions than features both views are
    first turned into the space that they span, which changes no distance between them.
    """
    if gallery.shape[1] > len(gallery) + len(probe):
        basis, spanned = np.linalg.qr(np.concatenate([gallery, probe]).T.astype(np.float64))
        halves = np.split(spanned.T, [len(gallery)])
        metric = xqda(halves[0], gallery_persons, halves[1], probe_persons)
        return Metric(basis @ metric.projection, metric.matrix)
    within, between = _covariances(gallery, gallery_persons, probe, probe_persons)
    within.flat[:: len(within) + 1] += REGULARISATION
    vectors, values, _ = np.linalg.svd(np.linalg.solve(within, between))
    projection = vectors[:, : max(1, np.count_nonzero(values > 1))]
    inner, outer = (projection.T @ covariance @ projection for covariance in (within, between))
    return Metric(projection, _inverse(inner) - _inverse(outer))


def _tracklets_by_person(train: Embeddings) -> list[Indices]:
    """Indices of each person's tracklets; junk and distractors are nobody's."""
    people = np.flatnonzero(train.persons > DISTRACTOR)
    people = people[np.argsort(train.persons[people], kind="stable")]
    return np.split(people, 1 + np.flatnonzero(np.diff(train.persons[people])))


def _pairs_of_a_person(train: Embeddings, people: list[Indices]) -> Indices:
    """Every pair (P, 2) of one person's tracklets in two cameras."""
    every = np.concatenate(
        [np.stack([own[index] for index in np.triu_indices(len(own), 1)], axis=1) for own in people]
    )
    crossing: Indices = every[train.cameras[every[:, 0]] != train.cameras[every[:, 1]]]
    seen_twice = len(np.unique(train.persons[crossing[:, 0]]))
    if seen_twice < 2:
        raise ReseenError(
            f"a metric is learned from at least two people seen by two cameras, not {seen_twice}"
        )
    return crossing


def _pairs_of_two_people(
    train: Embeddings, people: list[Indices], count: int, generator: np.random.Generator
) -> Indices:
    """Random pairs (count, 2) of two people's tracklets in two cameras."""
    pairs = np.empty((0, 2), dtype=np.int64)
    while len(pairs) < count:
        drawn = generator.choice(np.concatenate(people), size=(2 * count, 2))
        persons, cameras = train.persons[drawn], train.cameras[drawn]
        apart = (persons[:, 0] != persons[:, 1]) & (cameras[:, 0] != cameras[:, 1])
        pairs = np.concatenate([pairs, drawn[apart]])
    return pairs[:count]


def _second_moment(features: Matrix, pairs: Indices) -> Matrix:
    """Mean of the outer products of the pairs' differences (d, d), with a ridge for few pairs."""
    moment = np.zeros((features.shape[1], features.shape[1]))
    for some in np.array_split(pairs, 1 + len(pairs) // PAIRS_AT_ONCE):
        differences = features[some[:, 0]] - features[some[:, 1]]
        moment += differences.T @ differences
    moment /= len(pairs)
    if len(pairs) < PAIRS_PER_DIMENSION * len(moment):
        moment.flat[:: len(moment) + 1] += RIDGE * np.trace(moment) / len(moment)
    return moment


def _positive(matrix: Matrix) -> Matrix:
    """The matrix with eigenvalues that are not clearly positive made slightly so."""
    values, vectors = np.linalg.eigh(matrix)
    raised: Matrix = (vectors * np.where(values <= 1e-10, 1e-6, values)) @ vectors.T
    return raised


def _inverse(matrix: Matrix) -> Matrix:
    try:
        return np.linalg.inv(matrix).astype(np.float64, copy=False)
    except np.linalg.LinAlgError as error:
        raise ReseenError("the training features do not differ enough to learn a metric") from error


def _two_views(train: Embeddings, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Indices of the probe view and of the gallery view."""
    people = np.flatnonzero(train.persons > DISTRACTOR)
    cameras = np.unique(train.cameras[people])
    if len(cameras) == 2:
        probe, gallery = (people[train.cameras[people] == camera] for camera in cameras)
        return probe, gallery
    halves = [  # equally long ones: an odd tracklet is left out
        generator.permutation(own)[: len(own) // 2 * 2].reshape(2, len(own) // 2)
        for own in _tracklets_by_person(train)
    ]
    probe, gallery = np.concatenate(halves, axis=1)
    crossing = train.cameras[probe] != train.cameras[gallery]
    return probe[crossing], gallery[crossing]


def _covariances(
    gallery: Floats, gallery_persons: Indices, probe: Floats, probe_persons: Indices
) -> tuple[Matrix, Matrix]:
    """Mean outer product of gallery - probe over pairs within people, and between people.

    All n·m pairs are covered without forming one, by sums over each person.
    """
    n, m = len(gallery), len(probe)
    persons, labels = np.unique(
        np.concatenate([gallery_persons, probe_persons]), return_inverse=True
    )
    gallery_counts, gallery_sums = _sums(gallery, labels[:n], len(persons))
    probe_counts, probe_sums = _sums(probe, labels[n:], len(persons))
    pairs_within = gallery_counts @ probe_counts
    if pairs_within in (0, n * m):
        raise ReseenError(
            "a metric is learned from at least two people, one of them seen by two cameras"
        )
    gallery_gram, weighted_gallery = _grams(gallery, probe_counts[labels[:n]])
    probe_gram, weighted_probe = _grams(probe, gallery_counts[labels[n:]])
    crossed = gallery_sums.T @ probe_sums
    within = weighted_gallery + weighted_probe - crossed - crossed.T
    crossed = np.outer(gallery_sums.sum(axis=0), probe_sums.sum(axis=0))
    every = m * gallery_gram + n * probe_gram - crossed - crossed.T
    return within / pairs_within, (every - within) / (n * m - pairs_within)


def _sums(features: Floats, labels: Indices, people: int) -> tuple[Matrix, Matrix]:
    """How many features each person has (K,), and their sum (K, D)."""
    members = csr_array(
        (np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(people, len(labels))
    )
    return np.bincount(labels, minlength=people).astype(np.float64), members @ features


def _grams(features: Floats, weights: Matrix) -> tuple[Matrix, Matrix]:
    """Sum and weighted sum of the outer products of features (M, D), some rows at a time."""
    plain, weighted = np.zeros((2, features.shape[1], features.shape[1]))
    scales = np.sqrt(weights)[:, np.newaxis]
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        plain += rows.T @ rows
        rows *= scales[start : start + ROWS_AT_ONCE]
        weighted += rows.T @ rows
    return plain, weighted
