"""Features scored and ranked, seen through one test-time augmentation or several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.evaluation.metrics import (
    AveragePrecision,
    Floats,
    Scores,
    euclidean_distances,
    matches,
    plain_average_precision,
    score,
)

DISTANCES_AT_ONCE = 1 << 24
"""Distances held in memory at a time when scoring features: 64 MiB."""

Distance = Callable[[Floats, Floats], Floats]
"""From features (Q, D) and (G, D) to distances (Q, G)."""
Augmented = Embeddings | Sequence[Embeddings]
"""One feature per tracklet, or several: one for each test-time augmentation."""


def score_features(
    query: Augmented,
    gallery: Augmented,
    average_precision: AveragePrecision = plain_average_precision,
    distance: Distance = euclidean_distances,
) -> Scores:
    """Score features under the camera rule of this module, some queries at a time.

    Args:
        average_precision: `plain_average_precision` or `trapezoid_average_precision`.
        distance: `euclidean_distances`, or the `distances` of a learned metric.
    """
    wanted, searched = augmentations(query)[0], augmentations(gallery)[0]
    step = max(1, DISTANCES_AT_ONCE // len(searched))
    rows = chain.from_iterable(
        summed_distances(query, gallery, slice(start, start + step), distance)
        for start in range(0, len(wanted), step)
    )
    people = (wanted.persons, wanted.cameras, searched.persons, searched.cameras)
    return score(rows, *people, average_precision)


def augmentations(given: Augmented) -> tuple[Embeddings, ...]:
    """Embeddings of each test-time augmentation, checked to be of the same tracklets."""
    every = (given,) if isinstance(given, Embeddings) else tuple(given)
    if not every or not len(every[0]):
        raise ReseenError("there is no tracklet to search for or to search in")
    for number, augmented in enumerate(every):
        if augmented.names != every[0].names:
            raise ReseenError(
                f"test-time augmentation {number} has {len(augmented)} tracklets that are not, "
                f"in order, the {len(every[0])} of the first"
            )
    return every


def summed_distances(
    query: Augmented,
    gallery: Augmented,
    queries: slice = slice(None),
    distance: Distance = euclidean_distances,
) -> Floats:
    """Distances (Q, G) of some queries to the gallery, summed over test-time augmentations.

    Features are compared within one of these only: "the same data augmentation is done on the probe
    and gallery data" (section 3.2 of the paper).
    """
    (wanted, searched), *others = paired_augmentations(query, gallery)
    total = distance(wanted.features[queries], searched.features)
    for wanted, searched in others:
        total += distance(wanted.features[queries], searched.features)
    return total


def paired_augmentations(
    query: Augmented, gallery: Augmented
) -> list[tuple[Embeddings, Embeddings]]:
    """Query and gallery in each test-time augmentation."""
    wanted, searched = augmentations(query), augmentations(gallery)
    if len(wanted) != len(searched):
        raise ReseenError(
            f"the query has {len(wanted)} test-time augmentations, the gallery {len(searched)}"
        )
    lengths = {each.features.shape[1] for each in (*wanted, *searched)}
    if len(lengths) > 1:
        raise ReseenError(f"features of {min(lengths)} and of {max(lengths)} numbers are compared")
    return list(zip(wanted, searched, strict=True))


@dataclass(frozen=True)
class Ranking:
    """The nearest gallery tracklets of one query, nearest first.

    Attributes:
        query: the query's name.
        names: the gallery tracklets' names.
        distances: (K,) to the query, rising.
        positive: (K,) bool, which are the same person in another camera.
    """

    query: str
    names: tuple[str, ...]
    distances: Floats
    positive: NDArray[np.bool_]


def ranking(query: Augmented, gallery: Augmented, index: int, length: int = 10) -> Ranking:
    """What the query at `index` finds, under the camera rule of this module.

    Args:
        index: which of the queries.
        length: how many gallery tracklets to list; fewer where the gallery has fewer.
    """
    wanted, searched = augmentations(query)[0], augmentations(gallery)[0]
    row = summed_distances(query, gallery, slice(index, index + 1))[0]
    positive, negative = matches(
        wanted.persons[index], wanted.cameras[index], searched.persons, searched.cameras
    )
    nearest = np.lexsort((positive, row))
    nearest = nearest[(positive | negative)[nearest]][:length]
    names = tuple(searched.names[item] for item in nearest)
    return Ranking(wanted.names[index], names, row[nearest], positive[nearest])
