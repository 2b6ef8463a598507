"""Person detectors in ONNX files, of the families that people have.

What a file answers is told by ranks, columns and values when it is opened: it is tried on noise,
and must fit exactly one way of reading. Anything else is refused, because a wrong guess would
give wrong boxes in silence.
"""

import ast
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.models.networks import IMAGENET_MEAN, IMAGENET_SPREAD, first_line, open_session
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

KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
"""What a picture may be given as."""

LEVELS = {"255": (0, 1), "1": (0, 255), "imagenet": (IMAGENET_MEAN, IMAGENET_SPREAD)}
INPUTS = {
    f"{colours}-{scale}": np.array(LEVELS[scale], np.float32).reshape(2, -1, 1, 1)
    for scale in LEVELS
    for colours in ("bgr", "rgb")
}
"""What is taken from the levels 0 ... 255 and what they are then divided by, by name."""


class MisfitError(Exception):
    """What a file gives is not of this form."""


def need(*signs: Any) -> None:
    """Go on only if all of these signs of a form are there."""
    if not all(signs):
        raise MisfitError


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

    def of_shapes(self, *wanted: tuple[int | None, ...]) -> list[NDArray[Any]]:
        """The arrays without the batch, if these are their shapes; None fits any number."""
        need(len(wanted) == len(self.arrays))
        for array, shape in zip(self.arrays, wanted, strict=True):
            need(array.ndim == len(shape) + 1, not np.isnan(array).any())
            need(*(side in (None, of) for side, of in zip(shape, array.shape[1:], strict=True)))
        return [array[0] for array in self.arrays]

    def in_cells(
        self, strides: tuple[int, ...] = YOLOX_STRIDES, turned: bool = False
    ) -> tuple[Floats, Floats]:
        """The only output, not constant, as (cells, columns), and the cells; or turned."""
        cells = cells_of(self.size, strides)
        (found,) = self.of_shapes((None, len(cells)) if turned else (len(cells), None))
        need(np.ptp(found) != 0)
        return (found.T if turned else found), cells

    def person(self, classes: int) -> int:
        """Number of the class that is a person, among so many."""
        if self.names is None:
            need(classes in PERSON)
            return PERSON[classes]
        need(len(self.names) == classes, "person" in self.names)
        return self.names.index("person")


Found = tuple[Floats, Floats]
"""Boxes (n, 4), left, top, right, bottom in pixels of the input, and how surely each is a person,
(n,)."""


