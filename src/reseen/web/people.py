"""Pages about who is who: the questions of the review, and the people."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from reseen.data.pictures import data_uri
from reseen.gallery.identities import Identities
from reseen.gallery.people import A_ROUND, Appearance, Person, perhaps_the_same
from reseen.gallery.records import Filter
from reseen.gallery.registers import Rejection
from reseen.times import is_dated
from reseen.web.asked import (
    LONGEST_NAME,
    ON_A_PAGE,
    FormId,
    FormName,
    Identity,
    Page,
    Said,
    Same,
    Shown,
    Skipped,
    paged,
)
from reseen.web.lookup import Looked, Lookup, Somebody
from reseen.web.pages import empty
from reseen.web.rendering import go, render

LIKELY = 5
"""Others who are shown as perhaps the same person."""

ACROSS = 1_000.0
"""Units from the first to the last time of a timeline, of which a short appearance gets five."""

FINEST = 1.0
"""Appearances that begin nearer to each other than so many units are drawn as one."""

ON_A_SHEET = 500
"""Appearances on a sheet at most, the first ones: more pictures than a browser likes to print."""

STEPS = {"minute": 60, "10 minutes": 600, "hour": 3_600, "6 hours": 21_600, "day": 86_400}
MOST_LINES = 25

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/review")
def review(lookup: Looked, skipped: Skipped = 0) -> Response:
    """The next question, whether two are one person."""
    if nobody := _nobody_yet(lookup, "/review", "Review"):
        return nobody
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


def _nobody_yet(lookup: Lookup, path: str, title: str) -> Response | None:
    """The page at a path while nobody can be told from anybody; None where that can be done."""
    if not lookup.stats().tracklets:
        return empty(path, title)
    if not lookup.gallery.settings.calibrations():
        return render("uncalibrated.html", path=path, title=title)
    return None


@router.post("/review")
def answer(
    lookup: Looked, query: FormId, match: FormId, same: Same, skipped: Skipped = 0
) -> Response:
    """Keep an answer and ask the next question."""
    lookup.answer(query, match, same=same)
    return go("/review", skipped=skipped)


@router.post("/review/undo")
def undo(lookup: Looked, answers: Annotated[int, Form(ge=0)], skipped: Skipped = 0) -> Response:
    """Take the last answer back, and ask again."""
    lookup.undo(answers)
    return go("/review", skipped=skipped)


@router.get("/people")
def people(
    lookup: Looked,
    page: Page = 1,
    name: Identity = "",
    rejected: Annotated[float | None, Query(allow_inf_nan=False)] = None,
) -> Response:
    """People by when they were last seen, 50 on a page."""
    gallery = lookup.gallery
    if nobody := _nobody_yet(lookup, "/people", "People"):
        return nobody
    model = Identities(gallery).model  # says why nobody can be told from anybody
    waiting = gallery.count(gallery.of_people(), model) - gallery.members.count()
    return _listed(
        lookup,
        page,
        name,
        waiting=max(waiting, 0),
        rejected=gallery.rejected.of([rejected], "time") if rejected is not None else [],
    )


@router.get("/person/merge")
def whom_to_merge(
    lookup: Looked, somebody: Somebody, page: Page = 1, name: Identity = ""
) -> Response:
    """The same list, to pick who is the same person as somebody."""
    return _listed(lookup, page, name, merging=somebody)


def _listed(
    lookup: Lookup,
    page: int,
    name: str,
    waiting: int = 0,
    merging: Person | None = None,
    rejected: Sequence[Rejection] = (),
) -> Response:
    names = lookup.directory.called(name)
    at = paged(page, len(names))
    return render(
        "people.html",
        people=lookup.directory.people(names, ON_A_PAGE, at["before"]),
        total=len(names),
        waiting=waiting,
        merging=merging,
        rejected=rejected,
        state={"identity": merging.identity if merging else "", "name": name},
        **at,
    )


@router.post("/people")
def identify(lookup: Looked) -> Response:
    """Put all together as people, or let those join who are new."""
    identities = Identities(lookup.gallery)
    identities.catch_up() if lookup.identified else identities.identify()
    return go("/people")


@router.post("/people/restore")
def restore_people(lookup: Looked, time: Annotated[float, Form()]) -> Response:
    """Take back what was rejected at one time."""
    lookup.restore(*(each.id for each in lookup.gallery.rejected.of([time], "time")))
    return go("/people")


@router.get("/person")
def person(
    lookup: Looked,
    somebody: Somebody,
    page: Page = 1,
    parted: Identity = "",
    undo: Annotated[Literal["yes", "nothing"], Query()] = "nothing",
    merged: Annotated[list[Identity], Query(max_length=4)] = [],  # noqa: B006
) -> Response:
    """Somebody's appearances over cameras and hours, 50 on a page, and who may be the same."""
    lookup.gallery.logged("person", Filter(ids=(somebody.best.id,)))
    at = paged(page, len(somebody.seen))
    shown = somebody.appearances(ON_A_PAGE, at["before"])
    likely = perhaps_the_same(Identities(lookup.gallery), somebody, LIKELY)
    own = somebody.identity
    others = {each.other if each.identity == own else each.identity: each for each in likely}
    return render(
        "person.html",
        person=somebody,
        shown=shown,
        **at,
        times=timeline(somebody),
        labels=_labels(lookup, somebody, shown),
        likely=[(lookup.person(name), each.probability) for name, each in others.items()],
        parted=lookup.gallery.members.of([parted]),
        undo=undo,
        merged=merged if len(merged) == 4 and lookup.gallery.labels.said(*merged[:2]) else (),
    )


