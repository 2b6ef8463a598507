"""The people of a gallery: who was seen how often, where and when, and whom to ask a human about.

Asked is about the pairs of people that are nearest to being joined or not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow.compute import match_substring
from scipy.special import expit

from reseen.gallery.gallery import Gallery
from reseen.gallery.grouping import Evidence, Numbers
from reseen.gallery.identities import Identities
from reseen.gallery.records import Entry, Filter
from reseen.gallery.registers import Member

NEAR = 20
"""Tracklets nearest to a person's best whose people are thought of as perhaps the same one."""

MOST_REVIEWED = 2_000
"""Tracklets, those seen last, whose people are asked about; comparing them takes half a second."""

A_ROUND = 10
"""Answers after which is told what they have changed."""


@dataclass(frozen=True)
class Appearance:
    """A tracklet as a part of a person.

    Attributes:
        entry: the tracklet.
        probability: that it shows the same person as the others; None for who is alone.
    """

    entry: Entry
    probability: float | None


@dataclass(frozen=True)
class Person:
    """An identity with its tracklets.

    Attributes:
        identity: its name.
        cameras: names of those that saw it.
        start, end: when it was first and last seen; None where no time is known.
        appearances: in order of time.
    """

    identity: str
    cameras: list[str]
    start: float | None
    end: float | None
    appearances: list[Appearance]

    @property
    def best(self) -> Entry:
        """The longest tracklet, which stands for the person."""
        return max((each.entry for each in self.appearances), key=lambda entry: entry.frames)

    def beside(self, id: str) -> str | None:
        """What to compare a tracklet of the person with: the longest other one, if any."""
        others = [each.entry for each in self.appearances if each.entry.id != id]
        return max(others, key=lambda entry: entry.frames).id if others else None


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
        found = match_substring(names, part, ignore_case=True) if part else None
        return names if found is None else names.filter(found)

    def people(self, names: pyarrow.Array, limit: int, offset: int = 0) -> list[Person]:
        """Some of these people, with all appearances, in the order of their names."""
        wanted = names.slice(offset, limit).to_pylist()
        members = self._gallery.members.belonging_to(wanted)
        where = Filter(ids=tuple(member.id for member in members))
        found = {person.identity: person for person in _people(self._gallery, members, where)}
        return [found[name] for name in wanted if name in found]

    def _names(self) -> pyarrow.Array:
        homes = self._gallery.members.homes()
        if not len(homes):
            return pyarrow.array([], pyarrow.string())
        seen = homes.join(self._gallery.last_seen(), "id", join_type="inner")
        last = seen.group_by("identity").aggregate([("end_time", "max")])
        order = [("end_time_max", "descending"), ("identity", "ascending")]
        return last.sort_by(order)["identity"].combine_chunks()


def person(gallery: Gallery, identity: str) -> Person | None:
    """The person of that name; None where there is none."""
    members = gallery.members.belonging_to([identity])
    found = _people(gallery, members, Filter(ids=tuple(member.id for member in members)))
    return found[0] if found else None


def _people(gallery: Gallery, members: Iterable[Member], where: Filter) -> list[Person]:
    """The people whom these are members of."""
    homes, found = (
        {member.id: member for member in members},
        defaultdict[str, list[Appearance]](list),
    )
    for entry in gallery.entries(where) if homes else ():
        if member := homes.get(entry.id):
            found[member.identity].append(Appearance(entry, member.probability))
    return [
        Person(
            identity,
            sorted({each.entry.camera for each in seen}),
            min((each.entry.start for each in seen if each.entry.start is not None), default=None),
            max((each.entry.end for each in seen if each.entry.end is not None), default=None),
            seen,
        )
        for identity, seen in found.items()
    ]


@dataclass(frozen=True, slots=True)
class Question:
    """Whether two identities are one person, asked by the two tracklets that are most alike.

    Attributes:
        query, match: ids of the tracklets, one of each identity.
        identity, other: names of their identities.
        probability: that the two tracklets show one person.
    """

    query: str
    match: str
    identity: str
    other: str
    probability: float


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
    query = gallery.query(person.best.id, identities.model)
    near = gallery.members.of(gallery.nearest(query, NEAR))
    names = {person.identity, *(member.identity for member in near)}
    homes = {member.id: member.identity for member in gallery.members.belonging_to(names)}
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
        """Keep an answer as a label; the people follow at once.

        Raises:
            ConflictError: it contradicts other labels; nothing is kept of it.
        """
        with self._turn:
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
