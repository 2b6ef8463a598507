"""Boxes that another tool wrote: MOT text and its kin, JSON, and CVAT's XML."""

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.tracking.detections import Detections

NEEDED = "frame, id, left, top, width, height[, score, ...]"
ENTRY = '{"frame": 1, "bbox": [left, top, width, height], "score": 0.9, "track_id": 7}'

LARGEST = 1e15
"""No frame, id, place or score is larger."""

DOUBTFUL = 10
"""So many boxes, all wider than they are far from the picture's left and higher than far from its
top, are more likely corners; fewer may be somebody who stands there."""

NAMES = {
    "frame": ("frame", "frame_id", "frame_number", "frame_index", "image_id", "f"),
    "id": ("id", "track_id", "trackid", "object_id", "person", "tid"),
    "left": ("left", "x", "x1", "xmin", "bb_left", "bbox_left", "xtl"),
    "top": ("top", "y", "y1", "ymin", "bb_top", "bbox_top", "ytl"),
    "width": ("width", "w", "bb_width", "bbox_width"),
    "height": ("height", "h", "bb_height", "bbox_height"),
    "right": ("right", "x2", "xmax", "xbr"),
    "bottom": ("bottom", "y2", "ymax", "ybr"),
    "score": ("score", "conf", "confidence"),
    "label": ("class", "cls", "class_id", "category_id", "label"),
}
"""What columns and keys are called, by what they hold."""

FIELDS = {name: field for field, names in NAMES.items() for name in names}
PEOPLE = ("person", "pedestrian", "people")

Record = dict[str, Any]
"""One box as it stands in the file, by `NAMES`' fields, and `where` that is."""


@dataclass(frozen=True, eq=False)
class GivenBoxes:
    """The boxes of a video.

    Attributes:
        frames: the people of each frame that has any, by the frame's index, from 0.
        people: the people's numbers, (n,) for each of `frames`; None if they are still to be
            followed.
        left_out: how many boxes were left out, by reason.
        notes: what was told from the numbers, because the file does not say it.
    """

    frames: dict[int, Detections]
    people: dict[int, NDArray[np.int64]] | None
    left_out: dict[str, int]
    notes: tuple[str, ...]


def read_boxes(
    path: Path, classes: Sequence[int] | None = None, first_frame: int | None = None
) -> GivenBoxes:
    """Read boxes that another tool wrote.

    Text has a line of numbers for each box: frame, id (-1 if the people were not followed), left,
    top, width, height, and mostly a score; then perhaps a class, where the eighth column holds
    whole numbers throughout. A first line may name the columns. JSON holds objects, in a list or
    one a line, or a COCO data set; XML is CVAT's.

    Of classes, 0 is a person where it occurs (COCO counted from 0), else 1 (MOT, COCO's ids); 1
    and 2 in VisDrone's ten columns. Scores that leave 0 ... 1 are mapped to 0.5 ... 1, because the
    tool kept these boxes; where none is above 0, they say nothing.

    Args:
        path: the file.
        classes: numbers of the classes that are people, where it is not as above.
        first_frame: number of the first frame; None takes 0 where that occurs, else 1.
    """
    text = _text(path)
    if text.lstrip()[:1] in ("[", "{"):
        records = _from_json(path, text)
    elif text.lstrip()[:1] == "<":
        records = _from_cvat(path, text)
    else:
        records = _from_table(path, text)
    if not records:
        raise ReseenError(f"{path} holds no boxes")
    notes: list[str] = []
    people = _people(records, classes, notes)
    left_out = Counter(reason for _, reason in people if reason)
    kept = [record for record, reason in people if not reason]
    if not kept:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in left_out.items())
        raise ReseenError(f"{path}: all {len(records):,} boxes were left out: {reasons}")
    return _given(path, kept, first_frame, left_out, notes)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if wide else "utf-8-sig")
    except FileNotFoundError as error:
        raise ReseenError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReseenError(f"{path} cannot be read as text: {error}") from error