@cache
def cells_of(size: Size, strides: tuple[int, ...]) -> Floats:
    """Column, row and stride of every cell, (n, 3): the finest grid first, each row by row."""
    grids = []
    for stride in strides:
        rows, columns = np.mgrid[: -(-size[1] // stride), : -(-size[0] // stride)]
        strides_here = np.full(rows.size, stride)
        grids.append(np.column_stack([columns.ravel(), rows.ravel(), strides_here]))
    return np.concatenate(grids).astype(np.float32)


def corners(found: Floats) -> Floats:
    """Centre x, y, width, height (n, 4) as corners."""
    half = found[:, 2:4] / 2
    return np.concatenate([found[:, :2] - half, found[:, :2] + half], axis=1)


def in_order(boxes: Floats) -> bool:
    """Whether boxes (n, 4) can be corners."""
    return bool((boxes[:, 2:4] >= boxes[:, :2]).all())


def probabilities(values: Floats) -> bool:
    """Whether all values can be probabilities."""
    return bool(((values >= 0) & (values <= 1)).all())


def near(boxes: Floats, cells: Floats) -> bool:
    """Whether the centres, the first two columns in pixels, lie near the cells they come from."""
    middles = (cells[:, :2] + 0.5) * cells[:, 2:]
    return bool(np.median(np.abs(boxes[:, :2] - middles) / cells[:, 2:]) < FURTHEST)


def centred(outputs: Outputs) -> tuple[Floats, Floats, Floats, bool]:
    """Boxes, objectness and the person's class of every cell, and whether all are probabilities.

    Columns: centre x, y, width, height, objectness, one for each class. Files differ in whether
    boxes are in pixels or relative to the cell that found them.
    """
    found, cells = outputs.in_cells()
    need(not in_order(found))
    boxes, person = found[:, :4], outputs.person(found.shape[1] - 5)
    if not near(boxes, cells):
        sizes = np.exp(np.minimum(boxes[:, 2:], 10))
        boxes = np.concatenate([boxes[:, :2] + cells[:, :2], sizes], axis=1) * cells[:, 2:]
    need(near(boxes, cells))
    return corners(boxes), found[:, 4], found[:, 5 + person], probabilities(found[:, 4:])


def yolox(outputs: Outputs) -> Found:
    """Objectness and classes as probabilities."""
    boxes, objectness, scores, sound = centred(outputs)
    need(sound, (objectness != 1).any())
    return boxes, objectness * scores


def yolox_logits(outputs: Outputs) -> Found:
    """Objectness and classes as logits: the last sigmoid was left out of the file."""
    boxes, objectness, scores, sound = centred(outputs)
    need(not sound, np.median(objectness) < 0)  # most cells hold nothing
    return boxes, expit(objectness) * expit(scores)


def yolov6(outputs: Outputs) -> Found:
    """Objectness is always 1."""
    boxes, objectness, scores, sound = centred(outputs)
    need(sound, (objectness == 1).all())
    return boxes, scores


def yolov8(outputs: Outputs) -> Found:
    """Columns: centre x, y, width, height in pixels, a probability for each class.

    Either way round. What follows the classes that the file names (a pose) is left alone.
    """

    def read(turned: bool) -> Found:
        found, cells = outputs.in_cells(turned=turned)
        need(not in_order(found), near(found, cells))
        classes = found.shape[1] - 4 if outputs.names is None else len(outputs.names)
        person, scores = outputs.person(classes), found[:, 4 : 4 + classes]
        need(scores.shape[1] == classes, probabilities(scores))
        return corners(found), scores[:, person]

    try:
        return read(turned=True)
    except MisfitError:
        return read(turned=False)


def yolov5(outputs: Outputs) -> Found:
    """YOLOX's columns in pixels, three boxes a cell."""
    (found,) = outputs.of_shapes((3 * len(cells_of(outputs.size, YOLOX_STRIDES)), None))
    person = outputs.person(found.shape[1] - 5)
    need(probabilities(found[:, 4:]), not in_order(found))
    return corners(found), found[:, 4] * found[:, 5 + person]


def labelled(outputs: Outputs, boxes: Floats, scores: Floats, labels: NDArray[Any]) -> Found:
    """Corners in pixels (n, 4), scores (n,) and labels (n,), if they are such."""
    person = outputs.person(80 if outputs.names is None else len(outputs.names))
    sure = boxes[scores >= LEAST_SCORE]
    shares = len(sure) > 0 and np.abs(sure).max() <= 2  # of the input, not pixels
    need(not shares, in_order(boxes), probabilities(scores))
    need((labels == np.round(labels)).all(), (labels >= 0).all())
    return boxes, scores * (labels == person)


def end_to_end(outputs: Outputs) -> Found:
    """Columns: corners, score, label."""
    (found,) = outputs.of_shapes((None, 6))
    return labelled(outputs, found[:, :4], found[:, 4], found[:, 5])


def rtmdet(outputs: Outputs) -> Found:
    """Corners and score (n, 5); labels (n,)."""
    found, labels = outputs.of_shapes((None, 5), (None,))
    return labelled(outputs, found[:, :4], found[:, 4], labels)


def dfine(outputs: Outputs) -> Found:
    """Labels (n,), whole numbers; boxes (n, 4); scores (n,); in any order."""
    arrays = sorted(outputs.arrays, key=lambda one: (one.ndim, one.dtype.kind != "i"))
    need([one.dtype.kind for one in arrays] == ["i", "f", "f"])
    labels, scores, boxes = replace(outputs, arrays=arrays).of_shapes((None,), (None,), (None, 4))
    return labelled(outputs, boxes, scores, labels)


def yolonas(outputs: Outputs) -> Found:
    """Boxes (cells, 4) as corners in pixels and probabilities (cells, classes)."""
    cells = len(cells_of(outputs.size, YOLOX_STRIDES))
    boxes, scores = outputs.of_shapes((cells, 4), (cells, None))
    person = outputs.person(scores.shape[1])
    need(in_order(boxes), probabilities(scores), boxes.max() >= 2)
    return boxes, scores[:, person]


def queries(counts: tuple[int, ...], outputs: Outputs) -> Found:
    """Centre x, y, width, height as shares of the input (n, 4), and logits (n, classes).

    Of `counts` classes: COCO's 80 or person alone; its 90 ids in DETR and its kin.
    """
    arrays = outputs.of_shapes((None, None), (None, None))
    boxes, logits = sorted(arrays, key=lambda one: one.shape[1] != 4)
    classes = logits.shape[1]
    need(boxes.shape == (len(logits), 4), classes in counts)
    person = outputs.person(classes)
    need(boxes.min() >= -0.5, boxes.max() <= 1.5, not probabilities(logits))
    # Of 92, the last is for nothing, and all together make 1.
    scores = softmax(logits, axis=1) if classes == 92 else expit(logits)
    return corners(boxes) * np.tile(np.array(outputs.size, np.float32), 2), scores[:, person]


def around(points: Floats, logits: Floats, strides: Floats) -> Floats:
    """Boxes (n, 4) around points (n, 2), from a distribution over 8 distances to each side."""
    shares = softmax(logits.reshape(-1, 4, NANODET_BINS), axis=2)
    distances = (shares @ np.arange(NANODET_BINS, dtype=np.float32)) * strides
    return np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)


def nanodet_plus(outputs: Outputs) -> Found:
    """Columns: a probability for each class, then 8 logits for the distance to each side."""
    found, cells = outputs.in_cells(NANODET_STRIDES)
    classes = found.shape[1] - 4 * NANODET_BINS
    person = outputs.person(classes)
    need(probabilities(found[:, :classes]))
    return around(cells[:, :2] * cells[:, 2:], found[:, classes:], cells[:, 2:]), found[:, person]


def nanodet(outputs: Outputs) -> Found:
    """Probabilities (cells, classes) and logits (cells, 32) for each of three grids."""
    need(len(outputs.arrays) == 6, all(array.ndim > 1 for array in outputs.arrays))
    flat = [array.reshape(-1, array.shape[-1]) for array in outputs.arrays]
    flat.sort(key=lambda array: (array.shape[1] == 4 * NANODET_BINS, -len(array)))
    grids = [len(cells_of(outputs.size, (stride,))) for stride in YOLOX_STRIDES]
    need([len(array) for array in flat] == grids * 2)
    person = outputs.person(flat[0].shape[1])
    scores, logits = np.concatenate(flat[:3]), np.concatenate(flat[3:])
    need(logits.shape[1] == 4 * NANODET_BINS, probabilities(scores))
    cells = cells_of(outputs.size, YOLOX_STRIDES)
    points = (cells[:, :2] + 0.5) * cells[:, 2:] - 0.5
    return around(points, logits, cells[:, 2:]), scores[:, person]


@dataclass(frozen=True)
class Family:
    """Detectors that are fed and read alike.

    Attributes:
        input_style: one of `INPUTS`.
        stretched: whether they were trained on pictures stretched to the input.
        read: gives boxes and scores; refuses outputs that are not such a family's.
    """

    name: str
    input_style: str
    stretched: bool
    read: Callable[[Outputs], Found]


FAMILIES = (
    Family("YOLOX", "bgr-255", False, yolox),
    Family("YOLOX without its sigmoid", "bgr-255", False, yolox_logits),
    Family("YOLOX of ByteTrack", "rgb-imagenet", False, yolox),
    Family("YOLOv6", "rgb-1", False, yolov6),
    Family("YOLOv8 or YOLO11", "rgb-1", False, yolov8),
    Family("YOLOv5 or YOLOv7", "rgb-1", False, yolov5),
    Family("YOLOv10 or YOLO26", "rgb-1", False, end_to_end),
    Family("YOLO-NAS", "rgb-1", False, yolonas),
    Family("RTMDet", "bgr-imagenet", False, rtmdet),
    Family("RT-DETR or D-FINE", "rgb-1", True, dfine),
    Family("RT-DETR without its last step", "rgb-1", True, partial(queries, (80, 1))),
    Family("DETR or RF-DETR", "rgb-imagenet", True, partial(queries, (91, 92))),
    Family("NanoDet-Plus", "bgr-imagenet", True, nanodet_plus),
    Family("NanoDet", "bgr-imagenet", True, nanodet),
)
"""The families that are known. Of those that read alike, the first whose input suits is taken."""


class OnnxDetector:
    """A person detector from an ONNX file.

    Attributes:
        input_style: the order of colours and the scale of the input, one of `INPUTS`.
    """

    def __init__(self, path: Path, input_style: str | None = None) -> None:
        """Open the file and try it on noise.

        Args:
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
        self._channels_last = len(first.shape) == 4 and first.shape[3] == 3 != first.shape[1]
        shape = [first.shape[axis] for axis in (0, 3, 1, 2)] if self._channels_last else first.shape
        sized = [(other.type, len(other.shape)) for other in others] in ([], [("tensor(int64)", 2)])
        if first.type not in KINDS or len(shape) != 4 or shape[1] in (1, 2, 4) or not sized:
            given = ", ".join(f"{one.name} {one.type} {one.shape}" for one in (first, *others))
            raise ReseenError(
                f"{path} is no detector that can be fed: its inputs are {given}; needed are a "
                "picture, (1, 3, H, W), and at most the size for which boxes are wanted"
            )
        self._kind = np.dtype(KINDS[first.type])
        self._names, free = self._said()
        batch, _, height, width = (side if isinstance(side, int) else 0 for side in shape)
        self._batch, self._size = batch or 1, (width or free[0], height or free[1])
        self._family, self.input_style = self._told(input_style)

    @property
    def family(self) -> str:
        """Name of the family that the file was found to be of."""
        return self._family.name

    def __call__(self, picture: Picture) -> Detections:
        """Find the people in a picture, (H, W, 3) uint8 RGB."""
        values, scale = self._prepared(picture, self._family.stretched, self.input_style)
        outputs = self._run(values)
        try:
            boxes, scores = self._family.read(outputs)
        except MisfitError as error:
            raise ReseenError(
                f"{self._path} looked like {self.family}, but what it gives for a picture does "
                f"not: {self._described(outputs)}"
            ) from error
        sure = scores >= LEAST_SCORE
        limits = np.array([picture.shape[1], picture.shape[0]] * 2)
        boxes = np.clip(boxes[sure] / np.tile(scale, 2), 0, limits)
        return without_doubles(Detections.of(boxes, scores[sure]))

    def _said(self) -> tuple[list[str] | None, Size]:
        """What the file's metadata says, as Python literals: its classes, and the input's size."""

        def literal(key: str) -> Any:
            try:
                return ast.literal_eval(said.get(key) or "None")
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return None

        said = self._session.get_modelmeta().custom_metadata_map
        names, size = literal("names"), literal("imgsz")
        names = list(names.values()) if isinstance(names, dict) else names
        sized = isinstance(size, list) and [type(side) for side in size] == [int, int]
        return (
            [str(name) for name in names] if isinstance(names, list) else None,
            (size[1], size[0]) if sized else FREE_SIZE,
        )

    def _told(self, asked: str | None) -> tuple[Family, str]:
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
            with suppress(MisfitError):
                family.read(answers[style])
                fitting.append((family, style))
        if len({family.read for family, _ in fitting}) == 1:
            return fitting[0]
        reason = "could be " + " or ".join(family.name for family, _ in fitting)
        raise ReseenError(
            f"{self._path} {reason if fitting else 'is no person detector'} of a known form "
            f"({', '.join(family.name for family in FAMILIES)}); "
            f"{self._described(next(iter(answers.values())))}"
        )

    def _described(self, outputs: Outputs) -> str:
        """What the file gives, for a message."""
        names = [output.name for output in self._session.get_outputs()]
        given = [f"{name} {one.shape}" for name, one in zip(names, outputs.arrays, strict=True)]
        classes = f" for the classes {self._names}" if self._names else ""
        return f"its outputs are {', '.join(given)}{classes}"

    def _prepared(self, picture: Picture, stretched: bool, style: str) -> tuple[Any, Floats]:
        """The input for a picture, and by how much (x, y) the picture was scaled.

        Unless stretched, the picture keeps its proportions and lies in the input's upper left.
        """
        scale: Floats = np.divide(self._size, picture.shape[1::-1], dtype=np.float32)
        scale = scale if stretched else np.full(2, scale.min(), np.float32)
        width, height = np.round(np.array(picture.shape[1::-1]) * scale).astype(int).tolist()
        values = np.full((self._batch, 3, self._size[1], self._size[0]), GREY, np.float32)
        values[..., :height, :width] = cv2.resize(picture, (width, height)).transpose(2, 0, 1)
        mean, spread = INPUTS[style]
        values -= mean
        values /= spread
        values = values[:, ::-1] if style.startswith("bgr") else values
        values = values.transpose(0, 2, 3, 1) if self._channels_last else values
        return np.ascontiguousarray(values, self._kind), scale

    def _run(self, values: Any) -> Outputs:
        """Run the file; an input beside the picture is the size for which boxes are wanted."""
        first, *others = self._session.get_inputs()
        sizes = np.repeat(np.array([self._size], np.int64), self._batch, axis=0)
        fed = {first.name: values, **{other.name: sizes for other in others}}
        try:
            found = self._session.run(None, fed)
        except Exception as error:  # onnxruntime's exceptions share no other base
            raise ReseenError(
                f"{self._path} cannot be run as a detector: {first_line(error)}"
            ) from error
        if not all(isinstance(one, np.ndarray) and one.dtype.kind in "fiub" for one in found):
            raise ReseenError(f"{self._path} is no person detector: it gives more than numbers")
        arrays = [np.asarray(one, one.dtype if one.dtype.kind in "iu" else "f4") for one in found]
        return Outputs(arrays, self._size, self._names)
