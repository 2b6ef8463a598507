"""Which gallery is searched and how precision is averaged, by the name each benchmark knows."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from reseen.data.embeddings import Embeddings
from reseen.data.tracklet import JUNK
from reseen.errors import ReseenError
from reseen.evaluation.metrics import (
    AveragePrecision,
    Scores,
    euclidean_distances,
    plain_average_precision,
    score,
    trapezoid_average_precision,
)
from reseen.evaluation.reranking import reranked_distances
from reseen.evaluation.scoring import Distance, Views, as_views, score_features

Selection = Callable[[Embeddings, Embeddings], NDArray[np.bool_]]
"""From the queries and a gallery of G tracklets to the (G,) bool of those that are searched."""


@dataclass(frozen=True)
class Protocol:
    """A way of scoring that results can be compared under.

    Attributes:
        searched: which part of the gallery is searched.
        average_precision: how precision is averaged over one query's matches.
    """

    searched: Selection
    average_precision: AveragePrecision


def everything(query: Embeddings, gallery: Embeddings) -> NDArray[np.bool_]:  # noqa: ARG001
    """The whole gallery; the camera rule keeps junk and the query itself out of the ranking."""
    return np.ones(len(gallery), dtype=np.bool_)


def without_junk(query: Embeddings, gallery: Embeddings) -> NDArray[np.bool_]:  # noqa: ARG001
    """All but junk; other queries may be found."""
    return np.not_equal(gallery.persons, JUNK)


def without_junk_and_queries(query: Embeddings, gallery: Embeddings) -> NDArray[np.bool_]:
    """All but junk and every query; a person seen again only by a query has no match left."""
    return without_junk(query, gallery) & ~np.isin(gallery.names, query.names)


PROTOCOLS: dict[str, Protocol] = {
    "cross-camera": Protocol(everything, plain_average_precision),
    "mars-official": Protocol(everything, trapezoid_average_precision),
    "mars-field": Protocol(without_junk, plain_average_precision),
    "mars-torchreid": Protocol(without_junk_and_queries, plain_average_precision),
}
"""`cross-camera` for PRID-2011, iLIDS-VID and anyone's own people. For MARS, with the full test
set as gallery: MARS's own evaluation (12,180 tracklets), what most papers use (11,310), and
torchreid's (9,330, which leaves 140 of the 1,980 queries without a match)."""


def score_by_protocol(
    name: str,
    query: Views,
    gallery: Views,
    distance: Distance = euclidean_distances,
    reranked: bool = False,
) -> Scores:
    """Score features under a protocol.

    Args:
        name: a key of `PROTOCOLS`.
        query: who is searched for.
        gallery: all that may be searched, queries included where the benchmark includes them.
        distance: `euclidean_distances`, or the `distances` of a learned metric.
        reranked: use `reranked_distances` instead, which start from Euclidean ones.

    Raises:
        ReseenError: no such protocol, or what `score_features` raises.
    """
    protocol = find_protocol(name)
    wanted = as_views(query)[0]
    searched = searched_gallery(protocol, query, gallery)
    if not reranked:
        return score_features(query, searched, protocol.average_precision, distance)
    people = (wanted.persons, wanted.cameras, searched[0].persons, searched[0].cameras)
    return score(reranked_distances(query, searched), *people, protocol.average_precision)


def searched_gallery(protocol: Protocol, query: Views, gallery: Views) -> tuple[Embeddings, ...]:
    """The views of those gallery tracklets that a protocol searches."""
    galleries = as_views(gallery)
    searched = np.flatnonzero(protocol.searched(as_views(query)[0], galleries[0]))
    return tuple(view.take(searched) for view in galleries)


def find_protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        ReseenError: there is none; the nearest name is given.
    """
    if name not in PROTOCOLS:
        near = get_close_matches(name, PROTOCOLS, n=1, cutoff=0)[0]
        names = ", ".join(PROTOCOLS)
        raise ReseenError(f"no protocol {name!r}, perhaps {near!r}; there are {names}")
    return PROTOCOLS[name]
