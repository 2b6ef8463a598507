"""The built-in people detector: silent where nothing changes, and at work on the real video."""

import itertools

import numpy as np
import pytest

from reseen.data.pictures import Picture
from reseen.tracking.detections import overlap
from reseen.tracking.hog import HogDetector
from reseen.tracking.video import frames_from


def noise(seed: int, height: int = 240, width: int = 320) -> Picture:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_nothing_is_found_where_nothing_changes():
    detect, picture = HogDetector(), noise(0)
    detect(picture)
    for _ in range(5):
        assert len(detect(picture)) == 0


@pytest.mark.parametrize("shape", [(240, 320), (20, 400), (9, 9), (300, 40)])
def test_any_size_is_searched_and_may_change(shape):
    detect = HogDetector()
    for seed in range(2):  # all of it changed: searched as a whole
        found = detect(noise(seed, *shape))
        assert found.boxes.shape == (len(found), 4)
    assert detect(noise(3, 100, 100)).boxes.shape[1] == 4


def test_a_patch_that_changes_is_searched_alone():
    detect, picture = HogDetector(), noise(0)
    detect(picture)
    changed = picture.copy()
    changed[80:200, 100:150] = 255 - changed[80:200, 100:150]
    for left, top, right, bottom in detect(changed).boxes:
        assert min(right, 150) > max(left, 100)
        assert min(bottom, 200) > max(top, 80)


@pytest.fixture(scope="module")
def found_in_real_video(shared_data):
    """Detections by frame: a woman comes in at the 62nd frame and stands from the 85th on."""
    detect = HogDetector()
    frames = frames_from(shared_data / "one-by-one-person-detection.mp4")
    wanted = (frame for frame in frames if frame.index % 2 == 0 and frame.index >= 40)
    return {frame.index: detect(frame.picture) for frame in itertools.islice(wanted, 60)}


def test_the_empty_hall_is_empty(found_in_real_video):
    assert all(len(found_in_real_video[index]) == 0 for index in range(42, 60, 2))


def test_a_standing_woman_is_found_and_stays_found(found_in_real_video):
    # Her outline, from the difference to the empty hall. At most every fifth frame has a second
    # box (a part of her, say).
    outline = np.array([[388, 13, 513, 395]], np.float32)
    standing = [found_in_real_video[index] for index in range(90, 160, 2)]
    near = [overlap(outline, found.boxes).max(initial=0) > 0.7 for found in standing]
    assert np.mean(near) >= 0.8
    assert sum(len(found) for found in standing) <= 1.2 * len(standing)
