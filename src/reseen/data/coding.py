"""How a frame is packed: five channels of 64x48 bytes, three of colour and two of motion.

Motion is optical flow between neighbouring frames, both gray, (H, W) uint8. It belongs to the
pixels of the *current* frame and is measured in pixels per frame; positive vertical flow points
down, positive horizontal flow to the right.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.errors import ReseenError

Gray = NDArray[np.uint8]
Field = NDArray[np.float32]
Flow = Callable[[Gray, Gray], tuple[Field, Field]]
"""Takes the previous and the current frame, (H, W) uint8 in 0..255; gives vertical and horizontal
flow, each (H, W) float32, in pixels per frame."""

NOISE_THRESHOLD = 0.0039
"""Smallest eigenvalue that counts as texture. Matlab's default; it was chosen for gray values in
0..1 and is kept although the baseline runs it on 0..255, where it hardly ever bites."""

_DERIVATIVE = np.array([1, -8, 0, 8, -1]) / 12
_NEIGHBOURHOOD = np.array([1, 4, 6, 4, 1]) / 16
_IDENTITY = np.ones(1)

CHANNELS = ("luma", "blue difference", "red difference", "vertical flow", "horizontal flow")
HEIGHT, WIDTH = 64, 48
FRAME_SHAPE = (len(CHANNELS), HEIGHT, WIDTH)

FLOW_STEPS = 8
"""Stored steps per pixel of motion. The baseline stores whole pixels and loses slow motion."""

COLOUR_SCALES = (1 / 255, 0.872 / 255, 1.230 / 255)
"""What one stored step of each colour channel is worth as YUV of RGB in 0..1. No offset, since
each channel's mean is subtracted."""

_YUV = np.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])
_RANGES = np.array([1, 0.872, 1.230])
_OFFSETS = np.array([0, 127.5, 127.5])
_NO_MOTION = 127
_CODED_COLOUR = np.column_stack([_YUV / _RANGES[:, None], _OFFSETS]).astype(np.float32)


def pack_frames(pictures: Sequence[Picture], flow: str = "lucas-kanade") -> NDArray[np.uint8]:
    """Pack the L pictures of one tracklet, in time order, into the network's input channels.

    Flow, by a key of `FLOWS`, is computed at the size of the first picture.

    Returns:
        (L, 5, 64, 48) uint8, channels as in `CHANNELS`.
    """
    if not pictures:
        raise ReseenError("there is no picture to pack; a tracklet needs one at least")
    return np.stack(list(packed(pictures, flow)))


def packed(pictures: Iterable[Picture], flow: str = "lucas-kanade") -> Iterator[NDArray[np.uint8]]:
    """As `pack_frames`, (5, 64, 48) for each picture as it comes, holding two of them at most."""
    between = known_flow(flow)
    previous = None
    for picture in pictures:
        gray: Any = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        if previous is None:
            motion = (np.zeros(gray.shape, np.float32),) * 2
        else:
            if gray.shape != previous.shape:
                gray = _resized(gray, *previous.shape)
            motion = between(previous, gray)
        frame = np.empty(FRAME_SHAPE, np.uint8)
        colour = cv2.transform(_resized(picture, HEIGHT, WIDTH), _CODED_COLOUR)
        frame[:3] = colour.transpose(2, 0, 1)
        small = np.stack([_resized(field, HEIGHT, WIDTH) for field in motion])
        frame[3:] = np.clip(np.rint(FLOW_STEPS * small + _NO_MOTION), 0, 255)
        yield frame
        previous = gray


def known_flow(name: str) -> Flow:
    """The flow function of that name."""
    if name not in FLOWS:
        raise ReseenError(f"there is no flow called {name}; choose one of {', '.join(FLOWS)}")
    return FLOWS[name]


