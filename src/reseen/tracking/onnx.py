"""Person detectors in ONNX files, of the families that people have.

What a file answers is told by ranks, columns and values when it is opened: it is tried on noise,
and must fit exactly one way of reading. Anything else is refused, because a wrong guess would
give wrong boxes in silence.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.models.sessions import first_line, open_session
from reseen.tracking.detections import LEAST_SCORE, Detections, without_doubles

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""Width and height in pixels."""

FREE_SIZE: Size = (640, 640)
"""Width and height of the input of a file that leaves them open and does not say."""

GREY = 114
"""Grey level around a picture that does not have the input's proportions."""

FURTHEST = 3.0
"""Strides between the middles of boxes and the cells that gave them, in the median: in pixels it
is below 1 in every network tried, and far above where the numbers mean something else."""

YOLOX_STRIDES, NANODET_STRIDES = (8, 16, 32), (8, 16, 32, 64)
NANODET_BINS = 8
"""NanoDet describes each side's distance as a distribution over 0 ... 7 strides."""

PERSON = {1: 0, 80: 0, 91: 1, 92: 1}
"""Number of the class that is a person, by how many there are: COCO's 80, or its 90 ids after
nothing (and in 92, before nothing)."""

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
SPREAD = np.array([58.395, 57.12, 57.375], np.float32)
"""Mean and standard deviation of ImageNet's red, green and blue levels."""

KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
"""What a picture may be given as."""

BYTES = (np.float32(0), np.float32(1))
SHARES = (np.float32(0), np.float32(255))
INPUTS: dict[str, tuple[Any, Any]] = {
    **{"bgr-255": BYTES, "rgb-255": BYTES, "rgb-1": SHARES, "bgr-1": SHARES},
    **{"rgb-imagenet": (MEAN, SPREAD), "bgr-imagenet": (MEAN, SPREAD)},
}
"""What is taken from the levels 0 ... 255 and what they are then divided by, by name."""


@dataclass(frozen=True)
class Outputs:
    """What a file gives for one picture.

    Attributes:
        arrays: its outputs, in its order, floats as float32.
        size: width and height of the input.
        names: what the file calls its classes; None where it does not say.
    """

    arrays: list[NDArray[Any]]
    size: Size
    names: list[str] | None

    def person(self, classes: int) -> int | None:
        """Number of the class that is a person, among so many; None where that is not known."""
        if self.names is None:
            return PERSON.get(classes)
        known = len(self.names) == classes and "person" in self.names
        return self.names.index("person") if known else None

    def shapes(self, *wanted: tuple[int | None, ...]) -> bool:
        """Whether the outputs have these shapes, the batch left out; None fits any number."""
        return len(wanted) == len(self.arrays) and all(
            array.ndim == len(shape) + 1
            and all(side in (None, of) for side, of in zip(shape, array.shape[1:], strict=True))
            for shape, array in zip(wanted, self.arrays, strict=True)
        )


Found = tuple[Floats, Floats] | None
"""Boxes (n, 4), left, top, right, bottom in pixels of the input, and how surely each is a person,
(n,). None where the outputs do not have this form."""


