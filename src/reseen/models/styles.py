"""What a re-identification network in an ONNX file wants its crops to be like."""

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from reseen.errors import ReseenError
from reseen.files import read_as

Three = tuple[float, float, float]
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
    (384, 128, 2048): ("imagenet",),
    (384, 128, 3584): ("imagenet",),
}
"""Styles of the known networks of an input's height and width and an embedding's length."""


def named_style(name: str) -> Style:
    """A style by its name."""
    if name not in STYLES:
        raise ReseenError(f"there is no style {name}; there are {', '.join(STYLES)}")
    return STYLES[name]


def style_by_shape(path: Path, shape: tuple[int, int, int], *, normalises: bool) -> Style:
    """The one style that networks of this shape have.

    Args:
        path: the network, for messages.
        shape: the input's height and width, the embedding's length.
        normalises: whether the graph begins by subtracting, as fast-reid's do.

    Raises:
        ReseenError: there is none or there are several: the user must say.
    """
    if normalises:
        return STYLES["raw"]
    found = BY_SHAPE.get(shape, ())
    if len(found) == 1:
        return STYLES[found[0]]
    height, width, length = shape
    raise ReseenError(
        f"{path} makes {length} numbers from crops of {height}×{width}: how it wants them cannot be"
        f" told; say --style, one of {', '.join(found or STYLES)}"
    )


def style_beside(path: Path, digest: str, size: Size) -> Style | None:
    """The style that a file beside the network states; None where there is no such file.

    BoxMOT writes FILE.metadata.json, with the statistics of ImageNet understood; Roboflow's
    trackers write reid_config.json.
    """
    boxmot, config = (
        path.with_name(path.name + ".metadata.json"),
        path.with_name("reid_config.json"),
    )
    if boxmot.is_file():
        facts = _facts(boxmot)
        if facts.get("sha256") not in (None, digest):
            raise ReseenError(f"{boxmot} is about another network than {path}")
        _check_size(boxmot, facts.get("img_size"), size)
        padded = _is_padded(boxmot, facts.get("preprocess", "resize"))
        return Style(IMAGENET_MEAN, IMAGENET_SPREAD, padded=padded)
    if not config.is_file():
        return None
    facts = _facts(config)
    _check_size(config, facts.get("input_size"), size)
    return Style(
        _channels(config, facts, "mean"),
        _channels(config, facts, "std"),
        bgr=not facts.get("to_rgb", True),
        padded=_is_padded(config, facts.get("resize_mode", "stretch")),
    )


def _facts(path: Path) -> Mapping[str, Any]:
    return read_as(path, dict[str, Any], "fetch the model again")


def _check_size(path: Path, stated: object, size: Size) -> None:
    if stated is not None and stated != list(size):
        raise ReseenError(f"{path} says crops of {stated}, the network takes {list(size)}")


def _is_padded(path: Path, mode: object) -> bool:
    if mode in ("letterbox", "pad", "resize_pad"):
        return True
    if mode in ("stretch", "resize", "squash"):
        return False
    raise ReseenError(f"{path} asks for crops resized by {mode!r}, which is not known")


def _channels(path: Path, facts: Mapping[str, Any], name: str) -> Three:
    """Three numbers, stated for values from 0 to 1, on the scale to 255."""
    match facts.get(name):
        case [int() | float() as red, int() | float() as green, int() | float() as blue] if (
            name == "mean" or min(red, green, blue) > 0
        ):
            return 255 * red, 255 * green, 255 * blue
        case other:
            raise ReseenError(f"{path} gives {other!r} as {name}; three numbers are needed")
