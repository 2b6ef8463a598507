"""Boxes that another tool wrote: MOT text and its kin, JSON, and CVAT's XML."""

import codecs
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.files import read_file, read_text
from reseen.tracking.detections import NOBODY, Detections
from reseen.tracking.video import Frame

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
SIDES = {"width", "height", "right", "bottom"}
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

    def found_in(self, frame: Frame) -> Detections:
        """The people in a frame."""
        return self.frames.get(frame.index, NOBODY)

    def unused(self, frames: int) -> dict[str, int]:
        """Boxes that led to no crop in a video of so many frames, by reason."""
        beyond = sum(len(found) for index, found in self.frames.items() if index >= frames)
        return {**self.left_out, **({"beyond the video's end": beyond} if beyond else {})}


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
        classes: numbers of the classes that are people, where it is not as above.
        first_frame: number of the first frame; None takes 0 where that occurs, else 1.
    """
    wide = read_file(path).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = read_text(path, "utf-16" if wide else "utf-8-sig")
    records = READERS.get(text.lstrip()[:1], _from_table)(path, text)
    if not records:
        raise ReseenError(f"{path} holds no boxes")
    notes: list[str] = []
    reasons = _left_out(records, classes, notes)
    kept = [record for record, reason in zip(records, reasons, strict=True) if not reason]
    left_out = Counter(filter(None, reasons))
    if not kept:
        why = ", ".join(f"{reason} ({count:,})" for reason, count in left_out.items())
        raise ReseenError(f"{path}: all {len(records):,} boxes were left out: {why}")
    frames, people = _by_frame(path, kept, first_frame, notes)
    return GivenBoxes(frames, people, dict(left_out), tuple(notes))


def _number(where: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        raise ReseenError(f"{where}: {str(value).strip()[:40]!r} is not a number that makes sense")
    return number


def _record(where: str, given: Mapping[str, Any], name: object = None) -> Record:
    """What stands in an object or an element, by field; a named class needs no number."""
    known = {FIELDS[key]: value for key, value in given.items() if key in FIELDS}
    if isinstance(name, str):
        known.pop("label", None)
    numbers = {field: _number(where, value) for field, value in known.items()}
    return {"where": where, "name": name, **numbers}


def _from_table(path: Path, text: str) -> list[Record]:
    lines = [
        (f"{path}, line {number}", line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith(("#", "//"))
    ]
    mark = next((mark for mark in (",", ";", "\t") if lines and mark in lines[0][1]), None)
    rows = [(where, [cell.strip() for cell in line.split(mark)]) for where, line in lines]
    for _, cells in rows:
        if len(cells) > 1 and not cells[-1]:  # a separator at the end
            cells.pop()
    fields, least = ["frame", "id", "left", "top", "width", "height", "score"], 6
    headed = bool(rows and re.fullmatch(r"(?!nan$)[A-Za-z_]\w*", rows[0][1][0]))
    if headed:
        where, names = rows.pop(0)
        fields, least = [FIELDS.get(name.lower(), "") for name in names], len(names)
        if not {"frame", "left", "top"} <= set(fields) or len(set(fields) & SIDES) != 2:
            raise ReseenError(f"{where} names the columns {lines[0][1]}; needed are {NEEDED}")
    table = [(where, [_number(where, cell) for cell in cells]) for where, cells in rows]
    for where, numbers in table:
        if len(numbers) < least:
            raise ReseenError(f"{where} has {len(numbers)} columns; needed are {NEEDED}")
    records = [
        {"where": where, **dict(zip(fields, numbers, strict=False))} for where, numbers in table
    ]
    if not headed:
        _read_on(path, records, [numbers for _, numbers in table])
    return records


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
        record |= {"label": row[7], "drone": drone}
        if marks:
            record |= {"counts": row[6] == 1, "score": 1.0}


def _from_json(path: Path, text: str) -> list[Record]:
    document = _parsed(path, text)
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


def _parsed(path: Path, text: str) -> Any:
    """A JSON document; of several, one a line, a list."""
    decoder = msgspec.json.Decoder()
    try:
        try:
            return decoder.decode(text)
        except msgspec.DecodeError:
            return decoder.decode_lines(text)
    except (ValueError, RecursionError) as error:
        raise ReseenError(f"{path} cannot be read as JSON: {error}") from error


def _entry(where: str, entry: Any, frames: dict[Any, int], named: dict[Any, str]) -> Record:
    box = entry.get("bbox", entry.get("box")) if isinstance(entry, dict) else None
    if isinstance(box, list) and len(box) == 4:
        box = dict(zip(("left", "top", "width", "height"), box, strict=True))
    elif not (isinstance(box, dict) and box.keys() == {"x1", "y1", "x2", "y2"}):
        raise ReseenError(f"{where} is not like {ENTRY}")
    given = {"score": 1.0} | {FIELDS[key]: entry[key] for key in entry if key in FIELDS}
    given["id"] = entry.get("track_id", -1)  # COCO's id is the entry's
    if "frame" not in given:
        raise ReseenError(f"{where} is not like {ENTRY}: it has no frame")
    frame, label = (
        key if isinstance(key := given.get(field), int | str) else None
        for field in ("frame", "label")
    )
    given["frame"] = frames.get(frame, given["frame"])
    return _record(where, given | box, entry.get("name", named.get(label)))


def _from_cvat(path: Path, text: str) -> list[Record]:
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):  # entities can swallow a machine
        raise ReseenError(f"{path} declares a document type; CVAT's XML has none")
    try:
        root = ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, RecursionError) as error:
        raise ReseenError(f"{path} cannot be read as XML: {error}") from error
    boxes = [
        {"frame": None, **track.attrib, **box.attrib}
        for track in root.iter("track")
        for box in track.iter("box")
    ] + [
        {"frame": image.get("id"), **box.attrib, "id": "-1"}
        for image in root.iter("image")
        for box in image.iter("box")
    ]
    records = []
    for number, box in enumerate(boxes, start=1):
        where = f"{path}, box {number}"
        record = _record(where, box, box.get("label"))
        if not {"frame", "left", "top", "right", "bottom"} <= record.keys():
            raise ReseenError(
                f"{where} is not like CVAT's: frame, xtl, ytl, xbr and ybr are needed"
            )
        shown = box.get("outside", "0") == "0"
        records.append({**record, "frame": record["frame"] + 1, "counts": shown})
    return records


READERS = {"[": _from_json, "{": _from_json, "<": _from_cvat}
"""By a file's first character; all others hold a table."""


