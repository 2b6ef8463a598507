"""The people of a gallery: who was seen how often, where and when, and whom to ask a human about.

Asked is about the pairs of people that are nearest to being joined or not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from threading import Lock

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import compute
from scipy.special import expit

from reseen.gallery.gallery import Gallery
from reseen.gallery.grouping import Evidence, Numbers
from reseen.gallery.identities import Identities
from reseen.gallery.records import Entry, Filter

NEAR = 20
"""Tracklets nearest to a person's best whose people are thought of as perhaps the same one."""

COMPARED = 50
"""Tracklets of each person, the longest ones, by which it is told whether two may be one."""

SEEN = ["id", "camera", "start_time", "end_time", "frames"]

MOST_REVIEWED = 2_000
"""Tracklets, those seen last, whose people are asked about; comparing them takes half a second."""

A_ROUND = 10
"""Answers after which is told what they have changed."""


@dataclass(frozen=True)
class Appearance:
    """A tracklet as a part of a person.

    Attributes:
        probability: that it shows the same person as the others; None for who is alone.
    """

    entry: Entry
    probability: float | None


@dataclass(frozen=True)
class Person:
    """An identity with its tracklets, of which somebody may have tens of thousands.

    Attributes:
        seen: a row for each tracklet, in order of time: id, camera, start_time, end_time, frames
            and probability.
        longest: ids of the longest tracklets, the longest one first.
        best: the longest tracklet, which stands for the person.
    """

    gallery: Gallery
    identity: str
    seen: pyarrow.Table
    longest: list[str]
    best: Entry

    @property
    def ids(self) -> list[str]:
        """All tracklets' ids, in order of time."""
        ids: list[str] = self.seen["id"].to_pylist()
        return ids

    @property
    def cameras(self) -> list[str]:
        """Names of those that saw it."""
        return sorted(self.seen["camera"].unique().to_pylist())

    @property
    def start(self) -> float | None:
        """When it was first seen; None where no time is known."""
        found: float | None = compute.min(self.seen["start_time"]).as_py()
        return found

    @property
    def end(self) -> float | None:
        """When it was last seen; None where no time is known."""
        found: float | None = compute.max(self.seen["end_time"]).as_py()
        return found

    def appearances(self, limit: int, offset: int = 0) -> list[Appearance]:
        """Some of its tracklets, in order of time."""
        some = self.seen.slice(offset, limit)
        ids, probabilities = some["id"].to_pylist(), some["probability"].to_pylist()
        entries, pairs = self.gallery.find(ids), zip(ids, probabilities, strict=True)
        return [Appearance(entries[id], probability) for id, probability in pairs if id in entries]

    def beside(self, id: str) -> str | None:
        """What to compare a tracklet of the person with: the longest other one, if any."""
        return next((other for other in self.longest if other != id), None)


