"""People drawn and animated by the program, from a seed: a benchmark without a download.

Every person walks once through every camera. Cameras differ in viewing angle, light, colour,
noise and background; people in clothes, hair, skin and bags, in build, and in how they walk.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shutil import rmtree

import cv2
import numpy as np

from reseen.data.datasets.common import FEWEST_PEOPLE
from reseen.data.datasets.folder import SYNTHETIC_FILE
from reseen.errors import ReseenError, many
from reseen.files import cannot_write, claim, locked, write_json
from reseen.parallel import unordered
from reseen.progress import progress
from reseen.synthetic.figure import Figure, Picture, Placement, View, draw, figure
from reseen.synthetic.people import Person, between, random_person
from reseen.synthetic.scene import (
    BOX_HEIGHT,
    BOX_WIDTH,
    PANORAMA_WIDTH,
    Camera,
    Difficulty,
    occluder,
    random_camera,
    random_sensor,
    stranger,
    wander,
)
from reseen.synthetic.walking import Array, Walk, random_walk, stride_length

DRAWING = 1
"""Number of the way of drawing; raised whenever the same seed gives other pixels."""

FILM = 3
"""Stream of random numbers for the course of a tracklet."""

SHORTEST, LONGEST = 23, 192
"""Frames of a tracklet, as in iLIDS-VID."""

BODY_HEIGHT = 0.86 * BOX_HEIGHT
GROUND = 0.945 * BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides every pixel; the arguments of `synthesize`."""

    people: int
    cameras: int
    twins: float
    seed: int
    same_gait: bool
    difficulty: Difficulty
    drawing: int = field(default=DRAWING)

    def __post_init__(self) -> None:
        if self.people < FEWEST_PEOPLE or self.cameras < 2:
            raise ReseenError(
                f"{many(self.people, 'person')} before {many(self.cameras, 'camera')} are too few: "
                f"draw at least {FEWEST_PEOPLE} people and 2 cameras"
            )
        if self.seed < 0:
            raise ReseenError(f"the seed is {self.seed}; it must not be negative")
        if not 0 <= self.twins <= 1:
            raise ReseenError(f"the share of twins is {self.twins}; it must lie between 0 and 1")
        if self.twins and self.same_gait:
            raise ReseenError("twins who walk the same cannot be told apart; set twins to 0")


def synthesize(
    out: Path,
    people: int = 60,
    cameras: int = 2,
    twins: float = 0.2,
    seed: int = 0,
    same_gait: bool = False,
    difficulty: Difficulty | None = None,
    processes: int | None = None,
) -> None:
    """Draw people to `out`/<person>/<camera>/<frame>.png, 128×64, 23 to 192 frames a tracklet.

    The same settings give the same pixels on any machine, with any number of processes. The
    folder appears only when all is drawn, and then holds its settings in synthetic.json; a
    folder that was drawn with equal settings is kept as it is.

    Args:
        twins: share of people who all have one look, one build and one posture and differ only
            in the tempo of their walk, so that no single frame tells them apart.
        seed: where the random numbers start.
        same_gait: let everybody be built alike and walk alike, so that only looks differ.
        difficulty: what makes matching hard; the benchmark's own difficulty when None.
        processes: how many draw side by side; as many as there are cores when None.

    Raises:
        ReseenError: settings that make no benchmark, `out` holds something else, or it cannot
            be written.
    """
    settings = Settings(people, cameras, twins, seed, same_gait, difficulty or Difficulty())
    aside = out.with_name(f".{out.name}-unfinished")
    with locked(aside):
        if claim(out, SYNTHETIC_FILE, asdict(settings)):
            return
        drawn = aside / out.name
        try:
            rmtree(drawn, ignore_errors=True)  # left by a kill
            _draw(drawn, settings, processes)
            write_json(drawn / SYNTHETIC_FILE, asdict(settings))
            drawn.replace(out)
        except OSError as error:
            raise cannot_write(out, error) from error
        finally:
            rmtree(aside, ignore_errors=True)


def tracklet(settings: Settings, person: int, view: int) -> Iterator[Picture]:
    """Draw the frames of one person in one camera, (128, 64, 3) uint8, red, green, blue."""
    seed, difficulty = settings.seed, settings.difficulty
    twin = person <= round(settings.twins * settings.people)
    somebody = random_person(seed, person, difficulty.colours, twin, settings.same_gait)
    course = np.random.default_rng([seed, FILM, person, view])
    return _draw_walk(somebody, random_camera(seed, view, difficulty), difficulty, course)


def _draw(root: Path, settings: Settings, processes: int | None) -> None:
    tasks = [
        (root, settings, person, view)
        for person in range(1, settings.people + 1)
        for view in range(1, settings.cameras + 1)
    ]
    with progress("drawing", len(tasks), "tracklets") as advance:
        for _ in unordered(_draw_tracklet, tasks, processes):
            advance(1)


def _draw_tracklet(root: Path, settings: Settings, person: int, view: int) -> None:
    home = root / f"{person:04}" / f"camera_{view}"
    home.mkdir(parents=True)
    for number, frame in enumerate(tracklet(settings, person, view), start=1):
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        png = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        (home / f"{number:04}.png").write_bytes(png.data)


def _draw_walk(
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
    placement, place = _course(person, walk, view, difficulty, rng)
    behind: Figure = ()
    if rng.random() < difficulty.clutter:
        behind = stranger(view, frames, difficulty, between(rng, 0.72, 0.82), rng)
    walker = figure(person, walk, view, placement)
    before = occluder(view, frames, difficulty, rng) if rng.random() < difficulty.occlusion else ()
    light = 1 + 0.4 * difficulty.light * between(rng, -1, 1)
    sensor = random_sensor(camera, light, frames, rng)
    for frame in range(frames):
        columns = np.arange(BOX_WIDTH) + int(np.rint(place[frame]))
        picture = camera.panorama.take(columns, axis=1, mode="wrap")
        draw(picture, behind, frame)
        _draw_shadow(picture, placement, frame)
        draw(picture, walker, frame)
        draw(picture, before, frame)
        yield sensor.expose(picture, frame)


def _course(
    person: Person, walk: Walk, view: View, difficulty: Difficulty, rng: np.random.Generator
) -> tuple[Placement, Array]:
    """Keep the walker in the box as well as a detector does; the place moves past behind.

    Returns:
        The walker in the box; the column of the panorama at the box's left edge, (frames,).
    """
    frames = len(walk.stride)
    spread = difficulty.jitter * BOX_HEIGHT
    aside, up, zoom = (wander(frames, spread, rng) for _ in range(3))
    drift = between(rng, -0.05, 0.03) + between(rng, -0.06, 0.06) * np.linspace(-1, 1, frames)
    height = BODY_HEIGHT * (1 + drift) + zoom
    ground = GROUND + 0.5 * (height - BODY_HEIGHT) + up
    travelled = stride_length(person) * walk.stride / (2 * np.pi)
    place = between(rng, 0, PANORAMA_WIDTH) + BODY_HEIGHT * view.rightward * travelled - aside
    return Placement(BOX_WIDTH / 2 + aside, ground, height), place


def _draw_shadow(picture: Picture, placement: Placement, frame: int) -> None:
    shadow = np.zeros_like(picture)
    centre = int(placement.across[frame]), int(placement.ground[frame]) + 2
    cv2.ellipse(shadow, centre, (34, 8), 0, 0, 360, (40, 40, 40), -1, cv2.LINE_AA)
    cv2.subtract(picture, shadow, dst=picture)