class OnnxDetector:
    """A person detector from an ONNX file.

    Attributes:
        input_style: the order of colours and the scale of the input, one of `INPUTS`.
    """

    def __init__(self, path: Path, input_style: str | None = None) -> None:
        """Open the file and try it on noise.

        Args:
            path: the file.
            input_style: the order of colours and the scale that it wants, one of `INPUTS`; None
                takes its family's.

        Raises:
            ReseenError: there is no such file, it is not ONNX, or not a detector whose boxes are
                sure to be read right; names what it gives.
        """
        if input_style not in (None, *INPUTS):
            raise ReseenError(f"no input is called {input_style}; there is {', '.join(INPUTS)}")
        self._path = path
        self._session = open_session(path)
        first, *others = self._session.get_inputs()
        self._kind = np.dtype(KINDS.get(first.type, np.float32))
        self._channels_last = len(first.shape) == 4 and first.shape[3] == 3 != first.shape[1]
        shape = [first.shape[axis] for axis in (0, 3, 1, 2)] if self._channels_last else first.shape
        sized = [(other.type, len(other.shape)) for other in others] in ([], [("tensor(int64)", 2)])
        if first.type not in KINDS or len(shape) != 4 or shape[1] in (1, 2, 4) or not sized:
            given = ", ".join(f"{one.name} {one.type} {one.shape}" for one in (first, *others))
            raise ReseenError(
                f"{path} is no detector that can be fed: its inputs are {given}; needed are a "
                "picture, (1, 3, H, W), and at most the size for which boxes are wanted"
            )
        said = self._session.get_modelmeta().custom_metadata_map
        free = _literal(said.get("imgsz"))
        if not (isinstance(free, list) and [type(side) for side in free] == [int, int]):
            free = FREE_SIZE
        batch, _, height, width = (side if isinstance(side, int) else 0 for side in shape)
        self._batch, self._size = batch or 1, (width or int(free[1]), height or int(free[0]))
        names = _literal(said.get("names"))
        names = list(names.values()) if isinstance(names, dict) else names
        self._names = [str(name) for name in names] if isinstance(names, list) else None
        self._family, self.input_style = self._told(input_style)

    @property
    def family(self) -> str:
        """Name of the family that the file was found to be of."""
        return self._family.name

    def __call__(self, picture: Picture) -> Detections:
        """Find the people in a picture, (H, W, 3) uint8 RGB."""
        values, scale = self._prepared(picture, self._family.stretched, self.input_style)
        found = self._family.read(outputs := self._run(values))
        if found is None:
            raise ReseenError(
                f"{self._path} looked like {self.family}, but what it gives for a picture does "
                f"not: {self._told_of({'': outputs})}"
            )
        sure = found[1] >= LEAST_SCORE
        limits = np.array([picture.shape[1], picture.shape[0]] * 2)
        boxes = np.clip(found[0][sure] / np.tile(scale, 2), 0, limits)
        return without_doubles(Detections.of(boxes, found[1][sure]))

    def _told(self, asked: str | None) -> tuple["Family", str]:
        """The family, and the input to be given."""
        noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
        answers: dict[str, Outputs] = {}
        fitting = []
        for family in FAMILIES:
            style = asked or family.input_style
            if self._kind == np.uint8:
                style = style[:3] + "-255"  # such a file scales its input itself
            if style not in answers:
                answers[style] = self._run(self._prepared(noise, True, style)[0])
            if family.read(answers[style]) is not None:
                fitting.append((family, style))
        if len({family.read for family, _ in fitting}) == 1:
            return fitting[0]
        reason = "could be " + " or ".join(family.name for family, _ in fitting)
        raise ReseenError(
            f"{self._path} {reason if fitting else 'is no person detector'} of a known form "
            f"({', '.join(family.name for family in FAMILIES)}); {self._told_of(answers)}"
        )

    def _told_of(self, answers: dict[str, Outputs]) -> str:
        """What the file gives, for a message."""
        arrays = next(iter(answers.values())).arrays
        names = [output.name for output in self._session.get_outputs()]
        given = [f"{name} {one.shape}" for name, one in zip(names, arrays, strict=True)]
        classes = f" for the classes {self._names}" if self._names else ""
        return f"its outputs are {', '.join(given)}{classes}"

    def _prepared(self, picture: Picture, stretched: bool, style: str) -> tuple[Any, Floats]:
        """The input for a picture, and by how much (x, y) the picture was scaled.

        Unless stretched, the picture keeps its proportions and lies in the input's upper left.
        """
        scale: Floats = np.divide(self._size, picture.shape[1::-1], dtype=np.float32)
        scale = scale if stretched else np.full(2, scale.min(), np.float32)
        width, height = np.round(np.array(picture.shape[1::-1]) * scale).astype(int)
        levels = np.full((self._size[1], self._size[0], 3), GREY, np.float32)
        levels[:height, :width] = cv2.resize(picture, (int(width), int(height)))
        mean, spread = INPUTS[style]
        values = (levels - mean) / spread
        values = values[..., ::-1] if style.startswith("bgr") else values
        values = values if self._channels_last else values.transpose(2, 0, 1)
        return np.repeat(values[None].astype(self._kind), self._batch, axis=0), scale

    def _run(self, values: Any) -> Outputs:
        """Run the file; an input beside the picture is the size for which boxes are wanted."""
        first, *others = self._session.get_inputs()
        sizes = np.repeat(np.array([self._size], np.int64), self._batch, axis=0)
        try:
            found = self._session.run(
                None, {first.name: values, **{other.name: sizes for other in others}}
            )
        except Exception as error:  # onnxruntime's exceptions share no other base
            raise ReseenError(
                f"{self._path} cannot be run as a detector: {first_line(error)}"
            ) from error
        if not all(isinstance(one, np.ndarray) and one.dtype.kind in "fiub" for one in found):
            raise ReseenError(f"{self._path} is no person detector: it gives more than numbers")
        arrays = [np.asarray(one, one.dtype if one.dtype.kind in "iu" else "f4") for one in found]
        return Outputs(arrays, self._size, self._names)


