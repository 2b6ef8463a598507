"""Cutting followed people out of the frames: crops wait in memory until somebody takes them."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture, encode_jpeg
from reseen.data.tracked import bodies
from reseen.data.tracklet import Moment
from reseen.tracking.detections import NOBODY, Boxes, Detections
from reseen.tracking.tracker import Followed
from reseen.tracking.video import Counts, Frame

MIN_LENGTH = 8
"""Frames in which a person must be seen to become a tracklet: half a clip of the paper."""

QUALITY = 95
"""JPEG quality of the crops."""

STILL_SECONDS, STILL_MOVE, STILL_CHANGE = 5.0, 0.05, 4.0
"""What stays this long, moves by less than this share of its height and changes by fewer grey
levels is a poster, a dummy or bare background."""

NEAR_EDGE = 0.03
"""Share of its height by which a box is unsure: what ends nearer to the picture's edge is cut."""

LEAST_SIDE = 4
"""Pixels of a box's width and height that must lie in the picture; otherwise it is dropped."""

SHAPE = 0.5
"""Least width of a crop as a share of its height: that of PRID-2011, iLIDS-VID and MARS."""


@dataclass(frozen=True, eq=False, slots=True)
class Crop:
    """One picture of one person: its frame, the box in the picture, and the encoded crop.

    `moment` is the same without the crop, as the gallery knows it.
    """

    frame: int
    box: Boxes
    score: float
    jpeg: bytes
    moment: Moment


@dataclass
class Growing:
    """A tracklet in the making.

    Attributes:
        first_frame, last_frame: indices of the frames between which the person was seen.
        start_seconds, end_seconds: their times in the video.
        person: the follower's number for the person.
        number: the tracklet's number; None until the person was seen often enough.
        seen: in how many frames the person was seen.
        waiting: the crops that are in memory.
        given: how many were given away.
        ended: whether the person is gone.
        cut: numbers of the frames in which the picture's edge cuts the body.
        moved, changed: by how much the box has moved, as a share of its height, and what is in it
            has changed, in grey levels, since the first crop.
        shown: moments with whole pictures: the first, that of the largest box, and the last.
    """

    first_frame: int
    last_frame: int
    start_seconds: float
    end_seconds: float
    person: int
    number: int | None = None
    seen: int = 0
    waiting: list[Crop] = field(default_factory=list)
    given: int = 0
    ended: bool = False
    cut: list[int] = field(default_factory=list)
    moved: float = 0.0
    changed: float = 0.0
    shown: dict[str, Moment] = field(default_factory=dict)
    _every: int = 1
    _first: tuple[Boxes, NDArray[np.int16]] | None = None

    def take(self, frame: Frame, box: Boxes, score: float, whole: bytes = b"") -> None:
        """Take the next crop, the part of a picture in a box (4,), and the whole as a JPEG."""
        height, width = frame.picture.shape[:2]
        picture = _cut(frame.picture, box)
        grey = cv2.cvtColor(cv2.resize(picture, (16, 32)), cv2.COLOR_RGB2GRAY).astype(np.int16)
        first_box, first_grey = self._first = self._first or (box, grey)
        moved = np.abs(box - first_box).max() / (first_box[3] - first_box[1])
        self.moved, changed = max(self.moved, float(moved)), np.abs(grey - first_grey).mean()
        self.changed = max(self.changed, float(changed))
        self.last_frame, self.end_seconds = frame.index, frame.seconds
        if _is_cut(box, width, height):
            self.cut.append(frame.index + 1)
        shares = box / np.array([width, height] * 2)
        moment = Moment(frame.seconds, tuple(shares.tolist()), whole)
        if self.seen % self._every == 0:
            bare = replace(moment, picture=b"")
            jpeg = encode_jpeg(picture, QUALITY)
            self.waiting.append(Crop(frame.index, box, score, jpeg, bare))
        if whole:
            self._show(moment)
        self.seen += 1

    def _show(self, moment: Moment) -> None:
        def size(one: Moment) -> float:
            left, top, right, bottom = one.box
            return (right - left) * (bottom - top)

        best = self.shown.setdefault("best", self.shown.setdefault("first", moment))
        self.shown |= {"best": max(best, moment, key=size), "last": moment}

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Where the person was at the crops that wait, and in whole pictures, in time order."""
        places = {each.moment.seconds: each.moment for each in self.waiting}
        places |= {each.seconds: each for each in self.shown.values()}
        return tuple(places[seconds] for seconds in sorted(places))

    @property
    def bodies(self) -> list[Crop]:
        """Those of the crops that wait which show a whole body; all where these are too few."""
        return bodies(self.waiting, lambda crop: crop.frame + 1 in self.cut)

    def name(self, prefix: str) -> str:
        """The tracklet's id, which is its folder's name too."""
        return f"{prefix}-{self.number:06d}"

    def give(self) -> list[Crop]:
        """The crops that wait; they are the caller's now."""
        crops, self.waiting = self.waiting, []
        self.given += len(crops)
        return crops

    def thin_out(self) -> None:
        """Let go every second of the crops that wait, and of those to come."""
        del self.waiting[1::2]
        self._every *= 2

    @property
    def still(self) -> bool:
        """Whether this is no person, because it never stirred for long."""
        lasted = self.end_seconds - self.start_seconds >= STILL_SECONDS
        return lasted and self.moved < STILL_MOVE and self.changed < STILL_CHANGE


