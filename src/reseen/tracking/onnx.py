"""Person detectors in ONNX files: YOLOX, NanoDet-Plus, RT-DETR and what is like them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.tracking.detections import LEAST_SCORE, Detections, without_doubles
from reseen.tracking.video import Picture

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""Width and height in pixels."""

Outputs = dict[str, Any]
"""What a file gives for one picture: arrays by the outputs' names."""

PERSON = 0
"""Number of the class that is a person, in the order of COCO's 80 classes."""

FREE_SIZE: Size = (640, 640)
"""Width and height of the input of a file that leaves them open."""

GREY = 114
"""Grey level around a picture that does not have the input's proportions."""

YOLOX_STRIDES = (8, 16, 32)
NANODET_STRIDES = (8, 16, 32, 64)
NANODET_BINS = 8
"""NanoDet describes each side's distance as a distribution over 0 ... 7 strides."""

NANODET_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
NANODET_SPREAD = np.array([57.375, 57.12, 58.395], np.float32)
"""Mean and standard deviation of ImageNet's blue, green and red levels."""


@dataclass(frozen=True)
class Style:
    """A family of detectors that share the form of their outputs.

    Attributes:
        fits: tells from the outputs for an empty picture whether a file is of this family.
        prepare: turns a picture into the (1, 3, H, W) float32 input of a size, and says by how
            much (x, y) the picture was scaled.
        decode: gives boxes in input pixels, before scaling back, and scores.
    """

    fits: Callable[[Outputs, Size], bool]
    prepare: Callable[[Picture, Size], tuple[Floats, Floats]]
    decode: Callable[[Outputs, Size], tuple[Floats, Floats]]


class OnnxDetector:
    """A person detector from an ONNX file.

    The family is told from the shapes of the outputs; the classes must be COCO's, or person
    alone. Boxes that overlap are reduced to the surest.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and try it on an empty picture.

        Raises:
            ReseenError: there is no such file, it is not ONNX, or not such a detector.
        """
        self._path = path
        self._session = _open_session(path)
        self._size = _input_size(path, self._session)
        self._style = self._find_style()

    def __call__(self, picture: Picture) -> Detections:
        """Find the people in a picture, (H, W, 3) uint8 RGB."""
        values, scale = self._style.prepare(picture, self._size)
        boxes, scores = self._style.decode(self._run(values), self._size)
        limits = np.array([picture.shape[1], picture.shape[0]] * 2)
        boxes = np.clip(boxes / np.tile(scale, 2), 0, limits)
        sure = scores >= LEAST_SCORE
        return without_doubles(Detections.of(boxes[sure], np.clip(scores[sure], 0, 1)))

    def _run(self, values: Floats) -> Outputs:
        """Run the file; an input beside the picture is the size for which boxes are wanted."""
        first, *others = self._session.get_inputs()
        size = np.array([self._size], np.int64)
        feed = {first.name: values, **{other.name: size for other in others}}
        try:
            found = self._session.run(None, feed)
        except Exception as error:  # onnxruntime's exceptions share no other base
            reason = str(error).splitlines()[0]
            raise ReseenError(f"{self._path} cannot be run as a detector: {reason}") from error
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, found, strict=True))

    def _find_style(self) -> Style:
        width, height = self._size
        outputs = self._run(np.zeros((1, 3, height, width), np.float32))
        for style in STYLES.values():
            if style.fits(outputs, self._size):
                return style
        found = ", ".join(f"{name} {np.shape(values)}" for name, values in outputs.items())
        raise ReseenError(
            f"{self._path} is no person detector of a known form ({', '.join(STYLES)});"
            f" its outputs are {found}"
        )


def _open_session(path: Path) -> Any:
    import onnxruntime

    if not path.is_file():
        raise ReseenError(f"the detector {path} does not exist")
    try:
        return onnxruntime.InferenceSession(
            str(path), providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime's exceptions share no other base
        reason = str(error).splitlines()[0]
        raise ReseenError(f"{path} cannot be opened as ONNX: {reason}") from error


def _input_size(path: Path, session: Any) -> Size:
    """Width and height of the picture input; sides that are left open get `FREE_SIZE`."""
    first = session.get_inputs()[0]
    shape = list(first.shape)
    if first.type != "tensor(float)" or len(shape) != 4 or shape[1] != 3:
        raise ReseenError(
            f"{path} is no detector: its first input, {first.name}, is {first.type} {shape};"
            " a float picture (1, 3, H, W) is needed"
        )
    height = shape[2] if isinstance(shape[2], int) else FREE_SIZE[1]
    width = shape[3] if isinstance(shape[3], int) else FREE_SIZE[0]
    return width, height


def _letterboxed(picture: Picture, size: Size) -> tuple[Floats, Floats]:
    """Scale a picture into the upper left of a grey (H, W, 3) input, proportions kept."""
    import cv2

    scale = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    width, height = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    values = np.full((size[1], size[0], 3), GREY, np.float32)
    values[:height, :width] = cv2.resize(picture, (width, height))
    return values, np.array([scale, scale], np.float32)


def _planes(values: Floats) -> Floats:
    """(H, W, 3) to (1, 3, H, W)."""
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)


