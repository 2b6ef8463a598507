"""Cameras: where they look from, what lies before them, what their sensors make of it."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.synthetic.body import View
from reseen.synthetic.outlines import Picture
from reseen.synthetic.people import between, choice
from reseen.synthetic.scenery import panorama
from reseen.synthetic.walking import Array

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
        camera: whose sensor.
        light: how bright the place is now; 1 is usual.
        frames: how many will be exposed.
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
