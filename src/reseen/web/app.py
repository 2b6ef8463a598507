"""The application, and serving it to whoever comes.

Connections can't be held open against everybody else, and the log can't be filled.
"""

import asyncio
import logging
import re
import resource
import secrets
import socket
import time
from asyncio import BaseTransport, TimerHandle
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

import h11
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.tracking.detections import Detector
from reseen.tracking.detectors import photo_detector
from reseen.web import api, cameras, pages, people, photo, scene
from reseen.web.guard import EVERYWHERE, LOOPBACK, Access, Guard, checked_token, client_name
from reseen.web.lookup import Lookup
from reseen.web.rendering import on_bad_request, on_gallery_error, on_http_error

SECONDS_BETWEEN_EXPIRIES = 60.0
DESCRIPTION = """\
Look up and search tracklets of people. The same rules hold for programs as for people: only with
the consent or the legal basis that data protection law asks for, and never a decision about
somebody without a human who has looked.
"""

SENDING = "sending"
PATIENCE: dict[Any, float] = {h11.IDLE: 10.0, h11.SEND_BODY: 60.0, SENDING: 60.0}
"""Seconds that a client may take for a request's head and its body, and to take in an answer."""

_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
_EIGHTH = (1024 if _FILES == resource.RLIM_INFINITY else min(_FILES, 1024)) // 8
MOST_IN_ALL, MOST_OF_ONE_CLIENT, BACKLOG = 3 * _EIGHTH, 2 * _EIGHTH, 2 * _EIGHTH
"""Connections held, held for one client, and accepted at once: at most 5 of 8 files that this
process may open, so that the gallery can still open its own."""

SECONDS_BETWEEN_EQUAL_LINES = 60.0


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
    for each in (api, pages, photo, people, cameras, scene):
        app.include_router(each.router)
    app.add_middleware(Guard, host=host, access=access, names=allow_hosts)
    return app


def _access(gallery: Gallery, host: str, token: str | None, names: Collection[str]) -> Access:
    """Who may come in; everybody only where nobody from elsewhere can."""
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ReseenError(f"{name!r} is no name of a host; write such as cameras.example")
    tokens, elsewhere = gallery.tokens, [*({host} - {*LOOPBACK}), *names]
    if elsewhere and token is None and not tokens.all():
        raise ReseenError(
            f"others can reach {elsewhere[0]}, so the gallery needs a token there, such as "
            f"--token {secrets.token_urlsafe(24)}, or those of reseen gallery tokens"
        )
    return Access(tokens, checked_token(token), open=not elsewhere)


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
            await asyncio.to_thread(gallery.forgetting.expire)
            await asyncio.to_thread(gallery.forgetting.wipe_when_due)


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
        host: address to listen at; any but this machine's own needs a token.
        port: 0 takes a free one.
        token, allow_hosts, extractors: as for `create_app`.
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
        config = Config(
            app,
            http=Connection,
            ws="none",
            backlog=BACKLOG,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
        )
        for name in ("asyncio", "uvicorn.error", "python_multipart.multipart"):
            logging.getLogger(name).addFilter(SELDOM)
        Server(config).run([listener])


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


class Connection(H11Protocol):
    """A connection that ends when its client keeps the server waiting for too long.

    Where there are too many, the one that has been waited for the longest makes room: whoever
    asks at once is answered, however many others hold theirs open. (uvicorn's own
    `limit_concurrency` would refuse whoever comes last.)
    """

    client_name: str
    waiting_since = float("inf")  # never, while the server works
    _stage: Any = None
    _timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin, and make room for it."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.client_name = client_name(self.client[0] if self.client else "")
        self._watch()
        everybody = [each for each in self.connections if isinstance(each, Connection)]
        of_client = [each for each in everybody if each.client_name == self.client_name]
        too_many = of_client if len(of_client) > MOST_OF_ONE_CLIENT else everybody
        if too_many is of_client or len(everybody) > MOST_IN_ALL:
            min(too_many, key=lambda each: each.waiting_since).end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait until the client has taken in what was sent."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self._watch()

    def end(self) -> None:
        """Cut it off, and count it no longer."""
        self._stop_waiting()
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        """Give the client its time for what it has to do next."""
        stage = SENDING if self.flow.write_paused else self.conn.their_state
        if stage is self._stage or self.transport.is_closing():
            return
        self._stop_waiting()
        self._stage = stage
        if stage in PATIENCE:
            self.waiting_since = self.loop.time()
            self._timer = self.loop.call_later(PATIENCE[stage], self.end)

    def _stop_waiting(self) -> None:
        self.waiting_since = float("inf")
        if self._timer is not None:
            self._timer.cancel()


class Seldom(logging.Filter):
    """Lets lines that begin alike through once a minute, with how many were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let one through."""
        line, now = str(record.msg).partition("\n")[0], self._clock()
        last, left_out = self._said.get(line, (float("-inf"), 0))
        if now - last < SECONDS_BETWEEN_EQUAL_LINES:
            self._said[line] = last, left_out + 1
            return False
        self._said[line] = now, 0
        if left_out:
            record.msg = f"{record.msg} ({left_out:,} more since this was last said)"
        return True


SELDOM = Seldom()
