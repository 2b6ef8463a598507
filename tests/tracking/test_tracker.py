"""Following people: hand-made scenes whose answer is known.

Everybody is 40 pixels wide and 100 high unless said otherwise, and there are ten frames a second.
"""

import numpy as np
import pytest

from benchmarks.bench_tracker import identity_scores
from reseen.tracking.detections import Detections
from reseen.tracking.tracker import SAME, Track, Tracker, _look

STEP = 0.1


def box(x: float, y: float = 200.0) -> tuple[float, float, float, float]:
    """A person's box by its centre."""
    return (x - 20, y - 50, x + 20, y + 50)


def follow(frames: list[list[tuple[float, float]]], tracker: Tracker | None = None):
    """Follow centres and scores, a list for each frame; give {number: x} for each frame."""
    tracker = tracker or Tracker()
    seen = []
    for index, people in enumerate(frames):
        found = Detections.of([box(x) for x, _ in people], [score for _, score in people])
        followed = tracker.update(index * STEP, found)
        seen.append({one.person: (one.box[0] + one.box[2]) / 2 for one in followed})
    return seen


def test_one_person_walking_keeps_the_number_and_the_place():
    seen = follow([[(100 + 8 * t, 0.9)] for t in range(20)])
    assert [set(people) for people in seen] == [{1}] * 20
    for t, people in enumerate(seen):
        assert abs(people[1] - (100 + 8 * t)) < 4


def test_two_people_who_cross_keep_their_numbers():
    # They walk towards each other and hide each other for some frames in the middle: only one
    # box is seen there.
    frames = []
    for t in range(31):
        left, right = 100 + 10 * t, 400 - 10 * t
        hidden = abs(left - right) < 25
        frames.append([(left, 0.9)] if hidden else [(left, 0.9), (right, 0.9)])
    assert sum(len(people) == 1 for people in frames) == 3
    seen = follow(frames)
    first_left = min(seen[0], key=seen[0].get)
    first_right = max(seen[0], key=seen[0].get)
    assert {first_left, first_right} == {1, 2} == set(seen[-1])
    assert seen[-1][first_left] > 390
    assert seen[-1][first_right] < 110


def test_a_person_is_found_again_after_a_gap_where_the_walk_led():
    # 20 pixels a frame, unseen for 8 frames: 180 pixels further on, four boxes away.
    frames = [[(100 + 20 * t, 0.9)] if not 10 <= t < 18 else [] for t in range(25)]
    seen = follow(frames)
    assert seen[9].keys() == seen[18].keys() == seen[24].keys() == {1}
    assert all(people == {} for people in seen[10:18])


def test_a_person_out_of_sight_for_too_long_is_somebody_new():
    away = 25  # frames, 2.5 seconds
    frames = [[(100, 0.9)]] * 5 + [[]] * away + [[(100, 0.9)]] * 5
    seen = follow(frames)
    assert seen[4].keys() == {1}
    assert seen[-1].keys() == {2}
    patient = follow(frames, Tracker(patience=3.0))
    assert patient[-1].keys() == {1}


def test_the_patience_is_measured_in_seconds_not_frames():
    # Two frames a second: two missed frames last 1.5 s, four last 2.5 s.
    for missed, expected in ((2, {1}), (4, {2})):
        tracker = Tracker()
        people = [[box(100)]] * 4 + [[]] * missed + [[box(100)]] * 2
        for index, boxes in enumerate(people):
            followed = tracker.update(index / 2, Detections.of(boxes, [0.9] * len(boxes)))
        assert {one.person for one in followed} == expected


@pytest.mark.parametrize(("away", "expected"), [(2.0, 1), (2.25, 2)])
def test_the_patience_ends_after_its_last_moment(away, expected):
    tracker = Tracker(patience=2.0)
    for seconds in (0.0, 0.25, 0.5, 0.5 + away):
        followed = tracker.update(seconds, Detections.of([box(100)], [0.9]))
    assert [one.person for one in followed] == [expected]


