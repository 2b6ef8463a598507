"""How each live camera is doing, in a small file for whoever wants to show it."""

from pathlib import Path
from typing import Literal

import msgspec

from reseen.files import read_as, write_text, written_aside
from reseen.gallery.forgetting import CAMERAS

Word = Literal["connecting", "running", "stalled", "failed", "ended"]
"""It is asked for a first picture, sends pictures, has sent none for a while, cannot be read or its
people not be added, is not watched any more."""

HOUR, HOURS = 3600.0, 24
"""Seconds of an hour, and for how many of them people are counted."""

Hours = tuple[tuple[float, int], ...]
"""(Beginning of an hour, how many people then), in order of time."""


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """How the reading of a camera goes; times are seconds since 1970.

    Attributes:
        last_frame: when its last picture came.
        frames: pictures in which people were looked for.
        skipped: pictures that were wanted too and that this machine was too slow for.
        reconnects: how often it answered again after it was lost.
        people: how many people were added to the gallery; who stays counts once.
        error: what is wrong, in a line; None where nothing is.
    """

    state: Word
    last_frame: float | None = None
    frames: int = 0
    skipped: int = 0
    reconnects: int = 0
    people: int = 0
    error: str | None = None


class CameraState(Doing, frozen=True, kw_only=True):
    """How a live camera is doing.

    Attributes:
        source: its address without passwords.
        since: when this state began.
        restarts: how often its process had to be started again.
        people_per_hour: those hours of the last day in which there were people.
    """

    name: str
    source: str
    since: float
    restarts: int = 0
    people_per_hour: Hours = ()


def write_state(gallery: Path, state: CameraState, picture: bytes = b"") -> None:
    """Write how a camera is doing, whole or not at all.

    Args:
        gallery: the gallery's folder on this machine.
        picture: its last picture as a JPEG on which nobody can be recognised; where there is
            none, the one before stays.
    """
    if picture:
        with written_aside(picture_file(gallery, state.name)) as temporary:
            temporary.write_bytes(picture)
    write_text(state_file(gallery, state.name), msgspec.json.encode(state).decode())


def read_state(gallery: Path, name: str) -> CameraState | None:
    """How a camera is doing; None where it was never watched."""
    file = state_file(gallery, name)
    return read_as(file, CameraState, "remove it") if file.exists() else None


def camera_states(gallery: Path) -> list[CameraState]:
    """How every camera is doing that was ever watched, by name."""
    files = sorted((gallery / CAMERAS).glob("[!.]*.json"))
    return [read_as(file, CameraState, "remove it") for file in files]


def last_picture(gallery: Path, name: str) -> bytes | None:
    """A camera's last picture as a JPEG; None where there is none, as when it is not watched."""
    try:
        return picture_file(gallery, name).read_bytes()
    except FileNotFoundError:
        return None


def state_file(gallery: Path, name: str) -> Path:
    """Where it stands how a camera is doing."""
    return gallery / CAMERAS / f"{name}.json"


def picture_file(gallery: Path, name: str) -> Path:
    """Where its last picture is."""
    return gallery / CAMERAS / f"{name}.jpg"


def with_more(hours: Hours, people: int, now: float) -> Hours:
    """People per hour of the last day, with some who came now."""
    hour, known = now // HOUR * HOUR, dict(hours)
    if people:
        known[hour] = known.get(hour, 0) + people
    return tuple((one, count) for one, count in sorted(known.items()) if one > hour - HOURS * HOUR)


def by_hour(hours: Hours, now: float) -> list[int]:
    """(24,) how many people were seen in each of the last hours, the present one last."""
    present, known = now // HOUR, {begun // HOUR: count for begun, count in hours}
    return [known.get(present - back, 0) for back in reversed(range(HOURS))]
