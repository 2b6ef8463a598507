"""Optical flow between neighbouring frames: how every pixel of a frame moved since the one before.

All functions here share one convention. Both frames are gray, (H, W) uint8; the flow belongs to
the pixels of the *current* frame and is measured in pixels per frame; positive vertical flow
points down, positive horizontal flow to the right.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError

Gray = NDArray[np.uint8]
Field = NDArray[np.float32]
Flow = Callable[[Gray, Gray], tuple[Field, Field]]

NOISE_THRESHOLD = 0.0039
"""Smallest eigenvalue that counts as texture. Matlab's default; it was chosen for gray values in
0..1 and is kept although the baseline runs it on 0..255, where it hardly ever bites."""

_DERIVATIVE = np.array([1, -8, 0, 8, -1]) / 12
_NEIGHBOURHOOD = np.array([1, 4, 6, 4, 1]) / 16
_IDENTITY = np.ones(1)


def lucas_kanade(previous: Gray, current: Gray) -> tuple[Field, Field]:
    """Flow by Lucas and Kanade's method: single scale, dense, no warping.

    This is what the baseline of McLaughlin et al. (CVPR 2016) takes from Matlab's
    `vision.OpticalFlow` with its difference filter. At each pixel, the products of the spatial
    derivatives (five-point central differences of the current frame) and of the change since the
    previous frame are averaged over a 5x5 binomial neighbourhood and the 2x2 system solved. Where
    only one eigenvalue of the system reaches `NOISE_THRESHOLD` there is an edge, and the flow
    across it is given; where none does, zero. Filters see the outermost pixels repeated beyond
    the border.

    Args:
        previous, current: (H, W) uint8, gray values in 0..255.

    Returns:
        Vertical and horizontal flow, each (H, W) float32, in pixels per frame.
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


def _filtered(
    values: NDArray[Any], across: NDArray[np.float64], down: NDArray[np.float64]
) -> Field:
    filtered: Any = cv2.sepFilter2D(
        values, cv2.CV_32F, across, down, borderType=cv2.BORDER_REPLICATE
    )
    return cast(Field, filtered)


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

    Args:
        previous, current: (H, W) uint8, gray values in 0..255.

    Returns:
        Vertical and horizontal flow, each (H, W) float32, in pixels per frame.
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