class Cutter:
    """Cuts people out of the frames in which they are followed, and counts them in `counts`."""

    def __init__(
        self,
        min_length: int,
        counts: Counts | None = None,
        *,
        keep_numbers: bool = False,
        most: int | None = None,
        whole: Callable[[Picture, Boxes], bytes] | None = None,
    ) -> None:
        """Begin with nobody.

        Args:
            min_length: the least number of frames of a tracklet.
            counts: counted on while people are cut out.
            keep_numbers: whether tracklets have the people's numbers, or count from 1. Who has a
                number from elsewhere is a person even without stirring.
            most: crops of a person that may wait; when there are more, every second one is let
                go, so that memory is bounded by the people in sight. None for no bound.
            whole: makes of a picture with people, and the boxes of all who were detected, (n, 4), a
                JPEG to be kept; None for none.
        """
        self.counts, self._upright = counts or Counts(), 0
        self._min_length, self._keep_numbers, self._most = min_length, keep_numbers, most
        self._whole = whole
        self._open: dict[int, Growing] = {}
        self._begun = 0

    def add(
        self, frame: Frame, people: list[Followed], found: Detections = NOBODY
    ) -> list[Growing]:
        """Cut the people out of a frame; returns those seen often enough to be tracklets."""
        height, width = frame.picture.shape[:2]
        whole = self._whole(frame.picture, found.boxes) if people and self._whole else b""
        long_enough = []
        for seen in people:
            box = np.clip(seen.box, 0, np.array([width, height] * 2, np.float32))
            if (box[2:] - box[:2]).min() < LEAST_SIDE:
                self.counts.boxes_dropped += 1
                continue
            self._upright += 1 if box[3] - box[1] >= box[2] - box[0] else -1
            self.counts.lying = self._upright < 0
            tracklet = self._open.get(seen.person)
            if tracklet is None:
                times = frame.index, frame.index, frame.seconds, frame.seconds
                tracklet = self._open[seen.person] = Growing(*times, seen.person)
            tracklet.take(frame, box, seen.score, whole)
            if self._most is not None and len(tracklet.waiting) > self._most:
                tracklet.thin_out()
            if tracklet.number is None and tracklet.seen >= self._min_length:
                self._begun += 1
                tracklet.number = seen.person if self._keep_numbers else self._begun
            if tracklet.number is not None:
                long_enough.append(tracklet)
        return long_enough

    def begun_before(self, seconds: float) -> set[int]:
        """Those whose tracklets began before a time, by the follower's numbers."""
        return {one for one, each in self._open.items() if each.start_seconds < seconds}

    def end_all_but(self, people: Set[int]) -> tuple[list[Growing], list[Growing]]:
        """End the tracklets of everybody else.

        Returns:
            Those of people, and those of what never stirred, by the follower's numbers.
        """
        gone = [self._open.pop(person) for person in sorted(self._open.keys() - people)]
        for tracklet in gone:
            tracklet.ended = True
        long_enough = [tracklet for tracklet in gone if tracklet.number is not None]
        nobody = [each for each in long_enough if each.still and not self._keep_numbers]
        people_gone = [each for each in long_enough if each not in nobody]
        self.counts.too_short += len(gone) - len(long_enough)
        self.counts.still += len(nobody)
        self.counts.tracklets += len(people_gone)
        self.counts.crops += sum(each.given + len(each.waiting) for each in people_gone)
        return people_gone, nobody


def _is_cut(box: Boxes, width: int, height: int) -> bool:
    """Whether the edge of a picture of this size cuts the body in a box (4,).

    Cameras often have heads just below the upper edge: who is as narrow there as a whole person
    lacks little.
    """
    left, top, right, bottom = map(float, box)
    margin = NEAR_EDGE * (bottom - top)
    beyond = left < margin or right > width - margin or bottom > height - margin
    return beyond or (top < 1 and right - left > SHAPE * (bottom - top))


def _cut(picture: Picture, box: Boxes) -> Picture:
    """Cut a box out of a picture.

    A box narrower than the data sets' shape is widened to it about its middle, so that nobody is
    stretched; wider ones stay as they are. The picture's border cuts off what lies beyond.
    """
    left, top, right, bottom = box.tolist()
    missing = max(SHAPE * (bottom - top) - (right - left), 0) / 2
    columns = slice(max(round(left - missing), 0), max(round(right + missing), 1))
    return picture[round(top) : max(round(bottom), 1), columns]
