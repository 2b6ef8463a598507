"""Pages about who is who: the questions of the review, and the people."""

from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from reseen.gallery.review import A_ROUND
from reseen.web.api import LONGEST_ID, MOST_AT_ONCE
from reseen.web.lookup import Looked
from reseen.web.pages import strips_of
from reseen.web.rendering import address, render

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Skipped = Annotated[int, Query(ge=0, le=MOST_AT_ONCE)]
FormId = Annotated[str, Form(max_length=LONGEST_ID)]


@router.get("/review")
def review(lookup: Looked, skipped: Skipped = 0) -> Response:
    """The next question, whether two are one person."""
    found = lookup.review.questions(1, skipped)
    entries = lookup.gallery.find([id for each in found for id in (each.query, each.match)])
    return render(
        "review.html",
        question=found[0] if found and len(entries) == 2 else None,
        entries=entries,
        strips=strips_of(lookup, entries.values()),
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
