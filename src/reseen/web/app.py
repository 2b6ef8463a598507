"""The application, and serving it."""

import asyncio
import logging
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from operator import attrgetter
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from uvicorn import Config, Server

from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.tokens import Tokens
from reseen.tracking.detections import Detector
from reseen.tracking.detectors import photo_detector
from reseen.web import api, cameras, pages, people, photo, scene, settings
from reseen.web.access import Access, checked_token
from reseen.web.connections import BACKLOG, Connection, Seldom
from reseen.web.guard import EVERYWHERE, LOOPBACK, Guard
from reseen.web.lookup import Lookup
from reseen.web.rendering import on_bad_request, on_gallery_error, on_http_error

SECONDS_BETWEEN_EXPIRIES = 60.0
SELDOM = Seldom()

DESCRIPTION = """\
Look up and search tracklets of people. The same rules hold for programs as for people: only with
the consent or the legal basis that data protection law asks for, and never a decision about
somebody without a human who has looked.
"""


def create_app(
    gallery: Gallery,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    allow_hosts: Collection[str] = (),
    extractors: Sequence[Extractor] = (ColourHistogram(),),
    detector: Detector | None = None,
) -> FastAPI:
    """The gallery as an ASGI application.

    Args:
        gallery: what to show.
        host: the address that it will be served at.
        token: what lets in to manage, at least 16 characters, beside the gallery's own tokens.
        allow_hosts: names by which it is called from elsewhere, where a proxy stands before it.
        extractors: for searches by pictures, one for each model that can be searched with.
        detector: finds people in photos; None takes the best that is here.
    """
    access = _access(gallery, host, token, allow_hosts)
    app = FastAPI(
        title="reseen",
        summary="Find the same person again in another camera's video.",
        description=DESCRIPTION,
        version=version("reseen"),
        openapi_url="/api/openapi.json",
        docs_url=None,  # these two would load scripts from another site
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        generate_unique_id_function=attrgetter("name"),
        exception_handlers={
            HTTPException: on_http_error,
            RequestValidationError: on_bad_request,
            ReseenError: on_gallery_error,
        },
    )
    app.state.lookup = Lookup(gallery, extractors, detector or photo_detector())
    app.include_router(api.router)
    app.include_router(pages.router)
    app.include_router(photo.router)
    app.include_router(people.router)
    app.include_router(cameras.router)
    app.include_router(settings.router)
    app.include_router(scene.router)
    app.add_middleware(Guard, host=host, access=access, names=allow_hosts)
    return app


def _access(gallery: Gallery, host: str, token: str | None, names: Collection[str]) -> Access:
    """Who may come in; everybody only where nobody from elsewhere can."""
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ReseenError(f"{name!r} is no name of a host; write such as cameras.example")
    tokens, elsewhere = Tokens(gallery), [*({host} - {*LOOPBACK}), *names]
    if elsewhere and token is None and not tokens.all():
        raise ReseenError(
            f"others can reach {elsewhere[0]}, so the gallery needs a token there, such as "
            f"--token {secrets.token_urlsafe(24)}, or those of reseen gallery tokens"
        )
    return Access(tokens, checked_token(token), open=not elsewhere)


def serve(
    gallery: Gallery,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    *,
    allow_hosts: Collection[str] = (),
    extractors: Sequence[Extractor] = (ColourHistogram(),),
    ready: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve the gallery until Ctrl-C.

    Args:
        gallery: what to show.
        host: address to listen at; any but this machine's own needs a token.
        port: 0 takes a free one.
        token: what lets in to manage, at least 16 characters, beside the gallery's own tokens.
        allow_hosts: names by which it is called from elsewhere, where a proxy stands before it.
        extractors: for searches by pictures, one for each model that can be searched with.
        ready: told the page's address, token included, when it can be opened.

    Raises:
        ReseenError: there is no such address, the port is taken, or the token is missing or too
            short.
    """
    app = create_app(
        gallery, host=host, token=token, allow_hosts=allow_hosts, extractors=extractors
    )
    with _listening(host, port) as listener:
        ready(_address(host, listener.getsockname()[1], token))
        server = Server(
            Config(
                app,
                http=Connection,
                ws="none",
                backlog=BACKLOG,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
            )
        )
        for name in ("asyncio", "uvicorn.error"):
            logging.getLogger(name).addFilter(SELDOM)
        server.run([listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise ReseenError(
            f"cannot listen at {host}, port {port}: {error}; choose others"
        ) from error


def _address(host: str, port: int, token: str | None) -> str:
    """What to open in a browser."""
    name = socket.gethostname() if host in EVERYWHERE else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + ("" if token is None else "?" + urlencode({"token": token}))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Forget what is beyond its time not only at the start: a server may run for months."""
    gallery: Gallery = app.state.lookup.gallery
    expiring = asyncio.create_task(_expire_again_and_again(gallery))
    yield
    expiring.cancel()
    with suppress(asyncio.CancelledError):
        await expiring


async def _expire_again_and_again(gallery: Gallery) -> None:
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_EXPIRIES)
        with suppress(ReseenError):  # a full disk may have room again the next time
            await asyncio.to_thread(gallery.expire)
            await asyncio.to_thread(gallery.wipe_when_due)
