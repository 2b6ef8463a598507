"""What makes embeddings comparable that were not learned for these cameras, without labels.

Each function learns from arrays and gives something that can be kept and applied to embeddings
that come later. Whether it helps must be measured: what was trained for re-identification may
lose by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError

Matrix = NDArray[np.float64]
Features = NDArray[np.floating]
Labels = NDArray[Any]

FEWEST_OF_A_CAMERA = 10
"""With fewer tracklets than this a camera's own mean says more of its people than of it."""


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
            features: one for each tracklet.
            cameras: the camera of each.
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


def tracklet_whitening(
    pictures: Features, tracklets: Labels, dimensions: int = 512, shrinkage: float = 0.3
) -> Projection:
    """Coordinates in which the pictures of one tracklet vary alike in all directions.

    What differs between pictures of one tracklet is pose, background and light, never the
    person: directions in which it varies much count less afterwards. Principal components
    first, then the inverse square root of the covariance within tracklets.

    Args:
        pictures: (P, D), embeddings of single pictures.
        tracklets: (P,), which tracklet each is of.
        dimensions: principal components to keep; fewer where the pictures span fewer.
        shrinkage: share of `shrunk`.
    """
    mean = pictures.mean(axis=0, dtype=np.float64)
    components = principal_components(pictures.astype(np.float64), dimensions)
    points = (pictures - mean) @ components
    means, places = means_by_label(points, tracklets)
    inner = points - means[places]
    if np.square(inner).sum() <= 1e-12 * np.square(points).sum():
        raise ReseenError("no tracklet has two pictures that differ; nothing can be learned")
    covariance = inner.T @ inner / len(inner)
    variances, directions = np.linalg.eigh(shrunk(covariance, shrinkage))
    return Projection(mean, components @ (directions / np.sqrt(variances)))


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
