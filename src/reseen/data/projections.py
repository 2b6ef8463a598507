"""Linear changes of coordinates, learned from vectors in float64: principal components and LDA."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from reseen.errors import ReseenError

Matrix = NDArray[np.float64]
Features = NDArray[np.floating]
Labels = NDArray[Any]

LDA_DIMENSIONS = 96
"""More discriminants than this are kept only where asked for."""


@dataclass(frozen=True)
class Projection:
    """A change of coordinates: x becomes (x - mean) W.

    Attributes:
        mean: (D,) float64.
        matrix: W, (D, d) float64.
    """

    mean: Matrix
    matrix: Matrix

    def apply(self, features: Features) -> Matrix:
        """Features (M, D) in the new coordinates, (M, d) float64."""
        return (features - self.mean) @ self.matrix


def lda(
    features: Features, persons: Labels, dimensions: int | None = None, shrinkage: float = 0.1
) -> Projection:
    """Fisher's linear discriminants: coordinates that tell people apart.

    They are the w of greatest (wᵀ S_b w) / (wᵀ S_w w), scaled to wᵀ S_w w = 1, with S_b the
    covariance of the people's means, each as often as the person has features, and S_w that of
    the features about their person's mean, `shrunk`.

    Args:
        features: (M, D).
        persons: (M,), whose they are.
        dimensions: how many coordinates; one less than there are people, 96 at most, where None.
        shrinkage: share of `shrunk`.
    """
    people = len(np.unique(persons))
    if not 1 < people < len(persons):
        raise ReseenError("LDA learns from at least two people, one of them with two tracklets")
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    means, places = means_by_label(centred, persons)
    inner = centred - means[places]
    if np.square(inner).sum() <= 1e-12 * np.square(centred).sum():
        raise ReseenError("the training features of each person are all the same")
    root = np.linalg.cholesky(shrunk(inner.T @ inner / len(inner), shrinkage))
    weighted = means * np.sqrt(np.bincount(places))[:, np.newaxis]
    whitened = solve_triangular(root, weighted.T, lower=True)
    directions, spread, _ = np.linalg.svd(whitened, full_matrices=False)
    kept = min(people - 1, LDA_DIMENSIONS) if dimensions is None else dimensions
    kept = min(kept, int(np.count_nonzero(spread > 1e-5 * spread[0])))
    return Projection(mean, solve_triangular(root.T, directions[:, :kept]))


def means_by_label(features: Matrix, labels: Labels) -> tuple[Matrix, NDArray[np.int64]]:
    """The mean (K, D) of features (M, D) under each label, and whose of them each is, (M,)."""
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), features.shape[1]))
    np.add.at(sums, places, features)
    return sums / counts[:, np.newaxis], places


def shrunk(covariance: Matrix, share: float) -> Matrix:
    """(1 - share) C + share tr(C) / D · I: a covariance that few samples cannot make singular.

    Ledoit and Wolf (2004) with the share given, not estimated.
    """
    spherical: Matrix = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return (1 - share) * covariance + share * spherical


def principal_components(features: Matrix, dimensions: int) -> Matrix:
    """Directions (D, d) of greatest variance of features (M, D), at most `dimensions` of them.

    Directions without variance are left out.
    """
    if not np.ptp(features, axis=0).any():
        raise ReseenError("the training features are all the same")
    centred = features - features.mean(axis=0)
    few = len(centred) < centred.shape[1]
    variances, directions = np.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    spanned = np.count_nonzero(variances > 1e-10 * variances[-1])
    directions = directions[:, ::-1][:, : min(dimensions, spanned)]
    if few:
        directions = centred.T @ directions
        directions /= np.linalg.norm(directions, axis=0)
    return directions
