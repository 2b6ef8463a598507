import json

import cv2
import numpy as np
import pytest

from reseen.data.pictures import Pictures, evenly
from reseen.data.tracked import tracklets_in
from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError


@pytest.fixture
def write(tmp_path):
    """Write small pictures, each of its number's gray."""

    def at(place, count=3):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((8, 4, 3), number, np.uint8))
        return folder

    return at


def test_one_folder_of_pictures_is_one_tracklet(write):
    folder = write("suspect", 12)
    (tracklet,) = tracklets_in(folder, "north")
    assert (tracklet.id, tracklet.camera, tracklet.start, tracklet.end) == (
        "suspect",
        "north",
        None,
        None,
    )
    assert tracklet.source == str(folder)
    assert [picture[0, 0, 0] for picture in tracklet.pictures] == list(range(12))


def test_persons_and_cameras_are_read_from_the_folders(write, tmp_path):
    for place in ("people/p2/east", "people/p10/west/t1", "people/p10/west/t2"):
        write(place)
    found = [(tracklet.id, tracklet.camera) for tracklet in tracklets_in(tmp_path / "people")]
    assert found == [
        ("people/p2/east", "east"),
        ("people/p10/west/t1", "west"),
        ("people/p10/west/t2", "west"),
    ]
    assert {tracklet.camera for tracklet in tracklets_in(tmp_path / "people", "x")} == {"x"}


def test_a_camera_that_cannot_be_told_is_asked_for(write, tmp_path):
    write("people/p1")
    with pytest.raises(ReseenError, match=r"cannot tell the camera of .*people/p1"):
        tracklets_in(tmp_path / "people")


def test_folders_without_pictures_are_refused(tmp_path):
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(ReseenError, match=r"no picture in .*empty or the folders below it"):
        tracklets_in(tmp_path / "empty", "north")
    with pytest.raises(ReseenError, match="nowhere"):
        tracklets_in(tmp_path / "nowhere", "north")


def test_tracklets_cut_out_of_a_video_keep_their_times_and_ids(write, tmp_path):
    write("tracks/north-film-000001", 8)
    tracklet = {
        "id": "north-film-000001",
        "camera": "north",
        "source": "film.mp4",
        "start_seconds": 1.5,
        "end_seconds": 4.0,
        "crops": 8,
    }
    document = {"start": "2024-05-01T12:00:00+00:00", "tracklets": [tracklet]}
    (tmp_path / "tracks" / "tracklets.json").write_text(json.dumps(document | {"format": 1}))
    (tracklet,) = tracklets_in(tmp_path / "tracks")
    assert (tracklet.id, tracklet.camera) == ("north-film-000001", "north")
    assert (tracklet.start, tracklet.end) == (1714564801.5, 1714564804.0)
    assert len(tracklet.pictures) == 8


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (("", "north", 0.0, 1.0), "no id or no camera"),
        (("a", "", 0.0, 1.0), "no id or no camera"),
        (("a", "north", 2.0, 1.0), "ends before it starts"),
    ],
)
def test_a_tracklet_must_make_sense(tmp_path, facts, says):
    with pytest.raises(ReseenError, match=says):
        Tracklet(*facts, "film", (tmp_path / "1.png",))
    with pytest.raises(ReseenError, match="has no picture"):
        Tracklet("a", "north", 0.0, 1.0, "film", ())


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(5, 8, [0, 1, 2, 3, 4]), (1, 3, [0]), (9, 3, [0, 4, 8]), (100, 4, [0, 33, 66, 99])],
)
def test_pictures_are_chosen_evenly_from_first_to_last(count, most, expected):
    pictures = [np.full((1, 1, 3), number, np.uint8) for number in range(count)]
    assert [picture[0, 0, 0] for picture in evenly(pictures, most)] == expected


def test_pictures_are_read_only_when_asked_for(tmp_path, write):
    folder = write("few", 2)
    pictures = Pictures((*sorted(folder.iterdir()), tmp_path / "missing.png"))
    assert len(pictures) == 3
    assert pictures[1][0, 0, 0] == 1
    assert len(pictures[:2]) == 2
    with pytest.raises(ReseenError, match=r"missing\.png"):
        pictures[2]


def test_what_links_lead_to_a_second_time_is_taken_once(tmp_path):
    folder = tmp_path / "people" / "ann" / "cam1"
    folder.mkdir(parents=True)
    (folder / "1.jpg").touch()
    (folder / "up").symlink_to(tmp_path / "people")
    (folder / "itself").symlink_to(folder)
    other = tmp_path / "people" / "bob" / "cam1"
    other.mkdir(parents=True)
    (other / "1.jpg").touch()
    (other / "ann").symlink_to(folder)
    first, second = tracklets_in(tmp_path / "people")
    assert (first.paths, second.paths) == ((folder / "1.jpg",), (other / "1.jpg",))
