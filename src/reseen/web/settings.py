"""What all who use the gallery agree on: how long things are kept, and who may come in."""

import time
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from reseen.gallery.tokens import Role, Tokens
from reseen.web.lookup import Looked, Lookup, as_bad_request
from reseen.web.rendering import render

LONGEST_NAME = 100

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Days = Annotated[str, Form(max_length=20, pattern=r"^\s*([0-9]+(\.[0-9]+)?)?\s*$")]
Name = Annotated[str, Form(min_length=1, max_length=LONGEST_NAME)]


@router.get("/settings")
def settings(lookup: Looked, request: Request) -> Response:
    """What is set, and forms to change it for those who may."""
    return _page(lookup, request)


@router.post("/settings/keep")
def keep(lookup: Looked, days: Days = "", sure: Annotated[bool, Form()] = False) -> Response:
    """Set for how long tracklets are kept; those beyond it are forgotten at once."""
    if not sure:
        raise HTTPException(400, "Say that those beyond the time are to be forgotten at once.")
    with as_bad_request():
        lookup.gallery.set_retention_days(_days(days))
    lookup.gallery.expire(time.time())
    return RedirectResponse("/settings", 303)


@router.post("/settings/log")
def keep_log(lookup: Looked, days: Days = "") -> Response:
    """Set for how long lines of the log are kept."""
    with as_bad_request():
        lookup.gallery.set_log_days(_days(days))
    lookup.gallery.expire(time.time())
    return RedirectResponse("/settings", 303)


@router.post("/settings/token")
def make_token(
    lookup: Looked, request: Request, name: Name, role: Annotated[Role, Form()]
) -> Response:
    """Make a token and show it, this once."""
    tokens = Tokens(lookup.gallery)
    if role == "look" and request.state.open and not tokens.all():
        raise HTTPException(400, "The first token must manage, or nobody could from here.")
    with as_bad_request():
        made = tokens.new(name.strip(), role)
    return _page(lookup, request, name.strip(), made)


@router.post("/settings/revoke")
def revoke(lookup: Looked, name: Name) -> Response:
    """Let nobody in by a token any more."""
    with as_bad_request():
        Tokens(lookup.gallery).revoke(name)
    return RedirectResponse("/settings", 303)


def _page(lookup: Lookup, request: Request, name: str = "", made: str = "") -> Response:
    gallery = lookup.gallery
    return render(
        "settings.html",
        stats=lookup.stats(),
        log_days=gallery.settings.log_days,
        doubt=gallery.doubt,
        embeddable=lookup.embeddable(),
        tokens=Tokens(gallery).all(),
        manages=request.state.role == "manage",
        name=name,
        made=made,
    )


def _days(text: str) -> float | None:
    """A number of days; None for an empty field."""
    return float(text) if text.strip() else None
