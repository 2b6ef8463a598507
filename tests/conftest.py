"""What several test modules share."""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Container, Iterator
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reseen.data.coding import FRAME_SHAPE
from reseen.data.store import FORMAT, FrameStore, Index, Recipe, Shard, shard_file
from reseen.data.tracklet import Split, Tracklet
from reseen.files import digest_of
from reseen.gallery.calibration import Calibration

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that may lie beside the project; skips where it does not."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the folder shared/data does not lie beside the project")
    return path


@pytest.fixture
def traces() -> Callable[[Path, list[bytes]], list[str]]:
    """The function that names the files, and secrets, of which any holds a secret's bytes."""

    def find(folder: Path, secrets: list[bytes]) -> list[str]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path.name for path in files if any(each in path.read_bytes() for each in secrets)]

    return find


HOLDER = """
import sys
from pathlib import Path
from reseen.files import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holding() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Have another process hold the lock of a folder."""
    processes = []

    def hold(folder: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.communicate()


@pytest.fixture(scope="session", autouse=True)
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for network files that is the tests' own."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEEN_MODELS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def forkserver() -> Any:
    """Processes forked from one that has loaded the libraries, which takes seconds each time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reseen.experiments.reproduce", "reseen.gallery.gallery"])
    return context


@pytest.fixture
def quick_workers(forkserver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let working processes begin with the libraries, where how they begin is not in question."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forkserver)


@pytest.fixture
def float64() -> Iterator[None]:
    """Let clips, networks and losses be float64.

    Processes, batch sizes and processors differ by the order in which they add. In float32 that is
    1e-7 of a sum, and a unit of the network that switches turns it into any size; in float64 it is
    1e-16, and what agrees to 1e-9 is the same computation.
    """
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


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


def write_store(
    path: Path,
    tracklets: list[tuple[int, int, int]],
    trained: Container[int] | None = None,
    vectors: tuple[int, ...] = (),
) -> FrameStore:
    """Write a store of blotchy patterns, one a person, without pictures to prepare it from.

    `tracklets` are (person, camera, length); people in `trained` (default: all) form the only
    split's training part, the others are searched for from camera 1 in the other cameras.
    `vectors` is the shape of a frame, (6, D), for a store of a trunk's vectors.
    """
    persons, cameras, lengths = zip(*tracklets, strict=True)
    places = range(len(tracklets))
    learnt = {place for place in places if trained is None or persons[place] in trained}
    asked = {place for place in places if cameras[place] == 1} - learnt
    split = Split(*map(tuple, map(sorted, (learnt, asked, set(places) - learnt - asked))))
    frame_shape, dtype = (vectors, "float16") if vectors else (FRAME_SHAPE, "uint8")
    draw = partial(_vectors, vectors) if vectors else _pattern
    patterns = list(map(draw, persons, lengths))
    nothing = np.empty((0, *frame_shape), dtype)
    half = len(tracklets) // 2
    path.mkdir()
    Index(
        format=FORMAT,
        fingerprint=path.name,
        notes=(),
        left_out=(),
        frame_shape=frame_shape,
        dtype=dtype,
        shards=tuple(
            write_shard(path, number, np.concatenate([nothing, *some]))
            for number, some in enumerate((patterns[:half], patterns[half:]))
        ),
        names=tuple(f"{persons[place]}/{cameras[place]}/{place}" for place in places),
        persons=persons,
        cameras=cameras,
        lengths=lengths,
        splits=(split,),
        recipe=Recipe("blotches", "lucas-kanade", "", {}),
    ).write(path)
    return FrameStore(path)


def changed(store: FrameStore, **changes: Any) -> FrameStore:
    """The same store, but for what it says of itself."""
    other = copy(store)
    vars(other).update(changes)
    return other


def write_shard(path: Path, number: int, frames: NDArray[Any]) -> Shard:
    """Write a shard's file; returns what the index knows of it."""
    file = path / shard_file(number)
    np.save(file, frames)
    return Shard(len(frames), digest_of(file))


def _pattern(person: int, length: int) -> NDArray[np.uint8]:
    """Frames of a pattern that only this person has, under noise."""
    random = np.random.default_rng(1000 + person)
    blotches = random.integers(30, 226, (FRAME_SHAPE[0], 8, 6)).repeat(8, axis=1).repeat(8, axis=2)
    noise = random.integers(-30, 31, (length, *FRAME_SHAPE))
    return (blotches + noise).astype(np.uint8)


def _vectors(shape: tuple[int, ...], person: int, length: int) -> NDArray[np.float16]:
    """Vectors around one that only this person has."""
    random = np.random.default_rng(1000 + person)
    vectors = random.normal(size=shape) + 0.5 * random.normal(size=(length, *shape))
    return vectors.astype(np.float16)
