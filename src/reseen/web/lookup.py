"""What pages and API ask of a gallery, with HTTP's answer where something is not there."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, HTTPException, Request

from reseen.data.colour_histogram import STRIPES
from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.identities import SETTING, Identities
from reseen.gallery.log import BY
from reseen.gallery.people import Directory, Person, Review, people_called
from reseen.gallery.query import query_from_pictures
from reseen.gallery.records import Entry, Filter, Match, Query, Stats
from reseen.gallery.registers import Label, Member
from reseen.gallery.settings import version_of
from reseen.tracking.detections import Detector
from reseen.web.asked import SAID, Id, Identity

Result = TypeVar("Result")
Given = TypeVarTuple("Given")

NAMES_IN_A_SENTENCE = 10
NAME_OF_UPLOAD = "pictures sent to the web page"


@contextmanager
def refused(status: int = 400) -> Iterator[None]:
    """Answer with what is wrong, where it is the visitor's input that is wrong."""
    try:
        yield
    except ReseenError as error:
        raise HTTPException(status, f"{error}.") from error


@dataclass(frozen=True)
class Found:
    """A ranked list.

    Attributes:
        calibrated: whether the model's distances were turned into probabilities.
        matches: the tracklets found, nearest first.
    """

    model: str
    calibrated: bool
    matches: list[Match]


