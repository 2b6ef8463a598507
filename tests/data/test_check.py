import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from reseen.data.check import check, check_store
from reseen.data.store import INDEX_FILE, shard_file
from reseen.errors import ReseenError


def draw(path: Path, height: int = 128, width: int = 64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Four sound people, three frames in each of two cameras."""
    for person in ("ann", "bob", "cem", "dan"):
        for camera in ("left", "right"):
            for frame in (9, 10, 11):
                draw(tmp_path / person / camera / f"{frame}.png")
    return tmp_path


def test_a_sound_folder_is_all_right(people: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "reseen.progress")
    result = check("folder", people, processes=1)
    assert result.ok
    assert result.problems == ()
    assert result.notes == (
        "taken for 4 persons: ann, bob, cem, …; for 2 cameras: left, right; "
        "for the frames of one tracklet, in order: 9.png, 10.png, 11.png",
    )
    assert {fact.name: fact.found for fact in result.facts}["frames"] == 24
    assert "checking: 24 pictures" in caplog.text


def test_every_broken_picture_is_named_with_its_fault(people: Path):
    empty, text, cut_png, cut_jpg = (
        people / "ann" / "left" / name for name in ("12.png", "13.png", "14.png", "15.jpg")
    )
    empty.touch()
    text.write_text("I am no picture")
    for path in (cut_png, cut_jpg):
        draw(path)
        path.write_bytes(path.read_bytes()[:-800])
    dangling = people / "ann" / "left" / "16.png"
    dangling.symlink_to(people / "nowhere.png")
    result = check("folder", people, processes=1)
    assert not result.ok
    assert result.problems == (
        f"{empty} is empty",
        f"{text} is not a picture",
        f"{cut_png} is cut short",
        f"{cut_jpg} is cut short",
        f"{dangling} does not exist",
    )


def test_gaps_lone_frames_and_lone_cameras_are_named(people: Path):
    (people / "bob/left/10.png").rename(people / "bob/left/12.png")
    for name in ("9.png", "10.png"):
        (people / "cem/right" / name).unlink()
    draw(people / "eve/left/1.png")
    draw(people / "eve/left/2.png")
    result = check("folder", people, processes=1)
    assert result.problems == (
        "bob/left: a gap between 9.png and 11.png",
        "cem/right: one frame only",
        "eve/left: no other camera has seen this person",
    )
    assert result.notes[1:] == ("people seen by one camera only, who cannot be searched for: 1",)


def test_a_data_set_of_one_picture_size_is_held_to_it(tmp_path: Path):
    for camera in ("cam_a", "cam_b"):
        for person in range(1, 5):
            for frame in (1, 2):
                draw(tmp_path / f"multi_shot/{camera}/person_{person:04d}/{frame:04d}.png")
    wrong = tmp_path / "multi_shot/cam_b/person_0003/0002.png"
    draw(wrong, 64, 48)
    result = check("prid2011", tmp_path, processes=1)
    assert result.problems == (f"{wrong} is 64×48 pixels, not 128×64",)
    assert not result.ok
    assert result.notes[0].startswith("tracklets missing or empty: 392 (person_0005/cam_a")


def test_wrong_counts_alone_are_not_all_right(tmp_path: Path):
    for camera in ("cam_a", "cam_b"):
        for person in range(1, 5):
            for frame in (1, 2):
                draw(tmp_path / f"multi_shot/{camera}/person_{person:04d}/{frame:04d}.png")
    result = check("prid2011", tmp_path, processes=1)
    assert result.problems == ()
    assert not result.ok


def test_pictures_that_the_tables_of_mars_name_must_be_there(tmp_path: Path):
    info = tmp_path / "info"
    info.mkdir()
    names = {"train": ["0001C1T0001F001.jpg", "0001C1T0001F002.jpg"]}
    names["test"] = ["0002C1T0001F001.jpg", "0002C2T0001F001.jpg"]
    rows = {"train": [[1, 2, 1, 1]], "test": [[1, 1, 2, 1], [2, 2, 2, 2]]}
    for part in ("train", "test"):
        (info / f"{part}_name.txt").write_text("\n".join(names[part]))
        scipy.io.savemat(info / f"tracks_{part}_info.mat", {f"track_{part}_info": rows[part]})
        for name in names[part]:
            draw(tmp_path / f"bbox_{part}" / name[:4] / name, 256, 128)
    scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": [1, 2]})
    assert check("mars", tmp_path, processes=1).problems == ()
    missing = tmp_path / "bbox_train" / "0001" / "0001C1T0001F002.jpg"
    missing.unlink()
    problems = check("mars", tmp_path, processes=1).problems
    assert problems == (f"{missing} does not exist",)


def test_a_missing_folder_of_the_data_set_is_a_problem(people: Path):
    result = check("mars", people, processes=1)
    assert not result.ok
    (problem,) = result.problems
    assert problem.startswith(f"no bbox_train/ and bbox_test/ in {people}")


def test_a_wrong_name_or_folder_is_the_users_mistake(people: Path, tmp_path: Path):
    with pytest.raises(ReseenError, match="did you mean 'folder'"):
        check("fodler", people)
    with pytest.raises(ReseenError, match="nowhere: No such file"):
        check("folder", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReseenError, match="empty is empty"):
        check("folder", tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_store_is_read_whole_and_every_damaged_shard_named(make_store):
    store = make_store([(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)])
    assert check_store(store.path).ok
    assert {fact.name: fact.found for fact in check_store(store.path).facts} == {
        "people": 2,
        "tracklets": 4,
        "frames": 8,
        "splits": 1,
    }
    shards = [store.path / shard_file(number) for number in (0, 1)]
    for shard in shards:
        content = bytearray(shard.read_bytes())
        content[-1] ^= 1
        shard.write_bytes(content)
    assert [problem.split(" is ")[0] for problem in check_store(store.path).problems] == [
        str(shard) for shard in shards
    ]
    assert not check_store(store.path).ok


def test_a_store_that_does_not_open_is_refused(make_store, tmp_path: Path):
    store = make_store([(1, 1, 2), (1, 2, 2)])
    index = store.path / INDEX_FILE
    index.write_text(index.read_text().replace("blotches", "blotched"))
    with pytest.raises(ReseenError, match=f"{INDEX_FILE} is damaged"):
        check_store(store.path)
    with pytest.raises(ReseenError, match="is not a store"):
        check_store(tmp_path)
