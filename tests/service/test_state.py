"""How a camera is doing, written by one process and read by another."""

import msgspec
import pytest

from reseen.errors import ReseenError
from reseen.service.state import (
    CameraState,
    camera_states,
    last_picture,
    read_state,
    with_more,
    write_state,
)
from tests.service.states import HALL

HALL_1 = msgspec.structs.replace(HALL, name="hall.1")


def test_what_is_written_is_read(tmp_path):
    other = CameraState(name="door", source="/v.mp4", state="failed", since=2.0, error="it is gone")
    write_state(tmp_path, HALL_1, b"a picture")
    write_state(tmp_path, other)
    assert camera_states(tmp_path) == [other, HALL_1]
    assert read_state(tmp_path, "hall.1") == HALL_1
    assert last_picture(tmp_path, "hall.1") == b"a picture"
    write_state(tmp_path, HALL_1)
    assert last_picture(tmp_path, "hall.1") == b"a picture"
    assert read_state(tmp_path, "hall") is last_picture(tmp_path, "door") is None
    assert sorted(file.name for file in (tmp_path / "cameras").iterdir()) == [
        "door.json",
        "hall.1.jpg",
        "hall.1.json",
    ]


def test_names_with_dots_keep_their_own_pictures(tmp_path):
    """`with_suffix` on a name without the .json would cut it at its last dot."""
    for name in ("hall.1", "hall.2"):
        write_state(tmp_path, msgspec.structs.replace(HALL_1, name=name), name.encode())
    assert last_picture(tmp_path, "hall.1") == b"hall.1"


def test_nobody_watches(tmp_path):
    assert camera_states(tmp_path) == []


def test_a_damaged_file_is_one_line(tmp_path):
    write_state(tmp_path, HALL_1)
    (tmp_path / "cameras" / "hall.1.json").write_text('{"name": "hall.1"')
    with pytest.raises(ReseenError, match=r"hall.1.json cannot be read as JSON"):
        camera_states(tmp_path)


def test_people_are_counted_by_the_hour_for_a_day():
    hours = with_more((), 2, 3600.0 * 10 + 5)
    hours = with_more(hours, 1, 3600.0 * 10 + 50)
    hours = with_more(hours, 4, 3600.0 * 12)
    assert hours == ((36_000.0, 3), (43_200.0, 4))
    assert with_more(hours, 0, 3600.0 * 34 + 1) == ((43_200.0, 4),)
