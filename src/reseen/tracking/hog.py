"""OpenCV's people detector, pointed at what moves: the detector that needs no download."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.tracking.detections import SURE_SCORE, Boxes, Detections, cover, overlap

SMALL_WIDTH = 192
"""Width in pixels of the picture in which changes are looked for."""

CHANGE = 20
"""Grey levels by which a pixel differs from the background where something moves."""

MOST_CHANGED = 0.5
"""Share of the picture; if more differs from the background, that is no longer of use."""

LEARNING_RATE, SLOW_LEARNING_RATE = 0.05, 0.01
"""Share of each new picture in the background, where nothing changed and where something did. At
the slow rate nobody who walks past leaves a trace; a moved chair does after some 200 frames."""

LEAST_CHANGE = 0.3
"""Share of a person's box that must differ from the background."""

LEAST_HEIGHT = 64
"""Pixels; what moves and is lower is no person that could be recognised."""

REGION_HEIGHTS = (96, 116)
"""Pixels to which a moving region is scaled, once and again. The classifier's window fits people
who are 96 high: one who fills the region, and with the second one who casts a shadow as well."""

MARGIN = 24
"""Pixels around a scaled region that are searched with it."""

LEAST_MARGIN_MOVING, LEAST_MARGIN_ANYWHERE = -0.6, 0.3
"""Least distance from the detector's decision plane, where something moved and elsewhere."""

WIDE = 0.7
"""Width of a moving region as a share of its height from which on it may hold several people; it
is then also searched at every size, with the margin below."""

LEAST_MARGIN_WIDE = 0.0

REMEMBERED = 15
"""Frames for which a place is searched again where a person was seen."""

WIDEST = 480
"""Pixels; a picture that has to be searched as a whole is made no wider."""

LARGEST_COVER = 0.5
"""Share of a window's area that may lie in a surer one's."""

PERSON = np.array([0.2, 0.02, 0.8, 0.92], np.float32)
"""Left, top, right and bottom of a person in the classifier's window, as shares of it. It was
trained with 1/8 free above and below; a camera that looks down sees heads higher."""

NOTHING: Boxes = np.zeros((0, 4), np.float32)


