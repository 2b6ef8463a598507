"""What pages and API ask of a gallery, with HTTP's answer where something is not there."""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from io import StringIO
from threading import Lock
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, HTTPException, Request

from reseen.data.colour_histogram import STRIPES
from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.identities import SETTING, Identities
from reseen.gallery.labels import Label
from reseen.gallery.members import Member
from reseen.gallery.people import Directory, Person, person
from reseen.gallery.query import query_from_pictures
from reseen.gallery.records import Entry, Filter, Match, Query, Stats
from reseen.gallery.review import Review
from reseen.gallery.settings import version_of
from reseen.tracking.detections import Detector

Result = TypeVar("Result")

NAMES_IN_A_SENTENCE = 10
NAME_OF_UPLOAD = "pictures sent to the web page"


@contextmanager
def as_bad_request() -> Iterator[None]:
    """Answer 400 with what is wrong, where it is the visitor's input that is wrong."""
    try:
        yield
    except ReseenError as error:
        raise HTTPException(400, f"{error}.") from error


@dataclass(frozen=True)
class Found:
    """A ranked list.

    Attributes:
        model: the model whose embeddings were compared.
        calibrated: whether the model's distances were turned into probabilities.
        matches: the tracklets found, nearest first.
    """

    model: str
    calibrated: bool
    matches: list[Match]


class Lookup:
    """A gallery and what may embed new pictures for it.

    Args:
        gallery: the gallery.
        extractors: for searches by pictures, one for each model.
        detector: finds people in photos.
    """

    def __init__(
        self, gallery: Gallery, extractors: Sequence[Extractor], detector: Detector
    ) -> None:
        self.gallery, self.review, self.detector = gallery, Review(gallery), detector
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
            counted = self._counted[1]
        settings = self.gallery.settings
        return replace(
            counted, retention_days=settings.retention_days, waiting=self.gallery.waiting()
        )

    def model(self, name: str | None = None) -> str:
        """The model to show: the one named, else a trained network before the stripes.

        Raises:
            HTTPException: 404, there is no such model or nothing in the gallery.
        """
        present = self.stats().models
        if not present:
            raise HTTPException(404, "The gallery is empty.")
        if name and name not in present:
            names = _some(present)
            raise HTTPException(
                404, f"The gallery has no tracklets of the model {name}; there are {names}."
            )
        return name or min(present, key=_trained_first)

    def embeddable(self) -> list[str]:
        """Models in the gallery that new pictures can be embedded for, the default first."""
        present = sorted(self.stats().models, key=_trained_first)
        return [model for model in present if model in self._extractors]

    def camera(self, name: str | None) -> str | None:
        """The camera named, or none.

        Raises:
            HTTPException: 404, the gallery has others.
        """
        if not name:
            return None
        present = self.stats().cameras
        if present and name not in present:
            raise HTTPException(404, f"There is no camera {name}; there are {_some(present)}.")
        return name

    def entry(self, id: str) -> Entry:
        """One tracklet.

        Raises:
            HTTPException: 404, it is not in the gallery.
        """
        found = self.gallery.find([id])
        if not found:
            raise HTTPException(404, f"The gallery has no tracklet {id}.")
        return found[id]

    def matches(self, entry: Entry, model: str, where: Filter, k: int) -> Found:
        """The k tracklets nearest to one of the gallery's.

        Raises:
            HTTPException: 404, it has no embedding by the model.
        """
        try:
            query = self.gallery.query(entry.id, model)
        except ReseenError as error:
            raise HTTPException(404, f"{error}.") from error
        return self._found(query, where, k)

    async def matches_of(
        self, pictures: Sequence[Picture], model: str | None, where: Filter, k: int
    ) -> Found:
        """The k tracklets nearest to a person in new pictures; one such search after another.

        Raises:
            HTTPException: 404, there is no such model; 409, nothing here can embed pictures
                for it; 400, the pictures are broken or do not go together.
        """
        return await self.alone(partial(self._matches_of, pictures, model, where, k))

    async def alone(self, work: Callable[[], Result]) -> Result:
        """Do what needs decoded pictures, one such work after another."""
        return await to_thread.run_sync(work, limiter=self._embedding)

    def label(self, query: str, match: str, *, same: bool) -> None:
        """Keep a label on two tracklets.

        Raises:
            HTTPException: 404, one is not in the gallery; 400, they are the same one.
            ConflictError: where people are put together, it contradicts other labels.
        """
        self._require_two(query, match)
        if self.identified:
            Identities(self.gallery).label(query, [match], same=same)
        else:
            self.gallery.logged("label", Filter(ids=(query, match)), same=same)
            self.gallery.labels.add(query, match, same=same)

    def unlabel(self, query: str, match: str) -> None:
        """Take the label on two tracklets back."""
        if self.identified:
            Identities(self.gallery).take_back(query, match)
        else:
            self.gallery.logged("take label back", Filter(ids=(query, match)))
            self.gallery.labels.remove(query, match)

    def reject(self, ids: Sequence[str]) -> float:
        """Label tracklets as no person: no search finds them, and they belong to nobody.

        Returns:
            The time this was said, which takes all of them back together.

        Raises:
            HTTPException: 404, one is not in the gallery.
        """
        self._require(ids)
        self.gallery.logged("reject", Filter(ids=tuple(ids)))
        homes = {member.id: member.identity for member in self.gallery.members.of(ids)}
        said = self.gallery.rejected.add(ids, homes)
        self.gallery.members.drop(ids)
        left = self.gallery.members.belonging_to(set(homes.values()))
        if left and self.identified:
            Identities(self.gallery).regroup(member.id for member in left)
        return said

    def restore(self, ids: Sequence[str]) -> None:
        """Take back that they are no people: they go where they belonged."""
        self.gallery.logged("take rejection back", Filter(ids=tuple(ids)))
        back = self.gallery.rejected.take_back(ids)
        members = [Member(each.id, each.identity, None) for each in back if each.identity]
        if members:
            self.gallery.members.put(members)
        if members and self.identified:
            Identities(self.gallery).regroup(member.id for member in members)

    def person(self, identity: str) -> Person:
        """Somebody with all appearances.

        Raises:
            HTTPException: 404, there is nobody of that name.
        """
        found = person(self.gallery, identity)
        if found is None:
            raise HTTPException(404, f"There is nobody called {identity}.")
        return found

    @property
    def identified(self) -> bool:
        """Whether people were put together by a model that is still here and calibrated."""
        settings = self.gallery.settings
        model = (settings.get(SETTING) or {}).get("model")
        return model in self.gallery.models() and settings.calibration(model) is not None

    def answer(self, query: str, match: str, *, same: bool) -> None:
        """Keep the answer to a question of the review.

        Raises:
            HTTPException, ConflictError: as for `label`.
        """
        self._require_two(query, match)
        self.review.answer(query, match, same=same)

    def _require_two(self, query: str, match: str) -> None:
        if query == match:
            raise HTTPException(400, "A tracklet cannot be labelled against itself.")
        self._require([query, match])
        for each in self.gallery.rejected.of([query, match]):
            raise HTTPException(
                409, f"{each.id} is labelled as not a person; take that label back first."
            )

    def _require(self, ids: Sequence[str]) -> None:
        present = self.gallery.find(ids)
        for id in ids:
            if id not in present:
                raise HTTPException(404, f"The gallery has no tracklet {id}.")

    def forget(self, ids: Collection[str]) -> list[str]:
        """Forget tracklets for good.

        Returns:
            Ids of those that were there.

        Raises:
            HTTPException: 404, none of them is in the gallery.
        """
        forgotten = self.gallery.forget(Filter(ids=tuple(ids)))
        if not forgotten:
            raise HTTPException(404, "The gallery has no such tracklet.")
        return forgotten

    def _matches_of(
        self, pictures: Sequence[Picture], model: str | None, where: Filter, k: int
    ) -> Found:
        name = self.model(model)
        if name not in self._extractors:
            raise HTTPException(
                409, f"This server was started without the model {name}, which pictures need."
            )
        with as_bad_request():
            query = query_from_pictures(pictures, self._extractors[name], NAME_OF_UPLOAD)
        return self._found(query, where, k)

    def _found(self, query: Query, where: Filter, k: int) -> Found:
        calibrated = self.gallery.settings.calibration(query.model) is not None
        return Found(query.model, calibrated, self.gallery.search(query, k, where))