class Directory:
    """Names of all people, those seen last first; made anew when the gallery has changed.

    Of a large gallery it holds the names alone: whoever is shown is read when shown.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._known: tuple[tuple[int, ...], pyarrow.Array] | None = None

    def called(self, part: str = "") -> pyarrow.Array:
        """The names with this in them, in large letters or small."""
        version = (self._gallery.members.version, *self._gallery.version)
        if self._known is None or self._known[0] != version:
            self._known = version, self._names()
        names = self._known[1]
        found = compute.match_substring(names, part, ignore_case=True) if part else None
        return names if found is None else names.filter(found)

    def people(self, names: pyarrow.Array, limit: int, offset: int = 0) -> list[Person]:
        """Some of these people, in the order of their names."""
        wanted = names.slice(offset, limit).to_pylist()
        found = {person.identity: person for person in people_called(self._gallery, wanted)}
        return [found[name] for name in wanted if name in found]

    def _names(self) -> pyarrow.Array:
        homes = self._gallery.members.homes()
        if not len(homes):
            return pyarrow.array([], pyarrow.string())
        seen = homes.join(self._gallery.columns(["id", "end_time"]), "id", join_type="inner")
        last = seen.group_by("identity").aggregate([("end_time", "max")])
        order = [("end_time_max", "descending"), ("identity", "ascending")]
        return last.sort_by(order)["identity"].combine_chunks()


def people_called(gallery: Gallery, names: Iterable[str]) -> list[Person]:
    """The people of these names, those who are there; of their tracklets a few columns are read."""
    homes = gallery.members.homes(names)
    if not len(homes):
        return []
    where = Filter(ids=tuple(homes["id"].to_pylist()))
    seen = homes.join(gallery.columns(SEEN, where), "id", join_type="inner")
    order = [("identity", "ascending"), ("start_time", "ascending"), ("id", "ascending")]
    every = seen.sort_by(order)
    identities, firsts = np.unique(every["identity"].to_pylist(), return_index=True)
    parts = [every.slice(first, end - first) for first, end in pairwise([*firsts, len(every)])]
    longest = [
        part["id"]
        .take(np.argsort(-part["frames"].to_numpy(), kind="stable")[:COMPARED])
        .to_pylist()
        for part in parts
    ]
    best = gallery.find([ids[0] for ids in longest])
    return [
        Person(gallery, str(identity), part, ids, best[ids[0]])
        for identity, part, ids in zip(identities, parts, longest, strict=True)
        if ids[0] in best  # forgotten meanwhile
    ]


@dataclass(frozen=True, slots=True)
class Question:
    """Whether two identities are one person, asked by the two tracklets that are most alike.

    Attributes:
        query, match: ids of the tracklets, one of each identity.
        probability: that the two tracklets show one person.
        overall: the same by the mean log odds over all pairs of their tracklets, by which people
            are put together.
    """

    query: str
    match: str
    identity: str
    other: str
    probability: float
    overall: float


@dataclass(frozen=True)
class Changes:
    """What labels have changed.

    Attributes:
        people_before, people_after: how many identities there were and are.
        joined: names of identities before that are one now, by its name.
        parted: names of identities that are several now, by the name before.
    """

    people_before: int
    people_after: int
    joined: dict[str, list[str]]
    parted: dict[str, list[str]]


def questions(
    evidence: Evidence, identities: Sequence[str], first: Callable[[Numbers], Numbers] = np.abs
) -> Iterator[Question]:
    """Ask of pairs of identities whether they are one person, where they can be.

    Left out are those that a human has told apart, and those who would be in two places at once.

    Args:
        evidence: about N tracklets.
        identities: (N,) names.
        first: of the mean log odds over the pairs' tracklets, by which `grouping.group` joins
            identities, what puts them into an order, smallest first: by default the least sure.
    """
    names, numbers = np.unique(np.asarray(identities, dtype=object), return_inverse=True)
    members = [np.flatnonzero(numbers == number).tolist() for number in range(len(names))]
    told = {frozenset(numbers[list(pair)].tolist()) for pair in evidence.different}
    both, means, closest = _between(evidence, numbers)
    for place in np.argsort(first(means), kind="stable").tolist():
        one, other = both[place].tolist()
        if {one, other} in told or not evidence.possible(members[one], members[other]):
            continue
        query, match = evidence.pairs[closest[place]].tolist()
        yield Question(
            evidence.ids[query],
            evidence.ids[match],
            identities[query],
            identities[match],
            float(expit(evidence.log_odds[closest[place]])),
            float(expit(means[place])),
        )


def _between(
    evidence: Evidence, numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Numbers, NDArray[np.int64]]:
    """Pairs of identities with a listed pair of tracklets between them.

    Returns:
        (Q, 2) numbers of the identities, (Q,) mean log odds over all pairs of their tracklets,
        (Q,) place of the likeliest of the listed pairs.
    """
    sides = np.sort(numbers[evidence.pairs], axis=1)
    across = np.flatnonzero(sides[:, 0] != sides[:, 1])
    across = across[np.argsort(-evidence.log_odds[across], kind="stable")]  # likeliest first
    both, first, which, listed = np.unique(
        sides[across], axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    every = np.bincount(numbers)[both].prod(axis=1)
    totals = np.bincount(which.ravel(), evidence.log_odds[across], len(both))
    return both, (totals + (every - listed) * evidence.unlisted) / every, across[first]


def perhaps_the_same(identities: Identities, person: Person, count: int) -> list[Question]:
    """Others who may be this person, the likeliest first."""
    gallery = identities.gallery
    query = gallery.query(person.longest[0], identities.model)
    near = gallery.members.of(gallery.nearest(query, NEAR))
    people = people_called(gallery, {person.identity, *(member.identity for member in near)})
    homes = {id: each.identity for each in people for id in each.longest}
    evidence = identities.evidence(homes)
    every = questions(evidence, [homes[id] for id in evidence.ids], np.negative)
    return [each for each in every if person.identity in (each.identity, each.other)][:count]


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    """What became of the identities, by their names of each tracklet before and after."""
    origins, fates = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for id in before.keys() & after.keys():
        origins[after[id]].add(before[id])
        fates[before[id]].add(after[id])
    return Changes(
        len(set(before.values())),
        len(set(after.values())),
        {name: sorted(found) for name, found in sorted(origins.items()) if len(found) > 1},
        {name: sorted(found) for name, found in sorted(fates.items()) if len(found) > 1},
    )


class Review:
    """A human's answers, one after the other."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, self._turn = gallery, Lock()
        self._answered: list[tuple[str, str]] = []
        self._before: dict[str, str] = {}

    @property
    def answers(self) -> int:
        """How many were given and not taken back."""
        return len(self._answered)

    def answer(self, query: str, match: str, *, same: bool) -> None:
        """Keep an answer as a label; the people follow at once. A page sent twice counts once.

        Raises:
            ConflictError: it contradicts other labels; nothing is kept of it.
        """
        with self._turn:
            if self._gallery.labels.said(query, match) is same:
                return
            before = self._identities() if self.answers % A_ROUND == 0 else self._before
            Identities(self._gallery).label(query, [match], same=same)
            self._answered.append((query, match))
            self._before = before

    def undo(self) -> None:
        """Take the last answer back, if there is one."""
        with self._turn:
            if self._answered:
                Identities(self._gallery).take_back(*self._answered.pop())

    def changes(self) -> Changes | None:
        """What the last ten answers have changed; None in between."""
        if self.answers % A_ROUND or not self._answered:
            return None
        return changes(self._before, self._identities())

    def _identities(self) -> dict[str, str]:
        return {member.id: member.identity for member in self._gallery.members.all()}

    def questions(self, count: int, skipped: int = 0) -> list[Question]:
        """The next questions, after some that are skipped."""
        identities = Identities(self._gallery)
        total = self._gallery.count(model=identities.model)
        latest = self._gallery.entries(
            model=identities.model, limit=MOST_REVIEWED, offset=max(total - MOST_REVIEWED, 0)
        )
        known = {
            member.id: member.identity
            for member in self._gallery.members.of(entry.id for entry in latest)
        }
        evidence = identities.evidence(known)
        every = questions(evidence, [known[id] for id in evidence.ids])
        return list(islice(every, skipped, skipped + count))
