"""What file names tell of camera and time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reseen.errors import ReseenError
from reseen.service.names import NamePattern, Video

NOON = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("pattern", "path", "camera", "start"),
    [
        ("{camera}_{start}.mp4", "/v/hall_20260501T120000Z.mp4", "hall", NOON),
        ("{camera}_{start}.mp4", "/v/hall_2_2026-05-01_12-00-00Z.mp4", "hall_2", NOON),
        ("{camera}-{start}.mp4", "/v/north-gate-20260501-1200Z.mp4", "north-gate", NOON),
        ("{camera}/{start}.mkv", "/v/door/2026-05-01 12.00.00Z.mkv", "door", NOON),
        ("{camera}/*/{start}.mkv", "/v/door/may/20260501120000Z.mkv", "door", NOON),
        ("{camera}.*", "/v/hall.avi", "hall", None),
        ("rec(1)+{camera}*.mp4", "/v/rec(1)+hall~x.mp4", "hall", None),
    ],
)
def test_camera_and_time_are_told(pattern, path, camera, start):
    assert NamePattern(pattern).understand(Path(path), None) == Video(Path(path), camera, start)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{camera}_{start}.mp4", "/v/hall.mp4"),
        ("{camera}_{start}.mp4", "/v/hall_20260501T120000Z.mp4.part"),
        ("{camera}_{start}.mp4", "/v/hall_20261301T120000Z.mp4"),  # no such month
        ("{camera}_{start}.mp4", "/v/hall_20260501T250000Z.mp4"),
        ("{camera}.mp4", "/v/.hidden.mp4"),
        ("{camera}.mp4", "/v/two words.mp4"),
        ("{camera}.mp4", "/v/hallxmp4"),
    ],
)
def test_what_does_not_fit_is_not_guessed_at(pattern, path):
    assert NamePattern(pattern).understand(Path(path), None) is None


def test_a_time_without_a_zone_is_this_machines():
    video = NamePattern("{start}*.mp4").understand(Path("20260501_120000_x.mp4"), "hall")
    assert video == Video(
        Path("20260501_120000_x.mp4"), "hall", datetime(2026, 5, 1, 12).timestamp()
    )


@pytest.mark.parametrize(
    "pattern", ["hall.mp4", "{cam}.mp4", "{camera}{camera}.mp4", "{camera.mp4", "{}.mp4", ""]
)
def test_patterns_that_mean_nothing_are_refused(pattern):
    with pytest.raises(ReseenError, match="the pattern"):
        NamePattern(pattern)
