"""Saying no: as a page to people, as JSON to programs."""

from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reseen.errors import ReseenError
from reseen.web.rendering import render

TITLES = {
    400: "That did not make sense",
    401: "This gallery asks for a token",
    403: "Not from there",
    404: "Not here",
    405: "Not this way",
    409: "Not with this model",
    413: "Too much at once",
    415: "Not this kind of file",
    422: "That did not make sense",
    503: "The gallery cannot answer",
}


class Problem(BaseModel):
    """What is wrong with a request."""

    detail: str = Field(description="One line for people.")


def refusal(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer a request with what is wrong."""
    if request.url.path.startswith("/api"):
        return JSONResponse({"detail": detail}, status, headers)
    title = TITLES.get(status, "Something is wrong")
    return render("refusal.html", status, headers, title=title, status=status, detail=detail)


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
    """Answer for a gallery that is damaged or whose disk is full."""
    assert isinstance(error, ReseenError)
    return refusal(request, 503, f"{error}.")
