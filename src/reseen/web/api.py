"""The gallery for programs: JSON under /api, described by /api/openapi.json."""

import csv
from dataclasses import asdict, dataclass, fields, replace
from io import StringIO
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from reseen.gallery.people import Appearance, Question
from reseen.gallery.records import Entry, Filter, Stats
from reseen.gallery.registers import Label, Rejection
from reseen.gallery.thumbnail import still_of
from reseen.web.asked import (
    LONGEST_CAMERA,
    LONGEST_ID,
    LONGEST_MODEL,
    MOST_AT_ONCE,
    ON_A_PAGE,
    Id,
    Sent,
    Skipped,
    is_form,
)
from reseen.web.lookup import Found, Looked, Named
from reseen.web.rendering import PROBLEMS, Problem

FARTHEST_PAGE = 10_000_000
LATEST = 1e12

router = APIRouter(prefix="/api", responses=PROBLEMS)

Model = Annotated[
    str | None,
    Query(
        max_length=LONGEST_MODEL,
        description="Whose embeddings are meant; a trained network's, where none is named.",
    ),
]
Camera = Annotated[str | None, Query(max_length=LONGEST_CAMERA, description="Only this camera.")]
Seconds = Annotated[float | None, Query(ge=0, le=LATEST, allow_inf_nan=False)]
Many = Annotated[int, Query(ge=1, le=MOST_AT_ONCE, description="How many matches at most.")]
Limit = Annotated[int, Query(ge=1, le=MOST_AT_ONCE)]
Offset = Annotated[int, Query(ge=0, le=FARTHEST_PAGE)]


def in_view(
    lookup: Looked, camera: Camera = None, start: Seconds = None, end: Seconds = None
) -> Filter:
    """Tracklets of a camera of which a part lies between two times, in seconds."""
    return Filter(camera=lookup.camera(camera), start=start, end=end)


InView = Annotated[Filter, Depends(in_view)]


@dataclass(frozen=True)
class Listed:
    """A page of tracklets.

    Attributes:
        model: by which they have an embedding, where that was asked for.
        total: how many there are on all pages.
        tracklets: in order of time and id.
    """

    model: str | None
    total: int
    tracklets: list[Entry]


class Labelled(BaseModel):
    """What somebody says about two tracklets."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=LONGEST_ID, description="A tracklet's id.")
    match: str = Field(max_length=LONGEST_ID, description="Another tracklet's id.")
    same: bool = Field(strict=True, description="Whether both show the same person.")


@dataclass(frozen=True)
class TrainingPair(Label):
    """Two tracklets and whether they show the same person, as somebody said.

    Attributes:
        query, match: ids of the tracklets.
        same: whether they show the same person.
        time: when this was said, in seconds since 1970.
        query_camera, match_camera: their cameras.
        query_source, match_source: the videos or folders they come from.
    """

    query_camera: str
    match_camera: str
    query_source: str
    match_source: str


@dataclass(frozen=True)
class Forgotten:
    """What was removed for good.

    Attributes:
        ids: of the tracklets.
    """

    ids: list[str]


@dataclass(frozen=True)
class Somebody:
    """A person.

    Attributes:
        identity: the name.
        cameras: names of those that saw the person.
        start, end: when the person was first and last seen; None where no time is known.
        count: how many appearances there are.
        appearances: the first of them, in order of time.
    """

    identity: str
    cameras: list[str]
    start: float | None
    end: float | None
    count: int
    appearances: list[Appearance]


@router.get("/stats")
def stats(lookup: Looked) -> Stats:
    """Count what the gallery holds."""
    return lookup.stats()


@router.get("/tracklets")
def tracklets(
    lookup: Looked,
    where: InView,
    model: Model = None,
    limit: Limit = ON_A_PAGE,
    offset: Offset = 0,
) -> Listed:
    """List tracklets by time."""
    name = lookup.model(model) if model else None
    entries = lookup.gallery.entries(where, name, limit=limit, offset=offset)
    return Listed(name, lookup.gallery.count(where, name), entries)


@router.get("/tracklet")
def tracklet(entry: Named) -> Entry:
    """Look up one tracklet."""
    return entry


@router.delete("/tracklet")
def forget(lookup: Looked, id: Id) -> Forgotten:
    """Forget a tracklet for good: its embeddings, thumbnail and labels leave the disk."""
    return Forgotten(lookup.forget([id]))


@router.get("/thumbnail", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def thumbnail(
    lookup: Looked,
    id: Id,
    still: Annotated[bool, Query(description="Only the first, 48 x 96 pixels.")] = False,
) -> Response:
    """A tracklet's 8 small pictures side by side, as a JPEG of 384 x 96 pixels."""
    strips = lookup.gallery.thumbnails([id])
    if id not in strips:
        raise HTTPException(404, f"The gallery has no thumbnail of {id}.")
    return Response(still_of(strips[id]) if still else strips[id], media_type="image/jpeg")


