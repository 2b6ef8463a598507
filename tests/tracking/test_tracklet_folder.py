"""Cutting people out: what is written, when, and what an interrupted run leaves."""

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.tracking.cutting import Cutter
from reseen.tracking.track import TrackletFolder
from reseen.tracking.tracker import Followed
from reseen.tracking.video import Frame


def frame(index: int, height: int = 100, width: int = 200) -> Frame:
    """Each pixel says where it is: red is its column, green its row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(width)[None]
    picture[..., 1] = np.arange(height)[:, None]
    return Frame(index, index / 10, picture)


def person(number: int, *box: float, score: float = 0.5) -> Followed:
    return Followed(number, np.array(box, np.float32), score)


def open_folder(out: Path, min_length: int = 1, keep_numbers: bool = False) -> TrackletFolder:
    return TrackletFolder(out, "film.mp4", "door", Cutter(min_length, keep_numbers=keep_numbers))


def crop(out: Path, name: str) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(out / name)), cv2.COLOR_BGR2RGB)


def test_a_crop_is_the_box(tmp_path):
    open_folder(tmp_path / "out").add(frame(4), [person(1, 30, 10, 80, 90)])
    image = crop(tmp_path / "out", "door-film-000001/000005.jpg")
    assert image.shape == (80, 50, 3)
    np.testing.assert_allclose(image[40, [0, 49], 0], [30, 79], atol=4)  # JPEG is not exact
    np.testing.assert_allclose(image[[0, 79], 25, 1], [10, 89], atol=4)


def test_a_narrow_box_is_widened_about_its_middle(tmp_path):
    # 80 high must be 40 wide: 10 ... 50 about 30; near the left border the rest is cut off.
    folder = open_folder(tmp_path / "out")
    folder.add(frame(0), [person(1, 20, 10, 40, 90), person(2, 0, 10, 20, 90)])
    image = crop(tmp_path / "out", "door-film-000001/000001.jpg")
    assert image.shape == (80, 40, 3)
    np.testing.assert_allclose(image[40, [0, 39], 0], [10, 49], atol=4)
    assert crop(tmp_path / "out", "door-film-000002/000001.jpg").shape == (80, 30, 3)


def test_boxes_are_cut_to_the_picture_and_dropped_outside_of_it(tmp_path):
    folder = open_folder(tmp_path / "out")
    outside = [person(2, 300, 10, 340, 90), person(3, -50, 10, 2, 90), person(4, 60, 98, 90, 150)]
    folder.add(frame(0), [person(1, 170, -20, 250, 300), *outside])
    assert folder.cutter.counts.boxes_dropped == 3
    assert crop(tmp_path / "out", "door-film-000001/000001.jpg").shape[:2] == (100, 40)
    text = (tmp_path / "out" / "tracks.txt").read_text()
    assert text == "1,1,170.00,0.00,30.00,100.00,0.5000,-1,-1,-1\n"


def test_who_is_seen_too_briefly_leaves_nothing(tmp_path):
    folder = open_folder(tmp_path / "out", min_length=3)
    for index in range(4):
        brief = [person(7, 90, 10, 130, 90)] if index in (1, 2) else []
        folder.add(frame(index), [*brief, person(9, 30, 10, 80, 90)])
        folder.end_all_but({7, 9} if index < 3 else {9})
    folder.end_all_but(set())
    assert folder.cutter.counts.too_short == 1
    assert [path.name for path in tmp_path.glob("out/door-film-*")] == ["door-film-000001"]
    crops = sorted(path.name for path in tmp_path.glob("out/door-film-000001/*"))
    assert crops == ["000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg"]
    (tracklet,) = folder.tracklets
    assert (tracklet.first_frame, tracklet.last_frame, tracklet.given) == (0, 3, 4)
    assert (tracklet.start_seconds, tracklet.end_seconds) == (0.0, 0.3)


def test_nothing_is_on_disk_before_a_tracklet_is_long_enough(tmp_path):
    folder = open_folder(tmp_path / "out", min_length=3)
    for index in range(2):
        folder.add(frame(index), [person(1, 30, 10, 80, 90)])
    assert not list(tmp_path.glob("out/door-film-*"))
    folder.add(frame(2), [person(1, 30, 10, 80, 90)])
    assert len(list(tmp_path.glob("out/door-film-000001/*.jpg"))) == 3
    assert len((tmp_path / "out" / "tracks.txt").read_text().splitlines()) == 3


def test_numbers_count_from_1_or_are_the_peoples_own(tmp_path):
    for keep, names in (
        (False, ["door-film-000001", "door-film-000002"]),
        (True, ["door-film-000000", "door-film-000042"]),
    ):
        out = tmp_path / str(keep)
        open_folder(out, keep_numbers=keep).add(
            frame(0), [person(42, 30, 10, 80, 90), person(0, 90, 10, 130, 90)]
        )
        assert sorted(path.name for path in out.glob("door-film-*")) == names


def test_an_interrupted_run_is_begun_anew(tmp_path):
    out = tmp_path / "out"
    open_folder(out).add(frame(0), [person(1, 30, 10, 80, 90)])
    (out / "mine").mkdir()
    open_folder(out)
    assert not list(out.glob("door-film-*"))
    assert (out / "tracks.txt").read_text() == ""
    assert (out / "mine").is_dir()  # not ours


def test_a_finished_or_foreign_folder_is_left_alone(tmp_path):
    out = tmp_path / "out"
    folder = open_folder(out)
    folder.add(frame(0), [person(1, 30, 10, 80, 90)])
    folder.finish()
    with pytest.raises(ReseenError, match="out is not empty"):
        open_folder(out)
    assert (out / "door-film-000001" / "000001.jpg").exists()


def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    folder = open_folder(tmp_path / "out")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReseenError, match=r"no space left on the disk for .*out"):
        folder.add(frame(0), [person(1, 30, 10, 80, 90)])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReseenError, match=r"cannot write .*file/out"):
        open_folder(tmp_path / "file" / "out")