def test_somebody_seen_once_takes_nothing_from_those_who_are_known():
    """The last box is nearer to the newcomer at 112, yet belongs to who has stood at 100."""
    seen = follow([[(100, 0.9)]] * 5 + [[(100, 0.9), (112, 0.9)], [(110, 0.9)]])
    assert seen[5].keys() == {1, 2}
    assert seen[6].keys() == {1}


def test_two_looks_are_enough_to_be_waited_for():
    seen = follow([[(100, 0.9)]] * 2 + [[]] * 3 + [[(100, 0.9)]])
    assert seen[-1].keys() == {1}


def test_nobody_is_taken_to_walk_before_the_second_look():
    track = Track.begin(1, np.array(box(100), np.float32), 0.9, 0.0)
    before = track.box
    track.predict(1.0)
    np.testing.assert_array_equal(track.box, before)


@pytest.mark.parametrize("side", [2, 3], ids=["width", "height"])
def test_who_is_lost_keeps_width_and_height(side):
    track = Track.begin(1, np.array(box(100), np.float32), 0.9, 0.0)
    track.predict(0.1)
    grown = np.array(box(100), np.float32)
    grown[side] += 30
    track.correct(grown, 0.9)
    track.predict(0.2)
    track.predict(0.3)
    size = track.state[2:, 0].copy()
    track.predict(1.0)
    np.testing.assert_array_equal(track.state[2:, 0], size)


def test_unsure_detections_continue_a_person_but_begin_none():
    unsure = 0.3
    seen = follow([[(100, 0.9), (400, unsure)]] * 3 + [[(100, unsure), (400, unsure)]] * 20)
    assert all(people.keys() == {1} for people in seen)


def test_unsure_detections_do_not_bring_a_lost_person_back():
    seen = follow([[(100, 0.9)]] * 5 + [[]] + [[(100, 0.3)]] * 5 + [[(100, 0.9)]])
    assert all(people == {} for people in seen[5:11])
    assert seen[11].keys() == {1}


def test_scores_below_the_least_are_ignored():
    assert follow([[(100, 0.9)]] * 3 + [[(100, 0.05)]])[-1] == {}


def test_a_ghost_of_one_frame_is_forgotten():
    tracker = Tracker()
    seen = follow([[(100, 0.9)], [(100, 0.9), (400, 0.9)], [(100, 0.9)], [(100, 0.9)]], tracker)
    assert seen[1].keys() == {1, 2}
    assert tracker.people == {1}
    # Somebody who stands there later is not taken for the ghost.
    assert follow([[(400, 0.9)]] * 2, tracker)[-1].keys() == {3}


def test_the_sum_of_overlaps_decides_not_the_nearest_first():
    # Both move 14 pixels to the right. The first detection overlaps the second person's old place
    # by 28/52 and the first one's only by 26/54; the pairs in order sum up to more.
    def boxes(*centres):
        return Detections.of([box(x) for x in centres], [0.9] * len(centres))

    tracker = Tracker()
    for index in range(2):
        tracker.update(index * STEP, boxes(100, 126))
    followed = tracker.update(0.2, boxes(114, 140))
    order = sorted(followed, key=lambda one: one.box[0])
    assert [one.person for one in order] == [1, 2]


def test_nobody_at_all():
    tracker = Tracker()
    assert tracker.update(0.0, Detections.of([], [])) == []
    assert tracker.people == set()


def test_the_filter_equals_the_textbook_one_with_all_eight_numbers():
    # The four coordinates share one 2x2 covariance here. The textbook filter over
    # (4 positions, 4 speeds), with the same noise for each coordinate, must agree.
    rng = np.random.default_rng(0)
    measured = np.cumsum(rng.normal(2, 1, (12, 4)), axis=0) + np.array([100, 200, 40, 100])
    boxes = np.column_stack(
        [measured[:, :2] - measured[:, 2:] / 2, measured[:, :2] + measured[:, 2:] / 2]
    )
    track = Track.begin(1, boxes[0].astype(np.float32), 0.9, 0.0)
    state = np.hstack([measured[0], np.zeros(4)])
    covariance = np.kron(np.diag([0.05**2, 1.0]), np.eye(4))
    observe = np.hstack([np.eye(4), np.zeros((4, 4))])
    noise = 0.05**2 * np.eye(4)
    for index in range(1, 12):
        passed = STEP if index != 6 else 3 * STEP
        track.predict(track.now + passed)
        track.correct(boxes[index].astype(np.float32), 0.9)
        step = np.kron(np.array([[1, passed], [0, 1]]), np.eye(4))
        push = 2.0**2 * np.array([[passed**4 / 4, passed**3 / 2], [passed**3 / 2, passed**2]])
        covariance = step @ covariance @ step.T + np.kron(push, np.eye(4))
        state = step @ state
        gain = covariance @ observe.T @ np.linalg.inv(observe @ covariance @ observe.T + noise)
        state = state + gain @ (measured[index] - observe @ state)
        covariance = (np.eye(8) - gain @ observe) @ covariance
    np.testing.assert_allclose(track.state.T.ravel(), state, rtol=1e-4)
    np.testing.assert_allclose(np.kron(track.covariance, np.eye(4)), covariance, atol=1e-9)


