"""How the live cameras of `reseen watch` are doing, and which videos could not be read."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import HTMLResponse

from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.service.state import (
    CameraState,
    by_hour,
    camera_states,
    last_picture,
    picture_file,
    state_file,
)
from reseen.web.asked import LONGEST_CAMERA
from reseen.web.lookup import Looked
from reseen.web.rendering import PROBLEMS, render

SILENT = 30.0
"""Seconds without a word after which `reseen watch`, which writes every five, counts as gone."""

FEW_FAILURES = 50

router = APIRouter()

Name = Annotated[str, Query(max_length=LONGEST_CAMERA, description="A camera's name.")]


@dataclass(frozen=True)
class Shown:
    """A live camera as the page shows it.

    Attributes:
        state: as `reseen watch` has left it.
        told: when it did.
        silent: whether nothing was heard since, though the camera is to be watched.
        pictured: whether there is a last picture.
        hours: (24,) how many people in each of the last hours, the present one last.
    """

    state: CameraState
    told: float
    silent: bool
    pictured: bool
    hours: list[int]

    @property
    def most(self) -> int:
        """People in the fullest hour; 1 where there were none."""
        return max(*self.hours, 1)


@router.get("/cameras", include_in_schema=False, response_class=HTMLResponse)
def cameras(lookup: Looked) -> Response:
    """Live cameras, those whose recordings are here, and videos that could not be read."""
    shown, counts = live_cameras(lookup.gallery, time.time()), lookup.stats().cameras
    watched = {each.state.name for each in shown}
    failures = lookup.gallery.videos.failures.all()[::-1]
    return render(
        "cameras.html",
        live=shown,
        counts=counts,
        recorded={name: count for name, count in counts.items() if name not in watched},
        failures=failures[:FEW_FAILURES],
        failed=len(failures),
    )


@router.get(
    "/api/camera/picture",
    response_class=Response,
    responses={**PROBLEMS, 200: {"content": {"image/jpeg": {}}}},
)
def picture(lookup: Looked, name: Name) -> Response:
    """A live camera's last picture, small and with heads hidden."""
    folder = lookup.gallery.notes
    known = {state.name for state in camera_states(folder)}  # nobody's text becomes a path
    last = last_picture(folder, name) if name in known else None
    if last is None:
        raise HTTPException(404, f"There is no last picture of a camera {name}.")
    return Response(last, media_type="image/jpeg")


@router.get("/api/cameras", responses=PROBLEMS)
def states(lookup: Looked) -> list[dict[str, Any]]:
    """How each live camera is doing: state, since when, pictures looked at and skipped, people."""
    found: list[dict[str, Any]] = msgspec.to_builtins(camera_states(lookup.gallery.notes))
    return found


def live_cameras(gallery: Gallery, now: float) -> list[Shown]:
    """The cameras that are or were watched, by name."""
    shown = []
    for state in camera_states(gallery.notes):
        try:
            told = state_file(gallery.notes, state.name).stat().st_mtime
        except OSError as error:  # removed meanwhile
            raise ReseenError(f"the state of {state.name} cannot be read: {error}") from error
        silent = state.state != "ended" and now - told > SILENT
        pictured = picture_file(gallery.notes, state.name).is_file()
        hours = by_hour(state.people_per_hour, now)
        shown.append(Shown(state, told, silent, pictured, hours))
    return shown