class HogDetector:
    """Histograms of oriented gradients and a linear classifier (Dalal and Triggs, CVPR 2005).

    The classifier searches only what differs from a slowly learned background. That makes it
    fast; it lets every region be scaled to where the classifier is at its best; and it allows a
    lower threshold than a search of everything does, because most false alarms stand still. Where
    a person was seen a moment ago the background learns nothing, so that people may stand for
    minutes. A picture that changed as a whole (the first one, a camera that moves, a light
    switched on) is searched as a whole, with a higher threshold.

    It holds a state, so each video needs its own. It finds people who stand or walk and are seen
    from head to foot; not those who are cut off by the picture's edge, seated or lying, lower
    than `LEAST_HEIGHT`, in a dense crowd, or who have not moved since the first picture.
    """

    def __init__(self) -> None:
        self._classifier: Any = cv2.HOGDescriptor()
        people: Any = cv2.HOGDescriptor.getDefaultPeopleDetector()
        self._classifier.setSVMDetector(people)
        self._background: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._seen = NOTHING
        self._ages = np.zeros(0, np.int64)

    def __call__(self, picture: Picture) -> Detections:
        """Find the people in a video's next picture, (H, W, 3) uint8 RGB."""
        small, changed = self._compared(picture)
        if changed.mean() > MOST_CHANGED:
            shrink = min(1.0, WIDEST / picture.shape[1])
            whole = np.array([0, 0, picture.shape[1], picture.shape[0]], np.float32)
            windows = self._search(picture, whole, shrink, 8, LEAST_MARGIN_ANYWHERE)
            found = _detections([windows], picture)
        else:
            found = self._search_moving(picture, changed, picture.shape[1] / SMALL_WIDTH)
        self._take_in(small, changed, found, picture.shape[1] / SMALL_WIDTH)
        return found

    def replay(self, picture: Picture, found: Detections) -> None:
        """Take in a picture that was searched before, and what was found in it then."""
        self._take_in(*self._compared(picture), found, picture.shape[1] / SMALL_WIDTH)

    def _compared(self, picture: Picture) -> tuple[Picture, Picture]:
        """The picture, small and grey, and 1 where it differs from the background.

        There specks are taken out and gaps filled.
        """
        height = max(round(picture.shape[0] * SMALL_WIDTH / picture.shape[1]), 1)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        shrunk = cv2.resize(grey, (SMALL_WIDTH, height), interpolation=cv2.INTER_AREA)
        small = np.asarray(shrunk, np.uint8)
        if self._background.shape != small.shape:
            return small, np.ones_like(small)
        changed: Any = (np.abs(small - self._background) > CHANGE).astype(np.uint8)
        changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        filled: Any = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8))
        return small, np.asarray(filled, np.uint8)

    def _take_in(self, small: Picture, changed: Picture, found: Detections, scale: float) -> None:
        """Learn the background, and remember where people were seen lately.

        The background takes up what changed for good, but no person seen standing there. A new
        box takes the place of those it overlaps.
        """
        if changed.mean() > MOST_CHANGED:
            self._background = small.astype(np.float32)
        else:
            learning = np.where(changed, SLOW_LEARNING_RATE, LEARNING_RATE).astype(np.float32)
            for left, top, right, bottom in (self._seen / scale).astype(int):
                learning[max(top - 2, 0) : bottom + 3, max(left - 2, 0) : right + 3] = 0
            self._background += learning * (small - self._background)
        self._ages += 1
        found = found.only(found.scores >= SURE_SCORE)
        overlaps = overlap(self._seen, found.boxes)
        kept = (self._ages < REMEMBERED) & ~(overlaps > 0.3).any(axis=1)
        self._seen = np.concatenate([found.boxes, self._seen[kept]])
        self._ages = np.concatenate([np.zeros(len(found), np.int64), self._ages[kept]])

    def _search_moving(self, picture: Picture, changed: Picture, scale: float) -> Detections:
        """Search what moved; a find of which too little moved is none."""
        _, _, regions, _ = cv2.connectedComponentsWithStats(changed)
        moving = regions[1:, :4] * np.float32(scale)
        moving[:, 2:] += moving[:, :2]
        windows = []
        for left, top, right, bottom in moving[moving[:, 3] - moving[:, 1] >= LEAST_HEIGHT]:
            if right - left > WIDE * (bottom - top):
                area = np.array([left, top, right, bottom], np.float32)
                shrink = min(1.0, WIDEST / picture.shape[1])
                windows.append(self._search(picture, area, shrink, 8, LEAST_MARGIN_WIDE))
            for height in REGION_HEIGHTS:
                enlarge = float(np.clip(height / (bottom - top), 0.05, 2.0))
                border = MARGIN / enlarge
                area = np.array([left - border, top - border, right + border, bottom + border])
                windows.append(self._search(picture, area, enlarge, 4, LEAST_MARGIN_MOVING))
        found = _detections(windows, picture)
        parts = [changed[y : b + 1, x : r + 1] for x, y, r, b in (found.boxes / scale).astype(int)]
        shares = np.array([part.mean() if part.size else 0.0 for part in parts])
        return found.only(shares >= LEAST_CHANGE)

    def _search(
        self, picture: Picture, area: Boxes, scale: float, stride: int, least_margin: float
    ) -> tuple[Boxes, Boxes]:
        """Windows (n, 4) in an area (4,) that the classifier takes for people; margins (n,)."""
        x, y = np.maximum(area[:2].astype(int), 0)
        part = picture[y : int(area[3]) + 1, x : int(area[2]) + 1]
        scaled = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        below, right = max(128 - scaled.shape[0], 0), max(64 - scaled.shape[1], 0)
        windows, margins = self._classifier.detectMultiScale(
            cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_REPLICATE),
            hitThreshold=least_margin,
            winStride=(stride, stride),
            padding=(32, 32),
            scale=1.05,
            groupThreshold=0,
        )
        boxes = np.asarray(windows, np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        origin = np.array([x, y, x, y], np.float32)
        return boxes / np.float32(scale) + origin, np.asarray(margins, np.float32).reshape(-1)


def _detections(found: list[tuple[Boxes, Boxes]], picture: Picture) -> Detections:
    """Turn the classifier's windows into boxes around people, and its margins into scores.

    Of the many windows around each person, the surest is averaged with those that overlap it by
    half or more, which steadies it from frame to frame. All others that it covers, or that cover
    it, are parts or doubles of it. The score is 0.5 at half of the least margin where something
    moved, and 0.86 at zero.
    """
    windows = np.concatenate([NOTHING, *(windows for windows, _ in found)])
    margins = np.concatenate([NOTHING[:, 0], *(margins for _, margins in found)])
    order = np.argsort(-margins)
    windows, margins = windows[order], margins[order]
    grouped: list[Boxes] = []
    surest: list[float] = []
    while len(windows):
        near = overlap(windows[:1], windows)[0] >= 0.5
        grouped.append(windows[near].mean(axis=0))
        surest.append(margins[0])
        apart = cover(windows[:1], windows)[0] < LARGEST_COVER
        windows, margins = windows[apart], margins[apart]
    windows, margins = np.array(grouped, np.float32).reshape(-1, 4), np.array(surest, np.float32)
    boxes = np.tile(windows[:, :2], 2) + np.tile(windows[:, 2:] - windows[:, :2], 2) * PERSON
    boxes = np.clip(boxes, 0, np.array([picture.shape[1], picture.shape[0]] * 2))
    return Detections.of(boxes, 1 / (1 + np.exp(-6 * (margins - LEAST_MARGIN_MOVING / 2))))