@router.post("/person")
def label(
    lookup: Looked, somebody: Somebody, id: FormId, same: Said, shown: Shown = None
) -> Response:
    """Keep an appearance with the person, or split it off, or take that back."""
    other = somebody.beside(id)
    if other is None:
        raise HTTPException(400, "Nobody can be told from the only appearance there is.")
    lookup.say(other, id, same, shown)
    homes = {member.id: member.identity for member in lookup.gallery.members.of([id, other])}
    if same == "no" and homes[id] == somebody.identity != homes[other]:
        Identities(lookup.gallery).swap_names(*homes.values())  # the name stays with the others
    told = {"parted": id, "undo": "yes" if shown == "yes" else ""} if same == "no" else {}
    return go("/person", told, identity=somebody.identity)


@router.post("/person/confirm")
def confirm(lookup: Looked, somebody: Somebody) -> Response:
    """Label all appearances as the same person."""
    Identities(lookup.gallery).label(somebody.best.id, somebody.ids, same=True)
    return go("/person", identity=somebody.identity)


@router.post("/person/reject")
def reject_person(lookup: Looked, somebody: Somebody) -> Response:
    """Label all appearances as not a person."""
    return go("/people", rejected=repr(lookup.reject(*somebody.ids)))


@router.post("/person/merge")
def merge(lookup: Looked, somebody: Somebody, other: FormId) -> Response:
    """Make one of two people."""
    one, two = somebody, lookup.person(other)
    if one.identity == two.identity:
        raise HTTPException(400, f"{other} is one person already.")
    Identities(lookup.gallery).merge(one.best.id, two.best.id, (one.identity, other))
    (merged,) = {member.identity for member in lookup.gallery.members.of([one.best.id])}
    before = one.best.id, two.best.id, one.identity, two.identity
    return go("/person", identity=merged, merged=before)


@router.post("/person/part")
def part(
    lookup: Looked,
    one: FormId,
    two: FormId,
    names: Annotated[list[FormName], Form(min_length=2, max_length=2)],
) -> Response:
    """Take a merge back: the two are called again what they were."""
    lookup.label(one, two, same=None)
    homes = {member.id: member.identity for member in lookup.gallery.members.of([one, two])}
    if len(set(homes.values())) == 2:
        before = zip((one, two), names, strict=True)
        # The one that took over a name gives it back before the other gets it.
        for id, name in sorted(before, key=lambda each: homes[each[0]] not in names):
            Identities(lookup.gallery).name(homes[id], name)
    return go("/person", identity=names[0])


@router.post("/person/name")
def name(
    lookup: Looked,
    somebody: Somebody,
    name: Annotated[str, Form(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")],
) -> Response:
    """Call somebody by a name."""
    Identities(lookup.gallery).name(somebody.identity, name.strip())
    return go("/person", identity=name.strip())


@router.get("/person/sheet")
def sheet(lookup: Looked, somebody: Somebody) -> Response:
    """Somebody's appearances as a page that needs nothing beside it, to be kept or printed."""
    shown = somebody.appearances(ON_A_SHEET)
    ids = [each.entry.id for each in shown]
    lookup.gallery.logged("export", Filter(ids=tuple(ids)))
    lookup.gallery.exports.downloaded("person.html", ids)
    strips = {id: data_uri(strip) for id, strip in lookup.gallery.thumbnails(ids).items()}
    times = timeline(somebody)
    page = render("sheet.html", person=somebody, shown=shown, times=times, strips=strips)
    page.headers["Content-Disposition"] = 'attachment; filename="person.html"'
    return page


def _labels(lookup: Looked, person: Person, shown: Sequence[Appearance]) -> dict[str, bool]:
    """Which appearances a human has confirmed, by the label that the page's buttons give."""
    every, found = lookup.gallery.labels.by_pair(), dict[str, bool]()
    for each in shown:
        label = every.get(frozenset((each.entry.id, person.beside(each.entry.id) or "")))
        found |= {each.entry.id: label.same} if label else {}
    return found


@dataclass(frozen=True)
class Timeline:
    """When somebody was seen by which camera, drawn from 0 to `ACROSS`.

    Attributes:
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
    columns = (person.seen[name].to_pylist() for name in ("camera", "start_time", "end_time"))
    spans = [
        (number, camera, start, end or start)
        for number, (camera, start, end) in enumerate(zip(*columns, strict=True), start=1)
        if start is not None
    ]
    dated = any(is_dated(start) for _, _, start, _ in spans)
    spans = [span for span in spans if is_dated(span[2]) == dated]
    if not spans:
        return None
    first, last = min(span[2] for span in spans), max(span[3] for span in spans)
    scale = ACROSS / max(last - first, 1.0)
    lanes = defaultdict[str, list[tuple[float, float, int]]](list)
    for number, camera, start, end in spans:
        left, width, lane = (start - first) * scale, max((end - start) * scale, 5.0), lanes[camera]
        left = min(left, ACROSS - width)
        if lane and left - lane[-1][0] < FINEST:  # nobody could see it beside that one
            left, wide, number = lane.pop()
            width = max(wide, width)
        lane.append((left, width, number))
    fitting = [(name, step) for name, step in STEPS.items() if (last - first) / step <= MOST_LINES]
    name, step = fitting[0] if fitting else ("", 0)
    ticks = range(int(-(-first // step)), int(last // step) + 1) if step else ()
    return Timeline(
        first, last, dict(sorted(lanes.items())), [(t * step - first) * scale for t in ticks], name
    )
