"""Boxes from other tools' files: what is read, and what is refused with its line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reseen.errors import ReseenError
from reseen.tracking.mot import read_boxes


def mot(tmp_path, text: str):
    path = tmp_path / "boxes.txt"
    path.write_text(text)
    return read_boxes(path)


def as_json(tmp_path, value: object):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(value))
    return read_boxes(path)


def test_detections_are_read_by_frame(tmp_path):
    boxes = mot(
        tmp_path, "1,-1,10,20,30,40,0.9\n3,-1,1,2,3,4,0.5,-1,-1,-1\n1,-1,50,60,7,8,0.25\n\n"
    )
    assert boxes.people is None
    assert sorted(boxes.frames) == [0, 2]  # frames count from 1 in the file, from 0 here
    np.testing.assert_array_equal(boxes.frames[0].boxes, [[10, 20, 40, 60], [50, 60, 57, 68]])
    np.testing.assert_allclose(boxes.frames[0].scores, [0.9, 0.25])
    np.testing.assert_array_equal(boxes.frames[2].boxes, [[1, 2, 4, 6]])


def test_ids_are_kept(tmp_path):
    boxes = mot(
        tmp_path,
        "1, 7, 10, 20, 30, 40, 1, -1, -1, -1\n2, 7, 11, 20, 30, 40, 1\n2, 0, 0, 0, 5, 9, 1\n",
    )
    assert {index: people.tolist() for index, people in boxes.people.items()} == {0: [7], 1: [7, 0]}


def test_six_columns_are_enough(tmp_path):
    assert mot(tmp_path, "1,-1,10,20,30,40\n").frames[0].scores.tolist() == [1]


def test_unknown_scores_count_as_sure_and_others_are_cut(tmp_path):
    assert mot(tmp_path, "1,-1,1,1,9,9,-1\n2,-1,1,1,9,9,-1\n").frames[1].scores.tolist() == [1]
    mixed = mot(tmp_path, "1,-1,1,1,9,9,-1\n1,-1,1,1,9,9,3.5\n")
    assert mixed.frames[0].scores.tolist() == [0, 1]


def test_ground_truth_leaves_out_what_does_not_count(tmp_path):
    # nine columns: ..., counts (0 or 1), class (1 pedestrian, 3 car), visibility
    boxes = mot(tmp_path, "1,1,1,1,9,9,1,1,0.8\n1,2,1,1,9,9,0,1,0.8\n1,3,1,1,9,9,1,3,1.0\n")
    assert boxes.people[0].tolist() == [1]
    assert boxes.ignored == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,-1,10,20,30,40\n1,-1,10,20\n", "line 2 has 4 columns; needed are frame, id, left"),
        ("1,-1,10,20,30,forty\n", "line 1: 'forty' is not a number"),
        ("1,-1,10,20,30,nan\n", "line 1: 'nan' is not a number"),
        ("1,-1,10,20,30,1e300\n", "line 1: '1e300' is not a number that makes sense"),
        ("1,-1,10,20,30,\n", "line 1: '' is not a number"),
        ("0,-1,10,20,30,40\n", "line 1: frame 0; frames are whole numbers from 1"),
        ("1.5,-1,10,20,30,40\n", r"line 1: frame 1\.5"),
        ("1,-7,10,20,30,40\n", "line 1: id -7"),
        ("1,-1,10,20,-30,40\n", "line 1: a box cannot be -30 wide"),
        ("1 -1 10 20 30 40\n", "line 1 has 1 columns|is not a number"),
        ("1,-1,1,1,9,9\n1,4,1,1,9,9\n", "mixes boxes with an id and boxes without one"),
        ("3,4,1,1,9,9\n3,4,5,5,9,9\n", "has person 4 twice in frame 3"),
        ("\n", "holds no boxes"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    with pytest.raises(ReseenError, match=message) as error:
        mot(tmp_path, text)
    assert "boxes.txt" in str(error.value)


def test_json_in_both_spellings(tmp_path):
    boxes = as_json(
        tmp_path,
        [
            {"frame": 2, "bbox": [1, 2, 3, 4]},
            {"image_id": 2, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.5},
            {"image_id": 2, "category_id": 3, "bbox": [10, 20, 30, 40], "score": 0.5},
        ],
    )
    np.testing.assert_array_equal(boxes.frames[1].boxes, [[1, 2, 4, 6], [10, 20, 40, 60]])
    np.testing.assert_allclose(boxes.frames[1].scores, [1, 0.5])
    assert (boxes.people, boxes.ignored) == (None, 1)


def test_json_with_ids(tmp_path):
    boxes = as_json(tmp_path, [{"frame": 1, "bbox": [1, 2, 3, 4], "track_id": 12}])
    assert boxes.people[0].tolist() == [12]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"frame": 1}, "must hold a list of objects like"),
        ([{"frame": 1, "bbox": [1, 2, 3]}], "entry 1 is not like"),
        ([{"bbox": [1, 2, 3, 4]}], "entry 1 is not like"),
        ([7], "entry 1 is not like"),
        ([{"frame": 1, "bbox": [1, 2, 3, 4]}, {"frame": 1, "bbox": [1, 2, 3, None]}], "entry 2"),
        ([{"frame": None, "bbox": [1, 2, 3, 4]}], "'None' is not a number"),
        ([], "holds no boxes"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, value, message):
    with pytest.raises(ReseenError, match=message) as error:
        as_json(tmp_path, value)
    assert "boxes.json" in str(error.value)


SOME_NUMBERS = st.sampled_from(["1", "2", "-1", "0", "7.5", "1e12", "nan", "", "x", " 3"])


@settings(max_examples=50)
@given(st.lists(st.lists(SOME_NUMBERS, min_size=1, max_size=10), max_size=5))
def test_any_text_is_read_or_refused(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text("\n".join(",".join(row) for row in rows))
    try:
        read = read_boxes(path)
    except ReseenError:
        return
    assert all(found.boxes.shape[1] == 4 for found in read.frames.values())
    assert min(read.frames, default=0) >= 0


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ReseenError, match=r"none\.txt does not exist"):
        read_boxes(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReseenError, match=r"binary\.txt cannot be read as text"):
        read_boxes(tmp_path / "binary.txt")
    (tmp_path / "half.json").write_text('[{"frame": 1')
    with pytest.raises(ReseenError, match=r"half\.json cannot be read as JSON"):
        read_boxes(tmp_path / "half.json")
