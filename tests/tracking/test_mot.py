"""Boxes from other tools' files: what is read, and what is refused with its line."""

import contextlib
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


def test_unknown_scores_count_as_sure_and_other_scales_are_mapped(tmp_path):
    assert mot(tmp_path, "1,-1,1,1,9,9,-1\n2,-1,1,1,9,9,-1\n").frames[1].scores.tolist() == [1]
    for least, middle, most in ((-1, 1.25, 3.5), (0, 50, 100), (-40, -20, 0.5)):
        mixed = mot(tmp_path, "".join(f"1,-1,1,1,9,9,{one}\n" for one in (least, middle, most)))
        score = 0.5 + 0.5 * (middle - least) / (most - least)
        np.testing.assert_allclose(mixed.frames[0].scores, [0.5, score, 1], rtol=1e-6)
        assert mixed.notes == (f"scores from {least:g} to {most:g} were mapped to 0.5 ... 1",)


def test_ground_truth_leaves_out_what_does_not_count(tmp_path):
    # nine columns: ..., counts (0 or 1), class (1 pedestrian, 3 car), visibility
    boxes = mot(tmp_path, "1,1,1,1,9,9,1,1,0.8\n1,2,1,1,9,9,0,1,0.8\n1,3,1,1,9,9,1,3,1.0\n")
    assert boxes.people[0].tolist() == [1]
    assert boxes.left_out == {"marked not to count": 1, "of class 3, not 1": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,-1,10,20,30,40\n1,-1,10,20\n", "line 2 has 4 columns; needed are frame, id, left"),
        ("1,-1,10,20,30,forty\n", "line 1: 'forty' is not a number"),
        ("1,-1,10,20,30,nan\n", "line 1: 'nan' is not a number"),
        ("1,-1,10,20,30,1e300\n", "line 1: '1e300' is not a number that makes sense"),
        ("1,-1,10,,30,40\n", "line 1: '' is not a number"),
        ("1,-1,10,20,30,\n", "line 1 has 5 columns"),
        ("-1,-1,10,20,30,40\n", "line 1: frame -1; frames are whole numbers from 1"),
        ("1.5,-1,10,20,30,40\n", r"line 1: frame 1\.5"),
        ("1,-7,10,20,30,40\n", "line 1: id -7"),
        ("1,-1,10,20,-30,40\n", "line 1: a box cannot be -30 wide"),
        ("1 -1 10 20\n", "line 1 has 4 columns"),
        ("# nothing but this\n", "holds no boxes"),
        ("frame,id,size\n1,2,3\n", "line 1 names the columns frame,id,size; needed are frame, id"),
        ("1,-1,300,200,400,500\n" * 10, "could be corners .* as well as sizes"),
        ("1,1,.3,.2,.1,.4\n2,1,.3,.2,.1,.4\n", "its boxes are shares of the picture"),
        ("1,1,9,9,9,9,1,3,1\n1,2,9,9,9,9,0,1,1\n", r"all 2 .* left out: of class 3.*\(1\), marked"),
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
    assert (boxes.people, boxes.left_out) == (None, {"of class 3, not 1": 1})


def test_json_with_ids(tmp_path):
    boxes = as_json(tmp_path, [{"frame": 1, "bbox": [1, 2, 3, 4], "track_id": 12}])
    assert boxes.people[0].tolist() == [12]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"frame": 1}, "must hold a list of objects like"),
        ([{"box": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}, "track_id": 1}], "it has no frame"),
        ({"annotations": [], "images": [{"id": 1}]}, "is no COCO data set"),
        (
            {"annotations": [{"image_id": [1], "category_id": {}, "bbox": [1, 2, 3, 4]}]},
            r"entry 1: '\[1\]' is not a number",
        ),
        ([{"frame": 1, "bbox": [1, 2, 3]}], "entry 1 is not like"),
        ([{"bbox": [1, 2, 3, 4]}], "entry 1 is not like"),
        ([7], "entry 1 is not like"),
        ([{"frame": 1, "bbox": [1, 2, 3, 4]}, {"frame": 1, "bbox": [1, 2, 3, None]}], "entry 2"),
        ([{"frame": None, "bbox": [1, 2, 3, 4]}], "'None' is not a number"),
        (
            [{"frame": 1, "bbox": [1, 2, 3, 4], "category_id": 7}],
            "all 1 boxes .* of class 7, not 1",
        ),
        ([], "holds no boxes"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, value, message):
    with pytest.raises(ReseenError, match=message) as error:
        as_json(tmp_path, value)
    assert "boxes.json" in str(error.value)