def _number(where: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        raise ReseenError(f"{where}: {str(value).strip()[:40]!r} is not a number that makes sense")
    return number


def _from_table(path: Path, text: str) -> list[Record]:
    lines = [
        (f"{path}, line {number}", line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith(("#", "//"))
    ]
    if not lines:
        return []
    mark = next((mark for mark in (",", ";", "\t") if mark in lines[0][1]), None)
    rows = [(where, [cell.strip() for cell in line.split(mark)]) for where, line in lines]
    for _, cells in rows:
        if len(cells) > 1 and not cells[-1]:  # a separator at the end
            cells.pop()
    fields = ["frame", "id", "left", "top", "width", "height", "score"]
    headed = re.fullmatch(r"[A-Za-z_]\w*", rows[0][1][0]) is not None and rows[0][1][0] != "nan"
    if headed:
        fields = [FIELDS.get(cell.lower(), "") for cell in rows.pop(0)[1]]
        if not {"frame", "left", "top"} <= set(fields) or len(set(fields) & SIDES) != 2:
            raise ReseenError(f"{lines[0][0]} names the columns {lines[0][1]}; needed are {NEEDED}")
    table = [(where, [_number(where, cell) for cell in cells]) for where, cells in rows]
    for where, numbers in table:
        if len(numbers) < (len(fields) if headed else 6):
            raise ReseenError(f"{where} has {len(numbers)} columns; needed are {NEEDED}")
    records = [
        {"where": where, **dict(zip(fields, numbers, strict=False))} for where, numbers in table
    ]
    if not headed:
        _read_on(path, records, [numbers for _, numbers in table])
    return records


SIDES = {"width", "height", "right", "bottom"}


def _read_on(path: Path, records: list[Record], rows: list[list[float]]) -> None:
    """Tell what columns hold that no header names: sizes or corners, a class, a mark."""
    corner, size = (np.array([row[first : first + 2] for row in rows]) for first in (2, 4))
    if len(rows) >= DOUBTFUL and (size > corner).all() and (corner >= 0).all():
        raise ReseenError(
            f"{path}: all boxes could be corners (left, top, right, bottom) as well as sizes; name "
            "the columns in a first line: frame,id,left,top,width,height or ...,right,bottom"
        )
    if not all(len(row) > 7 and row[7] == int(row[7]) >= 0 for row in rows):
        return
    drone = all(len(row) == 10 and {row[8], row[9]} <= {0, 1, 2} for row in rows)
    marks = {row[6] for row in rows} == {0, 1}
    for record, row in zip(records, rows, strict=True):
        record["label"] = row[7]
        record["drone"] = drone
        if marks:
            record["counts"] = row[6] == 1
            record["score"] = 1.0


def _from_json(path: Path, text: str) -> list[Record]:
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ReseenError(f"{path} cannot be read as JSON: it is nested too deeply") from error
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            document = [json.loads(line) for line in lines] if len(lines) > 1 else None
        except (ValueError, RecursionError):
            document = None
        if document is None:
            raise ReseenError(f"{path} cannot be read as JSON: {error}") from error
    frames: dict[Any, int] = {}
    named: dict[Any, str] = {}
    if isinstance(document, dict) and isinstance(document.get("annotations"), list):
        images, categories = document.get("images", []), document.get("categories", [])
        try:
            ordered = sorted(images, key=lambda image: image["file_name"])
            frames = {image["id"]: place for place, image in enumerate(ordered, start=1)}
            named = {category["id"]: category["name"] for category in categories}
        except (TypeError, KeyError) as error:
            raise ReseenError(f"{path} is no COCO data set: {error!r}") from error
        document = document["annotations"]
    if not isinstance(document, list):
        raise ReseenError(f"{path} must hold a list of objects like {ENTRY}")
    return [
        _entry(f"{path}, entry {number}", entry, frames, named)
        for number, entry in enumerate(document, start=1)
    ]


def _entry(where: str, entry: Any, frames: dict[Any, int], named: dict[Any, str]) -> Record:
    box = entry.get("bbox", entry.get("box")) if isinstance(entry, dict) else None
    if isinstance(box, list) and len(box) == 4:
        sides = dict(zip(("left", "top", "width", "height"), box, strict=True))
    elif isinstance(box, dict) and box.keys() == {"x1", "y1", "x2", "y2"}:
        sides = {FIELDS[name]: side for name, side in box.items()}
    else:
        raise ReseenError(f"{where} is not like {ENTRY}")
    given = {FIELDS[name]: value for name, value in entry.items() if name in FIELDS}
    given["id"] = entry.get("track_id", -1)  # COCO's id is the entry's
    given.setdefault("score", 1.0)
    if "frame" not in given:
        raise ReseenError(f"{where} is not like {ENTRY}: it has no frame")
    frame, label = (
        key if isinstance(key := given.get(field), int | str) else None
        for field in ("frame", "label")
    )
    name = entry.get("name", named.get(label))
    given["frame"] = frames.get(frame, given["frame"])
    numbers = {
        field: _number(where, value)
        for field, value in {**given, **sides}.items()
        if not (field == "label" and isinstance(name, str))
    }
    return {"where": where, "name": name, **numbers}


def _from_cvat(path: Path, text: str) -> list[Record]:
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):  # entities can swallow a machine
        raise ReseenError(f"{path} declares a document type; CVAT's XML has none")
    try:
        root = ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, RecursionError) as error:
        raise ReseenError(f"{path} cannot be read as XML: {error}") from error

    def boxes() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
        for track in root.iter("track"):
            yield from ((track.attrib, box.attrib) for box in track.iter("box"))
        for image in root.iter("image"):
            about = {"id": "-1", "frame": image.attrib.get("id", "")}
            yield from (({**about, **box.attrib}, box.attrib) for box in image.iter("box"))

    records: list[Record] = []
    for number, (about, box) in enumerate(boxes(), start=1):
        where = f"{path}, box {number}"
        given = {"frame": about.get("frame"), "id": about.get("id"), **box}
        wanted = {FIELDS[name]: given[name] for name in given if name in FIELDS and name != "label"}
        numbers = {field: _number(where, value) for field, value in wanted.items()}
        if not {"frame", "left", "top", "right", "bottom"} <= numbers.keys():
            raise ReseenError(
                f"{where} is not like CVAT's: frame, xtl, ytl, xbr and ybr are needed"
            )
        numbers["frame"] += 1
        shown = box.get("outside", "0") == "0"
        records.append({"where": where, "name": about.get("label"), "counts": shown, **numbers})
    return records


