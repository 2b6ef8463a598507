"""Who and what crosses a walker's way: strangers, poles and luggage."""

from dataclasses import replace

import numpy as np

from reseen.synthetic.body import Placement, View
from reseen.synthetic.camera import BOX_HEIGHT, BOX_WIDTH, Difficulty
from reseen.synthetic.figure import figure
from reseen.synthetic.outlines import Figure, Part, Shape, darker, polygon
from reseen.synthetic.people import (
    CLOTH,
    Colour,
    Person,
    between,
    choice,
    random_build,
    random_look,
    random_posture,
    random_tempo,
)
from reseen.synthetic.walking import Array, random_walk


def passer(view: View, frames: int, difficulty: Difficulty, rng: np.random.Generator) -> Figure:
    """Somebody who crosses behind the walker, a little smaller."""
    return _stranger(view, frames, difficulty, between(rng, 0.72, 0.82), rng)


def occluder(view: View, frames: int, difficulty: Difficulty, rng: np.random.Generator) -> Figure:
    """Something that crosses before the walker."""
    kind = choice(rng, ("stranger", "pole", "luggage"))
    if kind == "stranger":
        return _stranger(view, frames, difficulty, between(rng, 0.9, 1.0), rng)
    across, colour = _crossing(frames, rng), choice(rng, CLOTH)
    if kind == "pole":
        return _box(across, between(rng, 8, 26), (0.0, 1.1), colour)
    handle = _box(across, 12, (0.62, 0.75), darker(colour))
    return [*handle, *_box(across, between(rng, 34, 56), (0.70, between(rng, 0.97, 1.05)), colour)]


def _stranger(
    view: View, frames: int, difficulty: Difficulty, size: float, rng: np.random.Generator
) -> Figure:
    stranger = Person(
        random_look(rng, difficulty.colours),
        random_build(rng),
        random_posture(rng),
        random_tempo(rng),
    )
    across = _crossing(frames, rng)
    rightward = across[-1] > across[0]
    turned = replace(view, azimuth=between(rng, -0.5, 0.5) + (0.0 if rightward else np.pi))
    walk = random_walk(stranger.tempo, frames, rng)
    height, ground = (np.full(frames, BOX_HEIGHT * part) for part in (size, 0.25 + 0.75 * size))
    return figure(stranger, walk, turned, Placement(across, ground, height))


def _crossing(frames: int, rng: np.random.Generator) -> Array:
    """Columns of something that is in the middle of the box at some frame, (frames,)."""
    speed = between(rng, 3, 8) * choice(rng, (-1, 1))
    return np.asarray(BOX_WIDTH / 2 + speed * (np.arange(frames) - int(rng.integers(frames))))


def _box(across: Array, half_width: float, heights: tuple[float, float], colour: Colour) -> Figure:
    """An upright box with a shaded side, between two shares of the picture's height."""
    top, bottom = (np.full_like(across, BOX_HEIGHT * height) for height in heights)
    shapes = []
    for left, right, tone in ((-1, 1, colour), (0.3, 1, darker(colour))):
        first, last = across + left * half_width, across + right * half_width
        corners = [(first, top), (last, top), (last, bottom), (first, bottom)]
        shapes.append(Shape(polygon([np.stack(corner, axis=-1) for corner in corners]), tone))
    return [Part(np.zeros_like(across), shapes)]