def _literal(text: str | None) -> Any:
    """A value that a file's metadata spells as a Python literal; None where it does not."""
    try:
        return ast.literal_eval(text or "None")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _cells(size: Size, strides: tuple[int, ...]) -> Floats:
    """Column, row and stride of every cell, (n, 3): the finest grid first, each row by row."""
    grids = []
    for stride in strides:
        rows, columns = np.mgrid[: -(-size[1] // stride), : -(-size[0] // stride)]
        strides_here = np.full(rows.size, stride)
        grids.append(np.column_stack([columns.ravel(), rows.ravel(), strides_here]))
    return np.concatenate(grids).astype(np.float32)


def _corners(found: Floats) -> Floats:
    """Centre x, y, width, height (n, 4) as corners."""
    return np.concatenate(
        [found[:, :2] - found[:, 2:4] / 2, found[:, :2] + found[:, 2:4] / 2], axis=1
    )


def _in_order(boxes: Floats) -> bool:
    return bool((boxes[:, 2:4] >= boxes[:, :2]).all())


def _probabilities(values: Floats) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)


def _grid(
    outputs: Outputs, strides: tuple[int, ...], turned: bool = False
) -> tuple[Floats, Floats] | None:
    """The only output, not constant, as (cells, columns), and the cells; or the other way round."""
    cells = _cells(outputs.size, strides)
    shape = (None, len(cells)) if turned else (len(cells), None)
    if not outputs.shapes(shape) or np.ptp(outputs.arrays[0]) == 0:
        return None
    found = outputs.arrays[0][0]
    return (found.T if turned else found), cells


def _near(boxes: Floats, cells: Floats) -> bool:
    """Whether the centres, the first two columns in pixels, lie near the cells they come from."""
    middles = (cells[:, :2] + 0.5) * cells[:, 2:]
    return bool(np.median(np.abs(boxes[:, :2] - middles) / cells[:, 2:]) < FURTHEST)


def _centred(outputs: Outputs) -> tuple[Floats, Floats, int] | None:
    """Boxes (cells, 4), what stands behind them, and the person's class.

    Columns: centre x, y, width, height, objectness, one for each class. Files differ in whether
    boxes are in pixels or relative to the cell that found them.
    """
    grid = _grid(outputs, YOLOX_STRIDES)
    if grid is None or _in_order(grid[0]):
        return None
    found, cells = grid
    boxes, person = found[:, :4], outputs.person(found.shape[1] - 5)
    if not _near(boxes, cells):
        sizes = np.exp(np.minimum(boxes[:, 2:], 10))
        boxes = np.concatenate([boxes[:, :2] + cells[:, :2], sizes], axis=1) * cells[:, 2:]
    if person is None or not _near(boxes, cells):
        return None
    return _corners(boxes), found[:, 4:], person


def _yolox(outputs: Outputs) -> Found:
    """Objectness and classes as probabilities."""
    found = _centred(outputs)
    if found is None or not _probabilities(found[1]) or (found[1][:, 0] == 1).all():
        return None
    boxes, scores, person = found
    return boxes, scores[:, 0] * scores[:, 1 + person]


def _yolox_logits(outputs: Outputs) -> Found:
    """Objectness and classes as logits: the last sigmoid was left out of the file."""
    found = _centred(outputs)
    if found is None or _probabilities(found[1]):
        return None
    boxes, logits, person = found
    return boxes, _sigmoid(logits[:, 0]) * _sigmoid(logits[:, 1 + person])


def _yolov6(outputs: Outputs) -> Found:
    """Objectness is always 1."""
    found = _centred(outputs)
    if found is None or not _probabilities(found[1]) or not (found[1][:, 0] == 1).all():
        return None
    boxes, scores, person = found
    return boxes, scores[:, 1 + person]


def _yolov8(outputs: Outputs) -> Found:
    """Columns: centre x, y, width, height in pixels, a probability for each class.

    Either way round. What follows the classes that the file names (a pose) is left alone.
    """
    for turned in (True, False):
        grid = _grid(outputs, YOLOX_STRIDES, turned)
        if grid is None or _in_order(grid[0]) or not _near(*grid):
            continue
        found = grid[0]
        classes = found.shape[1] - 4 if outputs.names is None else len(outputs.names)
        person, scores = outputs.person(classes), found[:, 4 : 4 + classes]
        if person is not None and scores.shape[1] == classes and _probabilities(scores):
            return _corners(found), scores[:, person]
    return None


def _yolov5(outputs: Outputs) -> Found:
    """YOLOX's columns in pixels, three boxes a cell."""
    if not outputs.shapes((3 * len(_cells(outputs.size, YOLOX_STRIDES)), None)):
        return None
    found = outputs.arrays[0][0]
    person = outputs.person(found.shape[1] - 5)
    if person is None or not _probabilities(found[:, 4:]) or _in_order(found):
        return None
    return _corners(found), found[:, 4] * found[:, 5 + person]


def _labelled(outputs: Outputs, boxes: Floats, scores: Floats, labels: NDArray[Any]) -> Found:
    """Corners in pixels (n, 4), scores (n,) and labels (n,), if they are such."""
    person = outputs.person(80 if outputs.names is None else len(outputs.names))
    sure = boxes[scores >= LEAST_SCORE]
    shares = len(sure) > 0 and np.abs(sure).max() <= 2  # of the input, not pixels
    if person is None or shares or not _in_order(boxes) or not _probabilities(scores):
        return None
    whole = (labels == np.round(labels)).all() and (labels >= 0).all()
    return (boxes, scores * (labels == person)) if whole else None


def _end_to_end(outputs: Outputs) -> Found:
    """Columns: corners, score, label."""
    if not outputs.shapes((None, 6)):
        return None
    found = outputs.arrays[0][0]
    return _labelled(outputs, found[:, :4], found[:, 4], found[:, 5])


def _rtmdet(outputs: Outputs) -> Found:
    """Corners and score (n, 5); labels (n,)."""
    if not outputs.shapes((None, 5), (None,)):
        return None
    found, labels = (array[0] for array in outputs.arrays)
    return _labelled(outputs, found[:, :4], found[:, 4], labels)


def _dfine(outputs: Outputs) -> Found:
    """Labels (n,), whole numbers; boxes (n, 4); scores (n,); in any order."""
    arrays = sorted(outputs.arrays, key=lambda one: (one.ndim, one.dtype.kind != "i"))
    kinds = [one.dtype.kind for one in arrays]
    ordered = Outputs(arrays, outputs.size, outputs.names)
    if kinds != ["i", "f", "f"] or not ordered.shapes((None,), (None,), (None, 4)):
        return None
    labels, scores, boxes = (array[0] for array in arrays)
    return _labelled(outputs, boxes, scores, labels)


def _yolonas(outputs: Outputs) -> Found:
    """Boxes (cells, 4) as corners in pixels and probabilities (cells, classes)."""
    cells = len(_cells(outputs.size, YOLOX_STRIDES))
    if not outputs.shapes((cells, 4), (cells, None)):
        return None
    boxes, scores = (array[0] for array in outputs.arrays)
    person = outputs.person(scores.shape[1])
    if person is None or not _in_order(boxes) or not _probabilities(scores) or boxes.max() < 2:
        return None
    return boxes, scores[:, person]


def _queries(outputs: Outputs, *counts: int) -> Found:
    """Centre x, y, width, height as shares of the input (n, 4), and logits (n, classes)."""
    if not outputs.shapes((None, None), (None, None)):
        return None
    boxes, logits = sorted(
        (array[0] for array in outputs.arrays), key=lambda one: one.shape[1] != 4
    )
    classes = logits.shape[1]
    person = outputs.person(classes)
    if boxes.shape != (len(logits), 4) or classes not in counts or person is None:
        return None
    if boxes.min() < -0.5 or boxes.max() > 1.5 or _probabilities(logits):
        return None
    if classes == 92:  # the last is for nothing, and all together make 1
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    else:
        scores = _sigmoid(logits)
    return _corners(boxes) * np.tile(np.array(outputs.size, np.float32), 2), scores[:, person]


def _rtdetr(outputs: Outputs) -> Found:
    """Queries with COCO's 80 classes, or person alone."""
    return _queries(outputs, 80, 1)


def _detr(outputs: Outputs) -> Found:
    """Queries with COCO's 90 ids: DETR, its kin, and RF-DETR."""
    return _queries(outputs, 91, 92)


def _distances(logits: Floats, points: Floats, strides: Floats) -> Floats:
    """Boxes (n, 4) from a distribution over 8 distances from points (n, 2) to each side."""
    weights = np.exp(logits.reshape(-1, 4, NANODET_BINS))
    weights /= weights.sum(axis=2, keepdims=True)
    distances = (weights @ np.arange(NANODET_BINS, dtype=np.float32)) * strides
    return np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)


