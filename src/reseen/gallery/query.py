"""Who is searched for, when it is not a tracklet of the gallery: pictures, or a box in a video."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reseen.data.colour_histogram import ColourHistogram
from reseen.data.layout import entries, is_picture
from reseen.data.pictures import Picture, Pictures
from reseen.errors import ReseenError
from reseen.gallery.extractors import Extractor
from reseen.gallery.records import Query
from reseen.tracking.video import Frame, frames_from

FOLLOWED_SECONDS = 2.0
LEAST_CORRELATION = 0.6
"""Below this likeness to the picture before, a followed box is taken for lost."""

REACH = 0.3
"""How far a box may move from frame to frame, in its own widths and heights."""

LEAST_SIDE = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.width},{self.height}"

    def cut(self, picture: Picture) -> Picture:
        """What is inside."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]

    def lies_in(self, picture: Picture) -> bool:
        """Whether it is large enough and nothing of it lies outside."""
        height, width = picture.shape[:2]
        inside = 0 <= self.left <= width - self.width and 0 <= self.top <= height - self.height
        return inside and min(self.width, self.height) >= LEAST_SIDE


def query_from_pictures(pictures: Sequence[Picture], extractor: Extractor, name: str) -> Query:
    """Search for the person in these pictures, RGB and in time order."""
    every = {each.model_id: each for each in (extractor, ColourHistogram())}
    vectors = {model: each.embed([pictures])[0] for model, each in every.items()}
    return Query(extractor.model_id, vectors.pop(extractor.model_id), name, vectors)


def pictures_in(folder: Path) -> Pictures:
    """The pictures of one person in a folder."""
    files = [name for name in entries(folder)[1] if is_picture(name)]
    if not files:
        raise ReseenError(f"no picture in {folder}")
    return Pictures(tuple(folder / name for name in files))


def pictures_in_video(video: Path, seconds: float, box: Box) -> list[Picture]:
    """Cut a person out of a video, from a time on for up to two seconds.

    The box follows what was in it to the most similar place nearby in the next frame, for as
    long as that is similar enough. This needs no detector and knows no people: where the person
    is soon hidden or turns, few pictures come out. `track` does better.
    """
    later = (frame for frame in frames_from(video) if frame.seconds >= seconds)
    first = next(later, None)
    if first is None:
        raise ReseenError(f"{video} ends before {seconds:g} s; name an earlier time")
    if not box.lies_in(first.picture):
        height, width = first.picture.shape[:2]
        raise ReseenError(
            f"the box {box} must lie in the picture of "
            f"{video}, {width}x{height}, and be at least {LEAST_SIDE} pixels wide and high"
        )
    return [box.cut(first.picture), *_followed(first, box, later)]


def _followed(first: Frame, box: Box, later: Iterator[Frame]) -> Iterator[Picture]:
    before = first.picture
    for frame in later:
        same_size = frame.picture.shape == before.shape
        if frame.seconds > first.seconds + FOLLOWED_SECONDS or not same_size:
            return
        moved = _moved(box, before, frame.picture)
        if moved is None:
            return
        box, before = moved, frame.picture
        yield box.cut(frame.picture)


def _moved(box: Box, before: Picture, now: Picture) -> Box | None:
    """Where the box's content went; None when nothing nearby is similar enough."""
    reach_x, reach_y = round(box.width * REACH), round(box.height * REACH)
    left, top = max(box.left - reach_x, 0), max(box.top - reach_y, 0)
    bottom, right = box.top + box.height + reach_y, box.left + box.width + reach_x
    likeness = cv2.matchTemplate(now[top:bottom, left:right], box.cut(before), cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(np.argmax(likeness), likeness.shape)
    if not likeness[row, column] >= LEAST_CORRELATION:
        return None
    return Box(left + int(column), top + int(row), box.width, box.height)
