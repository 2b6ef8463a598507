"""A film that shows what was followed: the video with a box and a number for each person."""

import colorsys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.files import written_aside
from reseen.tracking.tracker import Followed, Scene

CODES = {".mp4": "mp4v", ".avi": "MJPG"}
GOLDEN = 0.618
"""Share of the colour circle between one number and the next, so that neighbours differ."""

SLOWEST, FASTEST = 1.0, 120.0
"""Frames per second of a film; the rate is that of the video's first two frames."""


def filmed(scenes: Iterator[Scene], path: Path, live: bool) -> Iterator[Scene]:
    """Pass scenes on, and film them into `path`, .mp4 or .avi.

    The film is there once all scenes have come; of a live camera, an interruption is their end.
    """
    with written_aside(path) as temporary:
        film: Any = None
        try:
            first = None
            for scene in scenes:
                frame, people, *_ = scene
                shown = _drawn(frame.picture, people)
                if first is None:
                    first = frame.seconds, shown
                elif film is None:
                    film = _begin(temporary, path, first[1], frame.seconds - first[0])
                if film is not None:
                    size = first[1].shape[1::-1]
                    film.write(shown if shown.shape[1::-1] == size else cv2.resize(shown, size))
                yield scene
            if first is not None and film is None:
                film = _begin(temporary, path, first[1], 1.0)
        except KeyboardInterrupt:
            if not live:
                raise
        finally:
            if film is not None:
                film.release()


def _begin(temporary: Path, path: Path, first: Picture, step: float) -> Any:
    """Open a film and write its first picture, (H, W, 3) in blue, green, red."""
    rate = min(max(1 / step if step > 0 else FASTEST, SLOWEST), FASTEST)
    code = cv2.VideoWriter.fourcc(*CODES[path.suffix.lower()])
    film = cv2.VideoWriter(str(temporary), code, rate, (first.shape[1], first.shape[0]))
    if not film.isOpened():
        raise ReseenError(f"{path} cannot be written as a film; try .avi instead of .mp4")
    film.write(first)
    return film


def check_film(path: Path) -> None:
    """Refuse a name that says no kind of film."""
    if path.suffix.lower() not in CODES:
        raise ReseenError(f"{path} is no name for a film; let it end with {' or '.join(CODES)}")


def _drawn(picture: Picture, people: list[Followed]) -> Any:
    """The picture, blue first, with boxes."""
    shown: Any = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    for one in people:
        left, top, right, bottom = (round(side) for side in one.box.tolist())
        hue = one.person * GOLDEN % 1
        colour = [round(255 * share) for share in colorsys.hsv_to_rgb(hue, 0.8, 1.0)]
        cv2.rectangle(shown, (left, top), (right, bottom), colour, 2)
        place = (left, max(top - 4, 12))
        cv2.putText(shown, str(one.person), place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 2)
    return shown
