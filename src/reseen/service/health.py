"""How the cameras are doing, for machines: /healthz, and /metrics for Prometheus."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server

from reseen.errors import ReseenError
from reseen.service.state import CameraState

HELP = {
    "up": ("gauge", "1 while the camera sends pictures."),
    "last_frame_age_seconds": ("gauge", "Seconds since its last picture."),
    "frames_total": ("counter", "Pictures in which people were looked for."),
    "skipped_frames_total": ("counter", "Wanted pictures that this machine was too slow for."),
    "reconnects_total": ("counter", "How often a lost camera answered again."),
    "restarts_total": ("counter", "How often its process had to be started again."),
    "people_total": ("counter", "People added to the gallery."),
}
"""What is told of each camera, as reseen_camera_NAME: its kind and what it says."""

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def metrics(states: Sequence[CameraState], now: float) -> str:
    """The cameras in Prometheus' text format."""
    lines = []
    for name, (kind, help_) in HELP.items():
        lines += [f"# HELP reseen_camera_{name} {help_}", f"# TYPE reseen_camera_{name} {kind}"]
        for state in states:
            value = _values(state, now)[name]
            if value is not None:
                lines.append(f'reseen_camera_{name}{{camera="{state.name}"}} {value}')
    return "\n".join(lines) + "\n"


def _values(state: CameraState, now: float) -> dict[str, float | None]:
    return {
        "up": int(state.state == "running"),
        "last_frame_age_seconds": state.last_frame and round(max(now - state.last_frame, 0), 3),
        "frames_total": state.frames,
        "skipped_frames_total": state.skipped,
        "reconnects_total": state.reconnects,
        "restarts_total": state.restarts,
        "people_total": state.people,
    }


def application(states: Callable[[], Sequence[CameraState]]) -> Starlette:
    """Answers /healthz and /metrics. Cameras' names have no character that would need care."""

    async def healthz(_: Request) -> Response:
        told = {each.name: each.error or each.state for each in states()}
        well = all(each.state in ("running", "ended") for each in states())
        return JSONResponse({"cameras": told}, 200 if well else 503)

    async def prometheus(_: Request) -> Response:
        return PlainTextResponse(metrics(states(), time.time()), media_type=TEXT_FORMAT)

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", prometheus)])


@contextmanager
def answering(address: str | None, states: Callable[[], Sequence[CameraState]]) -> Iterator[None]:
    """Answer in a thread meanwhile.

    Args:
        address: where, HOST:PORT or [IPV6]:PORT; None for nowhere.

    Raises:
        ReseenError: nobody can listen there.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, int(port)), family=family)
    except (OSError, OverflowError, ValueError) as error:
        raise ReseenError(f"cannot listen at {address}: {error}; write HOST:PORT") from error
    server = Server(Config(application(states), ws="none", log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(1)
        listener.close()
