"""What several test modules share."""

import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

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
    """Write a store into the test's own folder; arguments as `write_store`'s."""

    def make(*arguments: Any, name: str = "store", **options: Any) -> FrameStore:
        return write_store(tmp_path / name, *arguments, **options)

    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, FrameStore]:
    """A run of all three parts after one update, and its store; for reading only."""
    from reseen.network.config import Config
    from reseen.network.training import train

    folder = tmp_path_factory.mktemp("finished")
    tracklets = [(person, camera, 3 + person) for person in range(1, 9) for camera in (1, 2)]
    store = write_store(folder / "store", tracklets, {1, 2, 3, 4, 5})
    settings = {
        "clips": {"frames": 2},
        "train": {"updates": 1, "pairs": 1},
        "evaluation": {"views": 1},
    }
    config = Config.from_mapping(settings, "test")
    return train(store, folder / "run", config, ("full", "upper", "lower")), store


def write_store(
    path: Path, tracklets: list[tuple[int, int, int]], trained: Container[int] | None = None
) -> FrameStore:
    """Write a store of blotchy patterns, one a person, without pictures to prepare it from.

    `tracklets` are (person, camera, length); people in `trained` (default: all) form the only
    split's training part, the others are searched for from camera 1 in the other cameras.
    """
    persons, cameras, lengths = (list(column) for column in zip(*tracklets, strict=True))
    places = range(len(tracklets))
    learnt = {place for place in places if trained is None or persons[place] in trained}
    asked = {place for place in places if cameras[place] == 1} - learnt
    index = {
        "format": FORMAT,
        "recipe": {"dataset": "blotches", "flow": "lucas-kanade"},
        "fingerprint": path.name,
        "notes": [],
        "left_out": [],
        "names": [
            f"{person}/{camera}/{place}" for place, (person, camera, _) in enumerate(tracklets)
        ],
        "persons": persons,
        "cameras": cameras,
        "starts": np.cumsum([0, *lengths[:-1]]).tolist(),
        "lengths": lengths,
        "splits": [
            {
                "train": sorted(learnt),
                "query": sorted(asked),
                "gallery": sorted(set(places) - learnt - asked),
            }
        ],
    }
    path.mkdir()
    np.save(path / FRAMES_FILE, np.concatenate([*map(_pattern, persons, lengths)]))
    (path / INDEX_FILE).write_text(json.dumps(index))
    return FrameStore.open(path)


def _pattern(person: int, length: int) -> NDArray[np.uint8]:
    """Frames of a pattern that only this person has, under noise."""
    random = np.random.default_rng(1000 + person)
    blotches = random.integers(30, 226, (FRAME_SHAPE[0], 8, 6)).repeat(8, axis=1).repeat(8, axis=2)
    noise = random.integers(-30, 31, (length, *FRAME_SHAPE))
    return (blotches + noise).astype(np.uint8)
