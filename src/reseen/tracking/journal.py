"""What a detector found, written down frame by frame: a stopped run need not search again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reseen.errors import ReseenError
from reseen.files import writing
from reseen.tracking.detections import Detections, Detector, checked
from reseen.tracking.video import Frame, is_url, without_password


def settings_of(
    source: str | Path, detector: str | Detector, detector_input: str | None
) -> dict[str, Any]:
    """What must be the same for what was found before to be used again."""

    def file(path: str | Path) -> list[Any]:
        known = not is_url(path) and Path(path).exists()
        return [
            str(path),
            *((Path(path).stat().st_size, Path(path).stat().st_mtime_ns) if known else ()),
        ]

    named = isinstance(detector, str) and not is_url(source)
    return {
        "source": file(without_password(source)),
        "detector": file(detector) if isinstance(detector, str) and named else None,
        "input": detector_input,
    }


def journalled(
    detect: Detector, journal: Path, settings: dict[str, Any]
) -> Callable[[Frame], Detections]:
    """Find people, and write down what was found, so that a stopped run need not search again."""
    before = _found_before(journal, settings) if settings["detector"] else {}
    replay = getattr(detect, "replay", None)

    def find(frame: Frame) -> Detections:
        if frame.index in before:
            found = before.pop(frame.index)
            if replay is not None:
                replay(frame.picture, found)
            return found
        found = checked(detect(frame.picture))
        if settings["detector"]:
            line = [frame.index, found.boxes.tolist(), found.scores.tolist()]
            with writing(journal), journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return found

    return find


def _found_before(journal: Path, settings: dict[str, Any]) -> dict[int, Detections]:
    """Detections by frame of a run with the same settings; begins anew where they differ."""
    found: dict[int, Detections] = {}
    head, good = json.dumps(settings).encode() + b"\n", 0
    with writing(journal), journal.open("r+b") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n") or (number == 0 and line != head):
                break
            if number:
                try:
                    index, boxes, scores = json.loads(line)
                    found[index] = Detections.of(boxes, scores)
                except (ValueError, TypeError, OverflowError, RecursionError, ReseenError):
                    break
            good += len(line)
        file.seek(good)
        file.truncate()
        if not good:
            file.write(head)
    return found
