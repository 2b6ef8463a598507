"""Places and cameras: what lies and passes before them, what their sensors make of it."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.synthetic.figure import Figure, Part, Picture, Placement, Shape, View, figure, polygon
from reseen.synthetic.people import CLOTH, Colour, anybody, between, choice, darker
from reseen.synthetic.walking import Array, random_walk

HEIGHT, WIDTH = 128, 64
"""Size of a frame, as PRID-2011 and iLIDS-VID have it."""

OVERSIZE = 2
"""People are drawn this many times as large and shrunk, for smooth edges."""

BOX_HEIGHT, BOX_WIDTH = OVERSIZE * HEIGHT, OVERSIZE * WIDTH
PANORAMA_WIDTH = 2048

AZIMUTHS = (12, 128, 85, 168, 50, 205)
"""Walking directions before the cameras in degrees: from the side, obliquely, from the front …"""

CAMERAS = 2
"""Stream of random numbers for what cameras are like."""

THINGS = ("door", "window", "poster", "pillar", "plant", "box")


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes matching hard; the defaults are the benchmark's.

    Attributes:
        colours: how many colours clothes come in; fewer make people look alike.
        light: how far brightness and colour cast differ between cameras, 0 to 1.
        noise: the strongest sensor noise, its standard deviation in grey levels.
        jitter: how far a person's box wanders, as a share of its height.
        occlusion: share of tracklets in which something passes before the person.
        clutter: share of tracklets in which somebody passes behind the person.
    """

    colours: int = 10
    light: float = 0.15
    noise: float = 4.0
    jitter: float = 0.008
    occlusion: float = 0.1
    clutter: float = 0.1


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera.

    Attributes:
        view: of somebody who walks the usual way.
        panorama: the place, (BOX_HEIGHT, PANORAMA_WIDTH, 3) uint8.
        gain: of red, green and blue.
        gamma: exponent of the tone curve.
        haze: what black comes out as, in grey levels.
        noise: of the sensor, in grey levels.
        blur: width of the lens's blur, in pixels (odd).
    """

    view: View
    panorama: Picture
    gain: tuple[float, float, float]
    gamma: float
    haze: int
    noise: float
    blur: int


@lru_cache(maxsize=8)
def random_camera(seed: int, number: int, difficulty: Difficulty) -> Camera:
    """Put up camera `number`, 1 and up, of the benchmark with that seed."""
    rng = np.random.default_rng([seed, CAMERAS, number])
    degrees = AZIMUTHS[(number - 1) % len(AZIMUTHS)] + between(rng, -8, 8)
    spread = difficulty.light
    brightness = 1 + spread * between(rng, -0.5, 0.3)
    red, green, blue = (brightness * (1 + spread * between(rng, -0.3, 0.3)) for _ in range(3))
    return Camera(
        view=View(np.deg2rad(degrees), between(rng, 0.08, 0.30), choice(rng, (-1, 1))),
        panorama=panorama(rng, PANORAMA_WIDTH, BOX_HEIGHT),
        gain=(red, green, blue),
        gamma=2 ** (spread * between(rng, -1, 1)),
        haze=int(between(rng, 0, 50 * spread)),
        noise=between(rng, 0.4, 1.0) * difficulty.noise,
        blur=choice(rng, (3, 5)),
    )


@dataclass(frozen=True, slots=True)
class Sensor:
    """Turns drawn pictures into one camera's frames, in the light of one tracklet.

    Attributes:
        tones: what every grey level comes out as, (1, 256, 3) uint8.
        blur: width of the lens's blur, in pixels.
        shake: width of the motion's blur at each frame, in pixels, (frames,).
        grain: a sheet of noise, int16; each frame gets another piece of it.
        pieces: where these pieces begin, (frames, 2).
    """

    tones: Picture
    blur: int
    shake: NDArray[np.int64]
    grain: NDArray[np.int16]
    pieces: NDArray[np.int64]

    def expose(self, drawn: Picture, frame: int) -> Picture:
        """Shrink, blur, tone and grain one picture; returns (HEIGHT, WIDTH, 3) uint8."""
        small = cv2.resize(drawn, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (self.blur, self.blur), 0)
        # Moving the camera blurs, not walking: no single frame may tell a walker's tempo.
        small = cv2.blur(small, (int(self.shake[frame]), 1))
        row, column = self.pieces[frame]
        grain = self.grain[row : row + HEIGHT, column : column + WIDTH]
        noisy = cv2.LUT(small, self.tones).astype(np.int16) + grain
        return noisy.clip(0, 255).astype(np.uint8)


def random_sensor(camera: Camera, light: float, frames: int, rng: np.random.Generator) -> Sensor:
    """Set a camera's sensor up for one tracklet.

    Args:
        light: how bright the place is now; 1 is usual.
        rng: source of noise and shake.
    """
    level = np.arange(256) / 255
    curves = [np.minimum(gain * light * level**camera.gamma, 1) for gain in camera.gain]
    tones = np.rint(camera.haze + (255 - camera.haze) * np.stack(curves, axis=-1))
    # The sum of two even draws, near enough to a bell, has the deviation reach · sqrt(2 / 3).
    reach = round(camera.noise * 1.2247)
    size = (2, 2 * HEIGHT, 2 * WIDTH, 3)
    shaking = np.abs(wander(frames, 0.9, rng)).astype(np.int64)
    return Sensor(
        tones=tones.astype(np.uint8)[None],
        blur=camera.blur,
        shake=1 + 2 * np.minimum(shaking, 2),
        grain=rng.integers(-reach, reach + 1, size, dtype=np.int16).sum(axis=0, dtype=np.int16),
        pieces=rng.integers(0, (HEIGHT, WIDTH), (frames, 2)),
    )


def wander(frames: int, spread: float, rng: np.random.Generator) -> Array:
    """A slow wobble about zero with the standard deviation `spread`, shape (frames,)."""
    memory, start = 0.95, 60
    # The sum of three even draws has the deviation 1 / 2.
    pushes = 2 * (rng.random((start + frames, 3)).sum(axis=1) - 1.5)
    places = np.zeros(start + frames)
    for now in range(1, len(places)):
        places[now] = memory * places[now - 1] + pushes[now]
    return spread * float(np.sqrt(1 - memory**2)) * places[start:]


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
    joint = darker(picture[-1, 0].tolist(), 7, 8)
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
    cv2.rectangle(picture, (left, top), (left + wide, bottom), darker(colour, 2, 3), 4)


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


def occluder(view: View, frames: int, difficulty: Difficulty, rng: np.random.Generator) -> Figure:
    """Something that crosses before the walker."""
    kind = choice(rng, ("stranger", "pole", "luggage"))
    if kind == "stranger":
        return stranger(view, frames, difficulty, between(rng, 0.9, 1.0), rng)
    across, colour = _crossing(frames, rng), choice(rng, CLOTH)
    if kind == "pole":
        return _box(across, between(rng, 8, 26), (0.0, 1.1), colour)
    handle = _box(across, 12, (0.62, 0.75), darker(colour))
    return [*handle, *_box(across, between(rng, 34, 56), (0.70, between(rng, 0.97, 1.05)), colour)]


def stranger(
    view: View, frames: int, difficulty: Difficulty, size: float, rng: np.random.Generator
) -> Figure:
    """Somebody who crosses the walker's way, `size` of the picture high."""
    person = anybody(rng, difficulty.colours)
    across = _crossing(frames, rng)
    rightward = across[-1] > across[0]
    turned = replace(view, azimuth=between(rng, -0.5, 0.5) + (0.0 if rightward else np.pi))
    walk = random_walk(person.tempo, frames, rng)
    height, ground = (np.full(frames, BOX_HEIGHT * part) for part in (size, 0.25 + 0.75 * size))
    return figure(person, walk, turned, Placement(across, ground, height))


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
