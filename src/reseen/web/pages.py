"""The gallery for people: pages that work without a script and keep their state in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from reseen.gallery.records import Entry, Filter, Match
from reseen.times import day, is_dated, read
from reseen.web.api import LONGEST_CAMERA, LONGEST_ID, LONGEST_MODEL, MOST_AT_ONCE
from reseen.web.lookup import Found, Looked, Lookup, as_bad_request, labelled
from reseen.web.rendering import address, render

ON_A_PAGE = 50
MOST_PAGES = 100_000
FEW = 20
"""Matches where no other number is asked for."""

COUNTS = (10, FEW, 50, 100, MOST_AT_ONCE)
AT_LEAST = (0.25, 0.5, 0.75, 0.9, 0.95)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Id = Annotated[str, Query(max_length=LONGEST_ID)]
Ids = Annotated[list[str], Query(max_length=MOST_AT_ONCE)]


@dataclass(frozen=True)
class Asked:
    """What the filters of a page are set to; empty texts are not set.

    Attributes:
        model: whose embeddings are meant.
        camera: only this camera.
        start, end: a time window, as people write times.
        own_camera: also look in the query's own camera.
        at_least: matches with a smaller probability are called unlikely.
        k: how many matches.
    """

    model: Annotated[str, Query(max_length=LONGEST_MODEL)] = ""
    camera: Annotated[str, Query(max_length=LONGEST_CAMERA)] = ""
    start: Annotated[str, Query(max_length=100)] = ""
    end: Annotated[str, Query(max_length=100)] = ""
    own_camera: bool = False
    at_least: Annotated[float, Query(ge=0, le=1)] = 0.0
    k: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = FEW

    @property
    def narrowed(self) -> bool:
        """Whether some tracklets are left out."""
        return bool(self.camera or self.start or self.end)

    def where(self, lookup: Lookup, query: Entry | None = None) -> Filter:
        """The filter for matches of a query, or for all tracklets.

        Raises:
            HTTPException: 400, a time cannot be read; 404, there is no such camera.
        """
        with as_bad_request():
            start, end = (read(text) if text.strip() else None for text in (self.start, self.end))
        not_camera = None
        if query is not None and not self.camera and not self.own_camera:
            not_camera = query.camera if len(lookup.stats().cameras) > 1 else None
        return Filter(
            camera=lookup.camera(self.camera), not_camera=not_camera, start=start, end=end
        )

    def state(self) -> dict[str, str | int]:
        """The parameters that bring this back in an address, defaults empty."""
        return {
            "model": self.model,
            "camera": self.camera,
            "start": self.start,
            "end": self.end,
            "own_camera": int(self.own_camera) or "",
            "at_least": f"{self.at_least:g}" if self.at_least else "",
            "k": "" if self.k == FEW else self.k,
        }


AskedFor = Annotated[Asked, Depends()]
"""The filters as an argument of an endpoint."""


@router.get("/")
def start() -> Response:
    """Go to the tracklets."""
    return RedirectResponse("/tracklets", 303)


@router.get("/tracklets")
def tracklets(
    lookup: Looked,
    asked: AskedFor,
    page: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
    forgotten: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
) -> Response:
    """Tracklets by time, 50 on a page."""
    stats = lookup.stats()
    if not stats.tracklets:
        return render("empty.html", forgotten=forgotten, left=lookup.gallery.exports.clear())
    where = asked.where(lookup)
    total = lookup.gallery.count(where)
    entries = lookup.gallery.entries(where, limit=ON_A_PAGE, offset=(page - 1) * ON_A_PAGE)
    return render(
        "tracklets.html",
        **_frame(lookup, asked),
        days=[(date, list(seen)) for date, seen in groupby(entries, lambda one: day(one.start))],
        total=total,
        rejected={each.id for each in lookup.gallery.rejected.of([one.id for one in entries])},
        page=page,
        pages=max(1, -(-total // ON_A_PAGE)),
        forgotten=forgotten,
        left=lookup.gallery.exports.clear() if forgotten else (),
    )


@router.get("/tracklet")
def tracklet(lookup: Looked, asked: AskedFor, id: Id) -> Response:
    """One tracklet and its matches."""
    query, found = _search(lookup, asked, id)
    return render(
        "tracklet.html",
        **_frame(lookup, asked),
        query=query,
        found=found,
        labels=(labels := _labels(lookup, query.id)),
        groups=groups(found, labels, asked.at_least),
        at_least=AT_LEAST,
        rejected=bool(lookup.gallery.rejected.of([id])),
    )


@router.get("/compare")
def compare(lookup: Looked, asked: AskedFor, id: Id, match: Id) -> Response:
    """A query and one of its matches side by side."""
    query, found = _search(lookup, asked, id)
    ids = [each.entry.id for each in found.matches]
    place = ids.index(match) if match in ids else None
    shown = _single(lookup, query, found.model, match) if place is None else found.matches[place]
    return render(
        "compare.html",
        **_frame(lookup, asked),
        query=query,
        found=found,
        place=place,
        match=shown,
        labels=_labels(lookup, query.id),
    )


@router.post("/tracklet")
def label_in_list(
    lookup: Looked,
    asked: AskedFor,
    id: Id,
    match: Annotated[str, Form(max_length=LONGEST_ID)],
    same: Annotated[bool, Form()],
    place: Annotated[int, Form(ge=1, le=MOST_AT_ONCE)],
) -> Response:
    """Keep a label and show the list again, at the same match."""
    lookup.label(id, match, same=same)
    return RedirectResponse(address("/tracklet", {"id": id}, asked.state()) + f"#{place}", 303)


@router.post("/compare")
def label_in_comparison(
    lookup: Looked, asked: AskedFor, id: Id, match: Id, same: Annotated[bool, Form()]
) -> Response:
    """Keep a label and show the comparison again."""
    lookup.label(id, match, same=same)
    both = {"id": id, "match": match}
    return RedirectResponse(address("/compare", both, asked.state()) + "#label", 303)


@router.get("/forget")
def ask_before_forgetting(lookup: Looked, id: Id) -> Response:
    """Ask whether to forget a tracklet, and offer those labelled as the same person."""
    alike = [other for other, same in _labels(lookup, id).items() if same]
    entries = lookup.gallery.find([id, *alike])
    if id not in entries:
        raise HTTPException(404, f"The gallery has no tracklet {id}.")
    others = [entries[other] for other in alike if other in entries]
    return render("forget.html", entry=entries[id], others=others)


@router.post("/forget")
def forget(
    lookup: Looked, id: Annotated[list[str], Form(min_length=1, max_length=MOST_AT_ONCE)]
) -> Response:
    """Forget tracklets for good."""
    return RedirectResponse(address("/tracklets", forgotten=len(lookup.forget(id))), 303)


@router.get("/labels")
def labels(lookup: Looked) -> Response:
    """What was said about matches."""
    every = lookup.gallery.labels.all()
    pairs = labelled(lookup, every[-ON_A_PAGE:])[::-1]
    rejected = lookup.gallery.rejected.all()
    latest = lookup.gallery.find([each.id for each in rejected[: -ON_A_PAGE - 1 : -1]])
    return render(
        "labels.html",
        labelled=pairs,
        total=len(every),
        rejected=list(latest.values()),
        total_rejected=len(rejected),
    )


@router.get("/about")
def about(lookup: Looked) -> Response:
    """What the gallery holds, and what it may be used for."""
    return render("about.html", stats=lookup.stats())


def _frame(lookup: Lookup, asked: Asked) -> dict[str, Any]:
    """What every page with filters needs."""
    stats = lookup.stats()
    return {
        "asked": asked,
        "state": asked.state(),
        "stats": stats,
        "model": lookup.model(asked.model),
        "clock": is_dated(stats.start),
        "counts": COUNTS,
    }


def _search(lookup: Lookup, asked: Asked, id: str) -> tuple[Entry, Found]:
    """The query and its matches, first and last those that a human has labelled."""
    query, model = lookup.entry(id), lookup.model(asked.model)
    found = lookup.matches(query, model, asked.where(lookup, query), asked.k)
    labels = _labels(lookup, id)
    order = {True: 0, None: 1, False: 2}
    return query, replace(
        found, matches=sorted(found.matches, key=lambda match: order[labels.get(match.entry.id)])
    )


def groups(
    found: Found, labels: Mapping[str, bool], at_least: float
) -> dict[str, list[tuple[int, Match]]]:
    """The ranked matches that are likely, unlikely, and not the person as a human said."""
    groups: dict[str, list[tuple[int, Match]]] = {"likely": [], "unlikely": [], "other": []}
    for rank, match in enumerate(found.matches, start=1):
        same, probability = labels.get(match.entry.id), match.probability
        unlikely = not same and probability is not None and probability < at_least
        groups["other" if same is False else "unlikely" if unlikely else "likely"].append(
            (rank, match)
        )
    return groups


def _single(lookup: Lookup, query: Entry, model: str, id: str) -> Match:
    """A match that the filters leave out, such as one that somebody was sent a link to."""
    found = lookup.matches(query, model, Filter(ids=(id,)), 1).matches
    if not found:
        raise HTTPException(404, f"The gallery has no tracklet {id} to compare with.")
    return found[0]


def _labels(lookup: Lookup, id: str) -> dict[str, bool]:
    """Whether others were labelled as the same person as this one."""
    labels: dict[str, bool] = {}
    for label in lookup.gallery.labels.all():
        if id in (label.query, label.match):
            labels[label.match if label.query == id else label.query] = label.same
    return labels