def _some(names: Collection[str]) -> str:
    """The first names of many, for a sentence."""
    first = sorted(names)[:NAMES_IN_A_SENTENCE]
    return ", ".join(first) + (" and others" if len(names) > len(first) else "")


def _trained_first(model: str) -> tuple[bool, int, str]:
    return model == STRIPES, -version_of(model), model


def lookup_of(request: Request) -> Lookup:
    """The application's lookup."""
    lookup: Lookup = request.app.state.lookup
    return lookup


Looked = Annotated[Lookup, Depends(lookup_of)]
"""The lookup as an argument of an endpoint."""


@dataclass(frozen=True)
class TrainingPair:
    """Two tracklets and whether they show the same person, as somebody said.

    Attributes:
        query, match: ids of the tracklets.
        same: whether they show the same person.
        time: when this was said, in seconds since 1970.
        query_camera, match_camera: their cameras.
        query_source, match_source: the videos or folders they come from.
    """

    query: str
    match: str
    same: bool
    time: float
    query_camera: str
    match_camera: str
    query_source: str
    match_source: str


def labelled(lookup: Lookup, labels: Sequence[Label]) -> list[tuple[Label, Entry, Entry]]:
    """The labels, each with its query and its match."""
    ids = {id for label in labels for id in (label.query, label.match)}
    present = lookup.gallery.find(list(ids))
    return [
        (label, present[label.query], present[label.match])
        for label in labels
        if label.query in present and label.match in present
    ]


def training_pairs(lookup: Lookup) -> list[TrainingPair]:
    """All labels as pairs, in the order they were first labelled."""
    return [
        TrainingPair(
            query=label.query,
            match=label.match,
            same=label.same,
            time=label.time,
            query_camera=query.camera,
            match_camera=match.camera,
            query_source=query.source,
            match_source=match.source,
        )
        for label, query, match in labelled(lookup, lookup.gallery.labels.all())
    ]


def as_csv(pairs: Iterable[TrainingPair]) -> str:
    """A table with a line of column names."""
    text = StringIO(newline="")
    table = csv.DictWriter(text, [field.name for field in fields(TrainingPair)])
    table.writeheader()
    table.writerows(asdict(pair) for pair in pairs)
    return text.getvalue()