def test_people_out_of_sight_neither_grow_nor_shrink():
    track = Track.begin(1, np.array([0, 0, 40, 100], np.float32), 0.9, 0.0)
    for index in range(1, 6):  # comes nearer: grows by 10 % a frame
        track.predict(index * STEP)
        grown = 1.1**index
        track.correct(np.array([0, 0, 40 * grown, 100 * grown], np.float32), 0.9)
    track.predict(0.6)
    predicted = track.box[3] - track.box[1]
    assert predicted > 100 * 1.1**5  # in sight: goes on growing
    track.predict(1.6)
    assert track.box[3] - track.box[1] == pytest.approx(predicted)


# Looks

RED, BLUE = (200, 40, 40), (40, 40, 200)


def follow_colours(frames: list[list[tuple[float, tuple[int, int, int]]]], shown=None):
    """Follow people of a colour by their boxes; give {number: x} for each frame.

    `shown` says of which frames the boxes are given, a list of places for each; None gives all.
    """
    tracker, seen = Tracker(), []
    for index, people in enumerate(frames):
        picture = np.full((300, 600, 3), 128, np.uint8)
        for x, colour in people:
            picture[150:250, int(x) - 20 : int(x) + 20] = colour
        given = range(len(people)) if shown is None else shown[index]
        boxes = [box(people[place][0]) for place in given]
        found = Detections.of(boxes, [0.9] * len(boxes))
        followed = tracker.update(index * STEP, found, picture)
        seen.append({one.person: (one.box[0] + one.box[2]) / 2 for one in followed})
    return seen


def test_people_who_turn_round_where_they_meet_keep_their_numbers():
    # By their boxes alone they would have walked on through each other.
    frames = []
    for t in range(31):
        way = min(t, 30 - t)
        frames.append([(100 + 12 * way, RED), (500 - 12 * way, BLUE)])
    seen = follow_colours(frames)
    assert seen[5].keys() == {1, 2} == seen[-1].keys()
    red = min(seen[0], key=seen[0].get)
    assert seen[-1][red] < 150


def test_a_box_that_slides_to_somebody_else_begins_anew():
    # Red is detected until blue is about to pass before her; from then on the one box is blue's.
    frames = [[(300, RED), (100 + 10 * t, BLUE)] for t in range(40)]
    shown = [[0] if t < 16 else [1] for t in range(40)]
    seen = follow_colours(frames, shown)
    assert seen[15].keys() == {1}
    assert 1 not in seen[25]
    assert seen[39].keys() == {2}


@pytest.mark.parametrize("place", [(-90, -200), (700, 900), (590, 100), (-15, 290)])
def test_a_box_may_lie_outside_the_picture(place):
    x, y = place
    picture = np.zeros((300, 600, 3), np.uint8)
    tracker = Tracker()
    for index in range(3):
        found = Detections.of([(x, y, x + 40, y + 100)], [0.9])
        followed = tracker.update(index * STEP, found, picture)
    assert [one.person for one in followed] == [1]


# The measure of the benchmark


