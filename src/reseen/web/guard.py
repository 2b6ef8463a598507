"""Checks of every request before anything else sees it, and headers for every answer."""

from fastapi import HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reseen.web.origin import is_from_elsewhere, named_like
from reseen.web.refusal import refusal
from reseen.web.rendering import content_policy
from reseen.web.tokens import let_in
from reseen.web.uploads import MOST_BYTES

MOST_BYTES_WITHOUT_PICTURES = 2**18

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Tells other sites nothing. With no-referrer, browsers would hide the origin of this
    # page's own forms as well, and they could not be told from another site's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What was forgotten must not live on in a browser's cache.
    "Cache-Control": "no-store",
}


class Guard:
    """Lets a request through to the application or answers it.

    Args:
        app: the application.
        host: the address that is served, which decides by what names it may be called: another
            site could point a name of its own here (DNS rebinding).
        token: what a request must know; None lets in everybody who reaches the address.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None) -> None:
        self.app = app
        self._is_ours = named_like(host)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        answer = self._refused(request) or self.app
        await answer(scope, _limited(receive, _most_bytes(request)), _with_headers(send))

    def _refused(self, request: Request) -> Response | None:
        if not self._is_ours(request.headers.get("host", "")):
            return refusal(request, 400, "This server does not go by that name.")
        if is_from_elsewhere(request):
            return refusal(request, 403, "Another site may not do this.")
        if self._token is not None:
            stopped = let_in(request, self._token)
            if stopped is not None:
                return stopped
        announced, most = request.headers.get("content-length", ""), _most_bytes(request)
        if announced.isdecimal() and int(announced) > most:
            return refusal(request, 413, _too_much(most))
        return None


def _most_bytes(request: Request) -> int:
    """How long the request's body may be."""
    kind = request.headers.get("content-type", "")
    return MOST_BYTES if kind.startswith("multipart/") else MOST_BYTES_WITHOUT_PICTURES


def _too_much(most: int) -> str:
    return f"A request like this may hold {most / 2**20:g} MiB and no more."


def _limited(receive: Receive, most: int) -> Receive:
    """Count what arrives, since a request need not say its length before, and stop it."""
    arrived = 0

    async def counted() -> Message:
        nonlocal arrived
        message = await receive()
        arrived += len(message.get("body", b""))
        if arrived > most:
            raise HTTPException(413, _too_much(most))
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers["Content-Security-Policy"] = content_policy()
        await send(message)

    return sent
