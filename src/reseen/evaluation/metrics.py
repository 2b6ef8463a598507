"""How well a search did: pure functions on distances, persons and cameras.

The camera rule, as every benchmark of the field has it: for one query, gallery tracklets of the
same person in the same camera are set aside (the query itself among them), and so is junk.
Matches are the same person in another camera; everything else is wrong, distractors and other
people of the same camera included. A wrong tracklet at the distance of a match ranks before it,
so that equal distances never flatter.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from reseen.data.tracklet import DISTRACTOR, JUNK
from reseen.errors import ReseenError
from reseen.evaluation.embedding import Embeddings

MAX_RANK = 50
"""How far the CMC curve goes."""

DISTANCES_AT_ONCE = 1 << 24
"""Distances held in memory at a time when scoring features: 64 MiB."""

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Distance = Callable[[Floats, Floats], Floats]
"""From features (Q, D) and (G, D) to distances (Q, G)."""
AveragePrecision = Callable[[Integers], float]
"""From the ranks of a query's matches, rising and from 1, to a number in [0, 1]."""
Views = Embeddings | Sequence[Embeddings]
"""One feature per tracklet, or several: one for each test-time view."""


@dataclass(frozen=True)
class Scores:
    """What a search of Q queries found. Shares are fractions, not percentages.

    Attributes:
        persons: (Q,) int64, who was searched for.
        first_ranks: (Q,) int64, rank of the first match, from 1; 0 where the gallery holds no
            match, which leaves the query unscored.
        average_precisions: (Q,) float64; NaN where unscored.
        inverse_negative_penalties: (Q,) float64, number of matches over the rank of the last
            one (Ye et al., "Deep Learning for Person Re-identification", 2021); NaN where
            unscored.
    """

    persons: Integers
    first_ranks: Integers
    average_precisions: Floats
    inverse_negative_penalties: Floats

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(Q,) bool, which queries have a match in the gallery."""
        return self.first_ranks > 0

    @property
    def queries(self) -> int:
        """How many queries were scored."""
        return int(np.count_nonzero(self.scored))

    @property
    def unscored(self) -> int:
        """How many queries have no match in the gallery."""
        return len(self.first_ranks) - self.queries

    @property
    def cmc(self) -> Floats:
        """(MAX_RANK,) float64: the share of scored queries whose first match ranks r or better."""
        ranks = np.arange(1, MAX_RANK + 1)
        first = np.sort(self.first_ranks[self.scored])
        return np.searchsorted(first, ranks, side="right") / len(first)

    @property
    def mean_average_precision(self) -> float:
        """Mean over the scored queries."""
        return float(np.nanmean(self.average_precisions))

    @property
    def mean_inverse_negative_penalty(self) -> float:
        """Mean over the scored queries."""
        return float(np.nanmean(self.inverse_negative_penalties))


def plain_average_precision(ranks: Integers) -> float:
    """Mean of the precision at each match."""
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def trapezoid_average_precision(ranks: Integers) -> float:
    """Area under the precision-recall curve by trapezoids, as MARS's own evaluation has it.

    The precision before rank 1 counts as 1.
    """
    found = np.arange(1, len(ranks) + 1)
    before = np.where(ranks > 1, (found - 1) / np.maximum(ranks - 1, 1), 1.0)
    return float(np.mean((before + found / ranks) / 2))


def euclidean_distances(query: Floats, gallery: Floats) -> NDArray[np.float32]:
    """Euclidean distances (Q, G) float32 between features (Q, D) and (G, D).

    The gallery's mean is taken off first: it changes no distance, saves digits, and makes
    equal features lie at equal distance exactly.
    """
    centre = gallery.mean(axis=0, dtype=np.float64)
    query = (query - centre).astype(np.float32)
    gallery = (gallery - centre).astype(np.float32)
    distances = query @ gallery.T
    distances *= -2
    distances += np.square(query).sum(axis=1)[:, np.newaxis]
    distances += np.square(gallery).sum(axis=1)
    np.maximum(distances, 0, out=distances)
    return np.sqrt(distances, out=distances)


def score(
    distances: Floats,
    query_persons: Integers,
    query_cameras: Integers,
    gallery_persons: Integers,
    gallery_cameras: Integers,
    average_precision: AveragePrecision = plain_average_precision,
) -> Scores:
    """Score a matrix of distances under the camera rule of this module.

    Args:
        distances: (Q, G), smaller is more alike; may be negative.
        query_persons, query_cameras: (Q,).
        gallery_persons, gallery_cameras: (G,).
        average_precision: `plain_average_precision` or `trapezoid_average_precision`.

    Raises:
        ReseenError: lengths differ, a distance is not finite, or no query has a match.
    """
    query = _People("query", query_persons, query_cameras)
    gallery = _People("gallery", gallery_persons, gallery_cameras)
    if distances.shape != (len(query), len(gallery)):
        raise ReseenError(
            f"distances has the shape {distances.shape} but query_persons has {len(query)} "
            f"entries and gallery_persons {len(gallery)}"
        )
    return _score([distances], query, gallery, average_precision)


def score_features(
    query: Views,
    gallery: Views,
    average_precision: AveragePrecision = plain_average_precision,
    distance: Distance = euclidean_distances,
) -> Scores:
    """Score features under the camera rule of this module, some queries at a time.

    Args:
        query, gallery: who is searched for and what is searched.
        average_precision: `plain_average_precision` or `trapezoid_average_precision`.
        distance: `euclidean_distances`, or the `distances` of a learned metric.

    Raises:
        ReseenError: views differ in their tracklets, a distance is not finite, or no query has
            a match.
    """
    wanted, searched = as_views(query)[0], as_views(gallery)[0]
    step = max(1, DISTANCES_AT_ONCE // max(1, len(searched)))
    chunks = (
        view_distances(query, gallery, slice(start, start + step), distance)
        for start in range(0, len(wanted), step)
    )
    return _score(
        chunks,
        _People("query", wanted.persons, wanted.cameras),
        _People("gallery", searched.persons, searched.cameras),
        average_precision,
    )


def as_views(views: Views) -> tuple[Embeddings, ...]:
    """One or several views as a tuple, checked to be of the same tracklets.

    Raises:
        ReseenError: there is no view, no tracklet, or the views' tracklets differ.
    """
    every = (views,) if isinstance(views, Embeddings) else tuple(views)
    if not every or not len(every[0]):
        raise ReseenError("there is no tracklet to search for or to search in")
    for number, view in enumerate(every):
        if view.names != every[0].names:
            raise ReseenError(
                f"view {number} has {len(view)} tracklets that are not, in order, "
                f"the {len(every[0])} of view 0"
            )
    return every


def view_distances(
    query: Views,
    gallery: Views,
    queries: slice = slice(None),
    distance: Distance = euclidean_distances,
) -> Floats:
    """Distances (Q, G) of some queries to the gallery, summed over views.

    Features are compared within a view: query and gallery seen through the same crop and
    mirror (McLaughlin et al., CVPR 2016, section 4.2).

    Raises:
        ReseenError: query and gallery differ in their number of views.
    """
    (wanted, searched), *others = paired_views(query, gallery)
    total = distance(wanted.features[queries], searched.features)
    for wanted, searched in others:
        total += distance(wanted.features[queries], searched.features)
    return total


def paired_views(query: Views, gallery: Views) -> list[tuple[Embeddings, Embeddings]]:
    """Query and gallery, view by view.

    Raises:
        ReseenError: they differ in their number of views, or views in their tracklets.
    """
    wanted, searched = as_views(query), as_views(gallery)
    if len(wanted) != len(searched):
        raise ReseenError(f"the query has {len(wanted)} views but the gallery {len(searched)}")
    return list(zip(wanted, searched, strict=True))


@dataclass(frozen=True)
class Ranking:
    """The nearest gallery tracklets of one query, nearest first.

    Attributes:
        query: the query's name.
        names: the gallery tracklets' names.
        distances: (K,) to the query, rising.
        right: (K,) bool, which are the same person in another camera.
    """

    query: str
    names: tuple[str, ...]
    distances: Floats
    right: NDArray[np.bool_]


def ranking(
    query: Views,
    gallery: Views,
    index: int,
    length: int = 10,
    distance: Distance = euclidean_distances,
) -> Ranking:
    """What the query at `index` finds, under the camera rule of this module.

    Args:
        query, gallery: who is searched for and what is searched.
        index: which of the queries.
        length: how many gallery tracklets to list; fewer where the gallery has fewer.
        distance: `euclidean_distances`, or the `distances` of a learned metric.
    """
    wanted, searched = as_views(query)[0], as_views(gallery)[0]
    row = view_distances(query, gallery, slice(index, index + 1), distance)[0]
    right, wrong = _right_and_wrong(
        wanted.persons[index], wanted.cameras[index], searched.persons, searched.cameras
    )
    nearest = np.lexsort((right, row))
    nearest = nearest[(right | wrong)[nearest]][:length]
    names = tuple(searched.names[item] for item in nearest)
    return Ranking(wanted.names[index], names, row[nearest], right[nearest])


@dataclass(frozen=True)
class _People:
    """Persons and cameras of one side of a search, checked to be equally many."""

    side: str
    persons: Integers
    cameras: Integers

    def __post_init__(self) -> None:
        if len(self.cameras) != len(self.persons):
            raise ReseenError(
                f"{self.side}_cameras has {len(self.cameras)} entries but "
                f"{self.side}_persons has {len(self.persons)}"
            )

    def __len__(self) -> int:
        return len(self.persons)


def _score(
    chunks: Iterable[Floats],
    query: _People,
    gallery: _People,
    average_precision: AveragePrecision,
) -> Scores:
    """Score rows of distances that come in chunks of queries."""
    rows = chain.from_iterable(map(_finite, chunks))
    ranks = [
        _match_ranks(row, *_right_and_wrong(person, camera, gallery.persons, gallery.cameras))
        for row, person, camera in zip(rows, query.persons, query.cameras, strict=True)
    ]
    if not any(map(len, ranks)):
        raise ReseenError(
            f"none of the {len(query)} queries has a match in the gallery: no person is in "
            "both, seen by two cameras"
        )
    return Scores(
        np.asarray(query.persons, dtype=np.int64),
        np.array([each[0] if len(each) else 0 for each in ranks], dtype=np.int64),
        np.array([average_precision(each) if len(each) else np.nan for each in ranks]),
        np.array([len(each) / each[-1] if len(each) else np.nan for each in ranks]),
    )


def _finite(distances: Floats) -> Floats:
    if not np.isfinite(distances).all():
        raise ReseenError("distances hold a value that is not finite; look for NaN in the features")
    return distances


def _right_and_wrong(
    person: int, camera: int, gallery_persons: Integers, gallery_cameras: Integers
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which gallery tracklets match a query and which do not, (G,) each; the rest is set aside."""
    same = gallery_persons == person
    wrong = ~same & (gallery_persons != JUNK)
    if person in (JUNK, DISTRACTOR):
        return np.zeros_like(same), wrong
    return same & (gallery_cameras != camera), wrong


def _match_ranks(
    distances: Floats, right: NDArray[np.bool_], wrong: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Ranks of a query's matches, rising and from 1, equal distances counted against them.

    No full ranking is needed: only the wrong ones up to the farthest match are sorted.
    """
    matches = np.sort(distances[right])
    if not len(matches):
        return np.empty(0, dtype=np.int64)
    ahead = np.sort(distances[wrong & (distances <= matches[-1])])
    before = np.searchsorted(ahead, matches, side="right")
    return before + np.arange(1, len(matches) + 1)