def _resized(picture: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize bilinearly, after halving often enough that no pixel is skipped.

    This comes close to the average over areas that Torch 7, and so the baseline, calls bilinear,
    in a third of its time.
    """
    while picture.shape[0] > 2 * height or picture.shape[1] > 2 * width:
        rows, columns = picture.shape[:2]
        columns = columns // 2 if columns > 2 * width else columns
        rows = rows // 2 if rows > 2 * height else rows
        picture = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    resized: NDArray[Any] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return resized


def lucas_kanade(previous: Gray, current: Gray) -> tuple[Field, Field]:
    """Flow by Lucas and Kanade's method: single scale, dense, no warping.

    This is what the baseline of McLaughlin et al. (CVPR 2016) takes from Matlab's
    `vision.OpticalFlow` with its difference filter. At each pixel, the products of the spatial
    derivatives (five-point central differences of the current frame) and of the change since the
    previous frame are averaged over a 5x5 binomial neighbourhood and the 2x2 system solved. Where
    only one eigenvalue of the system reaches `NOISE_THRESHOLD` there is an edge, and the flow
    across it is given; where none does, zero. Filters see the outermost pixels repeated beyond
    the border.
    """
    horizontal = _filtered(current, _DERIVATIVE, _IDENTITY)
    vertical = _filtered(current, _IDENTITY, _DERIVATIVE)
    change: Any = cv2.subtract(current, previous, dtype=cv2.CV_32F)
    return _solved(
        _averaged(vertical * vertical),
        _averaged(vertical * horizontal),
        _averaged(horizontal * horizontal),
        _averaged(vertical * change),
        _averaged(horizontal * change),
    )


def _filtered(values: NDArray[Any], across: NDArray[Any], down: NDArray[Any]) -> Field:
    border = cv2.BORDER_REPLICATE
    return cast(Field, cv2.sepFilter2D(values, cv2.CV_32F, across, down, borderType=border))


def _averaged(values: Field) -> Field:
    return _filtered(values, _NEIGHBOURHOOD, _NEIGHBOURHOOD)


def _solved(vv: Field, vh: Field, hh: Field, vt: Field, ht: Field) -> tuple[Field, Field]:
    """Solve [[vv, vh], [vh, hh]] flow = -[vt, ht] at each pixel; all are (H, W)."""
    determinant = vv * hh
    determinant -= vh * vh
    vertical = vh * ht
    vertical -= hh * vt
    horizontal = vh * vt
    horizontal -= vv * ht
    with np.errstate(divide="ignore", invalid="ignore"):
        vertical /= determinant
        horizontal /= determinant
    trace = vv + hh
    # (first eigenvalue - threshold) * (second eigenvalue - threshold)
    sides = determinant - NOISE_THRESHOLD * (trace - NOISE_THRESHOLD)
    poor = np.flatnonzero((sides < 0) | (trace < 2 * NOISE_THRESHOLD))
    # Of rank one, the system has the eigenvalue `trace`, and -[vt, ht] / trace solves it.
    divisor = np.where(sides.ravel()[poor] < 0, trace.ravel()[poor], np.inf)
    for flow, right_side in ((vertical, vt), (horizontal, ht)):
        flow.ravel()[poor] = -right_side.ravel()[poor] / divisor
    return vertical, horizontal


def dis(previous: Gray, current: Gray) -> tuple[Field, Field]:
    """Flow by dense inverse search (Kroeger et al., ECCV 2016), as OpenCV has it.

    It follows larger motions than `lucas_kanade`, which sees a pixel or two.
    """
    # Searched from the current frame backwards, so that it belongs to the current pixels.
    try:
        backwards = _dis_search().calc(current, previous, None)
    except cv2.error as error:
        height, width = current.shape
        message = f"frames of {height}x{width} pixels are too small for the flow called dis"
        raise ReseenError(f"{message}; prepare with lucas-kanade") from error
    return -backwards[..., 1], -backwards[..., 0]


@cache
def _dis_search() -> Any:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


FLOWS: dict[str, Flow] = {"lucas-kanade": lucas_kanade, "dis": dis}
"""The ways to compute flow, by the name that `prepare` knows them by."""


def unpack_pictures(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn packed frames (L, 5, 64, 48) back into pictures, for people to look at.

    Returns:
        (L, 64, 48, 3) uint8, RGB; within two steps of the resized pictures that were packed.
    """
    yuv = (frames[:, :3] - _OFFSETS[:, None, None]) * _RANGES[:, None, None]
    rgb = np.einsum("rc,nchw->nhwr", np.linalg.inv(_YUV), yuv)
    pictures: NDArray[np.uint8] = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return pictures


def unpack_flow(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The flow of packed frames (L, 5, 64, 48).

    Returns:
        (L, 2, 64, 48) float32, vertical and horizontal, pixels/frame of the original pictures;
        positive is down and right. Motion beyond about 16 pixels/frame was cut off.
    """
    return (frames[:, 3:].astype(np.float32) - _NO_MOTION) / np.float32(FLOW_STEPS)
