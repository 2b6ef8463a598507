"""Tracklets on disk: people's pictures, cut out of the frames as these come."""

import re
import shutil
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reseen.data.tracked import TRACKLETS_FILE
from reseen.errors import ReseenError
from reseen.files import cannot_write
from reseen.tracking.detections import Boxes
from reseen.tracking.tracker import Followed
from reseen.tracking.video import Frame, Picture

QUALITY = 95
"""JPEG quality of the crops."""

LEAST_SIDE = 4
"""Pixels of a box's width and height that must lie in the picture; otherwise it is dropped."""

SHAPE = 0.5
"""Least width of a crop as a share of its height: that of PRID-2011, iLIDS-VID and MARS."""

BOXES_FILE = "tracks.txt"
UNFINISHED = ".reseen-unfinished"
"""Lies in the folder for as long as tracklets are written into it."""

TRACKLET_NAME = re.compile(r".+-\d{6,}")


@dataclass(frozen=True, eq=False, slots=True)
class Crop:
    """One picture of one person: its frame, the box in the picture, and the encoded crop."""

    frame: int
    box: Boxes
    score: float
    jpeg: bytes


@dataclass
class Piece:
    """A tracklet in the making.

    Attributes:
        first_frame, last_frame: indices of the frames between which the person was seen.
        start_seconds, end_seconds: their times in the video.
        number: the tracklet's number; None until there are enough crops.
        crops: how many are on disk.
        waiting: the crops that are not on disk because there are too few yet.
        ended: whether the person is gone.
    """

    first_frame: int
    last_frame: int
    start_seconds: float
    end_seconds: float
    number: int | None = None
    crops: int = 0
    waiting: list[Crop] = field(default_factory=list)
    ended: bool = False


class TrackletFolder:
    """Writes crops and boxes into a folder while people are followed.

    A person's crops wait in memory until there are `min_length` of them: who is seen in fewer
    frames leaves nothing on disk, and memory is bounded by the people in sight.

    Attributes:
        pieces: the tracklets that are on disk, in the order in which they became long enough.
        dropped: boxes that lay outside the picture.
        too_short: people seen in fewer than `min_length` frames.
    """

    def __init__(self, folder: Path, prefix: str, min_length: int, keep_numbers: bool) -> None:
        """Begin in an empty or new folder; what a run left there that listed nothing is removed.

        Args:
            folder: where the tracklets' folders and their boxes go.
            prefix: what the tracklets' names begin with.
            min_length: the least number of crops of a tracklet.
            keep_numbers: whether tracklets have the people's numbers, or count from 1.

        Raises:
            ReseenError: the folder holds something else, or cannot be written.
        """
        self.pieces: list[Piece] = []
        self.dropped = self.too_short = 0
        self._folder, self._prefix = folder, prefix
        self._min_length, self._keep_numbers = min_length, keep_numbers
        self._open: dict[int, Piece] = {}
        with writing(folder):
            _clear(folder)
            (folder / BOXES_FILE).touch()

    @property
    def ended(self) -> list[Piece]:
        """Those of the tracklets on disk whose person is gone."""
        return [piece for piece in self.pieces if piece.ended]

    def name(self, piece: Piece) -> str:
        """The tracklet's id, which is its folder's name too."""
        return f"{self._prefix}-{piece.number:06d}"

    def add(self, frame: Frame, people: list[Followed]) -> None:
        """Cut the people out of a frame.

        Raises:
            ReseenError: the folder cannot be written.
        """
        for seen in people:
            box = _clipped(seen.box, frame.picture)
            if (box[2:] - box[:2]).min() < LEAST_SIDE:
                self.dropped += 1
                continue
            piece = self._open.get(seen.person)
            if piece is None:
                piece = Piece(frame.index, frame.index, frame.seconds, frame.seconds)
                self._open[seen.person] = piece
            piece.last_frame, piece.end_seconds = frame.index, frame.seconds
            piece.waiting.append(Crop(frame.index, box, seen.score, _cut(frame.picture, box)))
            if piece.number is not None or len(piece.waiting) >= self._min_length:
                self._flush(piece, seen.person)

    def end_all_but(self, people: Set[int]) -> None:
        """End the tracklets of everybody else."""
        for person in self._open.keys() - people:
            piece = self._open.pop(person)
            piece.ended = True
            self.too_short += piece.number is None

    def finish(self) -> None:
        """Say that everything is written; before, the folder counts as unfinished."""
        (self._folder / UNFINISHED).unlink(missing_ok=True)

    def _flush(self, piece: Piece, person: int) -> None:
        with writing(self._folder):
            if piece.number is None:
                piece.number = person if self._keep_numbers else len(self.pieces) + 1
                self.pieces.append(piece)
                (self._folder / self.name(piece)).mkdir()
            for crop in piece.waiting:
                path = self._folder / self.name(piece) / f"{crop.frame + 1:06d}.jpg"
                path.write_bytes(crop.jpeg)
            with (self._folder / BOXES_FILE).open("a", encoding="utf-8") as file:
                file.writelines(_mot_line(piece.number, crop) for crop in piece.waiting)
        piece.crops += len(piece.waiting)
        piece.waiting.clear()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one clear line."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / UNFINISHED
    begun_here = unfinished.exists() and not (folder / TRACKLETS_FILE).exists()
    if not begun_here and any(folder.iterdir()):
        raise ReseenError(f"{folder} is not empty; choose another folder or delete it first")
    unfinished.touch()
    for entry in folder.iterdir():
        if entry.is_dir() and TRACKLET_NAME.fullmatch(entry.name):
            shutil.rmtree(entry)
        elif entry.name == BOXES_FILE:
            entry.unlink()


def _clipped(box: Boxes, picture: Picture) -> Boxes:
    height, width = picture.shape[:2]
    return np.clip(box, 0, np.array([width, height, width, height], np.float32))


def _cut(picture: Picture, box: Boxes) -> bytes:
    """Cut a box out of a picture, as JPEG.

    A box narrower than the data sets' shape is widened to it about its middle, so that nobody is
    stretched; wider ones stay as they are. The picture's border cuts off what lies beyond.
    """
    import cv2

    left, top, right, bottom = box.tolist()
    missing = max(SHAPE * (bottom - top) - (right - left), 0) / 2
    columns = slice(max(round(left - missing), 0), max(round(right + missing), 1))
    crop = picture[round(top) : max(round(bottom), 1), columns]
    _, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return jpeg.tobytes()


def _mot_line(number: int, crop: Crop) -> str:
    left, top, right, bottom = crop.box.tolist()
    box = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
    return f"{crop.frame + 1},{number},{box},{crop.score:.4f},-1,-1,-1\n"
