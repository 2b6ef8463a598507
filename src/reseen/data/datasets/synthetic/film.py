"""One tracklet: a person walks through one camera's view."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets.synthetic.body import Figure, Picture, Placement, View, draw, figure
from reseen.data.datasets.synthetic.people import (
    Person,
    between,
    choice,
    random_build,
    random_look,
    random_posture,
    random_tempo,
)
from reseen.data.datasets.synthetic.scene import (
    HEIGHT,
    OVERSIZE,
    PANORAMA_WIDTH,
    WIDTH,
    Camera,
    Difficulty,
    random_sensor,
    wander,
)
from reseen.data.datasets.synthetic.walking import random_walk, stride_length

SHORTEST, LONGEST = 23, 192
"""Frames of a tracklet, as in iLIDS-VID; short ones are more frequent."""

CANVAS_HEIGHT, CANVAS_WIDTH = OVERSIZE * HEIGHT, OVERSIZE * WIDTH
BODY_HEIGHT = 0.86 * CANVAS_HEIGHT


@dataclass(frozen=True, slots=True)
class Path:
    """A walker's way through the scene in canvas pixels, as its box sees it.

    Attributes:
        placement: of the walker in the box.
        scroll: how far the scene has moved to the right behind the walker, (frames,).
    """

    placement: Placement
    scroll: NDArray[np.float64]


def film(
    person: Person,
    camera: Camera,
    panorama: Picture,
    difficulty: Difficulty,
    rng: np.random.Generator,
) -> Iterator[Picture]:
    """Draw one tracklet.

    Yields:
        Frames, (HEIGHT, WIDTH, 3) uint8, red, green, blue.
    """
    frames = SHORTEST + int((LONGEST - SHORTEST + 1) * rng.random() ** 3)
    azimuth = camera.view.azimuth + between(rng, -0.12, 0.12)
    view = replace(camera.view, azimuth=azimuth)
    walk = random_walk(person.tempo, frames, rng)
    path = _path(person, view, walk.stride, difficulty, rng)
    walker = figure(person, walk, view, path.placement)
    behind = _passer(view, path, difficulty, rng, 0.85) if rng.random() < difficulty.clutter else ()
    before = _occluder(view, path, difficulty, rng) if rng.random() < difficulty.occlusion else ()
    start = between(rng, 0, PANORAMA_WIDTH)
    sensor = random_sensor(camera, difficulty, frames, rng)
    for frame in range(frames):
        canvas = _backdrop(panorama, start - path.scroll[frame])
        if behind:
            draw(canvas, behind, frame)
        _draw_shadow(canvas, path.placement, frame)
        draw(canvas, walker, frame)
        if before:
            draw(canvas, before, frame)
        yield sensor.expose(canvas, frame)


def _path(
    person: Person,
    view: View,
    stride: NDArray[np.float64],
    difficulty: Difficulty,
    rng: np.random.Generator,
) -> Path:
    """Keep the walker in the box as a detector does: nearly."""
    frames = len(stride)
    spread = difficulty.jitter * CANVAS_HEIGHT
    aside, up, zoom = (wander(frames, spread, rng) for _ in range(3))
    drift = between(rng, -0.06, 0.06) * np.linspace(-1, 1, frames) + between(rng, -0.05, 0.03)
    height = BODY_HEIGHT * (1 + drift + 0.5 * zoom / CANVAS_HEIGHT)
    steps = stride_length(person) * (stride - stride[0]) / (2 * np.pi)
    travelled = BODY_HEIGHT * steps * np.cos(view.azimuth)
    ground = 0.945 * CANVAS_HEIGHT + 0.5 * (height - BODY_HEIGHT) + up
    return Path(Placement(CANVAS_WIDTH / 2 + aside, ground, height), aside - travelled)


def _backdrop(panorama: Picture, left: float) -> Picture:
    """The piece of the panorama that lies behind the box."""
    column = int(np.rint(left)) % PANORAMA_WIDTH
    piece = panorama[:, column : column + CANVAS_WIDTH]
    missing = CANVAS_WIDTH - piece.shape[1]
    return np.concatenate([piece, panorama[:, :missing]], axis=1)


def _draw_shadow(canvas: Picture, placement: Placement, frame: int) -> None:
    mask = np.zeros_like(canvas)
    centre = int(placement.across[frame]), int(placement.ground[frame]) + 2
    cv2.ellipse(mask, centre, (34, 8), 0, 0, 360, (40, 40, 40), -1, cv2.LINE_AA)
    cv2.subtract(canvas, mask, dst=canvas)


def _occluder(view: View, path: Path, difficulty: Difficulty, rng: np.random.Generator) -> Figure:
    """Something between the camera and the walker: a pole, luggage or somebody else."""
    return _passer(view, path, difficulty, rng, 1.08)


def _passer(
    view: View, path: Path, difficulty: Difficulty, rng: np.random.Generator, size: float
) -> Figure:
    """Somebody else who crosses the walker's way."""
    frames = len(path.scroll)
    stranger = Person(
        random_look(rng, difficulty.colours),
        random_build(rng),
        random_posture(rng),
        random_tempo(rng),
    )
    turned = replace(view, azimuth=view.azimuth + choice(rng, (0.0, np.pi)))
    walk = random_walk(stranger.tempo, frames, rng)
    steps = stride_length(stranger) * (walk.stride - walk.stride[0]) / (2 * np.pi)
    across = path.scroll + size * BODY_HEIGHT * steps * np.cos(turned.azimuth)
    meeting = int(rng.integers(frames))
    across = across - across[meeting] + CANVAS_WIDTH / 2
    height = size * path.placement.height
    ground = path.placement.ground + (size - 1) * 0.6 * BODY_HEIGHT
    return figure(stranger, walk, turned, Placement(across, ground, height))
