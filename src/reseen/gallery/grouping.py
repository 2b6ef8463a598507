"""Tracklets into people: average-linkage clustering on the graph of nearest neighbours.

No library that installs here clusters a sparse graph with pairs that must not meet: scikit-learn's
agglomerative clustering and Leiden know must-links at most. The rest is a heap.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from reseen.errors import ConflictError

Pairs = NDArray[np.int64]
Numbers = NDArray[np.float64]

Span = tuple[float, float]
"""First and last second in which somebody was seen."""

Travel = Mapping[tuple[str, str], float]
"""Shortest possible seconds between two cameras, by their names in sorted order."""

BLOCK = 512
"""Vectors compared with all others at once."""


@dataclass(frozen=True)
class Evidence:
    """What is known about N tracklets, by their places 0 ... N - 1.

    Attributes:
        ids: (N,) what to call them in messages.
        cameras: (N,) names.
        spans: (N,) first and last second of each; None where it is unknown.
        pairs: (P, 2) those that are among each other's nearest neighbours, each pair once.
        log_odds: (P,) log(p / (1 - p)) of the calibrated probability that they show one person.
        unlisted: log odds of every other pair; negative.
        same, different: pairs on which a human has decided.
        travel: nobody is faster from camera to camera.
    """

    ids: Sequence[str]
    cameras: Sequence[str]
    spans: Sequence[Span | None]
    pairs: Pairs
    log_odds: Numbers
    unlisted: float
    same: Sequence[tuple[int, int]] = ()
    different: Sequence[tuple[int, int]] = ()
    travel: Travel = field(default_factory=dict)

    def impossible(self, one: int, other: int) -> bool:
        """Whether nobody can be in both: seen twice at once, or too far apart for the time."""
        first, second = self.spans[one], self.spans[other]
        if first is None or second is None:
            return False
        cameras = sorted((self.cameras[one], self.cameras[other]))
        gap = seconds_between(first, second)
        if cameras[0] == cameras[1]:
            return gap < 0
        return gap < self.travel.get((cameras[0], cameras[1]), -np.inf)

    def possible(self, some: Sequence[int], others: Sequence[int]) -> bool:
        """Whether somebody can be in all of these and all of the others."""
        return not any(self.impossible(one, other) for one in some for other in others)


def seconds_between(one: Span, other: Span) -> float:
    """From the end of the earlier to the start of the later; negative while both last."""
    return max(one[0], other[0]) - min(one[1], other[1])


@dataclass
class _Group:
    """An identity in the making.

    Attributes:
        members: places of its tracklets.
        links: to each group with a listed pair: the pairs' log odds added up, and how many.
        apart: groups that a human has told from this one.
    """

    members: list[int]
    links: dict[int, tuple[float, int]] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)


def group(evidence: Evidence) -> NDArray[np.int64]:
    """Put tracklets together while, on average, they are rather one person than two.

    The two groups with the highest mean log odds over all pairs between them are joined, again
    and again, until no mean is above 0. Groups that a human has told apart, or in which somebody
    would be in two places at once, are never joined. Then those whom a human has recognised are
    brought together with all their groups, or where these cannot be one person, alone.

    Returns:
        (N,) the place of the first tracklet of each one's identity.

    Raises:
        ConflictError: the human decisions contradict each other, or what is possible.
    """
    recognised = _recognised(evidence)
    groups = _start(evidence)
    heap = [
        entry for number, one in groups.items() for entry in _joins(evidence, groups, number, one)
    ]
    heapq.heapify(heap)
    while heap:
        _, number, other, size = heapq.heappop(heap)
        if number not in groups or other not in groups:
            continue
        one, two = groups[number], groups[other]
        grown = len(one.members) + len(two.members) != size  # a newer entry stands for the pair
        if grown or other in one.apart or not evidence.possible(one.members, two.members):
            continue
        _join(groups, number, other)
        for entry in _joins(evidence, groups, number, one):
            heapq.heappush(heap, entry)
    identities = np.empty(len(evidence.ids), np.int64)
    for one in groups.values():
        identities[one.members] = min(one.members)
    for people in recognised:
        _bring_together(evidence, identities, people)
    return identities


def _recognised(evidence: Evidence) -> list[list[int]]:
    """Tracklets that a human has said show one person, in groups of all who are linked so."""
    home = {place: [place] for pair in evidence.same for place in pair}
    for one, other in evidence.same:
        if home[one] is not home[other]:
            home[one] += home[other]
            for place in home[other]:
                home[place] = home[one]
    found = list({id(people): people for people in home.values()}.values())
    for one, other in evidence.different:
        if one in home and home[one] is home.get(other):
            raise ConflictError(
                f"the labels contradict each other: {evidence.ids[one]} and {evidence.ids[other]} "
                "are labelled different, and the same through others; take one of the labels back"
            )
    for people in found:
        for one, other in combinations(sorted(people), 2):
            if evidence.impossible(one, other):
                raise ConflictError(
                    f"{evidence.ids[one]} and {evidence.ids[other]} are labelled the same person, "
                    "who would be in two places at once; take the label back"
                )
    return found


def _bring_together(
    evidence: Evidence, identities: NDArray[np.int64], people: Sequence[int]
) -> None:
    """Make one identity of tracklets with all of theirs, or of them alone if it cannot be."""
    parts = [np.flatnonzero(identities == one).tolist() for one in np.unique(identities[people])]
    every = {place for part in parts for place in part}
    told_apart = any(one in every and other in every for one, other in evidence.different)
    fit = all(evidence.possible(one, other) for one, other in combinations(parts, 2))
    alone = told_apart or not fit
    if alone:
        for part in parts:
            left = [place for place in part if place not in people]
            identities[left] = min(left, default=0)
    together = sorted(people if alone else every)
    identities[together] = together[0]


def memberships(evidence: Evidence, identities: NDArray[np.int64]) -> Numbers:
    """How surely each tracklet belongs to its identity.

    Returns:
        (N,) the mean probability, over the identity's other tracklets, that they show the same
        person; NaN for who is alone. What a human has labelled counts as certain.
    """
    sizes = np.bincount(identities, minlength=len(identities))[identities]
    sums = (sizes - 1) * expit(evidence.unlisted)
    for one, other in evidence.same:
        sums[[one, other]] += 1 - expit(evidence.unlisted)
    labelled = {frozenset(pair) for pair in evidence.same}
    inside = identities[evidence.pairs[:, 0]] == identities[evidence.pairs[:, 1]]
    fresh = inside & np.array(
        [frozenset(pair) not in labelled for pair in evidence.pairs.tolist()], np.bool_
    )
    gains = expit(evidence.log_odds[fresh]) - expit(evidence.unlisted)
    for side in evidence.pairs[fresh].T:
        sums += np.bincount(side, gains, len(sums))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(sizes > 1, sums / (sizes - 1), np.nan))


def nearest_pairs(vectors: NDArray[np.float32], count: int) -> tuple[Pairs, NDArray[np.float32]]:
    """Pairs of which one is among the other's nearest neighbours, compared with all others.

    Args:
        vectors: (N, D).
        count: neighbours of each.

    Returns:
        (P, 2) places, the smaller one first, each pair once, and (P,) Euclidean distances.
    """
    squares = np.einsum("nd,nd->n", vectors, vectors)
    count = min(count, len(vectors) - 1)
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        distances = squares[None, :] - 2 * (block @ vectors.T)
        places = np.arange(len(block))
        distances[places, start + places] = np.inf
        near = np.argpartition(distances, count - 1, axis=1)[:, :count]
        found.append(np.column_stack([np.repeat(start + places, count), near.ravel()]))
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    apart = [
        np.linalg.norm(vectors[part[:, 0]] - vectors[part[:, 1]], axis=1)
        for part in np.array_split(pairs, max(len(pairs) // BLOCK, 1))
    ]
    return pairs, np.concatenate(apart)


def _start(evidence: Evidence) -> dict[int, _Group]:
    """Every tracklet alone, with what is known of it and others."""
    groups = {place: _Group([place]) for place in range(len(evidence.ids))}
    for (one, other), odds in zip(evidence.pairs.tolist(), evidence.log_odds.tolist(), strict=True):
        groups[one].links[other] = groups[other].links[one] = (odds, 1)
    for one, other in evidence.different:
        groups[one].apart.add(other)
        groups[other].apart.add(one)
    return groups


def _joins(
    evidence: Evidence, groups: dict[int, _Group], number: int, one: _Group
) -> Iterable[tuple[float, int, int, int]]:
    """Candidates for joining: minus the mean log odds, the two groups, their size together."""
    for other, (total, listed) in one.links.items():
        here, there = len(one.members), len(groups[other].members)
        mean = (total + (here * there - listed) * evidence.unlisted) / (here * there)
        if mean > 0:
            yield -mean, min(number, other), max(number, other), here + there


def _join(groups: dict[int, _Group], number: int, gone: int) -> None:
    """Move everything of the group `gone` into the group `number`."""
    one, two = groups[number], groups.pop(gone)
    one.members += two.members
    one.links.pop(gone, None)
    for other, (total, listed) in two.links.items():
        if other == number:
            continue
        known, count = one.links.get(other, (0.0, 0))
        one.links[other] = groups[other].links[number] = (known + total, count + listed)
        groups[other].links.pop(gone)
    for other in two.apart:
        groups[other].apart.discard(gone)
        groups[other].apart.add(number)
    one.apart |= two.apart
