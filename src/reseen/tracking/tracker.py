"""Following people from frame to frame by their boxes and their colours.

A Kalman filter predicts each person's box, and the Hungarian algorithm assigns detections to the
predictions: sure detections first and unsure ones second, as in ByteTrack (Zhang et al., ECCV
2022), by the overlap of boxes with a buffer around them, a narrow one first and a wide one second,
as in C-BIoU (Yang et al., WACV 2023). Who looks too different from a person does not continue
them: people who cross keep their numbers, and a box that slides to somebody else begins anew.
"""

import math
from collections.abc import Set
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.tracking.detections import LEAST_SCORE, SURE_SCORE, Boxes, Detections, overlap
from reseen.tracking.video import Frame

BUFFERS = (0.3, 0.5)
"""What is added to each side of a box, as a share of its width and height, one after the other."""

LEAST_OVERLAP_SURE, LEAST_OVERLAP_UNSURE = 0.3, 0.5
"""Least intersection over union of a prediction with a detection, buffers included."""

LOOK_WEIGHT = 2.0
"""What likeness counts for in the assignment where overlap counts for 1."""

LEAST_LIKENESS = 0.6
"""Cosine of two looks below which they are of different people."""

LOOK_RATE = 0.1
"""Share of each new look in a person's."""

LOOK_SIZE, LOOK_STRIPES = (16, 48), 4
LOOK_BINS, LOOK_RANGE = (8, 6, 6), ((0, 256), (90, 170), (90, 170))
"""A look is a histogram of lightness and two colours (CIELAB) for each of four stripes, one below
the other, of a box scaled to this width and height; colours beyond the range count as its ends."""

PATIENCE = 2.0
"""Seconds after which a lost person is given up."""

MEASUREMENT_NOISE = 0.05
"""Standard deviation of a detected box, in box heights."""

ACCELERATION_NOISE = 2.0
"""Standard deviation of a person's acceleration, in box heights per second squared."""

FIRST_SPEED_NOISE = 1.0
"""Standard deviation of an unknown speed, in box heights per second: a person's brisk walk."""


Look = NDArray[np.float64]
SAME: Look = np.ones(1)
"""What everybody looks like where there is no picture."""


@dataclass(frozen=True, eq=False, slots=True)
class Followed:
    """One person in one frame.

    Attributes:
        person: the follower's number for the person.
        box: (4,) float32: left, top, right, bottom in pixels.
        score: how sure the detection is, from 0 to 1.
    """

    person: int
    box: Boxes
    score: float


Scene = tuple[Frame, list[Followed], Set[int], Detections]
"""A frame, the people in sight, the numbers of all who may be seen later, and what was detected."""


@dataclass(eq=False)
class Track:
    """A Kalman filter over the box of one person, who moves at a nearly constant speed.

    All noise is proportional to the box's height and the same for centre, width and height. So
    one 2×2 covariance, in squared box heights, serves all four.

    Attributes:
        person: the follower's number for the person.
        state: (4, 2) centre x, centre y, width and height in pixels; each with its speed in
            pixels per second.
        now: the time of the state, seconds.
        seen: when the person was last detected, seconds.
        score: how sure that detection was.
        look: what the person looks like, length 1.
        detections: how often the person was detected.
        covariance: (2, 2) of a position and its speed, in squared box heights.
    """

    person: int
    state: NDArray[np.float64]
    now: float
    seen: float
    score: float
    look: Look
    detections: int = 1
    covariance: NDArray[np.float64] = field(
        default_factory=lambda: np.diag([MEASUREMENT_NOISE**2, FIRST_SPEED_NOISE**2])
    )

    @classmethod
    def begin(
        cls, person: int, box: Boxes, score: float, seconds: float, look: Look = SAME
    ) -> "Track":
        """A person who was just seen for the first time and may walk either way."""
        state = np.column_stack([_measured(box), np.zeros(4)])
        return cls(person, state, seconds, seconds, score, look)

    @property
    def box(self) -> Boxes:
        """The (4,) box of the present state: left, top, right, bottom."""
        centre, half = self.state[:2, 0], np.maximum(self.state[2:, 0], 1) / 2
        return np.concatenate([centre - half, centre + half]).astype(np.float32)

    @property
    def in_sight(self) -> bool:
        """Whether the person was detected at the time of the state."""
        return self.seen == self.now

    def predict(self, seconds: float) -> None:
        """Move the state on to a later time; people out of sight neither grow nor shrink."""
        if not self.in_sight:
            self.state[2:, 1] = 0
        passed = seconds - self.now
        step = np.array([[1.0, passed], [0.0, 1.0]])
        push = ACCELERATION_NOISE * np.array([passed**2 / 2, passed])
        self.state = self.state @ step.T
        self.covariance = step @ self.covariance @ step.T + np.outer(push, push)
        self.now = seconds

    def correct(self, box: Boxes, score: float, look: Look = SAME) -> None:
        """Take a detected box, and what is seen in it, into the state."""
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + MEASUREMENT_NOISE**2)
        self.state = self.state + np.outer(_measured(box) - self.state[:, 0], gain)
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        self.seen, self.score = self.now, score
        self.detections += 1
        mixed = (1 - LOOK_RATE) * self.look + LOOK_RATE * look
        self.look = mixed / np.linalg.norm(mixed)


