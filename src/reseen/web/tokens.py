"""The token that lets somebody in: brought in an address once, then kept as a cookie."""

import hmac
import secrets
from hashlib import sha256
from urllib.parse import quote, urlencode

from fastapi import Request
from starlette.responses import Response

from reseen.errors import ReseenError
from reseen.web.origin import LOOPBACK
from reseen.web.refusal import refusal
from reseen.web.rendering import render

COOKIE = "reseen_token"
SHORTEST = 16


def checked_token(token: str | None, host: str) -> str | None:
    """The token, which any address but the machine's own needs.

    Raises:
        ReseenError: there is none where one is needed, or it could be guessed.
    """
    if token is None and host not in LOOPBACK:
        raise ReseenError(
            f"others can reach {host}, so the gallery needs a token there, "
            f"such as --token {secrets.token_urlsafe(24)}"
        )
    if token is not None and len(token) < SHORTEST:
        raise ReseenError(
            f"a token of {len(token)} characters can be guessed; take at least {SHORTEST}, "
            f"such as --token {secrets.token_urlsafe(24)}"
        )
    return token


def let_in(request: Request, token: str) -> Response | None:
    """None for one who knows the token, else the answer that ends the request."""
    if any(hmac.compare_digest(known, _digest(token)) for known in _known(request)):
        return None
    brought = request.query_params.get("token")
    if brought is None or request.method != "GET" or request.url.path.startswith("/api"):
        return _not_let_in(request, "Open the address that `reseen serve` has printed.")
    if not hmac.compare_digest(_digest(brought), _digest(token)):
        return _not_let_in(request, "This is not the token.")
    return _welcome(request, token)


def _welcome(request: Request, token: str) -> Response:
    """A page that sets the cookie and goes on to the same address without the token.

    A redirect would not do: browsers keep a strict cookie back all along a chain that began
    with a link on another site.
    """
    items = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    path = "/" + quote(request.url.path.lstrip("/"))
    page = render("welcome.html", target=f"{path}?{urlencode(items)}" if items else path)
    page.set_cookie(COOKIE, _digest(token).decode(), httponly=True, samesite="strict")
    return page


def _not_let_in(request: Request, detail: str) -> Response:
    return refusal(request, 401, detail, {"WWW-Authenticate": "Bearer"})


def _known(request: Request) -> list[bytes]:
    """Digests of the tokens that a request brings in its headers."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    bearer = [_digest(given)] if kind.lower() == "bearer" else []
    cookie = request.cookies.get(COOKIE)
    return bearer if cookie is None else [*bearer, cookie.encode()]


def _digest(token: str) -> bytes:
    """What the cookie holds: fit for a cookie, and of one length whatever the token."""
    return sha256(token.encode()).hexdigest().encode()
