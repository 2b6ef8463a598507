"""Boxes, their overlaps, and opening a detector by its name."""

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.tracking.detections import Detections, cover, overlap, without_doubles
from reseen.tracking.detectors import open_detector
from reseen.tracking.onnx import OnnxDetector


def boxes(*values: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(values, np.float32)


def test_overlap_is_intersection_over_union():
    squares = boxes((0, 0, 10, 10))
    others = boxes((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (0, 0, 5, 10), (50, 50, 60, 60))
    # 100/100, 50/150, touching only, 50/100, apart
    np.testing.assert_allclose(overlap(squares, others)[0], [1, 1 / 3, 0, 0.5, 0])


def test_cover_is_intersection_over_the_smaller_area():
    squares = boxes((0, 0, 10, 10))
    others = boxes((0, 0, 10, 10), (5, 0, 15, 10), (2, 2, 4, 4), (-5, -5, 15, 15), (50, 50, 60, 60))
    np.testing.assert_allclose(cover(squares, others)[0], [1, 0.5, 1, 1, 0])


def test_overlaps_of_nothing_have_no_rows_or_columns():
    assert overlap(np.zeros((0, 4), np.float32), boxes((0, 0, 1, 1))).shape == (0, 1)
    assert overlap(boxes((0, 0, 1, 1)), np.zeros((0, 4), np.float32)).shape == (1, 0)


def test_of_overlapping_boxes_the_surest_stays():
    found = Detections.of(
        [(0, 0, 10, 20), (1, 0, 11, 20), (30, 0, 40, 20), (8, 0, 18, 20)], [0.6, 0.9, 0.3, 0.5]
    )
    kept = without_doubles(found)  # the last overlaps the second by 3/17: another person
    np.testing.assert_array_equal(kept.boxes[:, 0], [1, 30, 8])
    np.testing.assert_allclose(kept.scores, [0.9, 0.3, 0.5])


def test_no_box_has_no_doubles():
    assert len(without_doubles(Detections.of([], []))) == 0


@pytest.mark.parametrize(
    ("found_boxes", "scores"),
    [
        (np.zeros((2, 4), np.float32), np.zeros(3, np.float32)),
        (np.zeros((2, 5), np.float32), np.zeros(2, np.float32)),
        (np.full((1, 4), np.nan, np.float32), np.zeros(1, np.float32)),
        (np.zeros((1, 4), np.float32), np.full(1, np.inf, np.float32)),
    ],
)
def test_detections_that_make_no_sense_are_refused(found_boxes, scores):
    with pytest.raises(ReseenError, match="a detector gave"):
        Detections(found_boxes, scores)


def test_any_function_can_be_a_detector(tmp_path, monkeypatch):
    (tmp_path / "my_detectors.py").write_text(
        "from reseen.tracking.detections import Detections\n"
        "def whole(picture):\n"
        "    return Detections.of([[0, 0, picture.shape[1], picture.shape[0]]], [0.9])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = open_detector("my_detectors:whole")(np.zeros((48, 64, 3), np.uint8))
    np.testing.assert_array_equal(found.boxes, [[0, 0, 64, 48]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yolo", "no detector is called yolo; there is hog"),
        ("yolox-nano", "yolox-nano is not here yet: reseen models get yolox-nano"),
        ("lite0", "no detector is called lite0"),
        ("no.such.module:function", "cannot be imported"),
        ("math:no_such_function", "cannot be imported"),
        ("math:pi", "is not a function"),
        (":function", "cannot be imported"),
        ("missing.onnx", "missing.onnx does not exist"),
        ("folder.onnx", "folder.onnx is no file"),
    ],
)
def test_a_detector_that_cannot_be_opened_is_named(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ReseenError, match=message):
        open_detector(name)


def test_a_detector_that_was_loaded_is_opened_by_its_name(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path))
    (tmp_path / "yolox-nano.onnx").symlink_to(shared_data / "models" / "yolox_nano.onnx")
    detector = open_detector("yolox-nano")
    assert isinstance(detector, OnnxDetector)
    assert detector.family == "YOLOX"
