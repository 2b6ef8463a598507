"""ONNX files, opened to be run."""

from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from reseen.errors import ReseenError
from reseen.files import sha256_of

ERRORS_ONLY = 3
"""Many files make onnxruntime warn of what does no harm."""


def open_session(path: Path) -> Any:
    """Open an ONNX file with onnxruntime, on the fastest device that it finds."""
    import onnxruntime

    if not path.is_file():
        raise ReseenError(f"the network {path} does not exist")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    if parent_process() is not None:  # one of several, each of which has a core
        options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise ReseenError(f"{path} cannot be opened as ONNX: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """What onnxruntime says went wrong, without the pages that follow."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_graph(path: Path) -> tuple[str, bool]:
    """What of an ONNX file its session does not tell.

    Returns:
        The SHA-256 of the file and of those beside it that hold its weights; and whether its
        picture is first of all subtracted from: it brings its own normalisation.
    """
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    graph = onnx.load(path, load_external_data=False).graph
    outside = sorted(
        {
            ExternalDataInfo(tensor).location
            for tensor in graph.initializer
            if uses_external_data(tensor)
        }
    )
    digest = sha256_of(path, *(path.parent / name for name in outside))
    picture = graph.input[0].name
    return digest, any(node.op_type == "Sub" and picture in node.input for node in graph.node)
