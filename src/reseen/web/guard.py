"""Checks of every request before anything else sees it, and headers for every answer.

Who may come in, and what for: tokens, their cookies, and pauses after wrong ones.
"""

import hmac
import math
import secrets
import socket
import time
from collections.abc import Callable, Collection
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import pairwise
from urllib.parse import quote, urlencode

from anyio import to_thread
from fastapi import HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reseen.errors import ReseenError
from reseen.gallery.log import BY
from reseen.gallery.settings import Token, Tokens
from reseen.web.asked import MOST_BYTES
from reseen.web.rendering import content_policy, on_gallery_error, on_http_error, render

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

READING = ("GET", "OPTIONS")
SEARCHES = ("/pictures", "/photo", "/photo/person", "/api/search")
"""Where something is posted and nothing is changed."""

COOKIE = "reseen_token"
SHORTEST = 16
FEWEST_PIECES = 9
"""Of a token, by `_pieces`: 16 random letters and digits have 10 or more, "passwordpassword" 8."""

WRONG_FOR_FREE, LONGEST_PAUSE = 5, 60.0
"""Wrong tokens of a client before it has to pause, and seconds of its longest pause."""

MOST_CLIENTS = 10_000
"""Whose wrong tokens are counted; those who were wrong longest ago are forgotten."""

READ_AGAIN = 1.0
"""Seconds for which a token that was revoked may still let in."""


class Access:
    """Lets in those who bring a token.

    Args:
        tokens: the gallery's.
        own: the server's own token, which lets manage.
        open: whether everybody who reaches the server may come in for as long as the gallery has
            never had a token.
        clock: how to tell the time, in seconds.
    """

    def __init__(
        self,
        tokens: Tokens,
        own: str | None,
        *,
        open: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens, self._open, self._clock = tokens, open and own is None, clock
        digest = None if own is None else tokens.digest(own)
        self._own = [] if digest is None else [Token("serve", "manage", 0.0, None, digest)]
        self._session = secrets.token_bytes(32)  # cookies are made with it: no guess at a token
        self._made, self._read_at = list[Token](), -math.inf
        self._wrong: dict[str, tuple[int, float]] = {}

    async def holder(self, request: Request) -> Token | Response | None:
        """Whose token a request brings: None where none is asked for.

        People bring it in an address once, and then a cookie; programs bring it in a header.

        Returns:
            Else the page that turns the token in an address into a cookie.

        Raises:
            HTTPException: 401 or 429, nobody's; 403, it lets look and not change.
            ReseenError: the gallery's tokens cannot be read.
        """
        if self._clock() - self._read_at >= READ_AGAIN:
            self._made = await to_thread.run_sync(self._tokens.all)
            self._read_at = self._clock()
        if self._open and not self._made:
            return None
        known = self._find(request.cookies.get(COOKIE, ""), self._cookie)
        token = known or self._brought(request)
        changes = request.method not in READING and request.url.path not in SEARCHES
        if isinstance(token, Token) and token.role == "look" and changes:
            detail = f"The token of {token.name} lets look, not change anything; see who manages."
            raise HTTPException(403, detail)
        return token

    def _brought(self, request: Request) -> Token | Response:
        """The token in the header or the address."""
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        of_people = request.method == "GET" and not request.url.path.startswith("/api")
        in_address = request.query_params.get("token") if of_people else None
        given = bearer if kind.lower() == "bearer" else in_address
        asked = {"WWW-Authenticate": "Bearer"}
        if given is None:
            detail = "Open the address that you were given with your token."
            raise HTTPException(401, detail, asked)
        client = client_name(request.client.host if request.client else "")
        wrong, not_before = self._wrong.pop(client, (0, 0.0))
        if (pause := math.ceil(not_before - self._clock())) > 0:
            self._wrong[client] = wrong, not_before
            detail = f"Too many wrong tokens came from there; try again in {pause} s."
            raise HTTPException(429, detail, {"Retry-After": str(pause)})
        token = self._find(self._tokens.digest(given), lambda known: known.digest)
        if token is None:
            self._count(client, wrong + 1)
            raise HTTPException(401, "This is not the token.", asked)
        return token if given is bearer else _welcome(request, self._cookie(token))

    def _find(self, given: str, secret: Callable[[Token], str]) -> Token | None:
        """The token with this secret, found in a time that tells nothing about any of them."""
        valid = [*self._own, *(token for token in self._made if token.revoked is None)]
        found = [
            token for token in valid if hmac.compare_digest(given.encode(), secret(token).encode())
        ]
        return found[0] if found else None

    def _cookie(self, token: Token) -> str:
        return hmac.new(self._session, token.digest.encode(), sha256).hexdigest()

    def _count(self, client: str, wrong: int) -> None:
        """Let a client pause after wrong tokens, twice as long after each."""
        beyond = wrong - WRONG_FOR_FREE
        pause = min(2.0 ** min(beyond, 10), LONGEST_PAUSE) if beyond >= 0 else 0.0
        self._wrong[client] = wrong, self._clock() + pause
        if len(self._wrong) > MOST_CLIENTS:
            del self._wrong[next(iter(self._wrong))]


def client_name(address: str) -> str:
    """Whom to count: a client of IPv6 has a network of 2^64 addresses, not only one."""
    try:
        number = ip_address(address)
    except ValueError:
        return address
    if not isinstance(number, IPv6Address):
        return address
    return str(number.ipv4_mapped or ip_network((int(number), 64), strict=False))


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


def checked_token(token: str | None) -> str | None:
    """A token that somebody made up, which must not be guessable."""
    if token is None:
        return None
    such_as = f"such as --token {secrets.token_urlsafe(24)}"
    if len(token) < SHORTEST:
        raise ReseenError(
            f"a token of {len(token)} characters can be guessed; "
            f"take at least {SHORTEST}, {such_as}"
        )
    # Its steps through the alphabet may repeat themselves as well, as in "abcdef".
    steps = "".join(chr((ord(after) - ord(before)) % 0x110000) for before, after in pairwise(token))
    if min(_pieces(token), _pieces(steps)) < FEWEST_PIECES:
        raise ReseenError(
            f"a token that repeats itself can be guessed; take {SHORTEST} characters or more "
            f"that were drawn by chance, {such_as}"
        )
    return token


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


class Guard:
    """Lets a request through to the application or answers it.

    Args:
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
        answer: ASGIApp
        try:
            # A request need not say its length before, so what arrives is counted as well.
            answer = await self._welcome(request, most) or RequestBodyLimitMiddleware(
                self.app, most
            )
        except HTTPException as error:
            answer = await on_http_error(request, error)
        except ReseenError as error:
            answer = await on_gallery_error(request, error)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["Content-Security-Policy"] = content_policy()
            await send(message)

        await answer(scope, receive, sent)

    async def _welcome(self, request: Request, most: int) -> Response | None:
        """The page for who has just come in; None for who goes on to the application."""
        if not self._is_ours(request.headers.get("host", "")):
            raise HTTPException(400, "This server does not go by that name.")
        if _is_from_elsewhere(request):
            raise HTTPException(403, "Another site may not do this.")
        holder = await self._access.holder(request)
        if isinstance(holder, Response):
            return holder
        request.state.role = "manage" if holder is None else holder.role
        request.state.open = holder is None
        BY.set(None if holder is None else holder.name)
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            detail = f"A request like this may hold {most / 2**20:g} MiB and no more."
            raise HTTPException(413, detail)
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
