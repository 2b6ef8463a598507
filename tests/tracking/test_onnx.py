"""ONNX person detectors: tiny hand-made files that answer as each family does.

Every file gives constant outputs, except that one number can be read off a pixel of the input;
so the tests see both what a file is shown and what is made of its answer.
"""

from pathlib import Path

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.tracking.detections import Detections
from reseen.tracking.detectors import open_detector

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
) -> Path:
    """Write a file that gives `outputs`; to those in `probe`, a pixel times an array is added.

    Args:
        probe: for an output's name, the pixel (channel, row, column) and what it is multiplied by.
        inputs: the picture's name, and perhaps that of the size.
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
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        described.append(helper.make_tensor_value_info(name, kind, values.shape))
    pictures = helper.make_tensor_value_info(inputs[0], onnx.TensorProto.FLOAT, shape)
    sizes = [
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, (1, 2)) for name in inputs[1:]
    ]
    graph = helper.make_graph(nodes, "tiny", [pictures, *sizes], described, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
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
    # the top and to the bottom, two to the right: 0 ... 48, 0 ... 32.
    path = write(tmp_path / "m.onnx", {"output": nanodet(69, 0.7, (1, 1, 2, 1))})
    people = find(path)
    np.testing.assert_allclose(people.boxes, [[0, 0, 96, 64]], atol=1e-4)
    np.testing.assert_allclose(people.scores, [0.7], atol=1e-6)


def test_nanodet_takes_the_mean_of_each_distribution(tmp_path):
    found = nanodet(0, 0.7, (0, 0, 2, 4))
    found[0, 0, 80 + 16 : 80 + 24] = 0.0  # to the right: all of 0 ... 7 alike, 3.5 strides
    people = find(write(tmp_path / "m.onnx", {"output": found}))
    np.testing.assert_allclose(people.boxes, [[0, 0, 56, 64]], atol=1e-4)


def test_nanodet_is_shown_normalised_blue_green_red(tmp_path):
    found = nanodet(0, 0.0, (0, 0, 2, 2))
    share = np.zeros_like(found)
    share[0, 0, 0] = 0.1
    path = write(tmp_path / "m.onnx", {"output": found}, {"output": ((0, 0, 0), share)})
    people = find(path, painted((0, 0, 255)))
    np.testing.assert_allclose(people.scores, [0.1 * (255 - 103.53) / 57.375], atol=1e-5)


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
            r"no person detector of a known form .*its outputs are logits \(1, 1000\)",
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
    with pytest.raises(ReseenError, match=r"m\.onnx is no detector: its first input, images"):
        find(path)


def test_a_file_that_is_not_onnx_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ReseenError, match=r"m\.onnx cannot be opened as ONNX"):
        find(path)
