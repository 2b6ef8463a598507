"""How well people whom somebody has labelled are put together as identities."""

from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from reseen.data.embeddings import Embeddings
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.evaluation.clustering import ClusteringScores, score_clustering
from reseen.evaluation.metrics import euclidean_distances
from reseen.gallery.calibration import Calibration, calibrate
from reseen.gallery.grouping import Evidence, group
from reseen.gallery.identities import neighbours

COLUMNS = (
    *("", "pairs, precision", "recall", "B-cubed, precision", "recall", "F1"),
    *("IDF1", "HOTA", "HOTA for re-id", "identities"),
)

Identities = NDArray[np.int64]


def score_identities(
    embeddings: Embeddings, seed: int = 0
) -> dict[str, tuple[ClusteringScores, int]]:
    """Put tracklets of known people together, as `identify` does, and by two simpler ways.

    The people are halved at random. Each half is put together with a calibration on the other, so
    that nobody is calibrated on; both are scored as one.

    Args:
        embeddings: of people in several cameras; distractors are left out.
        seed: of the halves.

    Returns:
        For "identify", "single linkage" (everybody who is linked through others) and "threshold on
        distance" (each with the first that is near enough), at a probability of one half: the
        scores, and how many identities there are.

    Raises:
        ReseenError: half of the people are too few to calibrate on.
    """
    people = np.unique(embeddings.persons[embeddings.persons > DISTRACTOR])
    if len(people) < 4:
        raise ReseenError(f"{len(people)} people cannot be halved to score identities; 4 can")
    halves = np.array_split(np.random.default_rng(seed).permutation(people), 2)
    chosen = [embeddings.take(np.flatnonzero(np.isin(embeddings.persons, half))) for half in halves]
    persons = np.concatenate([half.persons for half in chosen])
    found: dict[str, list[Identities]] = {}
    for half, other in (chosen, chosen[::-1]):
        for way, identities in _ways(half, calibrate(other, "identities")).items():
            before = sum(map(len, found.get(way, [])))  # no identity is in both halves
            found.setdefault(way, []).append(before + identities)
    every = {way: np.concatenate(parts) for way, parts in found.items()}
    return {
        way: (score_clustering(identities, persons), len(np.unique(identities)))
        for way, identities in every.items()
    }


def identity_rows(scores: dict[str, tuple[ClusteringScores, int]]) -> list[tuple[str, ...]]:
    """The cells of a table with `COLUMNS`."""
    return [
        (way, *(f"{value:.3f}" for value in astuple(each)), str(count))
        for way, (each, count) in scores.items()
    ]


def _ways(half: Embeddings, calibration: Calibration) -> dict[str, Identities]:
    distances = euclidean_distances(half.features, half.features)
    near = (calibration.log_odds(distances) > 0) | np.eye(len(half), dtype=bool)
    cameras = [str(camera) for camera in half.cameras]
    evidence = Evidence(
        half.names, cameras, [None] * len(half), *neighbours(half.features, calibration)
    )
    return {
        "identify": group(evidence),
        "single linkage": np.asarray(connected_components(near)[1], np.int64),
        "threshold on distance": near.argmax(axis=1),
    }
