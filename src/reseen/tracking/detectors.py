"""Detectors by name: how one is opened."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from reseen.errors import ReseenError
from reseen.models.catalogue import best_loaded, catalogue
from reseen.tracking.detections import Detector
from reseen.tracking.hog import HogDetector
from reseen.tracking.onnx import OnnxDetector


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
        if not entry.path.is_file():
            raise ReseenError(f"{name} is not here yet: reseen models get {name}")
        return OnnxDetector(entry.path, input_style)
    if name.lower().endswith(".onnx"):
        return OnnxDetector(Path(name), input_style)
    if ":" in name:
        return _imported(name)
    raise ReseenError(
        f"no detector is called {name}; there is {', '.join(sorted(DETECTORS))}, those of reseen"
        " models list, the path of an .onnx file, or package.module:function"
    )


def best_detector() -> tuple[str, str]:
    """The name of the best detector that is here, and what the user should know about it."""
    name = best_loaded("detector")
    return ("hog", BETTER) if name is None else (name, f"people were found by {name}")


BETTER = (
    "people were found by hog, which needs no download; reseen models get yolox-nano brings a"
    " detector that keeps people apart far better: IDF1 81 instead of 58 on TUD-Campus"
)

DETECTORS: dict[str, Callable[[], Detector]] = {"hog": HogDetector}
"""The detectors that need no file."""


def _imported(name: str) -> Detector:
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReseenError(f"the detector {name} cannot be imported: {error}") from error
    if not callable(function):
        raise ReseenError(f"the detector {name} is not a function")
    return cast(Detector, function)
