"""Which gallery is searched and how precision is averaged, by the name each benchmark knows."""

from dataclasses import dataclass

import numpy as np

from reseen.data.embeddings import Embeddings
from reseen.data.tracklet import JUNK
from reseen.errors import ReseenError, nearest
from reseen.evaluation.metrics import (
    AveragePrecision,
    Scores,
    euclidean_distances,
    plain_average_precision,
    score,
    trapezoid_average_precision,
)
from reseen.evaluation.reranking import reranked_distances
from reseen.evaluation.scoring import Augmented, Distance, augmentations, score_features


@dataclass(frozen=True)
class Protocol:
    """A way of scoring that results can be compared under.

    Junk is searched under none: the camera rule would set it aside anyway, and re-ranking must
    not take it for neighbours.

    Attributes:
        average_precision: how precision is averaged over one query's matches.
        finds_queries: whether other queries are in the gallery; a person seen again only by a
            query has no match left where they are not.
    """

    average_precision: AveragePrecision
    finds_queries: bool = True


PROTOCOLS: dict[str, Protocol] = {
    "cross-camera": Protocol(plain_average_precision),
    "mars-official": Protocol(trapezoid_average_precision),
    "mars-field": Protocol(plain_average_precision),
    "mars-torchreid": Protocol(plain_average_precision, finds_queries=False),
}
"""`cross-camera` for PRID-2011, iLIDS-VID and anyone's own people. For MARS, with the full test
set as gallery: MARS's own evaluation, what most papers use (11,310 tracklets both), and
torchreid's (9,330, which leaves 140 of the 1,980 queries without a match)."""


def score_by_protocol(
    query: Augmented,
    gallery: Augmented,
    protocol: str = "cross-camera",
    distance: Distance = euclidean_distances,
    reranked: bool = False,
) -> Scores:
    """Score features under a protocol.

    Args:
        query: who is searched for.
        gallery: all that may be searched, queries included where the benchmark includes them.
        protocol: a key of `PROTOCOLS`.
        distance: `euclidean_distances`, or the `distances` of a learned metric.
        reranked: use `reranked_distances` instead, which start from Euclidean ones.
    """
    rules = find_protocol(protocol)
    wanted = augmentations(query)[0]
    searched = searched_gallery(rules, query, gallery)
    if not reranked:
        return score_features(query, searched, rules.average_precision, distance)
    people = (wanted.persons, wanted.cameras, searched[0].persons, searched[0].cameras)
    return score(reranked_distances(query, searched), *people, rules.average_precision)


def searched_gallery(
    protocol: Protocol, query: Augmented, gallery: Augmented
) -> tuple[Embeddings, ...]:
    """Those gallery tracklets that a protocol searches, in each test-time augmentation."""
    galleries = augmentations(gallery)
    searched = galleries[0].persons != JUNK
    if not protocol.finds_queries:
        searched &= ~np.isin(galleries[0].names, augmentations(query)[0].names)
    return tuple(each.take(np.flatnonzero(searched)) for each in galleries)


def find_protocol(name: str) -> Protocol:
    """The protocol of this name."""
    if name not in PROTOCOLS:
        raise ReseenError(f"there is no protocol {name!r}{nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]
