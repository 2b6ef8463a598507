"""The gallery for programs: JSON under /api, described by /api/openapi.json."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from reseen.gallery.people import Person
from reseen.gallery.records import Entry, Filter, Stats
from reseen.gallery.rejected import Rejection
from reseen.gallery.review import Question
from reseen.gallery.thumbnail import still_of
from reseen.web.lookup import Found, Looked, TrainingPair, as_csv, training_pairs
from reseen.web.rendering import Problem
from reseen.web.uploads import Sent, is_form

LONGEST_ID, LONGEST_CAMERA, LONGEST_MODEL = 1_000, 200, 100
MOST_AT_ONCE = 200
FARTHEST_PAGE = 10_000_000
LATEST = 1e12

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request makes no sense."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "Another site asks, or the token may only look."},
    404: {"model": Problem, "description": "The gallery does not have it."},
    409: {"model": Problem, "description": "It contradicts what the gallery holds."},
    413: {"model": Problem, "description": "The request is too large."},
    422: {"model": Problem, "description": "A parameter does not fit."},
    429: {"model": Problem, "description": "Too many wrong tokens came from there."},
    503: {"model": Problem, "description": "The gallery is damaged or its disk is full."},
}

router = APIRouter(prefix="/api", responses=PROBLEMS)

Id = Annotated[str, Query(max_length=LONGEST_ID, description="A tracklet's id.")]
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
class Forgotten:
    """What was removed for good.

    Attributes:
        ids: of the tracklets.
    """

    ids: list[str]


@router.get("/stats")
def stats(lookup: Looked) -> Stats:
    """Count what the gallery holds."""
    return lookup.stats()


@router.get("/tracklets")
def tracklets(
    lookup: Looked,
    where: InView,
    model: Model = None,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 50,
    offset: Annotated[int, Query(ge=0, le=FARTHEST_PAGE)] = 0,
) -> Listed:
    """List tracklets by time."""
    name = lookup.model(model) if model else None
    entries = lookup.gallery.entries(where, name, limit=limit, offset=offset)
    return Listed(name, lookup.gallery.count(where, name), entries)


@router.get("/tracklet")
def tracklet(lookup: Looked, id: Id) -> Entry:
    """Look up one tracklet."""
    return lookup.entry(id)


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
    id: Id,
    model: Model = None,
    other_cameras: Annotated[bool, Query(description="Leave out the query's own camera.")] = False,
    k: Many = 20,
) -> Found:
    """Search for a tracklet of the gallery: the most alike others, nearest first."""
    entry = lookup.entry(id)
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
    return await lookup.matches_of(pictures, model, where, k)


@router.get("/labels")
def labels(lookup: Looked) -> list[TrainingPair]:
    """The last label on every two tracklets, as pairs to train with."""
    return training_pairs(lookup)


@router.get("/labels.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def labels_as_csv(lookup: Looked) -> Response:
    """The same as a table."""
    attached, pairs = (
        {"Content-Disposition": 'attachment; filename="labels.csv"'},
        training_pairs(lookup),
    )
    told = {id for pair in pairs for id in (pair.query, pair.match)}
    lookup.gallery.exports.downloaded("labels.csv", told)
    return Response(as_csv(pairs), media_type="text/csv", headers=attached)


@router.post("/labels", status_code=201)
def label(lookup: Looked, said: Labelled) -> Labelled:
    """Say whether two tracklets show the same person; replaces what was said before."""
    lookup.label(said.query, said.match, same=said.same)
    return said


@router.delete("/labels", status_code=204)
def unlabel(lookup: Looked, query: Id, match: Id) -> None:
    """Take the label on two tracklets back."""
    lookup.unlabel(query, match)


@router.get("/rejected")
def rejected(lookup: Looked) -> list[Rejection]:
    """Tracklets that are labelled as not a person, which no search finds."""
    return lookup.gallery.rejected.all()


@router.post("/rejected", status_code=201)
def reject(lookup: Looked, id: Id) -> None:
    """Label a tracklet as not a person."""
    lookup.reject([id])


@router.delete("/rejected", status_code=204)
def restore(lookup: Looked, id: Id) -> None:
    """Take that label back."""
    lookup.restore([id])


@router.get("/review")
def review(
    lookup: Looked,
    count: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 20,
    skipped: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
) -> list[Question]:
    """Pairs of people of whom it is least sure whether they are one, to be labelled."""
    return lookup.review.questions(count, skipped)


@router.get("/people")
def people(
    lookup: Looked,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 50,
    offset: Annotated[int, Query(ge=0, le=FARTHEST_PAGE)] = 0,
    name: Annotated[str, Query(max_length=LONGEST_ID, description="Part of the name.")] = "",
) -> list[Person]:
    """Who was seen, those seen last first, with all appearances."""
    return lookup.directory.people(lookup.directory.called(name), limit, offset)
