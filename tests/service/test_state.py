"""How a camera is doing, written by one process and read by another."""

import msgspec
import pytest

from reseen.errors import ReseenError
from reseen.service.state import (
    CameraState,
    camera_states,
    last_picture,
    read_state,
    write_state,
)

HALL = CameraState(
    name="hall.1",
    source="rtsp://10.0.0.7/live",
    state="running",
    since=1_777_636_800.0,
    last_frame=1_777_636_805.5,
    frames=27,
    skipped=2,
    people=3,
    people_per_hour=((1_777_633_200.0, 1), (1_777_636_800.0, 2)),
)


def test_what_is_written_is_read(tmp_path):
    other = CameraState(name="door", source="/v.mp4", state="failed", since=2.0, error="it is gone")
    write_state(tmp_path, HALL, b"a picture")
    write_state(tmp_path, other)
    assert camera_states(tmp_path) == [other, HALL]
    assert read_state(tmp_path, "hall.1") == HALL
    assert last_picture(tmp_path, "hall.1") == b"a picture"
    write_state(tmp_path, HALL)
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
        write_state(tmp_path, msgspec.structs.replace(HALL, name=name), name.encode())
    assert last_picture(tmp_path, "hall.1") == b"hall.1"


def test_nobody_watches(tmp_path):
    assert camera_states(tmp_path) == []


def test_a_damaged_file_is_one_line(tmp_path):
    write_state(tmp_path, HALL)
    (tmp_path / "cameras" / "hall.1.json").write_text('{"name": "hall.1"')
    with pytest.raises(ReseenError, match=r"hall.1.json cannot be read as JSON"):
        camera_states(tmp_path)