def _left_out(records: list[Record], classes: Sequence[int] | None, notes: list[str]) -> list[str]:
    """Why each record is left out; empty where it is a person's."""
    labels = {record["label"] for record in records if "label" in record}
    drone = any(record.get("drone") for record in records)
    wanted = classes
    if wanted is None:
        wanted = (1, 2) if drone else (0,) if 0 in labels else (1,)
        if wanted == (0,):
            notes.append("class 0 was taken for people; --classes says it if it is another")

    def reason(record: Record) -> str:
        if not record.get("counts", True):
            return "marked not to count"
        if isinstance(record.get("name"), str):
            return "" if record["name"].lower() in PEOPLE else f"of class {record['name']}"
        if "label" in record and record["label"] not in wanted:
            return f"of class {record['label']:g}, not {', '.join(f'{one:g}' for one in wanted)}"
        return ""

    return list(map(reason, records))


def _by_frame(
    path: Path, records: list[Record], first_frame: int | None, notes: list[str]
) -> tuple[dict[int, Detections], dict[int, NDArray[np.int64]] | None]:
    """The detections of each frame, and the people's numbers where all of them have one."""
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
    order = np.argsort(frame, kind="stable")
    different, starts = np.unique(frame[order], return_index=True)
    frames, people = {}, {}
    for number, places in zip(different.tolist(), np.split(order, starts[1:]), strict=True):
        frames[number - first] = Detections.of(boxes[places], scores[places])
        people[number - first] = person[places]
        [(commonest, times)] = Counter(person[places].tolist()).most_common(1)
        if times > 1 and commonest >= 0:
            raise ReseenError(f"{path} has person {commonest} twice in frame {number}")
    return frames, people if (person >= 0).all() else None


def _whole(
    records: list[Record], field: str, least: int, absent: float = math.nan
) -> NDArray[np.int64]:
    """A field of all records, whole numbers from `least` on."""
    values = np.array([record.get(field, absent) for record in records])
    for place in np.flatnonzero(~((values == np.round(values)) & (values >= least))):
        what = f"from {least}" if field == "frame" else "from 0, or -1 for none"
        raise ReseenError(
            f"{records[place]['where']}: {field} {values[place]:g}; {field}s are whole numbers "
            f"{what}"
        )
    return values.astype(np.int64)


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
    least, most = scores.min(), scores.max()
    if most <= 0:
        return np.ones(len(scores))
    if least >= 0 and most <= 1:
        return scores
    notes.append(f"scores from {least:g} to {most:g} were mapped to 0.5 ... 1")
    return np.asarray(0.5 + 0.5 * (scores - least) / max(most - least, 1e-9))
