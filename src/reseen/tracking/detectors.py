"""Detectors by name: how one is opened."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from reseen.errors import ReseenError
from reseen.tracking.detections import Detector
from reseen.tracking.hog import HogDetector
from reseen.tracking.onnx import OnnxDetector


def open_detector(name: str, input_style: str | None = None) -> Detector:
    """Open a person detector.

    Args:
        name: "hog", the path of an ONNX file, or "package.module:function" for any function that
            takes a picture and gives `Detections`.
        input_style: the colours and scale that an ONNX file wants; None takes its family's.
    """
    if name in DETECTORS:
        return DETECTORS[name]()
    if name.lower().endswith(".onnx"):
        return OnnxDetector(Path(name), input_style)
    if ":" in name:
        return _imported(name)
    raise ReseenError(
        f"no detector is called {name}; there is {', '.join(sorted(DETECTORS))}, the path of an"
        " .onnx file, or package.module:function"
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
