"""Who may come in, and what for: tokens, their cookies, and pauses after wrong ones."""

import hmac
import math
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from urllib.parse import quote, urlencode

from anyio import to_thread
from fastapi import Request
from starlette.responses import Response

from reseen.errors import ReseenError
from reseen.gallery.tokens import Token, Tokens
from reseen.web.connections import client_name
from reseen.web.rendering import refusal, render

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
            Else the answer that ends the request.

        Raises:
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
            return refusal(request, 403, detail)
        return token

    def _brought(self, request: Request) -> Token | Response:
        """The token in the header or the address."""
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        of_people = request.method == "GET" and not request.url.path.startswith("/api")
        in_address = request.query_params.get("token") if of_people else None
        given = bearer if kind.lower() == "bearer" else in_address
        if given is None:
            return _not_let_in(request, "Open the address that you were given with your token.")
        client = client_name(request.client.host if request.client else "")
        wrong, not_before = self._wrong.pop(client, (0, 0.0))
        if (pause := not_before - self._clock()) > 0:
            self._wrong[client] = wrong, not_before
            return _too_soon(request, pause)
        token = self._find(self._tokens.digest(given), lambda known: known.digest)
        if token is None:
            self._count(client, wrong + 1)
            return _not_let_in(request, "This is not the token.")
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


def checked_token(token: str | None) -> str | None:
    """A token that somebody made up, which must not be guessable."""
    such_as = f"such as --token {secrets.token_urlsafe(24)}"
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