def _measured(box: Boxes) -> NDArray[np.float64]:
    """Centre x, centre y, width, height of a (4,) box."""
    corner, far_corner = box[:2].astype(np.float64), box[2:].astype(np.float64)
    return np.concatenate([(corner + far_corner) / 2, far_corner - corner])


class Tracker:
    """Gives the detections of successive frames to people.

    Sure detections go to people seen before, in sight or lost; unsure ones to people who were in
    sight until now and got none; sure ones that are left to those seen once so far. What is still
    left and sure is a new person. One seen once and not in the next frame was a false alarm.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """Begin with nobody; who is lost for so many seconds will be given up."""
        self._patience = patience
        self._tracks: list[Track] = []
        self._people = 0

    @property
    def people(self) -> set[int]:
        """The numbers of all who may still be seen again."""
        return {track.person for track in self._tracks}

    def update(
        self, seconds: float, found: Detections, picture: Picture | None = None
    ) -> list[Followed]:
        """Take in the next frame's detections.

        Args:
            seconds: the frame's time, later than the one before.
            found: the people in it.
            picture: (H, W, 3) uint8 RGB; without it people are followed by their boxes alone.

        Returns:
            Those who are in sight, with filtered boxes.
        """
        tracks = [track for track in self._tracks if seconds - track.seen <= self._patience]
        known = [track for track in tracks if track.detections > 1]
        in_sight = [track for track in known if track.in_sight]
        new = [track for track in tracks if track.detections == 1]
        for track in tracks:
            track.predict(seconds)
        looks = [SAME if picture is None else _look(picture, box) for box in found.boxes]
        free = found.scores >= LEAST_SCORE
        sure = found.scores >= SURE_SCORE
        for buffer in BUFFERS:
            _assign(known, found, looks, free, sure, buffer, LEAST_OVERLAP_SURE)
        _assign(in_sight, found, looks, free, ~sure, 0.0, LEAST_OVERLAP_UNSURE)
        _assign(new, found, looks, free, sure, BUFFERS[-1], LEAST_OVERLAP_SURE)
        self._tracks = [track for track in tracks if track.in_sight or track.detections > 1]
        for place in np.flatnonzero(free & sure):
            self._people += 1
            box, score = found.boxes[place], float(found.scores[place])
            self._tracks.append(Track.begin(self._people, box, score, seconds, looks[place]))
        seen = (track for track in self._tracks if track.in_sight)
        return [Followed(track.person, track.box, track.score) for track in seen]


def _assign(
    tracks: list[Track],
    found: Detections,
    looks: list[Look],
    free: NDArray[np.bool_],
    wanted: NDArray[np.bool_],
    buffer: float,
    least_overlap: float,
) -> None:
    """Give the `wanted` of the `free` detections (n,) to those tracks that have none yet.

    Of all assignments of those near and alike enough, the one with the largest sum of overlaps and
    likenesses is taken. What is given is no longer `free`.
    """
    from scipy.optimize import linear_sum_assignment

    tracks = [track for track in tracks if not track.in_sight]
    places = np.flatnonzero(free & wanted)
    if not tracks or not len(places):
        return
    predictions = np.array([track.box for track in tracks], np.float32)
    overlaps = overlap(_buffered(predictions, buffer), _buffered(found.boxes[places], buffer))
    likeness = np.array([track.look for track in tracks]) @ np.array([looks[i] for i in places]).T
    possible = (overlaps >= least_overlap) & (likeness >= LEAST_LIKENESS)
    worth = np.where(possible, overlaps + LOOK_WEIGHT * likeness, 0)
    for row, column in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
        if possible[row, column]:
            place = places[column]
            tracks[row].correct(found.boxes[place], float(found.scores[place]), looks[place])
            free[place] = False


def _buffered(boxes: Boxes, buffer: float) -> Boxes:
    """Boxes (n, 4) with a share of their width and height added on each side."""
    margins = (boxes[:, 2:] - boxes[:, :2]) * np.float32(buffer)
    return np.concatenate([boxes[:, :2] - margins, boxes[:, 2:] + margins], axis=1)


def _look(picture: Picture, box: Boxes) -> Look:
    """Roots of the shares of colours in the inner 60 % of a box's width, length 1."""
    left, top, right, bottom = box
    inset = 0.2 * (right - left)
    rows = slice(min(max(int(top), 0), picture.shape[0] - 1), max(int(bottom), 0) + 1)
    first = min(max(int(left + inset), 0), picture.shape[1] - 1)
    part = picture[rows, first : max(int(right - inset), first) + 1]
    if not part.size:  # the box ends above the picture
        part = picture[:1, :1]
    lab = cv2.cvtColor(cv2.resize(part, LOOK_SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    low, high = np.transpose(LOOK_RANGE)
    bins = (np.clip(lab, low, high - 1) - low) * LOOK_BINS // (high - low)
    stripe = np.arange(LOOK_SIZE[1])[:, None] * LOOK_STRIPES // LOOK_SIZE[1]
    places = np.ravel_multi_index((stripe, *np.moveaxis(bins, 2, 0)), (LOOK_STRIPES, *LOOK_BINS))
    shares = np.sqrt(np.bincount(places.ravel(), minlength=LOOK_STRIPES * math.prod(LOOK_BINS)))
    return np.asarray(shares / np.linalg.norm(shares))
