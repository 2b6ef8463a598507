"""What stands behind the people: a wall, a floor and things before them."""

from typing import Any, cast

import cv2
import numpy as np

from reseen.synthetic.outlines import Picture
from reseen.synthetic.people import Colour, between, choice

THINGS = ("door", "window", "poster", "pillar", "plant", "box")


def panorama(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Draw a place.

    Returns:
        (height, width, 3) uint8, red, green, blue.
    """
    horizon = int(between(rng, 0.45, 0.72) * height)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:horizon] = _greyish(rng, 90, 190)
    picture[horizon:] = _greyish(rng, 70, 170)
    _draw_floor(picture, horizon, choice(rng, (64, 128)))
    for _ in range(width // 80):
        _draw_thing(picture, horizon, rng)
    return cast(Picture, cv2.GaussianBlur(_stained(picture, rng), (7, 7), 0))


def _draw_floor(picture: Picture, horizon: int, tile: int) -> None:
    """Tiles, their rows closer together with distance."""
    height, width, _ = picture.shape
    joint = _darker(picture[-1, 0].tolist(), 7, 8)
    row, step = horizon, 4
    while row < height:
        cv2.line(picture, (0, row), (width, row), joint, 2)
        row, step = row + step, step * 2
    for column in range(0, width, tile):
        cv2.line(picture, (column, horizon), (column, height), joint, 2)


def _draw_thing(picture: Picture, horizon: int, rng: np.random.Generator) -> None:
    left, wide = int(rng.integers(picture.shape[1])), int(rng.integers(16, 150))
    kind, colour = choice(rng, THINGS), _greyish(rng, 40, 220, tint=40)
    top, bottom = {
        "door": (horizon // 4, horizon),
        "window": (horizon // 8, horizon * 5 // 8),
        "poster": (horizon // 3, horizon * 2 // 3),
        "pillar": (0, horizon + 24),
        "plant": (horizon - 90, horizon + 20),
        "box": (horizon - 40, horizon + 30),
    }[kind]
    if kind == "plant":
        _draw_plant(picture, left, top, bottom, rng)
        return
    cv2.rectangle(picture, (left, top), (left + wide, bottom), colour, -1)
    cv2.rectangle(picture, (left, top), (left + wide, bottom), _darker(colour, 2, 3), 4)


def _draw_plant(
    picture: Picture, left: int, top: int, bottom: int, rng: np.random.Generator
) -> None:
    for _ in range(14):
        centre = left + int(rng.integers(60)), int(rng.integers(top, bottom))
        size = int(rng.integers(8, 26)), int(rng.integers(4, 12))
        red, green, blue = (int(rng.integers(low, low + 45)) for low in (35, 75, 30))
        cv2.ellipse(picture, centre, size, int(rng.integers(180)), 0, 360, (red, green, blue), -1)


def _stained(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture under soft stains: nothing real is of one colour."""
    height, width, _ = picture.shape
    stains: Any = rng.integers(0, 25, (height // 8, width // 8, 1), dtype=np.uint8)
    stains = cv2.resize(stains, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return cast(Picture, cv2.subtract(picture, cv2.cvtColor(stains, cv2.COLOR_GRAY2RGB)))


def _greyish(rng: np.random.Generator, low: int, high: int, tint: int = 14) -> Colour:
    level = int(rng.integers(low, high))
    shades = (level + int(rng.integers(-tint, tint + 1)) for _ in range(3))
    red, green, blue = (min(255, max(0, shade)) for shade in shades)
    return red, green, blue


def _darker(colour: list[int] | Colour, by: int, of: int) -> Colour:
    red, green, blue = (part * by // of for part in colour)
    return red, green, blue
