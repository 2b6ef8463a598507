"""People drawn and animated by the program, from a seed: a benchmark without a download.

Every person walks once through every camera. Cameras differ in viewing angle, light, colour,
noise and background; people in clothes, hair, skin and bags, in build, and in how they walk.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree

import cv2
import numpy as np

from reseen.data.datasets.folder import SYNTHETIC_FILE
from reseen.data.datasets.splits import FEWEST_PEOPLE
from reseen.errors import ReseenError
from reseen.files import cannot_write, claim, locked, write_json
from reseen.parallel import unordered
from reseen.progress import progress
from reseen.synthetic.camera import Difficulty, random_camera
from reseen.synthetic.film import draw_walk
from reseen.synthetic.outlines import Picture
from reseen.synthetic.people import random_person

DRAWING = 1
"""Number of the way of drawing; raised whenever the same seed gives other pixels."""

FILM = 3
"""Stream of random numbers for the course of a tracklet."""


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
                f"{self.people} people before {self.cameras} cameras are too few: "
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
        out: folder to make.
        people: how many people to draw.
        cameras: how many cameras see each of them.
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
    return draw_walk(somebody, random_camera(seed, view, difficulty), difficulty, course)


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