def _cells(size: Size, strides: tuple[int, ...]) -> Floats:
    """Column, row and stride of every cell, (n, 3): the finest grid first, each row by row."""
    grids = []
    for stride in strides:
        rows, columns = np.mgrid[: -(-size[1] // stride), : -(-size[0] // stride)]
        strides_here = np.full(rows.size, stride)
        grids.append(np.column_stack([columns.ravel(), rows.ravel(), strides_here]))
    return np.concatenate(grids).astype(np.float32)


def _is_grid(outputs: Outputs, size: Size, strides: tuple[int, ...], least_columns: int) -> bool:
    """Whether the only output is (1, cells, columns)."""
    shapes = [np.shape(values) for values in outputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return False
    batch, cells, columns = shapes[0]
    return bool(batch == 1 and cells == len(_cells(size, strides)) and columns >= least_columns)


def _only(outputs: Outputs) -> Any:
    (values,) = outputs.values()
    return values


def _corners(centres: Floats, sizes: Floats) -> Floats:
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def _fits_yolox(outputs: Outputs, size: Size) -> bool:
    return _is_grid(outputs, size, YOLOX_STRIDES, 6)


def _prepare_yolox(picture: Picture, size: Size) -> tuple[Floats, Floats]:
    values, scale = _letterboxed(picture, size)
    return _planes(values[..., ::-1]), scale


def _decode_yolox(outputs: Outputs, size: Size) -> tuple[Floats, Floats]:
    """Columns: centre x, y, width, height, objectness, a probability for each class.

    Files differ in whether their boxes are in pixels or relative to the cell that found them. In
    pixels, the centres lie near their cells; taken for relative, they would lie far off.
    """
    found = _only(outputs)[0]
    cells = _cells(size, YOLOX_STRIDES)
    corners, strides = cells[:, :2], cells[:, 2:]
    in_pixels = np.median(np.abs(found[:, :2] / strides - corners))
    relative = np.median(np.abs(found[:, :2]))
    if in_pixels <= relative:
        centres, sizes = found[:, :2], found[:, 2:4]
    else:
        centres, sizes = (found[:, :2] + corners) * strides, np.exp(found[:, 2:4]) * strides
    return _corners(centres, sizes), found[:, 4] * found[:, 5 + PERSON]


def _fits_nanodet(outputs: Outputs, size: Size) -> bool:
    return _is_grid(outputs, size, NANODET_STRIDES, 4 * NANODET_BINS + 1)


def _prepare_nanodet(picture: Picture, size: Size) -> tuple[Floats, Floats]:
    values, scale = _letterboxed(picture, size)
    return _planes((values[..., ::-1] - NANODET_MEAN) / NANODET_SPREAD), scale


def _decode_nanodet(outputs: Outputs, size: Size) -> tuple[Floats, Floats]:
    """Columns: a probability for each class, then 8 logits for the distance to each side."""
    found = _only(outputs)[0]
    cells = _cells(size, NANODET_STRIDES)
    logits = found[:, -4 * NANODET_BINS :].reshape(-1, 4, NANODET_BINS)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    distances = (weights @ np.arange(NANODET_BINS, dtype=np.float32)) * cells[:, 2:]
    points = cells[:, :2] * cells[:, 2:]
    boxes = np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)
    return boxes, found[:, PERSON]


def _prepare_rtdetr(picture: Picture, size: Size) -> tuple[Floats, Floats]:
    """RT-DETR takes the whole picture, stretched to its input, from 0 to 1."""
    import cv2

    scale = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
    values = np.asarray(cv2.resize(picture, size), np.float32) / np.float32(255)
    return _planes(values), scale


def _fits_rtdetr(outputs: Outputs, size: Size) -> bool:  # noqa: ARG001
    return outputs.keys() == {"labels", "boxes", "scores"}


def _decode_rtdetr(outputs: Outputs, size: Size) -> tuple[Floats, Floats]:  # noqa: ARG001
    """Labels (1, n), boxes (1, n, 4) in input pixels, scores (1, n)."""
    people = outputs["labels"][0] == PERSON
    return outputs["boxes"][0][people], outputs["scores"][0][people]


def _fits_rtdetr_raw(outputs: Outputs, size: Size) -> bool:  # noqa: ARG001
    return {"logits", "pred_boxes"} <= outputs.keys()


def _decode_rtdetr_raw(outputs: Outputs, size: Size) -> tuple[Floats, Floats]:
    """Logits (1, n, classes); centre x, y, width, height (1, n, 4) as shares of the input."""
    boxes = outputs["pred_boxes"][0] * np.tile(np.array(size, np.float32), 2)
    scores = 1 / (1 + np.exp(-outputs["logits"][0][:, PERSON]))
    return _corners(boxes[:, :2], boxes[:, 2:]), scores


STYLES: dict[str, Style] = {
    "YOLOX": Style(_fits_yolox, _prepare_yolox, _decode_yolox),
    "NanoDet-Plus": Style(_fits_nanodet, _prepare_nanodet, _decode_nanodet),
    "RT-DETR": Style(_fits_rtdetr, _prepare_rtdetr, _decode_rtdetr),
    "RT-DETR without its last step": Style(_fits_rtdetr_raw, _prepare_rtdetr, _decode_rtdetr_raw),
}
"""The families that are known; the first that fits is taken."""
