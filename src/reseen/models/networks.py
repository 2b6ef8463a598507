"""Networks in ONNX files: opened to be run, and what a re-identification network wants of crops."""

import hashlib
import re
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from reseen.errors import ReseenError
from reseen.files import read_as, sha256_of

FATAL_ONLY = 4
"""Warnings are of what does no harm in many files, and errors are raised as well."""

_IN_ITS_SOURCE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed: ?)?(/\S+:\d+ .*?\) )?"
)


def open_session(path: Path) -> Any:
    """Open an ONNX file with onnxruntime, on the fastest device that it finds."""
    import onnxruntime

    from reseen.parallel import has_one_core  # loads OpenCV

    if not path.is_file():
        raise ReseenError(
            f"the network {path} {'is no file' if path.exists() else 'does not exist'}"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    # Threads that wait in a circle for the next picture take a core from whatever else is done.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if has_one_core():
        options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise ReseenError(f"{path} cannot be opened as ONNX: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """What onnxruntime says went wrong, without where in its source, and the pages that follow."""
    return _IN_ITS_SOURCE.sub("", (str(error).splitlines() or [type(error).__name__])[0])


def read_graph(path: Path) -> tuple[str, bool]:
    """What of an ONNX file its session does not tell.

    Returns:
        The SHA-256 of the file and of those beside it that hold its weights; and whether its
        picture is first of all subtracted from: it brings its own normalisation.
    """
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    graph = onnx.load(path, load_external_data=False).graph
    outside = filter(uses_external_data, graph.initializer)
    names = sorted({ExternalDataInfo(tensor).location for tensor in outside})
    digest = sha256_of(path, *(path.parent / name for name in names))
    picture = graph.input[0].name
    return digest, any(node.op_type == "Sub" and picture in node.input for node in graph.node)


Three = tuple[float, float, float]
_Spread = Annotated[float, msgspec.Meta(gt=0)]
Size = tuple[int, int]

FREE_SIZE = (256, 128)
"""Height and width for a network that takes any: what nearly all were trained on."""


@dataclass(frozen=True)
class Style:
    """How crops are turned into a network's input.

    Attributes:
        mean, spread: for each channel, on the scale from 0 to 255: (value - mean) / spread.
        bgr: whether blue comes first.
        padded: whether the crop keeps its proportions, in the middle of the input; it is
            stretched otherwise.
    """

    mean: Three = (0, 0, 0)
    spread: Three = (1, 1, 1)
    bgr: bool = False
    padded: bool = False

    @property
    def name(self) -> str:
        """The name in `STYLES`, or one that tells styles of sidecars apart."""
        for name, style in STYLES.items():
            if style == self:
                return name
        return "sidecar." + hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:6]


IMAGENET_MEAN: Three = (123.675, 116.28, 103.53)
IMAGENET_SPREAD: Three = (58.395, 57.12, 57.375)

STYLES = {
    "imagenet": Style(IMAGENET_MEAN, IMAGENET_SPREAD),
    "half": Style((127.5,) * 3, (127.5,) * 3),
    "raw": Style(),
    "raw-bgr": Style(bgr=True),
    "tao": Style(IMAGENET_MEAN, (57.63,) * 3, padded=True),
    "lite0": Style((127,) * 3, (128,) * 3),
}
"""By name: torchreid and most others; CLIP-ReID; what normalises inside; NVIDIA's TAO; ours."""

BY_SHAPE = {
    (256, 128, 256): ("tao",),
    (256, 128, 512): ("imagenet",),
    (256, 128, 768): ("imagenet",),
    (256, 128, 1280): ("imagenet", "half"),
    (256, 128, 1792): ("imagenet",),
    (256, 128, 2048): ("imagenet",),
    (256, 128, 3072): ("half",),
    (256, 128, 3712): ("lite0",),
    (384, 128, 2048): ("imagenet",),
    (384, 128, 3584): ("imagenet",),
}
"""Styles of the known networks of an input's height and width and an embedding's length."""


def named_style(name: str) -> Style:
    """A style by its name."""
    if name not in STYLES:
        raise ReseenError(f"there is no style {name}; there are {', '.join(STYLES)}")
    return STYLES[name]


def style_by_shape(path: Path, shape: tuple[int, int, int], *, normalises: bool) -> str:
    """The one style that networks of this shape have: height, width, length of the embedding.

    A graph that begins by subtracting, as fast-reid's do, normalises by itself.

    Raises:
        ReseenError: there is none or there are several: the user must say.
    """
    if normalises:
        return "raw"
    found = BY_SHAPE.get(shape, ())
    if len(found) == 1:
        return found[0]
    height, width, length = shape
    raise ReseenError(
        f"{path} makes {length} numbers from crops of {height}×{width}: how it wants them cannot be"
        f" told; say --style, one of {', '.join(found or STYLES)}"
    )


PADDED = {
    **dict.fromkeys(("letterbox", "pad", "resize_pad"), True),
    **dict.fromkeys(("stretch", "resize", "squash"), False),
}
"""Whether crops keep their proportions, by what files call it."""


class _BoxMot(msgspec.Struct):
    sha256: Any = None
    img_size: Any = None
    preprocess: Any = "resize"


class _Roboflow(msgspec.Struct):
    mean: Three
    std: tuple[_Spread, _Spread, _Spread]
    input_size: Any = None
    to_rgb: bool = True
    resize_mode: Any = "stretch"


def style_beside(path: Path, digest: str, size: Size) -> Style | None:
    """The style that a file beside the network states; None where there is no such file.

    BoxMOT writes FILE.metadata.json, with the statistics of ImageNet understood; Roboflow's
    trackers write reid_config.json, with statistics for values from 0 to 1.
    """
    if (file := path.with_name(path.name + ".metadata.json")).is_file():
        boxmot = read_as(file, _BoxMot, "fetch the model again")
        if boxmot.sha256 not in (None, digest):
            raise ReseenError(f"{file} is about another network than {path}")
        stated, resized = boxmot.img_size, boxmot.preprocess
        style = Style(IMAGENET_MEAN, IMAGENET_SPREAD)
    elif (file := path.with_name("reid_config.json")).is_file():
        config = read_as(file, _Roboflow, "three numbers are needed as mean, three above 0 as std")
        stated, resized = config.input_size, config.resize_mode
        style = Style(_levels(config.mean), _levels(config.std), bgr=not config.to_rgb)
    else:
        return None
    if stated not in (None, list(size)):
        raise ReseenError(f"{file} says crops of {stated}, the network takes {list(size)}")
    if not isinstance(resized, str) or resized not in PADDED:
        raise ReseenError(f"{file} asks for crops resized by {resized!r}, which is not known")
    return replace(style, padded=PADDED[resized])


def _levels(shares: Three) -> Three:
    red, green, blue = shares
    return 255 * red, 255 * green, 255 * blue
