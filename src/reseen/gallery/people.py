"""The people of a gallery: who was seen how often, where and when."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow
from pyarrow.compute import match_substring

from reseen.gallery.gallery import Gallery
from reseen.gallery.identities import Identities
from reseen.gallery.records import Entry, Filter
from reseen.gallery.registers import Member
from reseen.gallery.review import Question, questions

NEAR = 20
"""Tracklets nearest to a person's best whose people are thought of as perhaps the same one."""


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

    Args:
        gallery: the gallery.
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


def perhaps_the_same(identities: Identities, person: Person, count: int) -> list[Question]:
    """Others who may be this person, the likeliest first."""
    gallery = identities.gallery
    query = gallery.query(person.best.id, identities.model)
    near = gallery.members.of(match.entry.id for match in gallery.nearest(query, NEAR))
    names = {person.identity, *(member.identity for member in near)}
    homes = {member.id: member.identity for member in gallery.members.belonging_to(names)}
    evidence = identities.evidence(homes)
    every = questions(evidence, [homes[id] for id in evidence.ids], np.negative)
    return [each for each in every if person.identity in (each.identity, each.other)][:count]
