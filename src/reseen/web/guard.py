"""Checks of every request before anything else sees it, and headers for every answer."""

import hmac
import math
import secrets
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import quote, urlencode

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reseen.errors import ReseenError
from reseen.web.connections import client_name
from reseen.web.rendering import content_policy, refusal, render
from reseen.web.uploads import MOST_BYTES

MOST_BYTES_WITHOUT_PICTURES = 2**18
READING = ("GET", "OPTIONS")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for every address of the machine."""

COOKIE = "reseen_token"
SHORTEST = 16
FEWEST_PIECES = 9
"""Of a token, by `_pieces`: 16 random letters and digits have 10 or more, "passwordpassword" 8."""

WRONG_FOR_FREE, LONGEST_PAUSE = 5, 60.0
"""Wrong tokens of a client before it has to pause, and seconds of its longest pause."""

MOST_CLIENTS = 10_000
"""Whose wrong tokens are counted; those who were wrong longest ago are forgotten."""

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
        clock: how to tell the time, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        token: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._everywhere = host in EVERYWHERE
        self._names = {*LOOPBACK, host.lower()}
        if self._everywhere:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._token = token
        self._session = secrets.token_urlsafe(32)  # what the cookie holds: no guess at the token
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}

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
        answer = self._refused(request, most) or RequestBodyLimitMiddleware(self.app, most)
        await answer(scope, receive, _with_headers(send))

    def _refused(self, request: Request, most: int) -> Response | None:
        if not self._is_ours(request.headers.get("host", "")):
            return refusal(request, 400, "This server does not go by that name.")
        if _is_from_elsewhere(request):
            return refusal(request, 403, "Another site may not do this.")
        if self._token is not None and (stopped := self._let_in(request, self._token)) is not None:
            return stopped
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

    def _let_in(self, request: Request, token: str) -> Response | None:
        """None for one who knows the token, else the answer that ends the request.

        People bring it in an address once, and then a cookie; programs bring it in a header.
        """
        if _equal(request.cookies.get(COOKIE, ""), self._session):
            return None
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        of_people = request.method == "GET" and not request.url.path.startswith("/api")
        in_address = request.query_params.get("token") if of_people else None
        given = bearer if kind.lower() == "bearer" else in_address
        if given is None:
            return _not_let_in(request, "Open the address that `reseen serve` has printed.")
        client = client_name(request.client.host if request.client else "")
        wrong, not_before = self._wrong.pop(client, (0, 0.0))
        if (pause := not_before - self._clock()) > 0:
            self._wrong[client] = wrong, not_before
            return _too_soon(request, pause)
        if not _equal(given, token):
            self._count(client, wrong + 1)
            return _not_let_in(request, "This is not the token.")
        return None if given is bearer else _welcome(request, self._session)

    def _count(self, client: str, wrong: int) -> None:
        """Let a client pause after wrong tokens, twice as long after each."""
        beyond = wrong - WRONG_FOR_FREE
        pause = min(2.0 ** min(beyond, 10), LONGEST_PAUSE) if beyond >= 0 else 0.0
        self._wrong[client] = wrong, self._clock() + pause
        if len(self._wrong) > MOST_CLIENTS:
            del self._wrong[next(iter(self._wrong))]


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
    origin, here = headers.get("origin"), f"{request.url.scheme}://{headers.get('host')}"
    return not reading and origin is not None and origin != here


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers["Content-Security-Policy"] = content_policy()
        await send(message)

    return sent


def checked_token(token: str | None, host: str) -> str | None:
    """The token, which any address but the machine's own needs."""
    such_as = f"such as --token {secrets.token_urlsafe(24)}"
    if token is None and host not in LOOPBACK:
        raise ReseenError(f"others can reach {host}, so the gallery needs a token there, {such_as}")
    if token is not None and len(token) < SHORTEST:
        raise ReseenError(
            f"a token of {len(token)} characters can be guessed; "
            f"take at least {SHORTEST}, {such_as}"
        )
    if token is not None and _is_pattern(token):
        raise ReseenError(
            f"a token that repeats itself can be guessed; take {SHORTEST} characters or more "
            f"that were drawn by chance, {such_as}"
        )
    return token


def _is_pattern(token: str) -> bool:
    """Whether a token repeats itself, or its steps through the alphabet do, as in "abcdef"."""
    steps = "".join(chr((ord(after) - ord(before)) % 0x110000) for before, after in pairwise(token))
    return min(_pieces(token), _pieces(steps)) < FEWEST_PIECES


def _pieces(text: str) -> int:
    """How many pieces a text falls into, each the shortest that did not begin earlier as well.

    The complexity of Lempel and Ziv (IEEE Transactions on Information Theory 22, 1976).
    """
    pieces = end = 0
    while end < len(text):
        start, end, pieces = end, end + 1, pieces + 1
        while end < len(text) and text[start:end] in text[: end - 1]:
            end += 1
    return pieces


def _welcome(request: Request, session: str) -> Response:
    """A page that sets the cookie and goes on to the same address without the token.

    A redirect would not do: browsers keep a strict cookie back all along a chain that began
    with a link on another site.
    """
    items = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    path = "/" + quote(request.url.path.lstrip("/"))
    page = render("welcome.html", target=f"{path}?{urlencode(items)}" if items else path)
    page.set_cookie(COOKIE, session, httponly=True, samesite="strict")
    return page


def _not_let_in(request: Request, detail: str) -> Response:
    return refusal(request, 401, detail, {"WWW-Authenticate": "Bearer"})


def _too_soon(request: Request, pause: float) -> Response:
    seconds = math.ceil(pause)
    detail = f"Too many wrong tokens came from there; try again in {seconds} s."
    return refusal(request, 429, detail, {"Retry-After": str(seconds)})


def _equal(given: str, known: str) -> bool:
    """Whether two secrets are equal, found in a time that tells nothing about them."""
    return hmac.compare_digest(*(sha256(each.encode()).digest() for each in (given, known)))