def test_identity_scores_of_a_case_worked_out_by_hand():
    # A is followed for 6 of 10 frames as 1 and then as 2; B for 4 as 2 before, so that A is 1 and
    # B is 2 in the best matching: 6 + 4 right of 20 true and 16 given boxes. 3 lies elsewhere.
    here, there, far = (np.array([x, 0, x + 40, 100], np.float32) for x in (0, 200, 500))
    truth = {"A": dict.fromkeys(range(10), here), "B": dict.fromkeys(range(10), there)}
    found = {
        1: dict.fromkeys(range(6), here),
        2: {**dict.fromkeys(range(4), there), **dict.fromkeys(range(6, 10), here)},
        3: dict.fromkeys(range(2), far),
    }
    scores = identity_scores(truth, found)
    assert scores["IDF1"] == pytest.approx(2 * 10 / (20 + 16))
    assert (scores["precision"], scores["recall"]) == (10 / 16, 10 / 20)
    assert scores["people"] == 3


def test_identity_scores_count_only_boxes_that_overlap_by_half():
    truth = {1: {0: np.array([0, 0, 40, 100], np.float32)}}
    # 26 of 54 columns are shared, then 27 of 53: just below and above a half.
    for shift, right in ((14, 0), (13, 1)):
        found = {7: {0: np.array([shift, 0, 40 + shift, 100], np.float32)}}
        assert identity_scores(truth, found)["IDF1"] == right
    assert identity_scores(truth, {})["IDF1"] == 0


RED, BLUE = (200, 30, 30), (30, 30, 200)


def test_half_sure_is_sure_enough_to_begin_a_person():
    assert len(Tracker().update(0.0, Detections.of([[0, 0, 10, 20]], [0.5]))) == 1


def test_what_is_unsure_continues_only_who_is_where_it_is():
    """Shifted by 40 %, boxes share 3/7 of what they cover; with a buffer it would be above half."""
    tracker, still = Tracker(), [[100, 100, 150, 200]]
    for step in range(5):
        tracker.update(0.04 * step, Detections.of(still, [0.9]))
    assert tracker.update(0.2, Detections.of([[120, 100, 170, 200]], [0.3])) == []


def test_an_overlap_of_exactly_half_is_enough_for_what_is_unsure():
    """Shifted by a third, boxes share half of what they cover."""
    tracker, still = Tracker(), [[100, 100, 160, 200]]
    for step in range(5):
        tracker.update(0.04 * step, Detections.of(still, [0.9]))
    found = tracker.update(0.2, Detections.of([[120, 100, 180, 200]], [0.3]))
    assert [one.person for one in found] == [1]


def test_a_look_moves_a_tenth_of_the_way_and_stays_of_length_1():
    before, seen = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    box = np.array([0, 0, 10, 20], np.float32)
    track = Track.begin(1, box, 0.9, 0.0, before)
    track.correct(box, 0.9, seen)
    expected = 0.9 * before + 0.1 * seen
    np.testing.assert_allclose(track.look, expected / np.linalg.norm(expected))
    assert np.linalg.norm(SAME) == 1


@pytest.mark.parametrize(
    ("red_rows", "red_columns", "box", "expected"),
    [
        (slice(0), (0, 1, 9), (0, 0, 10, 20), BLUE),  # what stands beside does not count
        (slice(0, 1), (), (0, 0, 10, 0.5), RED),
        (slice(0, 19), (), (0, 30, 10, 40), BLUE),  # below the picture: its last row
        (slice(0, 19), (), (0, -40, 10, -30), RED),  # above it: its corner
    ],
)
def test_a_look_is_of_the_middle_of_a_box(red_rows, red_columns, box, expected):
    picture = np.full((20, 10, 3), BLUE, np.uint8)
    picture[red_rows] = RED
    picture[:, list(red_columns)] = RED
    plain = _look(np.full((20, 10, 3), expected, np.uint8), np.array([0, 0, 10, 20], np.float32))
    found = _look(picture, np.array(box, np.float32))
    np.testing.assert_allclose(found, plain)


def test_a_box_at_the_upper_edge_has_its_first_row():
    picture = np.full((20, 10, 3), BLUE, np.uint8)
    picture[0] = RED
    box = np.array([0, 0, 10, 1], np.float32)
    assert _look(picture, box) @ _look(picture[1:], box) < 0.9