@router.get("/matches")
def matches(
    lookup: Looked,
    where: InView,
    entry: Named,
    model: Model = None,
    other_cameras: Annotated[bool, Query(description="Leave out the query's own camera.")] = False,
    k: Many = 20,
) -> Found:
    """Search for a tracklet of the gallery: the most alike others, nearest first."""
    not_camera = entry.camera if other_cameras else None
    return lookup.matches(entry, lookup.model(model), replace(where, not_camera=not_camera), k)


@router.post(
    "/search",
    dependencies=[Depends(is_form)],
    responses={
        409: {"model": Problem, "description": "Pictures cannot be embedded for this model."},
        415: {"model": Problem, "description": "These are no JPEG or PNG pictures."},
    },
)
async def search(
    lookup: Looked, where: InView, pictures: Sent, model: Model = None, k: Many = 20
) -> Found:
    """Search for a person by pictures, which are not kept."""
    return await lookup.alone(lookup.matches_of, pictures, model, where, k)


@router.get("/labels")
def labels(lookup: Looked) -> list[TrainingPair]:
    """The last label on every two tracklets, as pairs to train with."""
    return [
        TrainingPair(
            **asdict(label),
            query_camera=query.camera,
            match_camera=match.camera,
            query_source=query.source,
            match_source=match.source,
        )
        for label, query, match in lookup.labelled(lookup.gallery.labels_on_people())
    ]


@router.get("/labels.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def labels_as_csv(lookup: Looked) -> Response:
    """The same as a table."""
    pairs = labels(lookup)
    told = {id for pair in pairs for id in (pair.query, pair.match)}
    lookup.gallery.exports.downloaded("labels.csv", told)
    text = StringIO(newline="")
    table = csv.DictWriter(text, [field.name for field in fields(TrainingPair)])
    table.writeheader()
    table.writerows(map(asdict, pairs))
    attached = {"Content-Disposition": 'attachment; filename="labels.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=attached)


@router.post("/labels", status_code=201)
def label(lookup: Looked, said: Labelled) -> Labelled:
    """Say whether two tracklets show the same person; replaces what was said before."""
    lookup.label(said.query, said.match, same=said.same)
    return said


@router.delete("/labels", status_code=204)
def unlabel(lookup: Looked, query: Id, match: Id) -> None:
    """Take the label on two tracklets back."""
    lookup.label(query, match, same=None)


@router.get("/rejected")
def rejected(lookup: Looked) -> list[Rejection]:
    """Tracklets that are labelled as not a person, which no search finds."""
    return lookup.gallery.rejected.all()


@router.post("/rejected", status_code=201)
def reject(lookup: Looked, id: Id) -> None:
    """Label a tracklet as not a person."""
    lookup.reject(id)


@router.delete("/rejected", status_code=204)
def restore(lookup: Looked, id: Id) -> None:
    """Take that label back."""
    lookup.restore(id)


@router.get("/review")
def review(lookup: Looked, count: Limit = 20, skipped: Skipped = 0) -> list[Question]:
    """Pairs of people of whom it is least sure whether they are one, to be labelled."""
    return lookup.review.questions(count, skipped)


@router.get("/people")
def people(
    lookup: Looked,
    limit: Limit = ON_A_PAGE,
    offset: Offset = 0,
    name: Annotated[str, Query(max_length=LONGEST_ID, description="Part of the name.")] = "",
) -> list[Somebody]:
    """Who was seen, those seen last first, each with the first 200 appearances."""
    found = lookup.directory.people(lookup.directory.called(name), limit, offset)
    return [
        Somebody(
            each.identity,
            each.cameras,
            each.start,
            each.end,
            len(each.seen),
            each.appearances(MOST_AT_ONCE),
        )
        for each in found
    ]
