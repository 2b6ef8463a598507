"""How well a search did: pure functions on distances, persons and cameras.

The camera rule, as every benchmark of the field has it: for one query, gallery tracklets of the
same person in the same camera are set aside (the query itself among them), and so is junk.
Positives, or matches, are the same person in another camera; everything else is a negative,
distractors and other people of the same camera included. A negative at the distance of a positive
ranks before it, so that equal distances never flatter.
"""

from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reseen.data.tracklet import DISTRACTOR, JUNK
from reseen.errors import ReseenError

RANKS = (1, 5, 10, 20)
"""The ranks of the paper's tables."""

MAX_RANK = 50
"""How far the CMC curve goes."""

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
AveragePrecision = Callable[[Integers], float]
"""From the ranks of a query's matches, rising and from 1, to a number in [0, 1]."""


@dataclass(frozen=True, repr=False)
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
        positives, negatives: (Q,) int64, how many gallery tracklets match and how many do not.
    """

    persons: Integers
    first_ranks: Integers
    average_precisions: Floats
    inverse_negative_penalties: Floats
    positives: Integers
    negatives: Integers

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
    def chance_level(self) -> Floats:
        """(MAX_RANK,) float64: the CMC curve to expect of rankings in random order."""
        positives, negatives = (
            counts[self.scored, np.newaxis] for counts in (self.positives, self.negatives)
        )
        places = np.arange(MAX_RANK)
        left = np.maximum(negatives - places, 0)
        missed: Floats = np.cumprod(left / (left + positives), axis=1).mean(axis=0)
        return 1 - missed

    @property
    def mean_average_precision(self) -> float:
        """Mean over the scored queries."""
        return float(np.nanmean(self.average_precisions))

    @property
    def mean_inverse_negative_penalty(self) -> float:
        """Mean over the scored queries."""
        return float(np.nanmean(self.inverse_negative_penalties))

    def __repr__(self) -> str:
        shares = {f"rank {rank}": self.cmc[rank - 1] for rank in RANKS}
        shares["mAP"] = self.mean_average_precision
        shares["mINP"] = self.mean_inverse_negative_penalty
        numbers = ", ".join(f"{name} {100 * share:.1f}" for name, share in shares.items())
        left = f"{self.unscored:,} unscored for want of a match"
        return f"{numbers} in %\n{self.queries:,} queries scored, {left}"


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
    distances: Iterable[Floats],
    query_persons: Integers,
    query_cameras: Integers,
    gallery_persons: Integers,
    gallery_cameras: Integers,
    average_precision: AveragePrecision = plain_average_precision,
) -> Scores:
    """Score distances under the camera rule of this module.

    Args:
        distances: Q rows of (G,), smaller is more alike, may be negative: a matrix, or an
            iterator where a matrix would be too large.
        query_persons: (Q,).
        query_cameras: (Q,).
        gallery_persons: (G,).
        gallery_cameras: (G,).
        average_precision: `plain_average_precision` or `trapezoid_average_precision`.

    Raises:
        ReseenError: lengths differ, a distance is not finite, or no query has a match.
    """
    _check_lengths("query_cameras", query_cameras, "query_persons", query_persons)
    _check_lengths("gallery_cameras", gallery_cameras, "gallery_persons", gallery_persons)
    if isinstance(distances, np.ndarray):
        _check_lengths("distances", distances, "query_persons", query_persons)
    ranks, negatives = [], []
    for row, person, camera in zip(distances, query_persons, query_cameras, strict=True):
        _check_lengths("a row of distances", row, "gallery_persons", gallery_persons)
        if not np.isfinite(row).all():
            raise ReseenError(
                "distances hold a value that is not finite; look for NaN in the features"
            )
        positive, negative = matches(person, camera, gallery_persons, gallery_cameras)
        ranks.append(_match_ranks(row, positive, negative))
        negatives.append(np.count_nonzero(negative))
    if not any(map(len, ranks)):
        raise ReseenError(
            f"none of the {len(ranks)} queries has a match in the gallery: no person is in "
            "both, seen by two cameras"
        )
    return Scores(
        np.asarray(query_persons, dtype=np.int64),
        np.array([each[0] if len(each) else 0 for each in ranks], dtype=np.int64),
        np.array([average_precision(each) if len(each) else np.nan for each in ranks]),
        np.array([len(each) / each[-1] if len(each) else np.nan for each in ranks]),
        np.array([len(each) for each in ranks], dtype=np.int64),
        np.array(negatives, dtype=np.int64),
    )


def _check_lengths(name: str, values: Sized, other: str, others: Sized) -> None:
    if len(values) != len(others):
        raise ReseenError(f"{name} has {len(values)} entries but {other} has {len(others)}")


def matches(
    person: int, camera: int, gallery_persons: Integers, gallery_cameras: Integers
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A query's positives and negatives among the gallery's tracklets, (G,) each.

    The rest is set aside by the camera rule. A junk or distractor query has no positive.
    """
    same = gallery_persons == person
    negative = ~same & (gallery_persons != JUNK)
    if person in (JUNK, DISTRACTOR):
        return np.zeros_like(same), negative
    return same & (gallery_cameras != camera), negative


def _match_ranks(
    distances: Floats, positive: NDArray[np.bool_], negative: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Ranks of a query's positives, rising and from 1, equal distances counted against them.

    No full ranking is needed: only the negatives up to the farthest positive are sorted.
    """
    found = np.sort(distances[positive])
    if not len(found):
        return np.empty(0, dtype=np.int64)
    ahead = np.sort(distances[negative & (distances <= found[-1])])
    before = np.searchsorted(ahead, found, side="right")
    return before + np.arange(1, len(found) + 1)
