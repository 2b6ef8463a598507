"""Following people from frame to frame by their boxes.

The association of SORT (Bewley et al., ICIP 2016) and ByteTrack (Zhang et al., ECCV 2022): a
Kalman filter predicts each person's box, the Hungarian algorithm assigns detections to the
predictions, sure detections first and unsure ones second, and a person who was lost for a while
is found again where the prediction says.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reseen.tracking.detections import LEAST_SCORE, SURE_SCORE, Boxes, Detections, overlap

LEAST_OVERLAP_SURE, LEAST_OVERLAP_UNSURE, LEAST_OVERLAP_NEW = 0.2, 0.5, 0.3
"""Least intersection over union of a prediction with a detection in the three passes."""

PATIENCE = 2.0
"""Seconds after which a lost person is given up."""

MEASUREMENT_NOISE = 0.05
"""Standard deviation of a detected box, in box heights."""

ACCELERATION_NOISE = 2.0
"""Standard deviation of a person's acceleration, in box heights per second squared."""

FIRST_SPEED_NOISE = 1.0
"""Standard deviation of an unknown speed, in box heights per second: a person's brisk walk."""


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
        detections: how often the person was detected.
        covariance: (2, 2) of a position and its speed, in squared box heights.
    """

    person: int
    state: NDArray[np.float64]
    now: float
    seen: float
    score: float
    detections: int = 1
    covariance: NDArray[np.float64] = field(
        default_factory=lambda: np.diag([MEASUREMENT_NOISE**2, FIRST_SPEED_NOISE**2])
    )

    @classmethod
    def begin(cls, person: int, box: Boxes, score: float, seconds: float) -> "Track":
        """A person who was just seen for the first time and may walk either way."""
        state = np.column_stack([_measured(box), np.zeros(4)])
        return cls(person, state, seconds, seconds, score)

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

    def correct(self, box: Boxes, score: float) -> None:
        """Take a detected box into the state."""
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + MEASUREMENT_NOISE**2)
        self.state = self.state + np.outer(_measured(box) - self.state[:, 0], gain)
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        self.seen, self.score = self.now, score
        self.detections += 1


def _measured(box: Boxes) -> NDArray[np.float64]:
    """Centre x, centre y, width, height of a (4,) box."""
    corner, far_corner = box[:2].astype(np.float64), box[2:].astype(np.float64)
    return np.concatenate([(corner + far_corner) / 2, far_corner - corner])


class Tracker:
    """Gives the detections of successive frames to people.

    Each frame is worked in three passes. Sure detections go to people seen before, in sight or
    lost; unsure ones to people who were in sight until now and got none; sure ones that are left
    to those seen once so far. What is still left and sure is a new person. One who was seen once
    and not in the next frame was a false alarm.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """Begin with nobody.

        Args:
            patience: seconds after which a lost person is given up.
        """
        self._patience = patience
        self._tracks: list[Track] = []
        self._people = 0

    @property
    def people(self) -> set[int]:
        """The numbers of all who may still be seen again."""
        return {track.person for track in self._tracks}

    def update(self, seconds: float, found: Detections) -> list[Followed]:
        """Take in the next frame's detections.

        Args:
            seconds: the frame's time, later than the one before.
            found: the people in it.

        Returns:
            Those who are in sight, with filtered boxes.
        """
        tracks = [track for track in self._tracks if seconds - track.seen <= self._patience]
        known = [track for track in tracks if track.detections > 1]
        in_sight = [track for track in known if track.in_sight]
        new = [track for track in tracks if track.detections == 1]
        for track in tracks:
            track.predict(seconds)
        sure = found.only(found.scores >= SURE_SCORE)
        unsure = found.only((found.scores >= LEAST_SCORE) & (found.scores < SURE_SCORE))
        sure = _assign(known, sure, LEAST_OVERLAP_SURE)
        _assign(in_sight, unsure, LEAST_OVERLAP_UNSURE)
        sure = _assign(new, sure, LEAST_OVERLAP_NEW)
        self._tracks = [track for track in tracks if track.in_sight or track.detections > 1]
        self._begin(sure, seconds)
        return [
            Followed(track.person, track.box, track.score)
            for track in self._tracks
            if track.in_sight
        ]

    def _begin(self, found: Detections, seconds: float) -> None:
        for box, score in zip(found.boxes, found.scores, strict=True):
            self._people += 1
            self._tracks.append(Track.begin(self._people, box, float(score), seconds))


def _assign(tracks: list[Track], found: Detections, least_overlap: float) -> Detections:
    """Give detections to those tracks that have none yet; return the detections left over.

    Of all assignments, the one with the largest sum of overlaps is taken; its pairs that overlap
    too little are let go again.
    """
    from scipy.optimize import linear_sum_assignment

    tracks = [track for track in tracks if not track.in_sight]
    predictions = np.array([track.box for track in tracks], np.float32).reshape(-1, 4)
    overlaps = overlap(predictions, found.boxes)
    overlaps[overlaps < least_overlap] = 0
    free = np.ones(len(found), bool)
    for row, column in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
        if overlaps[row, column] > 0:
            tracks[row].correct(found.boxes[column], float(found.scores[column]))
            free[column] = False
    return found.only(free)
