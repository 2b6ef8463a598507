"""Pages about who is who: the questions of the review, and the people."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from reseen.data.pictures import data_uri
from reseen.gallery.identities import Identities
from reseen.gallery.people import Appearance, Person, perhaps_the_same
from reseen.gallery.records import Filter
from reseen.gallery.rejected import Rejection
from reseen.gallery.review import A_ROUND
from reseen.times import is_dated
from reseen.web.api import LONGEST_ID, MOST_AT_ONCE
from reseen.web.lookup import Looked, Lookup
from reseen.web.pages import MOST_PAGES, ON_A_PAGE
from reseen.web.rendering import address, render

LONGEST_NAME = 100
LIKELY = 5
"""Others who are shown as perhaps the same person."""

ACROSS = 1_000.0
"""Units from the first to the last time of a timeline, of which a short appearance gets five."""

STEPS = {"minute": 60, "10 minutes": 600, "hour": 3_600, "6 hours": 21_600, "day": 86_400}
MOST_LINES = 25

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Skipped = Annotated[int, Query(ge=0, le=MOST_AT_ONCE)]
FormId = Annotated[str, Form(max_length=LONGEST_ID)]
Name = Annotated[str, Query(max_length=LONGEST_ID)]
Page = Annotated[int, Query(ge=1, le=MOST_PAGES)]
Sought = Annotated[str, Query(max_length=LONGEST_ID)]
"""A part of the names looked for."""


@router.get("/review")
def review(lookup: Looked, skipped: Skipped = 0) -> Response:
    """The next question, whether two are one person."""
    found = lookup.review.questions(1, skipped)
    entries = lookup.gallery.find([id for each in found for id in (each.query, each.match)])
    return render(
        "review.html",
        question=found[0] if found and len(entries) == 2 else None,
        entries=entries,
        answers=lookup.review.answers,
        a_round=A_ROUND,
        changes=lookup.review.changes(),
        skipped=skipped,
    )


@router.post("/review")
def answer(
    lookup: Looked,
    query: FormId,
    match: FormId,
    same: Annotated[bool, Form()],
    skipped: Skipped = 0,
) -> Response:
    """Keep an answer and ask the next question."""
    lookup.answer(query, match, same=same)
    return RedirectResponse(address("/review", skipped=skipped or None), 303)


@router.post("/review/undo")
def undo(lookup: Looked, skipped: Skipped = 0) -> Response:
    """Take the last answer back, and ask again."""
    lookup.review.undo()
    return RedirectResponse(address("/review", skipped=skipped or None), 303)


@router.get("/people")
def people(
    lookup: Looked,
    page: Page = 1,
    name: Sought = "",
    rejected: Annotated[float | None, Query(allow_inf_nan=False)] = None,
) -> Response:
    """People by when they were last seen, 50 on a page."""
    gallery = lookup.gallery
    model = Identities(gallery).model  # says why nobody can be told from anybody
    without = Filter(not_ids=gallery.rejected.ids())
    waiting = gallery.count(without, model) - gallery.members.count()
    return _listed(
        lookup,
        page,
        name,
        waiting=max(waiting, 0),
        rejected=gallery.rejected.at(rejected) if rejected is not None else [],
    )


@router.get("/person/merge")
def whom_to_merge(lookup: Looked, identity: Name, page: Page = 1, name: Sought = "") -> Response:
    """The same list, to pick who is the same person as somebody."""
    return _listed(lookup, page, name, merging=lookup.person(identity))


def _listed(
    lookup: Lookup,
    page: int,
    name: str,
    waiting: int = 0,
    merging: Person | None = None,
    rejected: Sequence[Rejection] = (),
) -> Response:
    names = lookup.directory.called(name)
    return render(
        "people.html",
        people=lookup.directory.people(names, ON_A_PAGE, (page - 1) * ON_A_PAGE),
        total=len(names),
        waiting=waiting,
        merging=merging,
        rejected=rejected,
        state={"identity": merging.identity if merging else "", "name": name},
        page=page,
        pages=max(1, -(-len(names) // ON_A_PAGE)),
    )


@router.post("/people")
def identify(lookup: Looked) -> Response:
    """Put all together as people, or let those join who are new."""
    identities = Identities(lookup.gallery)
    identities.catch_up() if lookup.identified else identities.identify()
    return RedirectResponse("/people", 303)


@router.get("/person")
def person(lookup: Looked, identity: Name, page: Page = 1) -> Response:
    """Somebody's appearances over cameras and hours, 50 on a page, and who may be the same."""
    found, identities = lookup.person(identity), Identities(lookup.gallery)
    likely = perhaps_the_same(identities, found, LIKELY)
    others = {each.other if each.identity == identity else each.identity: each for each in likely}
    return render(
        "person.html",
        person=found,
        before=(before := (page - 1) * ON_A_PAGE),
        shown=(shown := found.appearances[before : before + ON_A_PAGE]),
        page=page,
        pages=max(1, -(-len(found.appearances) // ON_A_PAGE)),
        times=timeline(found),
        labels=_labels(lookup, found, shown),
        likely=[(lookup.person(name), each.probability) for name, each in others.items()],
    )


@router.post("/person")
def label(lookup: Looked, identity: Name, id: FormId, same: Annotated[bool, Form()]) -> Response:
    """Keep an appearance with the person, or split it off."""
    other = lookup.person(identity).beside(id)
    if other is None:
        raise HTTPException(400, "Nobody can be told from the only appearance there is.")
    lookup.label(other, id, same=same)
    return RedirectResponse(address("/person", identity=identity), 303)


@router.post("/person/confirm")
def confirm(lookup: Looked, identity: Name) -> Response:
    """Label all appearances as the same person."""
    found = lookup.person(identity)
    every = [each.entry.id for each in found.appearances]
    Identities(lookup.gallery).label(found.best.id, every, same=True)
    return RedirectResponse(address("/person", identity=identity), 303)


@router.post("/person/reject")
def reject_person(lookup: Looked, identity: Name) -> Response:
    """Label all appearances as not a person."""
    ids = [each.entry.id for each in lookup.person(identity).appearances]
    return RedirectResponse(address("/people", rejected=repr(lookup.reject(ids))), 303)


@router.post("/people/restore")
def restore_people(lookup: Looked, time: Annotated[float, Form()]) -> Response:
    """Take back what was rejected at one time."""
    lookup.restore([each.id for each in lookup.gallery.rejected.at(time)])
    return RedirectResponse("/people", 303)


@router.post("/tracklet/reject")
def reject(lookup: Looked, id: FormId) -> Response:
    """Label an appearance as not a person."""
    lookup.reject([id])
    return RedirectResponse(address("/tracklet", id=id), 303)


@router.post("/tracklet/restore")
def restore(lookup: Looked, id: FormId) -> Response:
    """Take that label back."""
    lookup.restore([id])
    return RedirectResponse(address("/tracklet", id=id), 303)


@router.post("/person/merge")
def merge(
    lookup: Looked, identity: Name, other: Annotated[str, Form(max_length=LONGEST_ID)]
) -> Response:
    """Make one of two people."""
    one, two = lookup.person(identity), lookup.person(other)
    if one == two:
        raise HTTPException(400, f"{identity} is one person already.")
    Identities(lookup.gallery).merge(one.best.id, two.best.id, (identity, other))
    (merged,) = {member.identity for member in lookup.gallery.members.of([one.best.id])}
    return RedirectResponse(address("/person", identity=merged), 303)


@router.post("/person/name")
def name(
    lookup: Looked,
    identity: Name,
    name: Annotated[str, Form(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")],
) -> Response:
    """Call somebody by a name."""
    lookup.person(identity)
    Identities(lookup.gallery).name(identity, name.strip())
    return RedirectResponse(address("/person", identity=name.strip()), 303)


@router.get("/person/sheet")
def sheet(lookup: Looked, identity: Name) -> Response:
    """Somebody's appearances as a page that needs nothing beside it, to be kept or printed."""
    found = lookup.person(identity)
    ids = [each.entry.id for each in found.appearances]
    lookup.gallery.logged("export", Filter(ids=tuple(ids)))
    lookup.gallery.exports.downloaded("person.html", ids)
    strips = {id: data_uri(strip) for id, strip in lookup.gallery.thumbnails(ids).items()}
    page = render("sheet.html", person=found, times=timeline(found), strips=strips)
    page.headers["Content-Disposition"] = 'attachment; filename="person.html"'
    return page


def _labels(lookup: Looked, person: Person, shown: Sequence[Appearance]) -> dict[str, bool]:
    """Which appearances a human has confirmed, by the label that the page's buttons give."""
    every = {frozenset((label.query, label.match)): label for label in lookup.gallery.labels.all()}
    found = dict[str, bool]()
    for each in shown:
        label = every.get(frozenset((each.entry.id, person.beside(each.entry.id) or "")))
        found |= {each.entry.id: label.same} if label else {}
    return found


@dataclass(frozen=True)
class Timeline:
    """When somebody was seen by which camera, drawn from 0 to `ACROSS`.

    Attributes:
        start, end: the first and last time.
        lanes: of each camera: where its appearances begin and how wide they are, with the
            number of each among the person's.
        lines: where the steps of the clock are.
        step: the time from one to the next, in words; empty for no lines.
    """

    start: float
    end: float
    lanes: dict[str, list[tuple[float, float, int]]]
    lines: list[float]
    step: str


def timeline(person: Person) -> Timeline | None:
    """Lay appearances out over time; undated ones where no other is. None without any time."""
    spans = [
        (number, each.entry.camera, each.entry.start, each.entry.end or each.entry.start)
        for number, each in enumerate(person.appearances, start=1)
        if each.entry.start is not None
    ]
    dated = any(is_dated(start) for _, _, start, _ in spans)
    spans = [span for span in spans if is_dated(span[2]) == dated]
    if not spans:
        return None
    first, last = min(span[2] for span in spans), max(span[3] for span in spans)
    scale = ACROSS / max(last - first, 1.0)
    lanes = defaultdict[str, list[tuple[float, float, int]]](list)
    for number, camera, start, end in spans:
        width = max((end - start) * scale, 5.0)
        lanes[camera].append((min((start - first) * scale, ACROSS - width), width, number))
    fitting = [(name, step) for name, step in STEPS.items() if (last - first) / step <= MOST_LINES]
    name, step = fitting[0] if fitting else ("", 0)
    ticks = range(int(-(-first // step)), int(last // step) + 1) if step else ()
    return Timeline(
        first, last, dict(sorted(lanes.items())), [(t * step - first) * scale for t in ticks], name
    )