def _nanodet_plus(outputs: Outputs) -> Found:
    """Columns: a probability for each class, then 8 logits for the distance to each side."""
    grid = _grid(outputs, NANODET_STRIDES)
    classes = 0 if grid is None else grid[0].shape[1] - 4 * NANODET_BINS
    person = outputs.person(classes)
    if grid is None or person is None or not _probabilities(grid[0][:, :classes]):
        return None
    found, cells = grid
    boxes = _distances(found[:, classes:], cells[:, :2] * cells[:, 2:], cells[:, 2:])
    return boxes, found[:, person]


def _nanodet(outputs: Outputs) -> Found:
    """Probabilities (cells, classes) and logits (cells, 32) for each of three grids."""
    grids = [len(_cells(outputs.size, (stride,))) for stride in YOLOX_STRIDES]
    if len(outputs.arrays) != 6 or any(array.ndim < 2 for array in outputs.arrays):
        return None
    flat = [array.reshape(-1, array.shape[-1]) for array in outputs.arrays]
    flat.sort(key=lambda array: (array.shape[1] == 4 * NANODET_BINS, -len(array)))
    person = outputs.person(flat[0].shape[1])
    if [len(array) for array in flat] != grids * 2 or person is None:
        return None
    scores, logits = np.concatenate(flat[:3]), np.concatenate(flat[3:])
    if logits.shape[1] != 4 * NANODET_BINS or not _probabilities(scores):
        return None
    cells = _cells(outputs.size, YOLOX_STRIDES)
    points = (cells[:, :2] + 0.5) * cells[:, 2:] - 0.5
    return _distances(logits, points, cells[:, 2:]), scores[:, person]


