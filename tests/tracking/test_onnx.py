"""ONNX person detectors: tiny hand-made files that answer as each family does.

Every file gives constant outputs, except that one number can be read off a pixel of the input;
so the tests see both what a file is shown and what is made of its answer. In the table of layouts
a person and a bicycle are planted in each.
"""

from pathlib import Path

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.tracking import video
from reseen.tracking.detections import Detections, overlap
from reseen.tracking.detectors import open_detector
from reseen.tracking.onnx import OnnxDetector

onnx = pytest.importorskip("onnx")

SIZE = 64  # pixels of the square input
YOLOX_CELLS = 8 * 8 + 4 * 4 + 2 * 2
NANODET_CELLS = YOLOX_CELLS + 1
NOT_A_PERSON = 16  # COCO's dog


def write(
    path: Path,
    outputs: dict[str, np.ndarray],
    probe: dict[str, tuple[tuple[int, int, int], np.ndarray]] | None = None,
    inputs: tuple[str, ...] = ("images",),
    shape: tuple[int | str, ...] = (1, 3, SIZE, SIZE),
    kind: type = np.float32,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a file that gives `outputs`; to those in `probe`, a pixel times an array is added.

    Args:
        probe: for an output's name, the pixel (channel, row, column) and what it is multiplied by.
        inputs: the picture's name, and perhaps that of the size.
        kind: of the picture's numbers.
        metadata: what the file says about itself.
    """
    helper, nodes, constants, described = onnx.helper, [], [], []
    for name, values in outputs.items():
        constants.append(onnx.numpy_helper.from_array(values, f"{name} constant"))
        if probe and name in probe:
            (channel, row, column), share = probe[name]
            begin, end = [0, channel, row, column], [1, channel + 1, row + 1, column + 1]
            for what, value in (("begin", begin), ("end", end), ("flat", [1] * values.ndim)):
                constants.append(
                    onnx.numpy_helper.from_array(np.array(value, np.int64), f"{name} {what}")
                )
            constants.append(
                onnx.numpy_helper.from_array(share.astype(np.float32), f"{name} share")
            )
            nodes += [
                helper.make_node(
                    "Slice", [inputs[0], f"{name} begin", f"{name} end"], [f"{name} 1"]
                ),
                helper.make_node("Reshape", [f"{name} 1", f"{name} flat"], [f"{name} 2"]),
                helper.make_node("Mul", [f"{name} 2", f"{name} share"], [f"{name} 3"]),
                helper.make_node("Add", [f"{name} 3", f"{name} constant"], [name]),
            ]
        else:
            nodes.append(helper.make_node("Identity", [f"{name} constant"], [name]))
        given = helper.np_dtype_to_tensor_dtype(values.dtype)
        described.append(helper.make_tensor_value_info(name, given, values.shape))
    given = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    pictures = helper.make_tensor_value_info(inputs[0], given, shape)
    sizes = [
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, (1, 2)) for name in inputs[1:]
    ]
    graph = helper.make_graph(nodes, "tiny", [pictures, *sizes], described, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path


def find(path: Path, picture: np.ndarray | None = None) -> Detections:
    """Detect in a grey picture, 128 wide and 64 high: the input shows it at half size."""
    grey = np.full((64, 128, 3), 100, np.uint8)
    return open_detector(str(path))(grey if picture is None else picture)


def yolox(rows: dict[int, list[float]], classes: int = 80) -> np.ndarray:
    """An output with the given rows; in all others nothing is found, in the middle of the cell."""
    found = np.zeros((1, YOLOX_CELLS, 5 + classes), np.float32)
    found[0, :, :2] = 0.5
    for cell, row in rows.items():
        found[0, cell, : len(row)] = row
    return found


def in_pixels(found: np.ndarray) -> np.ndarray:
    """The same output as files give it that were exported with their boxes decoded."""
    first = 0
    for stride in (8, 16, 32):
        for row in range(SIZE // stride):
            for column in range(SIZE // stride):
                found[0, first, :2] = (found[0, first, :2] + (column, row)) * stride
                found[0, first, 2:4] = np.exp(found[0, first, 2:4]) * stride
                first += 1
    return found


# Cell 10 of the finest grid is row 1, column 2: centre (2.5, 1.5) * 8 = (20, 12).
# exp(0) * 8 = 8 wide, exp(ln 2) * 8 = 16 high: 16 ... 24, 4 ... 20 in the input, twice that in
# the picture.
PERSON_ROW = [0.5, 0.5, 0.0, np.log(2), 0.9, 0.8]
PERSON_BOX = [32, 8, 48, 40]


@pytest.mark.parametrize("decoded", [False, True])
def test_yolox_with_boxes_relative_to_cells_and_in_pixels(tmp_path, decoded):
    dog = [0.5, 0.5, 0, 0, 0.9] + [0.0] * 80
    dog[5 + NOT_A_PERSON] = 0.9
    found = yolox({10: PERSON_ROW, 30: dog, 40: [0.5, 0.5, 0, 0, 0.2, 0.2]})
    path = write(tmp_path / "m.onnx", {"output": in_pixels(found) if decoded else found})
    people = find(path)  # the dog is none, and 0.2 * 0.2 is too unsure
    np.testing.assert_allclose(people.boxes, [PERSON_BOX], atol=1e-4)
    np.testing.assert_allclose(people.scores, [0.72], atol=1e-6)


def test_yolox_for_people_only(tmp_path):
    path = write(tmp_path / "m.onnx", {"output": yolox({10: PERSON_ROW}, classes=1)})
    np.testing.assert_allclose(find(path).boxes, [PERSON_BOX], atol=1e-4)


def test_yolox_on_the_coarsest_grid(tmp_path):
    # Cell 64 + 16 + 3 is row 1, column 1 of stride 32: centre (48, 48), 32 by 32; in the picture
    # 64 ... 128, and below its lower edge: cut to the picture's 64 rows.
    path = write(tmp_path / "m.onnx", {"output": yolox({83: [0.5, 0.0, 0, 0, 1, 1]})})
    np.testing.assert_allclose(find(path).boxes, [[64, 32, 128, 64]], atol=1e-4)


def test_overlapping_boxes_are_reduced_to_the_surest(tmp_path):
    nearby = [0.6, 0.5, 0.0, np.log(2), 0.9, 0.9]
    path = write(tmp_path / "m.onnx", {"output": yolox({10: PERSON_ROW, 11: [-0.4, *nearby[1:]]})})
    np.testing.assert_allclose(find(path).scores, [0.81], atol=1e-6)


def painted(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((64, 128, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("pixel", "colour", "score"),
    [
        ((0, 0, 0), (0, 0, 255), 1.0),  # the first channel is blue, from 0 to 255
        ((2, 31, 63), (255, 0, 0), 1.0),  # the picture's last row and column at half size
        ((0, 32, 0), (0, 0, 255), 114 / 255),  # grey below it
    ],
)
def test_yolox_is_shown_blue_green_red_with_grey_below(tmp_path, pixel, colour, score):
    found = yolox({10: [0.5, 0.5, 0, 0, 0, 1]})
    share = np.zeros_like(found)
    share[0, 10, 4] = 1 / 255
    path = write(tmp_path / "m.onnx", {"output": found}, {"output": (pixel, share)})
    np.testing.assert_allclose(find(path, painted(colour)).scores, [score], atol=1e-5)


def nanodet(cell: int, score: float, distances: tuple[int, int, int, int]) -> np.ndarray:
    """An output that is sure of four whole distances, in strides, in one cell."""
    found = np.zeros((1, NANODET_CELLS, 80 + 32), np.float32)
    found[0, cell, 0] = score
    for side, distance in enumerate(distances):
        found[0, cell, 80 + 8 * side + distance] = 50.0
    return found


def test_nanodet(tmp_path):
    # Cell 64 + 5 is row 1, column 1 of stride 16: the point (16, 16). One stride to the left, to
    # the top and to the bottom, two to the right: 0 ... 48, 0 ... 32. It was trained on stretched
    # pictures, so that only x doubles.
    path = write(tmp_path / "m.onnx", {"output": nanodet(69, 0.7, (1, 1, 2, 1))})
    people = find(path)
    np.testing.assert_allclose(people.boxes, [[0, 0, 96, 32]], atol=1e-4)
    np.testing.assert_allclose(people.scores, [0.7], atol=1e-6)


def test_nanodet_takes_the_mean_of_each_distribution(tmp_path):
    found = nanodet(0, 0.7, (0, 0, 2, 4))
    found[0, 0, 80 + 16 : 80 + 24] = 0.0  # to the right: all of 0 ... 7 alike, 3.5 strides
    people = find(write(tmp_path / "m.onnx", {"output": found}))
    np.testing.assert_allclose(people.boxes, [[0, 0, 56, 32]], atol=1e-4)


def test_nanodet_is_shown_normalised_blue_green_red(tmp_path):
    found = nanodet(0, 0.5, (0, 0, 2, 2))
    share = np.zeros_like(found)
    share[0, 0, 0] = 0.1
    path = write(tmp_path / "m.onnx", {"output": found}, {"output": ((0, 0, 0), share)})
    people = find(path, painted((0, 0, 255)))
    np.testing.assert_allclose(people.scores, [0.5 + 0.1 * (255 - 103.53) / 57.375], atol=1e-5)


def rtdetr(score: float = 0.9) -> dict[str, np.ndarray]:
    return {
        "labels": np.array([[0, NOT_A_PERSON, 0]], np.int64),
        "boxes": np.array([[[16, 8, 32, 40], [0, 0, 9, 9], [0, 0, 5, 5]]], np.float32),
        "scores": np.array([[score, 0.8, 0.05]], np.float32),
    }


def test_rtdetr_boxes_are_stretched_back(tmp_path):
    # The input is square, the picture twice as wide as high: x doubles, y stays.
    inputs = ("images", "orig_target_sizes")
    people = find(write(tmp_path / "m.onnx", rtdetr(), inputs=inputs))
    np.testing.assert_allclose(people.boxes, [[32, 8, 64, 40]], atol=1e-4)
    np.testing.assert_allclose(people.scores, [0.9], atol=1e-6)


def test_rtdetr_is_shown_red_green_blue_from_0_to_1(tmp_path):
    share = np.array([[1.0, 0.0, 0.0]])
    path = write(
        tmp_path / "m.onnx",
        rtdetr(score=0.0),
        {"scores": ((0, 63, 63), share)},
        inputs=("images", "orig_target_sizes"),
    )
    np.testing.assert_allclose(find(path, painted((255, 0, 0))).scores, [1.0], atol=1e-6)


def test_rtdetr_without_its_last_step(tmp_path):
    logits = np.full((1, 2, 80), -9.0, np.float32)
    logits[0, 0, 0] = np.log(3)  # 3 to 1: 0.75
    logits[0, 1, NOT_A_PERSON] = 9.0
    centred = np.array([[[0.5, 0.5, 0.25, 0.5], [0.2, 0.2, 0.1, 0.1]]], np.float32)
    people = find(write(tmp_path / "m.onnx", {"logits": logits, "pred_boxes": centred}))
    np.testing.assert_allclose(people.boxes, [[48, 16, 80, 48]], atol=1e-4)
    np.testing.assert_allclose(people.scores, [0.75], atol=1e-6)


def test_an_open_input_size_is_640(tmp_path):
    cells = 80 * 80 + 40 * 40 + 20 * 20
    found = np.zeros((1, cells, 6), np.float32)
    found[0, :, :2] = 0.5
    found[0, 0] = (0.5, 0.5, 0, 0, 1, 1)  # 0 ... 8 of 640, of a picture 128 wide: 0 ... 1.6
    path = write(tmp_path / "m.onnx", {"output": found}, shape=("batch", 3, "height", "width"))
    np.testing.assert_allclose(find(path).boxes, [[0, 0, 1.6, 1.6]], atol=1e-4)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            {"logits": np.zeros((1, 1000), np.float32)},
            r"no person detector of a known form .*its outputs are logits \(1, 1000\)$",
        ),
        ({"output": np.zeros((1, 77, 85), np.float32)}, r"its outputs are output \(1, 77, 85\)"),
        (
            {"a": np.zeros((1, 3), np.float32), "b": np.zeros((1, 3), np.float32)},
            r"its outputs are a \(1, 3\), b \(1, 3\)",
        ),
    ],
)
def test_a_file_that_is_no_detector_is_named_with_its_outputs(tmp_path, outputs, message):
    with pytest.raises(ReseenError, match=message):
        find(write(tmp_path / "m.onnx", outputs))


def test_a_file_without_a_picture_input_is_refused(tmp_path):
    path = write(tmp_path / "m.onnx", {"output": yolox({})}, shape=(1, 100))
    with pytest.raises(ReseenError, match=r"its inputs are images tensor\(float\) \[1, 100\]"):
        find(path)


def test_a_file_that_is_not_onnx_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ReseenError, match=r"m\.onnx cannot be opened as ONNX"):
        find(path)


# The table of layouts: in the input, a person and a bicycle

PERSON, BICYCLE = np.array([16, 8, 24, 24]), np.array([40, 10, 60, 30])
LETTERBOXED, STRETCHED = [32, 16, 48, 48], [32, 8, 48, 24]
"""The person in the picture, which is 128 wide and 64 high."""

PERSON_CELL, BICYCLE_CELL = 20, 46


def centred(corners: np.ndarray) -> list[float]:
    left, top, right, bottom = corners
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def cells_in_pixels(columns: int) -> np.ndarray:
    """A small box at the middle of every cell, nothing behind it."""
    found = in_pixels(yolox({}, classes=max(columns - 5, 1)))[:, :, :columns]
    found[0, PERSON_CELL, :4], found[0, BICYCLE_CELL, :4] = centred(PERSON), centred(BICYCLE)
    return found


def yolov8(classes: int = 80) -> np.ndarray:
    """(1, 4 + classes, cells), the first class the person's."""
    found = cells_in_pixels(4 + classes)
    found[0, PERSON_CELL, 4] = 0.9
    if classes > 1:
        found[0, BICYCLE_CELL, 5] = 0.9
    return np.ascontiguousarray(found.transpose(0, 2, 1))


def yolov5() -> np.ndarray:
    found = np.tile(cells_in_pixels(85), (1, 3, 1))
    found[0, PERSON_CELL, 4:6] = 0.9, 1
    found[0, BICYCLE_CELL, [4, 6]] = 0.9, 1
    return found


def yolov6() -> np.ndarray:
    found = cells_in_pixels(85)
    found[0, :, 4] = 1
    found[0, PERSON_CELL, 5] = found[0, BICYCLE_CELL, 6] = 0.9
    return found


def end_to_end(rows: int = 20, person: int = 0) -> np.ndarray:
    found = np.zeros((1, rows, 6), np.float32)
    found[0, 0], found[0, 1] = [*PERSON, 0.9, person], [*BICYCLE, 0.9, person + 1]
    return found


def of_cells() -> np.ndarray:
    """As `end_to_end`, one for each cell, nothing of the last class in most."""
    found = end_to_end(YOLOX_CELLS)
    found[0, 2:, 5] = 7
    return found


def rtmdet() -> dict[str, np.ndarray]:
    found = end_to_end()
    return {"dets": found[..., :5], "labels": found[..., 5].astype(np.int64)}


def dfine() -> dict[str, np.ndarray]:
    found = end_to_end()
    labels = found[..., 5].astype(np.int64)
    return {"labels": labels, "boxes": found[..., :4], "scores": found[..., 4]}


def yolonas() -> dict[str, np.ndarray]:
    scores = np.zeros((1, YOLOX_CELLS, 80), np.float32)
    scores[0, 0, 0] = scores[0, 1, 1] = 0.9
    return {"boxes": of_cells()[..., :4], "scores": scores}


def queries(classes: int, person: int, boxes: str, logits: str) -> dict[str, np.ndarray]:
    """Boxes as shares; nobody behind all others."""
    places, values = (
        np.full((1, 9, 4), 0.5, np.float32),
        np.full((1, 9, classes), -9, np.float32),
    )
    values[0, 2:, -1] = 5 if classes == 92 else -9
    for place, (box, label) in enumerate(((PERSON, person), (BICYCLE, person + 1))):
        places[0, place] = np.array(centred(box)) / SIZE
        values[0, place, label if label < classes else 0] = 3 if label < classes else -9
    return {boxes: places, logits: values}


def nanodet_m(batch: bool = True) -> dict[str, np.ndarray]:
    """Three grids: scores and distances; the person fills 16 ... 32 stretched."""
    outputs = {}
    for kind, columns in (("score", 80), ("distance", 32)):
        for stride in (8, 16, 32):
            shape = (1, (SIZE // stride) ** 2, columns)
            outputs[f"{kind}{stride}"] = np.zeros(shape if batch else shape[1:], np.float32)
    scores, distances = outputs["score16"], outputs["distance16"]
    # Row 1, column 1 of stride 16: the point (23.5, 23.5); one stride to every side.
    scores.reshape(-1, 80)[5, 0] = 0.9
    scores.reshape(-1, 80)[9, 1] = 0.9
    for side in range(4):
        distances.reshape(-1, 32)[5, 8 * side + 1] = 60
    return outputs


NANODET_BOX = [15, 7.5, 79, 39.5]
LAYOUTS = {
    "YOLOv8": ({"output0": yolov8()}, {}, LETTERBOXED),
    "YOLOv8 turned": ({"output0": yolov8().transpose(0, 2, 1)}, {}, LETTERBOXED),
    "YOLOv8 in half precision": (
        {"output0": yolov8().astype(np.float16)},
        {"kind": np.float16},
        LETTERBOXED,
    ),
    "YOLOv8 for people": ({"output0": yolov8(1)}, {}, LETTERBOXED),
    "YOLOv5": ({"output0": yolov5()}, {}, LETTERBOXED),
    "YOLOv6": ({"outputs": yolov6()}, {}, LETTERBOXED),
    "YOLO26": ({"output0": end_to_end()}, {}, LETTERBOXED),
    "label for each cell": ({"output": of_cells()}, {}, LETTERBOXED),
    "RTMDet": (rtmdet(), {}, LETTERBOXED),
    "D-FINE": (dfine(), {"inputs": ("images", "orig_target_sizes")}, STRETCHED),
    "D-FINE, scores first": (dict(sorted(dfine().items(), reverse=True)), {}, STRETCHED),
    "YOLO-NAS": (yolonas(), {}, LETTERBOXED),
    "DETR": (queries(92, 1, "pred_boxes", "logits"), {}, STRETCHED),
    "RF-DETR": (queries(91, 1, "dets", "labels"), {}, STRETCHED),
    "RT-DETR": (queries(80, 0, "pred_boxes", "logits"), {}, STRETCHED),
    "RT-DETR for people": (queries(1, 0, "pred_boxes", "logits"), {}, STRETCHED),
    "NanoDet": (nanodet_m(), {}, [15, 7.5, 79, 39.5]),
    "named axes": (
        {"output0": yolov8()},
        {"shape": ("batch", "channels", SIZE, SIZE)},
        LETTERBOXED,
    ),
    "bytes": ({"output0": yolov8()}, {"kind": np.uint8}, LETTERBOXED),
    "channels last": ({"output0": yolov8()}, {"shape": (1, SIZE, SIZE, 3)}, LETTERBOXED),
    "four at once": (
        {"output0": yolov8().repeat(4, axis=0)},
        {"shape": (4, 3, SIZE, SIZE)},
        LETTERBOXED,
    ),
    "size in the metadata": (
        {"output0": yolov8()},
        {"shape": ("b", 3, "h", "w"), "metadata": {"imgsz": f"[{SIZE}, {SIZE}]"}},
        LETTERBOXED,
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_planted_person_is_found_and_nobody_else(tmp_path, layout):
    outputs, how, box = LAYOUTS[layout]
    people = find(write(tmp_path / "m.onnx", outputs, **how))
    expected = [NANODET_BOX] if layout == "NanoDet" else [box]
    np.testing.assert_allclose(people.boxes, expected, atol=0.1)
    assert people.scores[0] > 0.85


def with_names(*names: str) -> dict[str, dict[str, str]]:
    return {"metadata": {"names": str(dict(enumerate(names)))}}


def test_the_file_may_name_its_classes(tmp_path):
    found = yolov8(3)
    path = write(tmp_path / "m.onnx", {"o": found}, **with_names("dog", "person", "cat"))
    np.testing.assert_allclose(find(path).boxes, [[80, 20, 120, 60]], atol=0.1)  # the bicycle's
    path = write(tmp_path / "n.onnx", {"o": end_to_end()}, **with_names("dog", "person"))
    np.testing.assert_allclose(find(path).boxes, [[80, 20, 120, 60]], atol=0.1)


def test_what_follows_the_named_classes_is_left_alone(tmp_path):
    pose = np.concatenate([yolov8(1), np.full((1, 51, YOLOX_CELLS), 40, np.float32)], axis=1)
    path = write(tmp_path / "m.onnx", {"output0": pose}, **with_names("person"))
    np.testing.assert_allclose(find(path).boxes, [LETTERBOXED], atol=0.1)


def changed(array: np.ndarray, place: object, value: object) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


REFUSED = {
    "classes that nobody names": ({"o": yolov8(17)}, {}),
    "two classes of YOLOv8": ({"o": yolov8(2)}, {}),
    "names without a person": ({"o": yolov8(2)}, with_names("dog", "cat")),
    "more classes than names": ({"o": end_to_end()}, {"metadata": {"names": "{0: 'dog'}"}}),
    "YOLOX turned": ({"o": cells_in_pixels(85).transpose(0, 2, 1)}, {}),
    "boxes as shares": ({"o": yolov8() / np.float32(SIZE)}, {}),
    "corners as shares": ({"o": end_to_end() / np.array([*[SIZE] * 4, 1, 1], "f4")}, {}),
    "nothing but zeros": ({"o": np.zeros((1, YOLOX_CELLS, 85), np.float32)}, {}),
    "scores above 1": ({"o": changed(end_to_end(), (0, 3, 4), 47)}, {}),
    "labels that are not whole": ({"o": changed(end_to_end(), (0, 3, 5), 0.5)}, {}),
    "label before score": ({"o": end_to_end()[..., [0, 1, 2, 3, 5, 4]]}, {}),
    "corners not in order": ({"o": changed(end_to_end(), (0, 3, slice(4)), [9, 9, 3, 3])}, {}),
    "widths for corners": ({**yolonas(), "boxes": cells_in_pixels(4)}, {}),
    "no batch": ({name: array[0] for name, array in dfine().items()}, {}),
    "one output too many": ({**rtmdet(), "masks": np.zeros((1, 20, 8, 8), np.float32)}, {}),
    "scores up to 255": ({"o": yolox({10: [0.5, 0.5, 0, 0, 230, 240]})}, {}),
    "a score that is no number": ({"o": yolox({10: [0.5, 0.5, 0, 0, 0.9, np.nan]})}, {}),
    "81 queries' classes": (queries(81, 0, "boxes", "logits"), {}),
}


@pytest.mark.parametrize("layout", REFUSED)
def test_what_may_mean_something_else_is_refused_with_its_outputs(tmp_path, layout):
    outputs, how = REFUSED[layout]
    with pytest.raises(ReseenError, match="its outputs are") as error:
        find(write(tmp_path / "m.onnx", outputs, **how))
    assert all(f"{name} {array.shape}" in str(error.value) for name, array in outputs.items())


@pytest.mark.parametrize("text", ["640", "[640]", "None", "['a', 'b']", "(((", "{0: {}}", "7"])
def test_metadata_that_makes_no_sense_does_no_harm(tmp_path, text):
    path = write(tmp_path / "m.onnx", {"o": end_to_end()}, metadata={"imgsz": text, "names": text})
    try:
        assert len(find(path)) <= 1
    except ReseenError as error:
        assert "its outputs are" in str(error)  # noqa: PT017


def test_a_file_that_gives_text_is_refused(tmp_path):
    path = write(tmp_path / "m.onnx", {"o": np.array(["a", "b"], object)})
    with pytest.raises(ReseenError, match="it gives more than numbers"):
        find(path)


def test_an_unknown_second_input_is_refused(tmp_path):
    path = write(tmp_path / "m.onnx", dfine(), inputs=("image", "scale_factor", "im_shape"))
    with pytest.raises(ReseenError, match="scale_factor"):
        find(path)


def test_numbers_that_go_wrong_later_are_not_taken_for_boxes(tmp_path):
    # On noise its scores are probabilities; a white picture's are 2.
    found, share = end_to_end(), np.zeros((1, 20, 6))
    share[0, 0, 4] = 2
    found[0, 0, 4] = 0
    path = write(tmp_path / "m.onnx", {"o": found}, {"o": ((0, 0, 0), share)})
    detect = open_detector(str(path))
    with pytest.raises(ReseenError, match="looked like YOLOv10 or YOLO26"):
        detect(painted((255, 255, 255)))


def test_colours_and_scale_can_be_chosen(tmp_path):
    found, share = yolov8(), np.zeros((1, 84, YOLOX_CELLS))
    found[0, 4, PERSON_CELL], share[0, 4, PERSON_CELL] = 0, 1 / 300
    path = write(tmp_path / "m.onnx", {"o": found}, {"o": ((0, 0, 0), share)})
    for style, score in (("rgb-255", 200 / 300), ("bgr-255", 100 / 300)):
        people = open_detector(str(path), style)(painted((200, 0, 100)))
        np.testing.assert_allclose(people.scores, [score], atol=1e-5)
    with pytest.raises(ReseenError, match="no input is called rgb; there is bgr-255"):
        open_detector(str(path), "rgb")


def test_real_files_find_a_real_person(shared_data):
    frames = video.frames_from(shared_data / "one-by-one-person-detection.mp4")
    frame = next(frame for frame in frames if frame.index == 100)
    for name, family in (("yolox_nano", "YOLOX"), ("nanodet_m", "NanoDet")):
        detect = OnnxDetector(shared_data / "models" / f"{name}.onnx")
        assert detect.family == family
        people = detect(frame.picture)
        people = people.only(people.scores > 0.4)
        outline = np.array([[388, 13, 513, 395]], np.float32)
        assert overlap(outline, people.boxes).max() > 0.75
        assert len(people) == 1
    with pytest.raises(ReseenError, match="its outputs are output"):
        OnnxDetector(shared_data / "models" / "yolox_nano_logits.onnx")
