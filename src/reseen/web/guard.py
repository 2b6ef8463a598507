"""Checks of every request before anything else sees it, and headers for every answer."""

import socket
from collections.abc import Collection
from ipaddress import ip_address

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reseen.errors import ReseenError
from reseen.gallery.log import BY
from reseen.web.access import READING, Access
from reseen.web.rendering import content_policy, refusal
from reseen.web.uploads import MOST_BYTES

MOST_BYTES_WITHOUT_PICTURES = 2**18
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for every address of the machine."""

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
        access: who may come in.
        names: by which it may be called besides, where a proxy stands before it.
    """

    def __init__(
        self, app: ASGIApp, host: str, access: Access, names: Collection[str] = ()
    ) -> None:
        self.app, self._access = app, access
        self._everywhere = host in EVERYWHERE
        self._names = {*LOOPBACK, host.lower(), *(name.lower() for name in names)}
        if self._everywhere:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # is answered as GET is; the server leaves the body out
            scope = {**scope, "method": "GET"}
        request = Request(scope)
        with_pictures = request.headers.get("content-type", "").startswith("multipart/")
        most = MOST_BYTES if with_pictures else MOST_BYTES_WITHOUT_PICTURES
        # A request need not say its length before, so what arrives is counted as well.
        answer = await self._refused(request, most) or RequestBodyLimitMiddleware(self.app, most)
        await answer(scope, receive, _with_headers(send))

    async def _refused(self, request: Request, most: int) -> Response | None:
        if not self._is_ours(request.headers.get("host", "")):
            return refusal(request, 400, "This server does not go by that name.")
        if _is_from_elsewhere(request):
            return refusal(request, 403, "Another site may not do this.")
        try:
            holder = await self._access.holder(request)
        except ReseenError as error:
            return refusal(request, 503, f"{error}.")
        if isinstance(holder, Response):
            return holder
        request.state.role = "manage" if holder is None else holder.role
        request.state.open = holder is None
        BY.set(None if holder is None else holder.name)
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            most_text = f"{most / 2**20:g} MiB"
            return refusal(request, 413, f"A request like this may hold {most_text} and no more.")
        return None

    def _is_ours(self, header: str) -> bool:
        """Whether a Host header calls the server by a name of its own.

        Local names and the given one are right. A server at every address of the machine may
        also be called by the machine's name and by any number: only a name can be made to point
        here by somebody else.
        """
        name = header[1:].partition("]")[0] if header[:1] == "[" else header.partition(":")[0]
        return name.lower() in self._names or (self._everywhere and _is_number(name))


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_from_elsewhere(request: Request) -> bool:
    """Whether a browser sends this for another site's page.

    Following a link to a page is no harm; posting, framing and embedding are. A program sends
    none of the headers that are looked at here (Fetch Metadata, or Origin in older browsers).
    """
    headers, reading = request.headers, request.method in READING
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return False
    if site is not None:
        how = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
        return not (reading and how == ("navigate", "document"))
    origin = headers.get("origin")  # a proxy may speak https where this server speaks http
    return not reading and origin is not None and origin.partition("://")[2] != headers.get("host")


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers["Content-Security-Policy"] = content_policy()
        await send(message)

    return sent
