"""Who is who: the tracklets of a gallery put together as people, and kept so as more come in."""

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from reseen.errors import ConflictError, many
from reseen.gallery.calibration import Calibration
from reseen.gallery.gallery import Gallery, matrix
from reseen.gallery.grouping import (
    Evidence,
    Numbers,
    Pairs,
    Span,
    Travel,
    group,
    memberships,
    nearest_pairs,
    seconds_between,
)
from reseen.gallery.records import EVERYTHING, Filter
from reseen.gallery.registers import Label, Member
from reseen.gallery.table import VECTOR

NEIGHBOURS = 20
"""Nearest tracklets of each one that are looked at; all other pairs count as unlikely."""

FAR = 0.05
"""Share of the pairs of neighbours that are less likely than a pair of no neighbours is taken."""

LIKELIEST_UNLISTED = -1.0
"""Log odds above which no pair of no neighbours counts, however few there are to look at."""

FEWEST_WAYS = 3
"""People whom a human has recognised in two cameras before their shortest way is learned."""

SETTING = "identities"
UNNAMED = "person-"
"""What the name of an identity begins with that no human has named."""


class Identities:
    """The people of a gallery, by one model's embeddings and its calibration.

    Args:
        model: id of the model; None takes the one that the present identities were made by, else
            the only one.
        travel: shortest possible seconds between two cameras, by their names in sorted order;
            what humans have confirmed adds to it.

    Raises:
        ConflictError: the model has no calibration, so nothing can be said about anybody.
    """

    def __init__(
        self, gallery: Gallery, model: str | None = None, travel: Travel | None = None
    ) -> None:
        made = gallery.settings.get(SETTING, dict) or {}
        self.gallery, self.model = gallery, gallery.model(model or made.get("model"))
        self.travel = travel or {}
        self._made = made if made.get("model") == self.model else {}
        found = gallery.settings.calibration(self.model)
        if found is None:
            raise ConflictError(
                f"the gallery {gallery.uri} has no calibration of {self.model}, and without one "
                "nobody can be said to be the same person; run reseen calibrate, on labelled "
                "people or with --from-labels"
            )
        self.calibration = found
        self._lock = FileLock(gallery.notes / "people.lock", mode=0o600)

    def identify(self) -> list[Member]:
        """Group all tracklets anew, and keep the result in place of the one before."""
        self.gallery.logged("identify", model=self.model)
        known, evidence = set(self.gallery.labels.all()), self._evidence(EVERYTHING)
        members = self._grouped(evidence, self.gallery.members.all())
        self._made = {"model": self.model, "unlisted": evidence.unlisted}
        self.gallery.settings.set(SETTING, self._made)
        with self._alone():
            self.gallery.members.put(members)
            self.gallery.members.drop({*self.gallery.members.ids()} - {*evidence.ids})
            if meanwhile := known ^ set(self.gallery.labels.all()):
                self.regroup({id for label in meanwhile for id in (label.query, label.match)})
        return members

    def catch_up(self) -> list[Member]:
        """Let tracklets that are new join, looking at nothing but the people most like them."""
        return self.join(self.gallery.ids(self.model) - {*self.gallery.members.ids()})

    def join(self, ids: Iterable[str]) -> list[Member]:
        """The same for tracklets that are known to be new."""
        near = set[str]()
        for id in ids:
            query = self.gallery.query(id, self.model)
            near |= {id, *self.gallery.nearest(query, NEIGHBOURS)}
        return self.regroup(near) if near else []

    def regroup(self, ids: Iterable[str]) -> list[Member]:
        """Group these tracklets and all who belong to their identities anew, after a label.

        Raises:
            ConflictError: nobody was identified by this model yet, or labels contradict each other.
        """
        self._require_identified()
        ids, known = set(ids), self.gallery.members
        with self._alone():
            before = known.belonging_to({member.identity for member in known.of(ids)})
            members = self._grouped(self.evidence(ids | {member.id for member in before}), before)
            known.put(members)
        return members

    def label(self, query: str, matches: Iterable[str], *, same: bool) -> None:
        """Keep a human's word on a tracklet and others, and let the people follow at once.

        Raises:
            ConflictError: it contradicts other labels, or somebody would be in two places at once.
                All stays as it was then.
        """
        labels, others = self.gallery.labels, [match for match in matches if match != query]
        self.gallery.logged("label", Filter(ids=(query, *others)), same=same)
        with self._alone():
            before = labels.by_pair()
            labels.put([Label(query, match, same, time.time()) for match in others])
            try:
                self.regroup([query, *others])
            except ConflictError:
                for match in others:
                    labels.remove(query, match)
                pairs = [frozenset((query, match)) for match in others]
                labels.put([before[pair] for pair in pairs if pair in before])
                raise

    def take_back(self, query: str, match: str) -> None:
        """Forget what a human said of two tracklets, and let the people follow at once."""
        self.gallery.logged("take label back", Filter(ids=(query, match)))
        self.gallery.labels.remove(query, match)
        self.regroup([query, match])

    def merge(self, one: str, two: str, identities: tuple[str, str]) -> None:
        """Label two tracklets the same and make one of their identities, if they can be one.

        Raises:
            ConflictError: somebody would be in two places at once, or a human has told a part of
                one from a part of the other. All stays as it was then.
        """
        homes = {m.id: m.identity for m in self.gallery.members.belonging_to(identities)}
        known = self.evidence(homes)
        names = [homes[id] for id in known.ids]
        for first, second in combinations(range(len(names)), 2):
            if names[first] != names[second] and known.impossible(first, second):
                raise ConflictError(
                    f"{known.ids[first]} and {known.ids[second]} cannot be one person, who would "
                    "be in two places at once; split one of them off first"
                )
        for first, second in known.different:
            if names[first] != names[second]:
                raise ConflictError(
                    f"{known.ids[first]} and {known.ids[second]} are labelled different; take that "
                    "label back first, or split one of them off"
                )
        self.label(one, [two], same=True)

    def name(self, identity: str, name: str) -> None:
        """Call an identity by a name of a human's choice, which it keeps as others come and go.

        Raises:
            ConflictError: somebody else is called so.
        """
        members = self.gallery.members
        with self._alone():
            if name != identity and members.belonging_to([name]):
                raise ConflictError(
                    f"somebody else is called {name}; merge the two, or add to the name"
                )
            mine = members.belonging_to([identity])
            self.gallery.logged("name", Filter(ids=tuple(member.id for member in mine)))
            members.put([replace(member, identity=name) for member in mine])

    def swap_names(self, one: str, other: str) -> None:
        """Call two identities by each other's names."""
        members, swapped = self.gallery.members, {one: other, other: one}
        with self._alone():
            both = members.belonging_to(swapped)
            members.put([replace(each, identity=swapped[each.identity]) for each in both])

    def evidence(self, chosen: Iterable[str]) -> Evidence:
        """What is known about those of these tracklets that have an embedding by the model.

        Raises:
            ConflictError: nobody was identified by this model yet.
        """
        self._require_identified()
        return self._evidence(Filter(ids=tuple(chosen)), self._made["unlisted"])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others out: who groups by what another is just changing would undo it."""
        self.gallery.database.require_writable()
        with self._lock:
            yield

    def _require_identified(self) -> None:
        if not self._made:
            raise ConflictError(
                f"nobody is identified by {self.model} in {self.gallery.uri}; run reseen identify"
            )

    def _evidence(self, where: Filter, unlisted: float | None = None) -> Evidence:
        rows = self.gallery.embeddings(self.model, where)
        # So that the same gallery gives the same identities.
        rows = rows.take(np.argsort(rows["id"].to_pylist()))
        if len(rows) < 2 and unlisted is None:
            raise ConflictError(
                f"{self.gallery.uri} holds {many(len(rows), 'tracklet')}; add more first"
            )
        pairs, log_odds, unlisted = neighbours(matrix(rows[VECTOR]), self.calibration, unlisted)
        ids, cameras = rows["id"].to_pylist(), rows["camera"].to_pylist()
        times = zip(rows["start_time"].to_pylist(), rows["end_time"].to_pylist(), strict=True)
        spans = [None if None in span else span for span in times]
        place = {id: number for number, id in enumerate(ids)}
        said = dict[bool, list[tuple[int, int]]]({True: [], False: []})
        for label in self.gallery.labels.all():
            if label.query in place and label.match in place:
                said[label.same].append((place[label.query], place[label.match]))
        travel = {**_learned_travel(cameras, spans, said[True]), **self.travel}
        known = said[True], said[False], travel
        return Evidence(ids, cameras, spans, pairs, log_odds, unlisted, *known)

    def _grouped(self, evidence: Evidence, before: Sequence[Member]) -> list[Member]:
        identities = group(evidence)
        names = _names(evidence.ids, identities, {each.id: each.identity for each in before})
        return [
            Member(id, names[identity], None if np.isnan(probability) else probability)
            for id, identity, probability in zip(
                evidence.ids,
                identities.tolist(),
                memberships(evidence, identities).tolist(),
                strict=True,
            )
        ]


def neighbours(
    vectors: NDArray[np.float32], calibration: Calibration, unlisted: float | None = None
) -> tuple[Pairs, Numbers, float]:
    """Who may be who: pairs (P, 2) of nearest neighbours, their log odds (P,), and all others'."""
    pairs, distances = nearest_pairs(vectors, NEIGHBOURS)
    log_odds = calibration.log_odds(distances)
    if unlisted is None:  # whoever is not among anybody's nearest is no nearer than the far ones
        unlisted = min(float(np.quantile(log_odds, FAR)), LIKELIEST_UNLISTED)
    return pairs, log_odds, unlisted


