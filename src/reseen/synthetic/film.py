"""One tracklet: somebody walks through one camera's view."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from reseen.synthetic.body import Placement, View
from reseen.synthetic.camera import (
    BOX_HEIGHT,
    BOX_WIDTH,
    PANORAMA_WIDTH,
    Camera,
    Difficulty,
    random_sensor,
    wander,
)
from reseen.synthetic.figure import figure
from reseen.synthetic.outlines import Picture, draw
from reseen.synthetic.passers import occluder, passer
from reseen.synthetic.people import Person, between
from reseen.synthetic.walking import Array, Walk, random_walk, stride_length

SHORTEST, LONGEST = 23, 192
"""Frames of a tracklet, as in iLIDS-VID."""

BODY_HEIGHT = 0.86 * BOX_HEIGHT
GROUND = 0.945 * BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class Course:
    """A walker's way through a place, as the box around the walker sees it.

    Attributes:
        placement: of the walker in the box.
        place: the column of the panorama at the box's left edge, (frames,).
    """

    placement: Placement
    place: Array


def draw_walk(
    person: Person, camera: Camera, difficulty: Difficulty, rng: np.random.Generator
) -> Iterator[Picture]:
    """Draw one tracklet; `rng` decides all that is not the person's or the camera's.

    Yields:
        Frames, (HEIGHT, WIDTH, 3) uint8, red, green, blue.
    """
    # Short tracklets are more frequent; the mean is 65 frames.
    frames = SHORTEST + int((LONGEST - SHORTEST + 1) * rng.random() ** 3)
    view = replace(camera.view, azimuth=camera.view.azimuth + between(rng, -0.12, 0.12))
    walk = random_walk(person.tempo, frames, rng)
    course = _course(person, walk, view, difficulty, rng)
    behind = passer(view, frames, difficulty, rng) if rng.random() < difficulty.clutter else ()
    walker = figure(person, walk, view, course.placement)
    before = occluder(view, frames, difficulty, rng) if rng.random() < difficulty.occlusion else ()
    light = 1 + 0.4 * difficulty.light * between(rng, -1, 1)
    sensor = random_sensor(camera, light, frames, rng)
    for frame in range(frames):
        picture = _backdrop(camera.panorama, course.place[frame])
        draw(picture, behind, frame)
        _draw_shadow(picture, course.placement, frame)
        draw(picture, walker, frame)
        draw(picture, before, frame)
        yield sensor.expose(picture, frame)


def _course(
    person: Person, walk: Walk, view: View, difficulty: Difficulty, rng: np.random.Generator
) -> Course:
    """Keep the walker in the box as well as a detector does; the place moves past behind."""
    frames = len(walk.stride)
    spread = difficulty.jitter * BOX_HEIGHT
    aside, up, zoom = (wander(frames, spread, rng) for _ in range(3))
    drift = between(rng, -0.05, 0.03) + between(rng, -0.06, 0.06) * np.linspace(-1, 1, frames)
    height = BODY_HEIGHT * (1 + drift) + zoom
    ground = GROUND + 0.5 * (height - BODY_HEIGHT) + up
    travelled = stride_length(person) * walk.stride / (2 * np.pi)
    place = between(rng, 0, PANORAMA_WIDTH) + BODY_HEIGHT * view.rightward * travelled - aside
    return Course(Placement(BOX_WIDTH / 2 + aside, ground, height), place)


def _backdrop(panorama: Picture, place: float) -> Picture:
    """The piece of the panorama behind the box; its right end is followed by its left one."""
    columns = np.arange(BOX_WIDTH) + int(np.rint(place))
    return panorama.take(columns, axis=1, mode="wrap")


def _draw_shadow(picture: Picture, placement: Placement, frame: int) -> None:
    shadow = np.zeros_like(picture)
    centre = int(placement.across[frame]), int(placement.ground[frame]) + 2
    cv2.ellipse(shadow, centre, (34, 8), 0, 0, 360, (40, 40, 40), -1, cv2.LINE_AA)
    cv2.subtract(picture, shadow, dst=picture)
