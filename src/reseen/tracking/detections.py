"""People found in one picture: boxes with scores, and how boxes compare."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.errors import ReseenError

Boxes = NDArray[np.float32]

SURE_SCORE = 0.5
"""A detection this sure can be the first of a person; less sure ones only continue one."""

LEAST_SCORE = 0.1
"""Detections less sure than this are ignored."""

LARGEST_OVERLAP = 0.5
"""Of two boxes of one picture with a larger intersection over union, only the surer is kept."""


@dataclass(frozen=True, eq=False, slots=True)
class Detections:
    """The people found in one picture.

    Attributes:
        boxes: (n, 4) float32: left, top, right, bottom in pixels.
        scores: (n,) float32: how sure each one is, from 0 to 1.
    """

    boxes: Boxes
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape != (len(self.scores), 4):
            raise ReseenError(
                f"a detector gave boxes of shape {self.boxes.shape} for {len(self.scores)} scores;"
                " boxes must be (n, 4), scores (n,)"
            )
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise ReseenError("a detector gave a box or score that is not a finite number")

    def only(self, which: NDArray[np.bool_]) -> "Detections":
        """Those for which `which`, (n,), is true."""
        return Detections(self.boxes[which], self.scores[which])

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of(cls, boxes: object, scores: object) -> "Detections":
        """Detections from anything that NumPy can turn into boxes and scores."""
        return cls(
            np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32).reshape(-1)
        )


NOBODY = Detections.of([], [])

Detector = Callable[[Picture], Detections]
"""Takes a picture, (H, W, 3) uint8 RGB; gives the people in it."""


def checked(found: object) -> Detections:
    """What a detector gave."""
    if not isinstance(found, Detections):
        raise ReseenError(f"the detector gave {type(found).__name__}; it must give Detections")
    return found


def overlap(boxes: Boxes, others: Boxes) -> Boxes:
    """Intersection over union of boxes (n, 4) with others (m, 4): (n, m), from 0 to 1."""
    shared = _intersection(boxes, others)
    union = _areas(boxes)[:, None] + _areas(others)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def cover(boxes: Boxes, others: Boxes) -> Boxes:
    """Intersection over the smaller one's area of boxes (n, 4) with others (m, 4): (n, m)."""
    smaller = np.minimum(_areas(boxes)[:, None], _areas(others)[None, :])
    return np.asarray(_intersection(boxes, others) / np.maximum(smaller, 1e-9), np.float32)


def _areas(boxes: Boxes) -> Boxes:
    areas: Boxes = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return areas


def _intersection(boxes: Boxes, others: Boxes) -> Boxes:
    corners = np.maximum(boxes[:, None, :2], others[None, :, :2])
    far_corners = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared: Boxes = np.prod(np.clip(far_corners - corners, 0, None), axis=2)
    return shared


def without_doubles(found: Detections) -> Detections:
    """Keep only the surest of boxes that overlap (non-maximum suppression)."""
    sized = np.column_stack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(
        sized.astype(float).tolist(), found.scores.tolist(), 0.0, LARGEST_OVERLAP
    )
    indices = np.asarray(kept, dtype=np.int64).reshape(-1)
    return found.only(np.isin(np.arange(len(found)), indices))
