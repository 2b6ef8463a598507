"""Detectors by name, and a journal of what they found: a stopped run need not search again."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from reseen.errors import ReseenError
from reseen.files import writing
from reseen.models.catalogue import best_loaded, catalogue
from reseen.tracking.detections import Detections, Detector, checked
from reseen.tracking.hog import HogDetector
from reseen.tracking.onnx import OnnxDetector
from reseen.tracking.video import Frame, is_url, without_password


def open_detector(name: str, input_style: str | None = None) -> Detector:
    """Open a person detector.

    Args:
        name: "hog", a detector of the catalogue that was loaded, the path of an ONNX file, or
            "package.module:function" for any function that takes a picture and gives `Detections`.
        input_style: the colours and scale that an ONNX file wants; None takes its family's.
    """
    if name in DETECTORS:
        return DETECTORS[name]()
    entry = catalogue().get(name)
    if entry is not None and entry.use == "detector":
        return OnnxDetector(entry.loaded, input_style)
    if name.lower().endswith(".onnx"):
        return OnnxDetector(Path(name), input_style)
    module, _, function = name.partition(":")
    if not function:
        raise ReseenError(
            f"no detector is called {name}; there is {', '.join(sorted(DETECTORS))}, those of "
            "reseen models list, the path of an .onnx file, or package.module:function"
        )
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReseenError(f"the detector {name} cannot be imported: {error}") from error
    if not callable(found):
        raise ReseenError(f"the detector {name} is not a function")
    return cast(Detector, found)


def best_detector() -> tuple[str, str]:
    """The name of the best detector that is here, and what the user should know about it."""
    name = best_loaded("detector")
    return ("hog", BETTER) if name is None else (name, f"people are found by {name}")


def photo_detector() -> Detector:
    """The best detector that is here, for pictures that have nothing to do with one another."""
    name, _ = best_detector()
    # That by gradients compares each picture with those before.
    return (lambda picture: HogDetector()(picture)) if name == "hog" else open_detector(name)


BETTER = (
    "people are found by hog, which needs no download; reseen models get yolox-nano brings a"
    " detector that keeps people apart far better: IDF1 81 instead of 58 on TUD-Campus"
)

DETECTORS: dict[str, Callable[[], Detector]] = {"hog": HogDetector}
"""The detectors that need no file."""


def settings_of(
    source: str | Path, detector: str | Detector, detector_input: str | None
) -> dict[str, Any]:
    """What must be the same for what was found before to be used again."""

    def file(name: str) -> list[Any]:
        if is_url(name) or not Path(name).exists():
            return [name]
        status = Path(name).stat()
        return [name, status.st_size, status.st_mtime_ns]

    named = isinstance(detector, str) and not is_url(source)
    return {
        "source": file(without_password(source)),
        "detector": file(str(detector)) if named else None,
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