# Other tools' ways. Everywhere two people walk for three frames, the second one first.


def walked(form: str) -> str:
    """Lines for frames 1 ... 3, people 2 and 1 at left 700 and 300; `form` has f, p and x."""
    return "".join(
        form.format(f=f, g=f - 1, p=p, x=400 * p - 100 + f) + "\n"
        for f in (1, 2, 3)
        for p in (2, 1)
    )


FORMS = {
    "spaces": ("{f} {p} {x} 200 100 300 0.9", ""),
    "spaces at the end": ("{f} {p} {x} 200 100 300 -1 -1 -1 -1 ", ""),
    "tabs": ("{f}\t{p}\t{x}\t200\t100\t300\t0.9", ""),
    "semicolons": ("{f};{p};{x};200;100;300", ""),
    "comma at the end": ("{f},{p},{x},200,100,300,0.9,", ""),
    "header": ("{f},{p},{x},200,100,300", "frame,id,x,y,w,h\n"),
    "header of corners": ("{p},{f},{x},200,800,500", "track_id,frame,x1,y1,x2,y2\n"),
    "comments": ("{f},{p},{x},200,100,300", "# frame, id, ...\n// more\n"),
    "whole numbers with points": ("{f}.0,{p}.0,{x},2e2,1e2,3e2", ""),
    "frames from 0": ("{g},{p},{x},200,100,300", ""),
    "ground truth": ("{f},{p},{x},200,100,300,1,1,0.86", ""),
    "class 0 and a score": ("{f},{p},{x},200,100,300,1,0,0.878", ""),
    "score, class 0 and a number": ("{f},{p},{x},200,100,300,0.88,0,5", ""),
    "no score": ("{f} {p} {x} 200 100 300 0 0 -1", ""),
    "VisDrone": ("{f},{p},{x},200,100,300,1,{p},0,2", ""),
    "places in the world": ("{f},{p},{x},200,100,300,1,3.52,0.2,-7.1", ""),
    "JSON lines": ('{{"frame": {f}, "track_id": {p}, "bbox": [{x}, 200, 100, 300]}}', ""),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_two_people_are_read_whatever_the_form(tmp_path, form, encoding):
    line, head = FORMS[form]
    path = tmp_path / "boxes.any"
    path.write_bytes((head + walked(line)).encode(encoding))
    boxes = read_boxes(path)
    assert sorted(boxes.frames) == [0, 1, 2]
    for index, found in boxes.frames.items():
        assert boxes.people[index].tolist() == [2, 1]
        np.testing.assert_array_equal(found.boxes[:, 0], [701 + index, 301 + index])
        np.testing.assert_array_equal(found.boxes[:, [1, 3]], [[200, 500], [200, 500]])
        assert (found.scores >= 0.5).all()
    assert boxes.left_out == {}


def test_classes_can_be_said(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text(walked("{f},{p},{x},200,100,300,0.9,{p}"))
    assert [one.tolist() for one in read_boxes(path).people.values()] == [[1]] * 3
    assert read_boxes(path).left_out == {"of class 2, not 1": 3}
    assert [one.tolist() for one in read_boxes(path, [2]).people.values()] == [[2]] * 3
    assert [one.tolist() for one in read_boxes(path, [1, 2]).people.values()] == [[2, 1]] * 3
    with pytest.raises(ReseenError, match=r"all 6 boxes were left out: of class 2, not 0 \(3\)"):
        read_boxes(path, [0])


def test_what_was_guessed_is_said_and_can_be_settled(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text(walked("{g},{p},{x},200,100,300,0.9,0"))
    boxes = read_boxes(path)
    assert [note.split(",")[0] for note in boxes.notes] == [
        "class 0 was taken for people; --classes says it if it is another",
        "frames were counted from 0",
    ]
    assert read_boxes(path, [0], 0).notes == ()
    later = tmp_path / "later.txt"  # nobody is in its first frame
    later.write_text("".join(f"{f},{1},300,200,100,300\n" for f in (1, 2)))
    assert sorted(read_boxes(later).frames) == [0, 1]
    assert sorted(read_boxes(later, first_frame=0).frames) == [1, 2]


def test_a_coco_data_set_names_its_frames_and_classes(tmp_path):
    document = {
        "images": [{"id": 70 - place, "file_name": f"{place:03d}.jpg"} for place in range(3)],
        "categories": [{"id": 4, "name": "dog"}, {"id": 9, "name": "person"}],
        "annotations": [
            {"id": 5, "image_id": 69, "category_id": 9, "bbox": [10, 20, 30, 40]},
            {"id": 6, "image_id": 69, "category_id": 4, "bbox": [10, 20, 30, 40]},
        ],
    }
    boxes = as_json(tmp_path, document)
    np.testing.assert_array_equal(boxes.frames[1].boxes, [[10, 20, 40, 60]])
    assert (boxes.people, boxes.left_out) == (None, {"of class dog": 1})


def cvat(tmp_path, content: str):
    path = tmp_path / "annotations.xml"
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{content}</annotations>')
    return read_boxes(path)


CVAT_BOX = '<box frame="{}" xtl="10" ytl="20" xbr="40.5" ybr="60" outside="{}"/>'


def test_tracks_of_cvat(tmp_path):
    boxes = cvat(
        tmp_path,
        f'<track id="3" label="person">{CVAT_BOX.format(0, 0)}{CVAT_BOX.format(1, 1)}</track>'
        f'<track id="4" label="car">{CVAT_BOX.format(0, 0)}</track>',
    )
    np.testing.assert_array_equal(boxes.frames[0].boxes, [[10, 20, 40.5, 60]])
    assert {index: people.tolist() for index, people in boxes.people.items()} == {0: [3]}
    assert boxes.left_out == {"marked not to count": 1, "of class car": 1}


def test_images_of_cvat(tmp_path):
    box = '<box label="person" xtl="10" ytl="20" xbr="40" ybr="60"/>'
    boxes = cvat(tmp_path, f'<image id="0" name="a">{box}</image><image id="2">{box}</image>')
    assert (sorted(boxes.frames), boxes.people) == ([0, 2], None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<track id="1"><box frame="0" xtl="1"/></track>', "box 1 is not like CVAT's"),
        ('<track id="1">', "cannot be read as XML"),
        ("<other/>", "holds no boxes"),
    ],
)
def test_other_xml_is_named(tmp_path, content, message):
    with pytest.raises(ReseenError, match=message):
        cvat(tmp_path, content)


def test_xml_with_entities_is_refused(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "ha">]><annotations>&b;</annotations>')
    with pytest.raises(ReseenError, match="declares a document type"):
        read_boxes(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000])
def test_json_that_is_nested_too_deeply_is_one_line(tmp_path, text):
    (tmp_path / "deep.json").write_text(text)
    with pytest.raises(ReseenError, match=r"deep\.json cannot be read as JSON") as error:
        read_boxes(tmp_path / "deep.json")
    assert len(str(error.value)) < 300


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


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["1", "x", "person"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["frame", "image_id", "bbox", "box", "category_id", "name", "x1", "id"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"image_id": ANYTHING, "bbox": st.just([1, 2, 3, 4]) | ANYTHING},
        optional={"category_id": ANYTHING, "score": ANYTHING, "name": ANYTHING},
    ),
    max_size=3,
)
DATA_SETS = st.fixed_dictionaries(
    {"annotations": ENTRIES},
    optional={"images": ANYTHING | st.just([{"id": 1, "file_name": "a"}]), "categories": ANYTHING},
)


@settings(max_examples=200)
@given(ANYTHING | ENTRIES | DATA_SETS)
def test_any_json_is_read_or_refused(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document))
    try:
        read = read_boxes(path)
    except ReseenError:
        return
    assert all(np.isfinite(found.boxes).all() for found in read.frames.values())


@settings(max_examples=200)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    for start in (b"", b"1,1,1,1,9,9\n", b"<annotations>", b"\xff\xfe", b"["):
        path.write_bytes(start + content)
        with contextlib.suppress(ReseenError):
            assert read_boxes(path).frames


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ReseenError, match=r"none\.txt does not exist"):
        read_boxes(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReseenError, match=r"binary\.txt cannot be read as text"):
        read_boxes(tmp_path / "binary.txt")
    (tmp_path / "half.json").write_text('[{"frame": 1')
    with pytest.raises(ReseenError, match=r"half\.json cannot be read as JSON"):
        read_boxes(tmp_path / "half.json")
