"""Coloured outlines over time, and how they are drawn: from integers, alike on every machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.synthetic.people import Colour
from reseen.synthetic.walking import Array

Picture = NDArray[np.uint8]

SHIFT = 4
"""Outlines have corners in 1/16 pixel: what floating point leaves in doubt is rounded away."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled outline over time.

    Attributes:
        outline: corners in 1/16 pixel, (frames, corners, 2) int32.
        colour: what it is filled with.
    """

    outline: NDArray[np.int32]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Part:
    """Shapes that are drawn one after the other, and how near they are, shape (frames,)."""

    nearness: Array
    shapes: list[Shape]


Figure = Sequence[Part]


def draw(picture: Picture, figure: Figure, frame: int) -> None:
    """Draw a figure into a picture as it is at one frame, the farthest part first."""
    for part in sorted(figure, key=lambda part: float(part.nearness[frame])):
        for shape in part.shapes:
            cv2.fillPoly(picture, [shape.outline[frame]], shape.colour, cv2.LINE_AA, SHIFT)


def polygon(corners: Sequence[Array]) -> NDArray[np.int32]:
    """The outline through some corners, each (frames, 2)."""
    return _fixed(np.stack(corners, axis=1))


def oval(centre: Array, wide: Array, high: Array) -> NDArray[np.int32]:
    """The outline of an upright ellipse around `centre`, (frames, 2); half axes (frames,)."""
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    across = centre[:, 0, None] + wide[:, None] * np.cos(turn)
    down = centre[:, 1, None] + high[:, None] * np.sin(turn)
    return _fixed(np.stack([across, down], axis=-1))


def capsule(start: Array, end: Array, thick: Array, thin: Array) -> NDArray[np.int32]:
    """The outline of a limb from `start` to `end`, (frames, 2): lines between two half circles.

    Args:
        start, end: middles of the half circles.
        thick, thin: their radii, (frames,).
    """
    along = end - start
    along = along / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    turn = np.linspace(0, np.pi, 5)[None, :, None]
    rim = across[:, None] * np.cos(turn) - along[:, None] * np.sin(turn)
    first = start[:, None] + thick[:, None, None] * rim
    last = end[:, None] - thin[:, None, None] * rim
    return _fixed(np.concatenate([first, last], axis=1))


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def toward(start: Array, end: Array, share: float) -> Array:
    """The point at some share of the way from one point to another."""
    return start + share * (end - start)


def darker(colour: Colour, percent: int = 72) -> Colour:
    """A colour in the shade."""
    red, green, blue = (part * percent // 100 for part in colour)
    return red, green, blue


def lighter(colour: Colour) -> Colour:
    """A colour washed out."""
    red, green, blue = (part + (255 - part) // 4 for part in colour)
    return red, green, blue
