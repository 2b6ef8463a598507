"""The gallery for people: pages that work without a script and keep their state in the address."""

import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from reseen.gallery.records import Entry, Filter, Match
from reseen.gallery.settings import Role
from reseen.times import day, is_dated, read
from reseen.web.asked import (
    FEW,
    LONGEST_CAMERA,
    LONGEST_MODEL,
    MOST_AT_ONCE,
    ON_A_PAGE,
    FormId,
    FormName,
    Id,
    Page,
    Said,
    Shown,
    paged,
)
from reseen.web.lookup import Found, Looked, Lookup, Named, refused
from reseen.web.rendering import go, render

COUNTS = (10, FEW, 50, 100, MOST_AT_ONCE)
AT_LEAST = (0.25, 0.5, 0.75, 0.9, 0.95)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Days = Annotated[str, Form(max_length=20, pattern=r"^\s*([0-9]+(\.[0-9]+)?)?\s*$")]


@dataclass(frozen=True)
class Asked:
    """What the filters of a page are set to; empty texts are not set.

    Attributes:
        model: whose embeddings are meant.
        start, end: a time window, as people write times.
        own_camera: also look in the query's own camera.
        at_least: matches with a smaller probability are called unlikely.
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
        """The filter for matches of a query, or for all tracklets."""
        with refused():  # a time that cannot be read
            start, end = (read(text) if text.strip() else None for text in (self.start, self.end))
        not_camera = None
        if query is not None and not self.camera and not self.own_camera:
            not_camera = query.camera if len(lookup.stats().cameras) > 1 else None
        return Filter(
            camera=lookup.camera(self.camera), not_camera=not_camera, start=start, end=end
        )

    def state(self) -> dict[str, Any]:
        """The parameters that bring this back in an address, defaults empty."""
        return asdict(self) | {
            "own_camera": int(self.own_camera),
            "at_least": f"{self.at_least:g}" if self.at_least else "",
            "k": "" if self.k == FEW else self.k,
        }


AskedFor = Annotated[Asked, Depends()]
"""The filters as an argument of an endpoint."""


@router.get("/")
def start() -> Response:
    """Go to the tracklets."""
    return go("/tracklets")


@router.get("/tracklets")
def tracklets(
    lookup: Looked,
    asked: AskedFor,
    page: Page = 1,
    forgotten: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
) -> Response:
    """Tracklets by time, 50 on a page."""
    if not lookup.stats().tracklets:
        return empty("/tracklets", "Appearances", forgotten, lookup.gallery.exports.left())
    where = asked.where(lookup)
    total = lookup.gallery.count(where)
    at = paged(page, total)
    entries = lookup.gallery.entries(where, limit=ON_A_PAGE, offset=at["before"])
    return render(
        "tracklets.html",
        **_frame(lookup, asked),
        days=[(date, list(seen)) for date, seen in groupby(entries, lambda one: day(one.start))],
        total=total,
        rejected={each.id for each in lookup.gallery.rejected.of([one.id for one in entries])},
        **at,
        forgotten=forgotten,
        left=lookup.gallery.exports.left() if forgotten else (),
    )


def empty(path: str, title: str, forgotten: int = 0, left: Collection[str] = ()) -> Response:
    """The page at a path while the gallery holds nobody."""
    return render("empty.html", path=path, title=title, forgotten=forgotten, left=left)


@router.get("/tracklet")
def tracklet(lookup: Looked, asked: AskedFor, query: Named) -> Response:
    """One tracklet and its matches."""
    searched = _search(lookup, asked, query)
    return render(
        "tracklet.html",
        **searched,
        groups=groups(searched["found"], searched["labels"], asked.at_least),
        at_least=AT_LEAST,
        rejected=bool(lookup.gallery.rejected.of([query.id])),
        belongs=lookup.gallery.members.of([query.id]),
    )


@router.get("/compare")
def compare(lookup: Looked, asked: AskedFor, query: Named, match: Id) -> Response:
    """A query and one of its matches side by side."""
    searched = _search(lookup, asked, query)
    found: Found = searched["found"]
    ids = [each.entry.id for each in found.matches]
    place = ids.index(match) if match in ids else None
    if place is None:  # left out by the filters, but somebody was sent a link to it
        found = lookup.matches(query, found.model, Filter(ids=(match,)), 1)
        if not found.matches:
            raise HTTPException(404, f"The gallery has no tracklet {match} to compare with.")
    return render("compare.html", **searched, place=place, match=found.matches[place or 0])


@router.post("/tracklet")
def label_in_list(
    lookup: Looked,
    asked: AskedFor,
    id: Id,
    match: FormId,
    same: Said,
    place: Annotated[int, Form(ge=1, le=MOST_AT_ONCE)],
    shown: Shown = None,
) -> Response:
    """Keep a label and show the list again, at the same match."""
    lookup.say(id, match, same, shown)
    return go("/tracklet", {"id": id}, asked.state(), at=f"#{place}")


@router.post("/compare")
def label_in_comparison(
    lookup: Looked, asked: AskedFor, id: Id, match: Id, same: Said, shown: Shown = None
) -> Response:
    """Keep a label and show the comparison again."""
    lookup.say(id, match, same, shown)
    return go("/compare", {"id": id, "match": match}, asked.state(), at="#label")


@router.post("/tracklet/reject")
def reject(lookup: Looked, id: FormId) -> Response:
    """Label a tracklet as not a person."""
    lookup.reject(id)
    return go("/tracklet", id=id)


@router.post("/tracklet/restore")
def restore(lookup: Looked, id: FormId) -> Response:
    """Take that label back."""
    lookup.restore(id)
    return go("/tracklet", id=id)


@router.get("/forget")
def ask_before_forgetting(lookup: Looked, entry: Named) -> Response:
    """Ask whether to forget a tracklet, and offer those labelled as the same person."""
    alike = [other for other, same in _labels(lookup, entry.id).items() if same]
    found = lookup.gallery.find(alike)
    others = [found[other] for other in alike if other in found]
    return render("forget.html", entry=entry, others=others)


@router.post("/forget")
def forget(
    lookup: Looked, id: Annotated[list[str], Form(min_length=1, max_length=MOST_AT_ONCE)]
) -> Response:
    """Forget tracklets for good."""
    return go("/tracklets", forgotten=len(lookup.forget(id)))


@router.get("/labels")
def labels(lookup: Looked) -> Response:
    """What was said about matches."""
    every, rejected = lookup.gallery.labels.all(), lookup.gallery.rejected.all()
    latest = lookup.gallery.find([each.id for each in rejected[: -ON_A_PAGE - 1 : -1]])
    return render(
        "labels.html",
        labelled=lookup.labelled(every[-ON_A_PAGE:])[::-1],
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


def _search(lookup: Lookup, asked: Asked, query: Entry) -> dict[str, Any]:
    """The query and its matches, first and last those that a human has labelled."""
    model = lookup.model(asked.model)
    found = lookup.matches(query, model, asked.where(lookup, query), asked.k)
    labels, order = _labels(lookup, query.id), {True: 0, None: 1, False: 2}
    matches = sorted(found.matches, key=lambda match: order[labels.get(match.entry.id)])
    shown = {"query": query, "found": replace(found, matches=matches), "labels": labels}
    return _frame(lookup, asked) | shown


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


def _labels(lookup: Lookup, id: str) -> dict[str, bool]:
    """Whether others were labelled as the same person as this one."""
    return {
        label.match if label.query == id else label.query: label.same
        for label in lookup.gallery.labels.all()
        if id in (label.query, label.match)
    }


@router.get("/settings")
def settings(lookup: Looked, request: Request) -> Response:
    """What all who use the gallery agree on, and forms to change it for those who may."""
    return _settings(lookup, request)


@router.post("/settings/keep")
def keep(lookup: Looked, days: Days = "", sure: Annotated[bool, Form()] = False) -> Response:
    """Set for how long tracklets are kept; those beyond it are forgotten at once."""
    if not sure:
        raise HTTPException(400, "Say that those beyond the time are to be forgotten at once.")
    with refused():
        lookup.gallery.settings.set_retention_days(float(days) if days.strip() else None)
    lookup.gallery.forgetting.expire(time.time())
    return go("/settings")


@router.post("/settings/log")
def keep_log(lookup: Looked, days: Days = "") -> Response:
    """Set for how long lines of the log are kept."""
    with refused():
        lookup.gallery.settings.set_log_days(float(days) if days.strip() else None)
    lookup.gallery.forgetting.expire()
    return go("/settings")


@router.post("/settings/token")
def make_token(
    lookup: Looked, request: Request, name: FormName, role: Annotated[Role, Form()]
) -> Response:
    """Make a token and show it, this once."""
    tokens = lookup.gallery.tokens
    if role == "look" and request.state.open and not tokens.all():
        raise HTTPException(400, "The first token must manage, or nobody could from here.")
    with refused():
        made = tokens.new(name.strip(), role)
    return _settings(lookup, request, name.strip(), made)


@router.post("/settings/revoke")
def revoke(lookup: Looked, name: FormName) -> Response:
    """Let nobody in by a token any more."""
    with refused():
        lookup.gallery.tokens.revoke(name)
    return go("/settings")


def _settings(lookup: Lookup, request: Request, name: str = "", made: str = "") -> Response:
    return render(
        "settings.html",
        stats=lookup.stats(),
        log_days=lookup.gallery.settings.log_days,
        doubt=lookup.gallery.forgetting.doubt,
        embeddable=lookup.embeddable(),
        tokens=lookup.gallery.tokens.all(),
        manages=request.state.role == "manage",
        name=name,
        made=made,
    )