def _people(
    records: list[Record], classes: Sequence[int] | None, notes: list[str]
) -> list[tuple[Record, str]]:
    """Each record, and why it is left out; empty where it is a person's."""
    labels = {record["label"] for record in records if "label" in record}
    if classes is None:
        drone = any(record.get("drone") for record in records)
        wanted: Iterable[float] = (1, 2) if drone else (0,) if 0 in labels else (1,)
        if 0 in labels and not drone:
            notes.append("class 0 was taken for people; --classes says it if it is another")
    else:
        wanted = classes

    def reason(record: Record) -> str:
        if not record.get("counts", True):
            return "marked not to count"
        if isinstance(record.get("name"), str):
            return "" if record["name"].lower() in PEOPLE else f"of class {record['name']}"
        if "label" in record and record["label"] not in wanted:
            return f"of class {record['label']:g}, not {', '.join(f'{one:g}' for one in wanted)}"
        return ""

    return [(record, reason(record)) for record in records]


def _given(
    path: Path,
    records: list[Record],
    first_frame: int | None,
    left_out: dict[str, int],
    notes: list[str],
) -> GivenBoxes:
    first = first_frame
    if first is None:
        first = 0 if any(record["frame"] == 0 for record in records) else 1
        if not first:
            notes.append("frames were counted from 0, because there is a frame 0")
    frame, person = _whole(records, "frame", first), _whole(records, "id", -1, absent=-1)
    if (person < 0).any() and (person >= 0).any():
        raise ReseenError(
            f"{path} mixes boxes with an id and boxes without one; give all of them ids, or none"
        )
    boxes, scores = _boxes(path, records), _scores(records, notes)
    frames: dict[int, Detections] = {}
    people: dict[int, NDArray[np.int64]] = {}
    order = np.argsort(frame, kind="stable")
    for number, places in zip(*_runs(frame[order], order), strict=True):
        frames[number - first] = Detections.of(boxes[places], scores[places])
        people[number - first] = person[places]
        twice = [one for one, count in Counter(person[places].tolist()).items() if count > 1]
        if twice and twice[0] >= 0:
            raise ReseenError(f"{path} has person {twice[0]} twice in frame {number}")
    followed = bool((person >= 0).all())
    return GivenBoxes(frames, people if followed else None, dict(left_out), tuple(notes))


def _runs(
    numbers: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[list[int], list[NDArray[np.int64]]]:
    """Different numbers, and the places of each; `numbers` are sorted."""
    different, starts = np.unique(numbers, return_index=True)
    return different.tolist(), np.split(order, starts[1:])


def _whole(
    records: list[Record], field: str, least: int, absent: float = math.nan
) -> NDArray[np.int64]:
    values = []
    for record in records:
        value = record.get(field, absent)
        if value != value or value != int(value) or value < least:
            what = f"from {least}" if field == "frame" else "from 0, or -1 for none"
            raise ReseenError(
                f"{record['where']}: {field} {value:g}; {field}s are whole numbers {what}"
            )
        values.append(int(value))
    return np.array(values, np.int64)


def _boxes(path: Path, records: list[Record]) -> NDArray[np.float32]:
    """Corners (n, 4)."""
    boxes = []
    for record in records:
        left, top = record["left"], record["top"]
        right = record.get("right", left + record.get("width", 0))
        bottom = record.get("bottom", top + record.get("height", 0))
        if right < left or bottom < top:
            size = f"{right - left:g} wide and {bottom - top:g} high"
            raise ReseenError(f"{record['where']}: a box cannot be {size}")
        boxes.append((left, top, right, bottom))
    corners = np.array(boxes, np.float32)
    if np.abs(corners).max() <= 2 and (corners != np.round(corners)).any():
        raise ReseenError(f"{path}: its boxes are shares of the picture; needed are pixels")
    return corners


def _scores(records: list[Record], notes: list[str]) -> NDArray[np.float64]:
    """From 0 to 1."""
    scores = np.array([record.get("score", 1.0) for record in records])
    if scores.max() <= 0:
        return np.ones(len(scores))
    if scores.min() >= 0 and scores.max() <= 1:
        return scores
    least, most = scores.min(), scores.max()
    notes.append(f"scores from {least:g} to {most:g} were mapped to 0.5 ... 1")
    return np.asarray(0.5 + 0.5 * (scores - least) / max(most - least, 1e-9))
