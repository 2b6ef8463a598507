"""Somebody in whole pictures: those that were kept, or those of a recording that is still here."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from PIL import Image
from starlette.responses import Response

from reseen.data.pictures import Picture, data_uri, decode_picture, encode_jpeg
from reseen.data.tracklet import Moment
from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Entry
from reseen.gallery.thumbnail import hidden
from reseen.service.incoming import WHOLE_WIDTH
from reseen.times import is_dated, show
from reseen.tracking.detections import Boxes
from reseen.tracking.video import frames_about
from reseen.web.lookup import Looked, Named
from reseen.web.rendering import render

BLUE, QUALITY, FILM_QUALITY = (0, 98, 168), 85, 60

AROUND, STEP = 3.0, 0.2
"""Seconds before and after a moment that are played, and between two pictures of them."""

DECODING, WAITING = 8.0, 10.0
"""Seconds that a recording is decoded for one answer, and that another answer waits for it."""

LINGERS, LARGER = 0.5, 0.1
"""Heads are hidden for so many seconds around the places that are known, and in boxes larger by
this share of their size on every side, too: between two places nobody walks quite straight."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_decoding = threading.Lock()


@router.get("/scene")
def scene(lookup: Looked, entry: Named) -> Response:
    """A tracklet's person in whole pictures, a box around them: those kept, or the recording's."""
    kept, places = lookup.gallery.frames.kept(entry.id), lookup.gallery.frames.places(entry.id)
    begun = entry.start - places[0].seconds if places and entry.start is not None else None
    what = "a picture that was kept"
    pictures = [(one.seconds, with_box(decode_picture(one.picture, what), one.box)) for one in kept]
    recorded, missing = False, ""
    try:
        recording = Recording.of(lookup.gallery, entry)
        if not kept:
            with one_at_a_time():
                pictures = [recording.still()]
        recorded = True
    except ReseenError as error:
        missing = str(error)
    timed = [
        (show(None if begun is None else begun + seconds), data_uri(encode_jpeg(picture, QUALITY)))
        for seconds, picture in pictures
    ]
    return render(
        "scene.html", entry=entry, pictures=timed, kept=kept, recorded=recorded, missing=missing
    )


@router.get("/scene/film", response_class=Response)
def film(lookup: Looked, entry: Named) -> Response:
    """The seconds around a moment of a tracklet, from the recording, as an animated WebP."""
    try:
        with one_at_a_time():
            pictures = list(Recording.of(lookup.gallery, entry).film())
    except ReseenError as error:
        raise HTTPException(404, str(error)) from error
    return Response(animated(pictures), media_type="image/webp")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let nobody else decode a recording meanwhile.

    Raises:
        HTTPException: 503, others took too long.
    """
    if not _decoding.acquire(timeout=WAITING):
        raise HTTPException(503, "Other recordings are being read; try again in a few seconds.")
    try:
        yield
    finally:
        _decoding.release()


@dataclass(frozen=True)
class Recording:
    """The recording in which somebody was seen, a file on this machine.

    Attributes:
        path: the file, as the gallery tells it.
        shown: the moment at which the person is seen largest.
        people: where everybody was who is known to be there around that moment.
        who: which of these it is about.
    """

    path: Path
    shown: Moment
    people: list[list[Moment]]
    who: int

    @classmethod
    def of(cls, gallery: Gallery, entry: Entry) -> "Recording":
        """The recording of a tracklet.

        Raises:
            ReseenError: why there is none to look into, in a line.
        """
        path, places = Path(entry.source), gallery.frames.places(entry.id)
        if not places:
            raise ReseenError("It is not known where in its recording this was.")
        if is_dated(places[0].seconds):
            raise ReseenError("It was seen live; there is no recording.")
        if not (path.is_absolute() and path.is_file()):
            raise ReseenError("The recording is not on this machine any more, or not at its place.")
        if path.stat().st_mtime > entry.added:
            raise ReseenError("The recording's file is another one than when people were found.")
        shown = max(places, key=lambda one: np.ptp(one.box[::2]) * np.ptp(one.box[1::2]))
        first, last = shown.seconds - AROUND - LINGERS, shown.seconds + AROUND + LINGERS
        people = gallery.frames.people(entry.source, first, last)
        return cls(path, shown, people, people.index(places))

    def still(self) -> tuple[float, Picture]:
        """The moment's seconds and picture.

        Raises:
            ReseenError: it cannot be read.
        """
        return next(self._pictures(self.shown.seconds, self.shown.seconds + STEP))

    def film(self) -> Iterator[tuple[float, Picture]]:
        """Seconds and pictures around the moment.

        Raises:
            ReseenError: none can be read.
        """
        return self._pictures(self.shown.seconds - AROUND, self.shown.seconds + AROUND)

    def _pictures(self, first: float, last: float) -> Iterator[tuple[float, Picture]]:
        due, until, found = first, time.monotonic() + DECODING, False
        with closing(frames_about(self.path, first)) as frames:
            for frame in frames:
                if frame.seconds > last or time.monotonic() > until:
                    break
                if frame.seconds > due - STEP / 10:
                    due, found = max(due + STEP, frame.seconds), True
                    yield frame.seconds, self._drawn(frame.seconds, frame.picture)
        if not found:
            raise ReseenError("The recording cannot be read at that moment.")

    def _drawn(self, seconds: float, picture: Picture) -> Picture:
        """A picture at some seconds: small, all known heads hidden, a box around the person."""
        height, width = picture.shape[:2]
        places = [place_at(each, seconds, LINGERS) for each in self.people]
        known = [each for each in places if each is not None]
        larger = np.array([*known, *map(grown, known)], np.float32).reshape(-1, 4)
        boxes = larger * (width, height, width, height)
        small = hidden(picture, boxes.astype(np.float32), WHOLE_WIDTH)
        own = place_at(self.people[self.who], seconds)
        return small if own is None else with_box(small, own.tolist())


def place_at(moments: Sequence[Moment], seconds: float, lingers: float = 0.0) -> Boxes | None:
    """Somebody's box (4,) at some seconds, on the straight way between two places that are known.

    None where they were not there yet or not any more, by more than they linger.
    """
    times = [each.seconds for each in moments]
    if not times[0] - lingers <= seconds <= times[-1] + lingers:
        return None
    edges = np.array([each.box for each in moments]).T
    return np.array([np.interp(seconds, times, edge) for edge in edges], np.float32)


def grown(box: Boxes) -> Boxes:
    """A box (4,) that is larger on every side, within the picture."""
    more = LARGER * np.tile(box[2:] - box[:2], 2) * np.array([-1, -1, 1, 1], np.float32)
    return np.clip(box + more, 0, 1)


def with_box(picture: Picture, box: Sequence[float]) -> Picture:
    """The picture, in which a box is drawn; its edges are shares of the picture's."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    corners = (
        (round(left * width), round(top * height)),
        (round(right * width) - 1, round(bottom * height) - 1),
    )
    cv2.rectangle(picture, *corners, BLUE, 2)
    return picture


def animated(pictures: Sequence[tuple[float, Picture]]) -> bytes:
    """An animated WebP of pictures and their seconds, which begins anew when it is over."""
    times = [seconds for seconds, _ in pictures]
    lasts = [round(1000 * each) for each in np.diff([*times, times[-1] + STEP])]
    first, *others = [Image.fromarray(picture) for _, picture in pictures]
    film = BytesIO()
    how = {"save_all": True, "append_images": others, "duration": lasts, "loop": 0}
    first.save(film, "WEBP", quality=FILM_QUALITY, method=0, **how)
    return film.getvalue()