@dataclass(frozen=True)
class Family:
    """Detectors that are fed and read alike.

    Attributes:
        name: what they are called.
        input_style: one of `INPUTS`.
        stretched: whether they were trained on pictures stretched to the input.
        read: gives boxes and scores, or None where the outputs are not such a family's.
    """

    name: str
    input_style: str
    stretched: bool
    read: Callable[[Outputs], Found]


FAMILIES = (
    Family("YOLOX", "bgr-255", False, _yolox),
    Family("YOLOX without its sigmoid", "bgr-255", False, _yolox_logits),
    Family("YOLOX of ByteTrack", "rgb-imagenet", False, _yolox),
    Family("YOLOv6", "rgb-1", False, _yolov6),
    Family("YOLOv8 or YOLO11", "rgb-1", False, _yolov8),
    Family("YOLOv5 or YOLOv7", "rgb-1", False, _yolov5),
    Family("YOLOv10 or YOLO26", "rgb-1", False, _end_to_end),
    Family("YOLO-NAS", "rgb-1", False, _yolonas),
    Family("RTMDet", "bgr-imagenet", False, _rtmdet),
    Family("RT-DETR or D-FINE", "rgb-1", True, _dfine),
    Family("RT-DETR without its last step", "rgb-1", True, _rtdetr),
    Family("DETR or RF-DETR", "rgb-imagenet", True, _detr),
    Family("NanoDet-Plus", "bgr-imagenet", True, _nanodet_plus),
    Family("NanoDet", "bgr-imagenet", True, _nanodet),
)
"""The families that are known. Of those that read alike, the first whose input suits is taken."""
