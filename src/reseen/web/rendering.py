"""Templates and addresses of the pages, and saying no: as a page to people, as JSON to programs."""

from base64 import b64encode
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reseen.data.colour_histogram import STRIPES
from reseen.errors import ConflictError, ReseenError, many
from reseen.times import show, span

REFUSALS = {
    400: ("That did not make sense", "The request makes no sense."),
    401: ("This gallery asks for a token", "The token is missing or wrong."),
    403: ("Not allowed", "Another site asks, or the token may only look."),
    404: ("Not here", "The gallery does not have it."),
    405: ("Not this way", ""),
    409: ("That does not go together", "It contradicts what the gallery holds."),
    413: ("Too much at once", "The request is too large."),
    415: ("Not this kind of file", ""),
    422: ("That did not make sense", "A parameter does not fit."),
    429: ("Not so soon", "Too many wrong tokens came from there."),
    503: ("The gallery cannot answer", "The gallery is damaged or its disk is full."),
}
"""The title of each refusal for people, and what it says to programs that any call may get it."""


class Problem(BaseModel):
    """What is wrong with a request."""

    detail: str = Field(description="One line for people.")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, (_, description) in REFUSALS.items()
    if description
}


def render(
    template: str,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    /,
    **values: Any,
) -> HTMLResponse:
    """A page made from a template; whatever goes into it is escaped."""
    return HTMLResponse(environment().get_template(template).render(values), status_code, headers)


def address(path: str, *asked: Mapping[str, Any], **more: Any) -> str:
    """The path with its parameters; later ones replace earlier ones, empty ones are left out."""
    given = {name: value for name, value in ChainMap(more, *reversed(asked)).items() if value}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def go(path: str, *asked: Mapping[str, Any], at: str = "", **more: Any) -> Response:
    """Send the browser on to a page, once what it has posted is done."""
    return RedirectResponse(address(path, *asked, **more) + at, 303)


@cache
def content_policy() -> str:
    """What a browser may load and run for a page: its own styles and script and nothing else.

    Both are part of the page and known by their hashes. A page is a single answer then, which
    is soon painted, and nothing that found its way into one would be run.
    """
    return (
        "default-src 'none'; img-src 'self' data:; "
        f"style-src '{_hash(_text('page.css'))}'; script-src '{_hash(_text('page.js'))}'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@cache
def environment() -> Environment:
    """The templates, with what they may call."""
    made = Environment(
        loader=PackageLoader("reseen.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(address=address, span=span, STRIPES=STRIPES)
    made.globals.update(styles=Markup(_text("page.css")), script=Markup(_text("page.js")))
    made.filters.update(show=show, many=many, percent=_percent)
    return made


def _text(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _percent(probability: float) -> str:
    """A probability as a person reads it; never quite none and never quite sure."""
    if probability < 0.01:
        return "below 1 %"
    return "above 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def refusal(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer a request with what is wrong."""
    if request.url.path.startswith("/api"):
        return JSONResponse({"detail": detail}, status, headers)
    title, _ = REFUSALS.get(status, ("Something is wrong", ""))
    back = _came_from(request)
    return render(
        "refusal.html", status, headers, title=title, status=status, detail=detail, back=back
    )


def _came_from(request: Request) -> str | None:
    """The page with the form that was refused, where it is one of ours."""
    page = urlsplit(request.headers.get("referer", ""))
    if request.method != "POST" or page.netloc != request.headers.get("host"):
        return None
    return urlunsplit(("", "", "/" + page.path.lstrip("/"), page.query, ""))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what an endpoint refused, or an address that does not exist."""
    assert isinstance(error, HTTPException)
    no_page = error.status_code == 404 and error.detail == "Not Found"
    detail = f"There is nothing at {request.url.path}." if no_page else error.detail
    return refusal(request, error.status_code, detail, error.headers)


async def on_bad_request(request: Request, error: Exception) -> Response:
    """Answer parameters that do not fit, naming each of them."""
    assert isinstance(error, RequestValidationError)
    faults = [(".".join(map(str, fault["loc"][1:])), fault["msg"]) for fault in error.errors()]
    detail = "; ".join(f"{name}: {message}" if name else message for name, message in faults)
    return refusal(request, 422, f"{detail}.")


async def on_gallery_error(request: Request, error: Exception) -> Response:
    """Answer for a gallery that is damaged or whose disk is full, or that was told otherwise."""
    assert isinstance(error, ReseenError)
    return refusal(request, 409 if isinstance(error, ConflictError) else 503, f"{error}.")
