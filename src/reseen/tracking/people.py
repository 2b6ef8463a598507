"""Who is in each frame: people whom a detector finds, or whom another tool found."""

from collections.abc import Callable, Set

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.tracking.detections import Detections, Detector
from reseen.tracking.detectors import open_detector
from reseen.tracking.mot import GivenBoxes
from reseen.tracking.tracker import Followed, Tracker
from reseen.tracking.video import Frame

Numbers = NDArray[np.int64]

NOBODY = Detections.of([], [])
NO_NUMBERS: Numbers = np.zeros(0, np.int64)

Follow = Callable[[Frame], tuple[list[Followed], Set[int]]]
"""Gives the people in sight in the next frame, and the numbers of all who may be seen later."""


def follow_detector(detector: str | Detector) -> Follow:
    """Follow the people whom a detector, or the one of this name, finds in each picture."""
    detect = open_detector(detector) if isinstance(detector, str) else detector
    tracker = Tracker()

    def follow(frame: Frame) -> tuple[list[Followed], Set[int]]:
        found = detect(frame.picture)
        if not isinstance(found, Detections):
            raise ReseenError(f"the detector gave {type(found).__name__}; it must give Detections")
        return tracker.update(frame.seconds, found), tracker.people

    return follow


def follow_boxes(given: GivenBoxes) -> Follow:
    """Follow the people in given boxes; those who have numbers keep them."""
    if given.people is not None:
        return _follow_numbers(given.frames, given.people)
    tracker = Tracker()

    def follow(frame: Frame) -> tuple[list[Followed], Set[int]]:
        found = given.frames.get(frame.index, NOBODY)
        return tracker.update(frame.seconds, found), tracker.people

    return follow


def _follow_numbers(frames: dict[int, Detections], people: dict[int, Numbers]) -> Follow:
    """Take over the numbers that another tool gave to the people."""
    last = {person: index for index in sorted(people) for person in people[index].tolist()}
    to_come = set(last)

    def follow(frame: Frame) -> tuple[list[Followed], Set[int]]:
        found = frames.get(frame.index, NOBODY)
        numbers = people.get(frame.index, NO_NUMBERS).tolist()
        to_come.difference_update(person for person in numbers if last[person] == frame.index)
        seen = zip(numbers, found.boxes, found.scores, strict=True)
        return [Followed(person, box, float(score)) for person, box, score in seen], to_come

    return follow
