"""People drawn as coloured blocks, for the tests of this room."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reseen.data.tracklet import Tracklet
from reseen.gallery.calibration import Calibration

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def draw_person() -> Draw:
    """Draw somebody of the person's own colours, at a place and in a light of the frame's own."""

    def draw(person: int, frame: int = 0, light: float = 1.0) -> NDArray[np.uint8]:
        shirt, trousers = np.random.default_rng(person).integers(30, 226, (2, 3))
        around = np.random.default_rng((person, frame))
        picture = around.normal(120, 6, (96, 48, 3))
        left = 12 + around.integers(-2, 3)
        picture[4:20, left + 8 : left + 16] = (200, 160, 140)
        picture[20:52, left : left + 24] = shirt
        picture[52:92, left + 3 : left + 21] = trousers
        picture += around.normal(0, 6, picture.shape)
        return np.clip(light * picture, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture
def make_tracklet(tmp_path: Path, draw_person: Draw) -> Callable[..., Tracklet]:
    """Write a drawn person's pictures and say that they were seen."""

    def make(
        id: str,
        person: int,
        camera: str = "north",
        start: float | None = 0.0,
        frames: int = 4,
        light: float = 1.0,
    ) -> Tracklet:
        folder = tmp_path / "pictures" / str(abs(hash((id, person, camera, start, frames))))
        folder.mkdir(parents=True)
        paths = tuple(folder / f"{frame}.png" for frame in range(frames))
        for frame, path in enumerate(paths):
            picture = draw_person(person, frame, light)
            assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        end = None if start is None else start + 2.0
        return Tracklet(id, camera, start, end, "the video", paths)

    return make


@pytest.fixture
def make_calibration() -> Callable[..., Calibration]:
    """A calibration with this fit, whatever it would have come from."""

    def make(model: str, intercept: float = 1.0, slope: float = 1.0) -> Calibration:
        return Calibration(model, intercept, slope, 0.1, 4, 20, 200, 0.1, (), None)

    return make
