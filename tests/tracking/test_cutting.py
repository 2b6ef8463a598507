"""What waits in memory while people are cut out."""

import cv2
import numpy as np
import pytest

from reseen.tracking.cutting import Cutter
from reseen.tracking.tracker import Followed
from reseen.tracking.video import Frame


def seen(cutter: Cutter, frames: int) -> None:
    """One person walks to the right, whose crop is as bright as the frame's number says."""
    for index in range(frames):
        picture = np.full((100, 200, 3), index, np.uint8)
        box = np.array([10 + index, 10, 40 + index, 90], np.float32)
        cutter.add(Frame(index, index / 10, picture), [Followed(1, box, 0.5)])


@pytest.mark.parametrize(
    ("frames", "most", "left"),
    [
        (5, None, [0, 1, 2, 3, 4]),
        (4, 4, [0, 1, 2, 3]),
        (5, 4, [0, 2, 4]),
        (9, 4, [0, 4, 8]),  # 0 2 4 6 8 were too many again
        (20, 4, [0, 8, 16]),
    ],
)
def test_crops_that_are_too_many_are_thinned_out_evenly(frames, most, left):
    cutter = Cutter(1, most=most)
    seen(cutter, frames)
    (tracklet,), nobody = cutter.end_all_but(set())
    crops = tracklet.give()
    assert [crop.frame for crop in crops] == left
    for crop in crops:
        picture = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert abs(float(picture.mean()) - crop.frame) < 1
    assert (tracklet.seen, tracklet.last_frame, tracklet.given) == (frames, frames - 1, len(left))
    assert (nobody, tracklet.waiting) == ([], [])


def test_those_who_leave_together_come_in_the_followers_order():
    cutter = Cutter(1)
    picture = np.zeros((100, 200, 3), np.uint8)
    people = [Followed(person, np.array([10, 10, 40, 90], np.float32), 1) for person in (9, 4, 7)]
    cutter.add(Frame(0, 0.0, picture), people)
    gone, _ = cutter.end_all_but({4})
    assert [tracklet.number for tracklet in gone] == [3, 1]  # numbered as they came


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ((80, 10, 120, 90), False),
        ((80, 10, 120, 97), False),  # 3 pixels from the edge are more than 3 % of 87
        ((80, 10, 120, 99), True),  # the legs go on
        ((1, 10, 41, 90), True),
        ((159, 10, 199, 90), True),
        ((80, 0, 120, 90), False),  # all but the crown of the head
        ((80, 0, 130, 90), True),  # as wide as shoulders are for what is left of the height
    ],
)
def test_the_pictures_edge_cuts_bodies(box, cut):
    cutter = Cutter(1)
    frame = Frame(0, 0.0, np.zeros((100, 200, 3), np.uint8))
    (tracklet,) = cutter.add(frame, [Followed(1, np.array(box, np.float32), 1)])
    assert tracklet.cut == [1] * cut
