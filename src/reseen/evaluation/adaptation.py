"""What makes embeddings comparable that were not learned for these cameras, with few or no labels.

Each function learns from arrays and gives something that can be kept and applied to embeddings
that come later. Whether it helps must be measured: what was trained for re-identification may
lose by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseen.data.projections import (
    Features,
    Labels,
    Matrix,
    Projection,
    means_by_label,
    principal_components,
    shrunk,
)
from reseen.errors import ReseenError

FEWEST_OF_A_CAMERA = 10
"""With fewer tracklets than this a camera's own mean says more of its people than of it."""

SELF_TRAINING_ROUNDS = 3
PAIRS_WEIGHT, LABELS_WEIGHT = 0.3, 1.0
"""Weight of what differs within guessed pairs, and within labelled ones, against what varies within
tracklets."""

CROWD = 5


@dataclass(frozen=True)
class CameraMeans:
    """Where each camera's tracklets lie on average.

    Attributes:
        overall: (D,) float64, the mean of all tracklets.
        own: (D,) float64 for each camera with tracklets enough.
    """

    overall: Matrix
    own: Mapping[Any, Matrix]

    @classmethod
    def of(
        cls, features: Features, cameras: Labels, fewest: int = FEWEST_OF_A_CAMERA
    ) -> "CameraMeans":
        """The means of features (M, D), M at least 1, seen by cameras (M,).

        Args:
            fewest: cameras with fewer tracklets get no mean of their own.
        """
        seen, counts = np.unique(cameras, return_counts=True)
        own = {
            camera: features[cameras == camera].mean(axis=0, dtype=np.float64)
            for camera in seen[counts >= fewest].tolist()
        }
        return cls(features.mean(axis=0, dtype=np.float64), own)

    def remove(self, features: Features, cameras: Labels) -> Matrix:
        """Features (M, D) less their camera's mean; less the overall one where it has none."""
        means = [self.own.get(camera, self.overall) for camera in cameras.tolist()]
        return features - np.array(means).reshape(features.shape)


NO_FEATURES, NO_PAIRS = np.empty((0, 0)), np.empty((0, 2), np.int64)


def tracklet_whitening(
    pictures: Features,
    tracklets: Labels,
    features: Features = NO_FEATURES,
    labelled: NDArray[np.int64] = NO_PAIRS,
    dimensions: int = 512,
    shrinkage: float = 0.3,
) -> Projection:
    """Coordinates in which the pictures of one tracklet vary alike in all directions.

    What differs between pictures of one tracklet is pose, background and light, never the
    person: directions in which it varies much count less afterwards, and so do those in which
    tracklets differ that are known to show one person. Principal components first, then the
    inverse square root of the covariance within tracklets.

    Args:
        pictures: (P, D), embeddings of single pictures.
        tracklets: (P,), which tracklet each is of.
        features: (M, D), one for each tracklet; needed for labels only.
        labelled: (L, 2), places of features that are known to show one person.
        dimensions: principal components to keep; fewer where the pictures span fewer.
        shrinkage: share of `shrunk`.
    """
    principal, within = _within_tracklets(pictures, tracklets, dimensions)
    if len(labelled):
        within = _with_pairs(within, principal.apply(features), labelled, LABELS_WEIGHT)
    return Projection(principal.mean, principal.matrix @ _whitener(within, shrinkage))


def self_trained_whitening(
    pictures: Features,
    tracklets: Labels,
    features: Features,
    cameras: Labels,
    labelled: NDArray[np.int64],
    dimensions: int = 512,
    shrinkage: float = 0.3,
) -> Projection:
    """The same, learned from pairs that look like one person, too.

    In each round the pairs of `surer_pairs` are taken for one person each. It helps only where
    cameras mostly see the same people.

    Args:
        pictures, tracklets, features, labelled, dimensions, shrinkage: as for
            `tracklet_whitening`.
        cameras: (M,), the camera of each feature.
    """
    principal, within = _within_tracklets(pictures, tracklets, dimensions)
    points, whitener = principal.apply(features), _whitener(within, shrinkage)
    for _ in range(SELF_TRAINING_ROUNDS):
        pairs = np.concatenate([labelled, surer_pairs(points @ whitener, cameras)])
        whitener = _whitener(_with_pairs(within, points, pairs, PAIRS_WEIGHT), shrinkage)
    return Projection(principal.mean, principal.matrix @ whitener)


def _with_pairs(within: Matrix, points: Matrix, pairs: NDArray[np.int64], weight: float) -> Matrix:
    """A covariance within tracklets and that of pairs' differences, each scaled to trace 1."""
    apart = points[pairs[:, 0]] - points[pairs[:, 1]]
    between = apart.T @ apart
    size = np.trace(between)
    return within / np.trace(within) + weight * between / size if size > 0 else within


def surer_pairs(features: Features, cameras: Labels) -> NDArray[np.int64]:
    """The surer half of those that are each other's nearest across cameras, places (K, 2).

    Nearest by cosine, less how near each is to its 5 nearest on average: whom everybody
    resembles is nobody's match (CSLS; Conneau et al., ICLR 2018, section 2.3).
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T
    alike[cameras[:, np.newaxis] == cameras] = -1
    crowd = np.sort(alike, axis=1)[:, -CROWD:].mean(axis=1)
    alike = 2 * alike - crowd[:, np.newaxis] - crowd
    alike[cameras[:, np.newaxis] == cameras] = -np.inf
    nearest = alike.argmax(axis=1)
    places = np.arange(len(nearest))
    mutual = (nearest[nearest] == places) & (places < nearest) & (cameras != cameras[nearest])
    first = places[mutual]
    order = np.argsort(-alike[first, nearest[first]], kind="stable")[: (len(first) + 1) // 2]
    return np.stack([first[order], nearest[first[order]]], axis=1)


def _within_tracklets(
    pictures: Features, tracklets: Labels, dimensions: int
) -> tuple[Projection, Matrix]:
    """Principal components of pictures, and in these the covariance within tracklets (d, d)."""
    mean = pictures.mean(axis=0, dtype=np.float64)
    components = principal_components(pictures.astype(np.float64), dimensions)
    points = (pictures - mean) @ components
    means, places = means_by_label(points, tracklets)
    inner = points - means[places]
    if np.square(inner).sum() <= 1e-12 * np.square(points).sum():
        raise ReseenError("no tracklet has two pictures that differ; nothing can be learned")
    return Projection(mean, components), inner.T @ inner / len(inner)


def _whitener(covariance: Matrix, shrinkage: float) -> Matrix:
    """W (d, d): after x W all directions of a covariance vary alike."""
    variances, directions = np.linalg.eigh(shrunk(covariance, shrinkage))
    return np.asarray(directions / np.sqrt(variances))
