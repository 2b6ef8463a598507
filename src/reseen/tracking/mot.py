"""Boxes that another tool wrote: MOT text and JSON."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.tracking.detections import Detections

COLUMNS = "frame, id, left, top, width, height[, score, ...]"

PEDESTRIAN = 1
"""The class that is a person, both in MOT ground truth and in COCO."""

GROUND_TRUTH_COLUMNS = 9
"""MOT ground truth has this many columns; its seventh says whether the line counts, its eighth
is the class."""

LARGEST = 1e9
"""No frame, id, place or score is larger."""

ENTRY = '{"frame": 1, "bbox": [left, top, width, height], "score": 0.9, "track_id": 7}'


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One box of a file, as it stands there.

    Attributes:
        frame: number of the frame, from 1.
        person: the tool's number for the person; -1 if it followed nobody.
        left, top, width, height: in pixels; the box may lie outside the picture.
        score: how sure the tool is.
    """

    frame: int
    person: int
    left: float
    top: float
    width: float
    height: float
    score: float


@dataclass(frozen=True, eq=False)
class GivenBoxes:
    """The boxes of a video.

    Attributes:
        frames: the people of each frame that has any, by the frame's index, from 0.
        people: the people's numbers, (n,) for each of `frames`; None if they are still to be
            followed.
        ignored: boxes that are no people, or that the file itself says not to count.
    """

    frames: dict[int, Detections]
    people: dict[int, NDArray[np.int64]] | None
    ignored: int


def read_boxes(path: Path) -> GivenBoxes:
    """Read boxes from MOT text, or from JSON when the name ends with .json.

    MOT text has a line of comma-separated numbers for each box: frame (from 1), id (-1 if the
    people were not followed), left, top, width, height, and mostly a score. In ground truth,
    which has nine columns, lines that do not count and those of other classes are left out.

    JSON holds a list with an object for each box: `frame` (or `image_id`; from 1), `bbox` (left,
    top, width, height), and perhaps `score`, `track_id` and `category_id`. Categories other than
    1, COCO's person, are left out.

    A score that is missing, or -1 throughout, counts as 1; others are cut to 0 ... 1.

    Raises:
        ReseenError: the file cannot be read, a column is missing or no sensible number, or only
            some of the boxes have an id. The message names the line or entry.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReseenError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReseenError(f"{path} cannot be read as text: {error}") from error
    read = _json_rows if path.suffix.lower() == ".json" else _mot_rows
    rows = list(read(path, text))
    if not rows:
        raise ReseenError(f"{path} holds no boxes")
    return _given(path, [row for row in rows if row is not None], rows.count(None))


def _given(path: Path, rows: list[Row], ignored: int) -> GivenBoxes:
    followed = {row.person >= 0 for row in rows}
    if len(followed) > 1:
        raise ReseenError(
            f"{path} mixes boxes with an id and boxes without one; give all of them ids, or none"
        )
    by_frame: dict[int, list[Row]] = {}
    for row in rows:
        by_frame.setdefault(row.frame - 1, []).append(row)
    unknown = all(row.score == -1 for row in rows)
    frames = {index: _detections(found, unknown) for index, found in by_frame.items()}
    if followed != {True}:
        return GivenBoxes(frames, None, ignored)
    people = {
        index: _distinct(path, index, [row.person for row in found])
        for index, found in by_frame.items()
    }
    return GivenBoxes(frames, people, ignored)


def _detections(rows: list[Row], scores_unknown: bool) -> Detections:
    boxes = [(row.left, row.top, row.left + row.width, row.top + row.height) for row in rows]
    scores = np.ones(len(rows)) if scores_unknown else np.array([row.score for row in rows])
    return Detections.of(boxes, np.clip(scores, 0, 1))


def _distinct(path: Path, index: int, people: list[int]) -> NDArray[np.int64]:
    if len(set(people)) < len(people):
        twice = next(person for person in people if people.count(person) > 1)
        raise ReseenError(f"{path} has person {twice} twice in frame {index + 1}")
    return np.array(people, np.int64)


def _mot_rows(path: Path, text: str) -> Iterator[Row | None]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield _mot_row(where, [_number(where, column) for column in line.split(",")])


def _mot_row(where: str, columns: list[float]) -> Row | None:
    if len(columns) < 6:
        raise ReseenError(f"{where} has {len(columns)} columns; needed are {COLUMNS}")
    if len(columns) == GROUND_TRUTH_COLUMNS and (columns[6] == 0 or columns[7] != PEDESTRIAN):
        return None
    score = columns[6] if len(columns) > 6 else 1.0
    return _row(where, columns[0], columns[1], columns[2:6], score)


def _json_rows(path: Path, text: str) -> Iterator[Row | None]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ReseenError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(entries, list):
        raise ReseenError(f"{path} must hold a list of objects like {ENTRY}")
    for number, entry in enumerate(entries, start=1):
        yield _json_row(f"{path}, entry {number}", entry)


def _json_row(where: str, entry: Any) -> Row | None:
    box = entry.get("bbox") if isinstance(entry, dict) else None
    if not isinstance(box, list) or len(box) != 4 or not entry.keys() & {"frame", "image_id"}:
        raise ReseenError(f"{where} is not like {ENTRY}")
    if entry.get("category_id", PEDESTRIAN) != PEDESTRIAN:
        return None
    frame = _number(where, entry.get("frame", entry.get("image_id")))
    person = _number(where, entry.get("track_id", -1))
    score = _number(where, entry.get("score", 1.0))
    return _row(where, frame, person, [_number(where, side) for side in box], score)


def _number(where: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= LARGEST:
        raise ReseenError(f"{where}: {str(value).strip()!r} is not a number that makes sense")
    return number


def _row(where: str, frame: float, person: float, box: list[float], score: float) -> Row:
    if frame != int(frame) or frame < 1:
        raise ReseenError(f"{where}: frame {frame:g}; frames are whole numbers from 1")
    if person != int(person) or person < -1:
        raise ReseenError(f"{where}: id {person:g}; ids are whole numbers from 0, or -1 for none")
    left, top, width, height = box
    if width < 0 or height < 0:
        raise ReseenError(f"{where}: a box cannot be {width:g} wide and {height:g} high")
    return Row(int(frame), int(person), left, top, width, height, score)