class Lookup:
    """A gallery and what may embed new pictures for it.

    Whoever asks for what is not there is answered 404; whose pictures are broken, 400; who
    contradicts what the gallery holds, 409. Endpoints need not ask before.

    Args:
        extractors: for searches by pictures, one for each model.
        detector: finds people in photos.
    """

    def __init__(
        self, gallery: Gallery, extractors: Sequence[Extractor], detector: Detector
    ) -> None:
        self.gallery, self.detector = gallery, detector
        self._reviews = defaultdict[str | None, Review](lambda: Review(gallery))
        self.directory = Directory(gallery)
        self._extractors = {extractor.model_id: extractor for extractor in extractors}
        self._embedding = CapacityLimiter(1)  # decoded pictures are large
        self._counted: tuple[tuple[int, ...], Stats] | None = None
        self._counting = Lock()

    def stats(self) -> Stats:
        """What the gallery holds, counted anew when it has changed."""
        with self._counting:
            version = self.gallery.version
            if self._counted is None or self._counted[0] != version:
                self._counted = version, self.gallery.stats()
            return self._counted[1]

    def model(self, name: str | None = None) -> str:
        """The model to show: the one named, else a trained network before the stripes."""
        present = self.stats().models
        if not present:
            raise HTTPException(404, "The gallery is empty.")
        if name:
            return _one_of(present, name, "The gallery has no tracklets of the model")
        return min(present, key=_trained_first)

    def embeddable(self) -> list[str]:
        """Models in the gallery that new pictures can be embedded for, the default first."""
        present = sorted(self.stats().models, key=_trained_first)
        return [model for model in present if model in self._extractors]

    def camera(self, name: str | None) -> str | None:
        """The camera named, or none."""
        present = self.stats().cameras
        return _one_of(present, name, "There is no camera") if name and present else name or None

    def entries(self, *ids: str) -> dict[str, Entry]:
        """These tracklets, by id."""
        found = self.gallery.find(ids)
        for id in ids:
            if id not in found:
                raise HTTPException(404, f"The gallery has no tracklet {id}.")
        return found

    def person(self, identity: str) -> Person:
        """Somebody who is put together from tracklets."""
        for found in people_called(self.gallery, [identity]):
            return found
        raise HTTPException(404, f"There is nobody called {identity}.")

    def matches(self, entry: Entry, model: str, where: Filter, k: int) -> Found:
        """The k tracklets nearest to one of the gallery's."""
        with refused(404):  # it has no embedding by the model
            query = self.gallery.query(entry.id, model)
        return self._found(query, where, k)

    def matches_of(
        self, pictures: Sequence[Picture], model: str | None, where: Filter, k: int
    ) -> Found:
        """The k tracklets nearest to a person in new pictures; to be done `alone`."""
        name = self.model(model)
        if name not in self._extractors:
            raise HTTPException(
                409, f"This server was started without the model {name}, which pictures need."
            )
        with refused():
            query = query_from_pictures(pictures, self._extractors[name], NAME_OF_UPLOAD)
        return self._found(query, where, k)

    async def alone(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        """Do what needs decoded pictures, one such work after another."""
        return await to_thread.run_sync(work, *given, limiter=self._embedding)

    def _found(self, query: Query, where: Filter, k: int) -> Found:
        calibrated = self.gallery.settings.calibration(query.model) is not None
        return Found(query.model, calibrated, self.gallery.search(query, k, where))

    def label(self, query: str, match: str, *, same: bool | None) -> None:
        """Keep a label on two tracklets; None takes it back."""
        if same is not None:
            self._require_two(query, match)
        if self.identified and same is not None:
            Identities(self.gallery).label(query, [match], same=same)
        elif self.identified:
            Identities(self.gallery).take_back(query, match)
        elif same is not None:
            self.gallery.logged("label", Filter(ids=(query, match)), same=same)
            self.gallery.labels.add(query, match, same=same)
        else:
            self.gallery.logged("take label back", Filter(ids=(query, match)))
            self.gallery.labels.remove(query, match)

    def say(self, query: str, match: str, said: str, shown: str | None) -> None:
        """Keep a label that a page gives, or take it back: 409 where others said so meanwhile.

        Args:
            said, shown: keys of `SAID`; what the page showed before, where it tells.
        """
        self._require_two(query, match)
        if shown is not None:
            self._require_unchanged(query, match, SAID[said], SAID[shown])
        self.label(query, match, same=SAID[said])

    @property
    def review(self) -> Review:
        """The review of whoever asks: each undoes their own answers and nobody else's."""
        return self._reviews[BY.get()]

    def answer(self, query: str, match: str, *, same: bool) -> None:
        """Keep the answer to a question of the review, which was not answered then."""
        self._require_two(query, match)
        self._require_unchanged(query, match, same, None)
        self.review.answer(query, match, same=same)

    def undo(self, answers: int) -> None:
        """Take the last answer back, seen from a page after so many."""
        if answers != self.review.answers:
            raise HTTPException(
                409,
                "Answers were given or taken back on another page meanwhile, so nothing is undone "
                "from this one; open the review again.",
            )
        self.review.undo()

    def _require_unchanged(
        self, query: str, match: str, same: bool | None, shown: bool | None
    ) -> None:
        now = self.gallery.labels.said(query, match)
        if now not in (same, shown):
            words = {True: "the same person", False: "someone else", None: "nothing any more"}[now]
            raise HTTPException(
                409,
                f"Somebody has labelled {query} and {match} as {words} meanwhile; look at them "
                "again before you change that.",
            )

    def _require_two(self, query: str, match: str) -> None:
        if query == match:
            raise HTTPException(400, "A tracklet cannot be labelled against itself.")
        self.entries(query, match)
        for each in self.gallery.rejected.of([query, match]):
            raise HTTPException(
                409, f"{each.id} is labelled as not a person; take that label back first."
            )

    def reject(self, *ids: str) -> float:
        """Label tracklets as no person: no search finds them, and they belong to nobody.

        Returns:
            The time this was said, which takes all of them back together.
        """
        self.entries(*ids)
        self.gallery.logged("reject", Filter(ids=ids))
        homes = {member.id: member.identity for member in self.gallery.members.of(ids)}
        said = self.gallery.rejected.add(ids, homes)
        self.gallery.members.drop(ids)
        self._regroup(self.gallery.members.belonging_to(set(homes.values())))
        return said

    def restore(self, *ids: str) -> None:
        """Take back that they are no people: they go where they belonged."""
        self.gallery.logged("take rejection back", Filter(ids=ids))
        back = self.gallery.rejected.of(ids)
        self.gallery.rejected.drop(ids)
        members = [Member(each.id, each.identity, None) for each in back if each.identity]
        if members:
            self.gallery.members.put(members)
        self._regroup(members)

    def _regroup(self, members: Collection[Member]) -> None:
        if members and self.identified:
            Identities(self.gallery).regroup(member.id for member in members)

    @property
    def identified(self) -> bool:
        """Whether people were put together by a model that is still here and calibrated."""
        settings = self.gallery.settings
        model = (settings.get(SETTING, dict) or {}).get("model")
        return model in self.gallery.models() and settings.calibration(model) is not None

    def forget(self, ids: Collection[str]) -> list[str]:
        """Forget tracklets for good; returns the ids of those that were there, at least one."""
        forgotten = self.gallery.forget(Filter(ids=tuple(ids)))
        if not forgotten:
            raise HTTPException(404, "The gallery has no such tracklet.")
        return forgotten

    def labelled(self, labels: Sequence[Label]) -> list[tuple[Label, Entry, Entry]]:
        """The labels, each with its query and its match, where both are still there."""
        present = self.gallery.find([id for each in labels for id in (each.query, each.match)])
        return [
            (label, present[label.query], present[label.match])
            for label in labels
            if label.query in present and label.match in present
        ]


def _one_of(present: Mapping[str, int], name: str, absent: str) -> str:
    """The name, where it is among these."""
    if name not in present:
        first = sorted(present)[:NAMES_IN_A_SENTENCE]
        more = " and others" if len(present) > len(first) else ""
        raise HTTPException(404, f"{absent} {name}; there are {', '.join(first)}{more}.")
    return name


def _trained_first(model: str) -> tuple[bool, int, str]:
    return model == STRIPES, -version_of(model), model


def _lookup(request: Request) -> Lookup:
    lookup: Lookup = request.app.state.lookup
    return lookup


Looked = Annotated[Lookup, Depends(_lookup)]
"""The lookup as an argument of an endpoint."""


def _entry(lookup: Looked, id: Id) -> Entry:
    return lookup.entries(id)[id]


def _somebody(lookup: Looked, identity: Identity) -> Person:
    return lookup.person(identity)


Named = Annotated[Entry, Depends(_entry)]
"""The tracklet whose id is asked for."""

Somebody = Annotated[Person, Depends(_somebody)]
"""The person whose name is asked for."""