def _names(
    ids: Sequence[str], identities: NDArray[np.int64], before: Mapping[str, str]
) -> dict[int, str]:
    """Every identity's name: a human's, else what most of its tracklets had, else a new one.

    No new name tells anything of a tracklet, which may be forgotten while the others stay.
    """
    pairs = zip(identities.tolist(), ids, strict=True)
    votes = Counter((number, before[id]) for number, id in pairs if id in before)
    names = dict[int, str]()
    for (number, name), _ in sorted(
        votes.items(), key=lambda vote: (vote[0][1].startswith(UNNAMED), -vote[1], vote[0])
    ):
        if number not in names and name not in names.values():
            names[number] = name
    return {
        int(number): names.get(int(number)) or f"{UNNAMED}{secrets.token_hex(5)}"
        for number in np.unique(identities)
    }


def _learned_travel(
    cameras: Sequence[str], spans: Sequence[Span | None], same: Sequence[tuple[int, int]]
) -> Travel:
    """Half of the shortest time that somebody whom a human recognised took between cameras."""
    gaps = defaultdict[tuple[str, str], list[float]](list)
    for one, other in same:
        first, second = sorted((cameras[one], cameras[other]))
        here, there = spans[one], spans[other]
        if first != second and here is not None and there is not None:
            gaps[first, second].append(seconds_between(here, there))
    return {
        way: min(found) / 2 if min(found) > 0 else min(found)
        for way, found in gaps.items()
        if len(found) >= FEWEST_WAYS
    }
