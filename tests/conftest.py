"""What several test modules share."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reseen.data.coding import FRAME_SHAPE
from reseen.data.store import FORMAT, FRAMES_FILE, INDEX_FILE, FrameStore


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that may lie beside the project; skips where it does not."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the folder shared/data does not lie beside the project")
    return path


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., FrameStore]:
    """Write a store of blotchy patterns, one a person, without pictures to prepare it from.

    `tracklets` are (person, camera, length); people in `trained` form the only split's training
    part, the others are searched for from their first camera in their second one.
    """

    def make(
        tracklets: list[tuple[int, int, int]], trained: set[int] | None = None, name: str = "store"
    ) -> FrameStore:
        persons, cameras, lengths = (list(column) for column in zip(*tracklets, strict=True))
        chosen = set(persons) if trained is None else trained
        tested = [index for index, person in enumerate(persons) if person not in chosen]
        split = {
            "train": [index for index, person in enumerate(persons) if person in chosen],
            "query": [index for index in tested if cameras[index] == 1],
            "gallery": [index for index in tested if cameras[index] != 1],
        }
        path = tmp_path / name
        path.mkdir()
        np.save(path / FRAMES_FILE, np.concatenate([*map(_pattern, persons, lengths)]))
        index = {
            "format": FORMAT,
            "recipe": {"dataset": "noise", "flow": "lucas-kanade"},
            "fingerprint": name,
            "notes": [],
            "left_out": [],
            "names": [
                f"{person}/{camera}/{index}" for index, (person, camera, _) in enumerate(tracklets)
            ],
            "persons": persons,
            "cameras": cameras,
            "starts": np.cumsum([0, *lengths[:-1]]).tolist(),
            "lengths": lengths,
            "splits": [split],
        }
        (path / INDEX_FILE).write_text(json.dumps(index))
        return FrameStore.open(path)

    return make


def _pattern(person: int, length: int) -> NDArray[np.uint8]:
    """Frames of a pattern that only this person has, under noise."""
    random = np.random.default_rng(1000 + person)
    blotches = random.integers(30, 226, (FRAME_SHAPE[0], 8, 6)).repeat(8, axis=1).repeat(8, axis=2)
    noise = random.integers(-30, 31, (length, *FRAME_SHAPE))
    return (blotches + noise).astype(np.uint8)
