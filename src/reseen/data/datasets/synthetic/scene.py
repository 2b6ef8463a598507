"""Where people are drawn: cameras, what stands behind people, what the sensor makes of it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets.synthetic.body import Picture, View
from reseen.data.datasets.synthetic.people import between, choice

HEIGHT, WIDTH = 128, 64
"""Size of a frame, as PRID-2011 and iLIDS-VID have it."""

OVERSIZE = 2
"""Drawing is done this many times as large and shrunk, for smooth edges."""

PANORAMA_WIDTH = 2048

CAMERAS = 2
"""Stream of random numbers for what cameras are like."""

# Walking directions of the cameras, in degrees: from the side, obliquely towards, towards, ...
AZIMUTHS = (12, 128, 85, 168, 50, 205)


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes matching hard; the defaults are the benchmark's.

    Attributes:
        colours: how many colours clothes come in; fewer make people look alike.
        light: how far brightness and colour cast differ between cameras, 0 to 1.
        noise: the strongest sensor noise, in grey levels.
        jitter: how far a person's box wanders, as a share of its height.
        occlusion: share of tracklets in which something passes before the person.
        clutter: share of tracklets in which somebody passes behind the person.
    """

    colours: int = 10
    light: float = 0.5
    noise: int = 24
    jitter: float = 0.02
    occlusion: float = 0.4
    clutter: float = 0.4


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera: where it looks from and how its pictures come out.

    Attributes:
        view: of a walker in the middle of its path.
        gain: of red, green and blue.
        gamma: exponent of the tone curve.
        haze: what black comes out as, in grey levels.
        noise: of the sensor, in grey levels.
        blur: width of the lens's blur, in pixels (odd).
    """

    view: View
    gain: tuple[float, float, float]
    gamma: float
    haze: int
    noise: int
    blur: int


def random_camera(number: int, difficulty: Difficulty, rng: np.random.Generator) -> Camera:
    """Put up camera `number`, 1 and up."""
    degrees = AZIMUTHS[(number - 1) % len(AZIMUTHS)] + between(rng, -8, 8)
    spread = difficulty.light
    brightness = 1 + spread * between(rng, -0.5, 0.3)
    red, green, blue = (brightness * (1 + spread * between(rng, -0.3, 0.3)) for _ in range(3))
    return Camera(
        view=View(np.deg2rad(degrees), between(rng, 0.08, 0.30), choice(rng, (-1, 1))),
        gain=(red, green, blue),
        gamma=float(np.exp2(spread * between(rng, -1, 1))),
        haze=int(between(rng, 0, 50 * spread)),
        noise=int(between(rng, 0.4, 1.0) * difficulty.noise),
        blur=choice(rng, (1, 3)),
    )


def panorama(rng: np.random.Generator) -> Picture:
    """Draw what lies behind the people: a wall and a floor with things before it.

    Returns:
        (OVERSIZE · HEIGHT, PANORAMA_WIDTH, 3) uint8, red, green, blue; its right edge meets its
        left one.
    """
    high = OVERSIZE * HEIGHT
    horizon = int(between(rng, 0.45, 0.72) * high)
    picture = np.empty((high, PANORAMA_WIDTH, 3), np.uint8)
    picture[:horizon] = _grey(rng, 90, 190)
    picture[horizon:] = _grey(rng, 70, 170)
    _draw_floor(picture, horizon, rng)
    for _ in range(26):
        _draw_thing(picture, horizon, rng)
    mottle: Any = rng.integers(0, 25, (high // 8, PANORAMA_WIDTH // 8, 1), dtype=np.uint8)
    mottle = cv2.resize(mottle, (PANORAMA_WIDTH, high), interpolation=cv2.INTER_LINEAR_EXACT)
    mottled: Any = cv2.subtract(picture, cv2.cvtColor(mottle, cv2.COLOR_GRAY2RGB))
    blurred: Picture = cv2.GaussianBlur(mottled, (7, 7), 0)
    return blurred


def _draw_floor(picture: Picture, horizon: int, rng: np.random.Generator) -> None:
    joint = tuple(int(part) for part in picture[-1, 0] // 8 * 7)
    row, step = horizon, 4
    while row < len(picture):
        cv2.line(picture, (0, row), (PANORAMA_WIDTH, row), joint, 2)
        row, step = row + step, step * 2
    tile = choice(rng, (64, 128))
    for column in range(0, PANORAMA_WIDTH, tile):
        cv2.line(picture, (column, horizon), (column, len(picture)), joint, 2)


def _draw_thing(picture: Picture, horizon: int, rng: np.random.Generator) -> None:
    """A door, a window, a poster, a pillar, a plant or a box."""
    left, wide = int(rng.integers(PANORAMA_WIDTH - 160)), int(rng.integers(16, 150))
    kind = choice(rng, ("door", "window", "poster", "pillar", "plant", "box"))
    colour = _grey(rng, 40, 220, 40)
    top, bottom = {
        "door": (horizon // 4, horizon),
        "window": (horizon // 8, horizon * 5 // 8),
        "poster": (horizon // 3, horizon * 2 // 3),
        "pillar": (0, horizon + 24),
        "plant": (horizon - 90, horizon + 20),
        "box": (horizon - 40, horizon + 30),
    }[kind]
    if kind == "plant":
        for _ in range(14):
            centre = (left + int(rng.integers(60)), int(rng.integers(top, bottom)))
            leaf = (int(rng.integers(8, 26)), int(rng.integers(4, 12)))
            green = (
                int(rng.integers(30, 80)),
                int(rng.integers(70, 130)),
                int(rng.integers(30, 70)),
            )
            cv2.ellipse(picture, centre, leaf, int(rng.integers(180)), 0, 360, green, -1)
        return
    cv2.rectangle(picture, (left, top), (left + wide, bottom), colour, -1)
    frame = tuple(part * 2 // 3 for part in colour)
    cv2.rectangle(picture, (left, top), (left + wide, bottom), frame, 4)


def _grey(rng: np.random.Generator, low: int, high: int, tint: int = 14) -> tuple[int, int, int]:
    """A colour near grey."""
    level = int(rng.integers(low, high))
    red, green, blue = (
        min(255, max(0, level + int(rng.integers(-tint, tint + 1)))) for _ in range(3)
    )
    return red, green, blue


@dataclass(frozen=True, slots=True)
class Sensor:
    """Turns a clean frame into one of this camera's, in one tracklet's light."""

    camera: Camera
    tones: NDArray[np.uint8]
    grain: NDArray[np.int16]
    shake: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def expose(self, canvas: Picture, frame: int) -> Picture:
        """Shrink, blur, colour and grain one drawn frame; returns (HEIGHT, WIDTH, 3) uint8."""
        small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        if self.camera.blur > 1:
            small = cv2.GaussianBlur(small, (self.camera.blur, self.camera.blur), 0)
        if self.shake[frame] > 1:
            small = cv2.blur(small, (int(self.shake[frame]), 1))
        row, column = self.offsets[frame]
        grain = self.grain[row : row + HEIGHT, column : column + WIDTH]
        noisy = cv2.LUT(small, self.tones).astype(np.int16) + grain
        return noisy.clip(0, 255).astype(np.uint8)


def random_sensor(
    camera: Camera, difficulty: Difficulty, frames: int, rng: np.random.Generator
) -> Sensor:
    """The camera's sensor in the light of one tracklet."""
    light = 1 + 0.4 * difficulty.light * between(rng, -1, 1)
    level = np.arange(256) / 255
    curves = [255 * np.minimum(gain * light * level**camera.gamma, 1) for gain in camera.gain]
    tones = np.rint(camera.haze + np.stack(curves, -1) * (255 - camera.haze) / 255)
    size = (2 * HEIGHT, 2 * WIDTH, 3)
    # The sum of two even draws: near enough to a bell, and the same bits everywhere.
    grain = sum(rng.integers(-camera.noise, camera.noise + 1, size, dtype=np.int16) for _ in "12")
    shaken = np.abs(wander(frames, 1.0, rng))
    return Sensor(
        camera=camera,
        tones=tones.astype(np.uint8)[None],
        grain=np.asarray(grain, dtype=np.int16) // 2,
        shake=1 + 2 * np.minimum(shaken * 1.2, 2).astype(np.int64),
        offsets=rng.integers(0, (HEIGHT, WIDTH), (frames, 2)),
    )


def wander(frames: int, spread: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A wobble about zero whose neighbours in time are alike, shape (frames,)."""
    pushes = rng.random((frames + 20, 3)).sum(axis=1) - 1.5
    place, places = 0.0, []
    for push in pushes:
        place = 0.8 * place + 0.6 * 2 * float(push)
        places.append(place * spread)
    return np.array(places[20:])


@lru_cache(maxsize=8)
def place(seed: int, number: int, difficulty: Difficulty) -> tuple[Camera, Picture]:
    """Camera `number` of a benchmark and its panorama."""
    rng = np.random.default_rng([seed, CAMERAS, number])
    return random_camera(number, difficulty, rng), panorama(rng)
