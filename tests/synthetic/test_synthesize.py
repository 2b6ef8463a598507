import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.data.coding import lucas_kanade
from reseen.data.datasets.folder import load
from reseen.data.layout import natural_sorted
from reseen.data.pictures import read_picture
from reseen.errors import ReseenError
from reseen.synthetic import synthesize as module
from reseen.synthetic.people import random_person
from reseen.synthetic.synthesize import Difficulty, Settings, synthesize, tracklet

SETTINGS = Settings(5, 2, twins=0.4, seed=3, same_gait=False, difficulty=Difficulty())

FIXED = Difficulty(colours=10, light=0.5, noise=6, jitter=0.01, occlusion=0.7, clutter=0.7)
"""Of its own, so that tuning the defaults leaves the pinned pixels as they are."""


def drawn(settings: Settings, person: int, camera: int) -> np.ndarray:
    return np.stack(list(tracklet(settings, person, camera)))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "people"
    synthesize(root, people=5, cameras=2, twins=0.4, seed=3, processes=2)
    return root


def test_pixels_follow_from_the_seed():
    digest = hashlib.sha256()
    for person, camera in ((1, 1), (3, 2), (4, 1), (5, 2)):
        frames = drawn(replace(SETTINGS, difficulty=FIXED), person, camera)
        digest.update(frames.tobytes())
    assert digest.hexdigest() == (
        "751c0f6693ef57066099bba1a8193bdc0e62b6d0dc8adf7ca5a4f096178887a6"
    )


def test_another_seed_gives_other_pixels():
    first = next(tracklet(SETTINGS, 3, 1))
    assert not np.array_equal(first, next(tracklet(replace(SETTINGS, seed=4), 3, 1)))


def test_the_folder_holds_the_pixels_that_one_process_draws(people: Path):
    folder = people / "0004" / "camera_2"
    files = natural_sorted(path.name for path in folder.iterdir())
    read = np.stack([read_picture(folder / file) for file in files])
    assert np.array_equal(read, drawn(SETTINGS, 4, 2))


def test_pixels_of_a_person_do_not_depend_on_how_many_others_there_are():
    more = replace(SETTINGS, people=10, cameras=3, twins=0.2)
    assert np.array_equal(next(tracklet(SETTINGS, 4, 2)), next(tracklet(more, 4, 2)))


def test_load_reads_what_was_drawn(people: Path):
    benchmark = load(people)
    assert benchmark.dataset == "folder"
    assert [t.name for t in benchmark.tracklets[:3]] == [
        "0001/camera_1",
        "0001/camera_2",
        "0002/camera_1",
    ]
    assert len(benchmark.tracklets) == 10
    assert len(benchmark.splits) == 10
    for split in benchmark.splits:
        assert {benchmark.tracklets[index].camera for index in split.query} == {1}
        assert {benchmark.tracklets[index].camera for index in split.gallery} == {2}
        assert len(split.train) == 4
        assert len(split.query) == len(split.gallery) == 3
    assert any("seed 3" in note for note in benchmark.notes)


def test_load_names_a_folder_that_lost_a_tracklet(people: Path, tmp_path: Path):
    root = tmp_path / "people"
    shutil.copytree(people, root)
    shutil.rmtree(root / "0002" / "camera_1")
    with pytest.raises(ReseenError, match=r"people holds 9 of its 10 synthetic tracklets"):
        load(root)


@pytest.mark.parametrize("text", ['{"people": 5}', "[]", '{"people": 5, "difficulty": {"x": 1}}'])
def test_settings_of_another_version_are_named(people: Path, tmp_path: Path, text: str):
    root = tmp_path / "people"
    shutil.copytree(people, root)
    (root / "synthetic.json").write_text(text)
    with pytest.raises(ReseenError, match=r"(see synthetic\.json there|is damaged)"):
        synthesize(root, people=5, cameras=2, twins=0.4, seed=3)


@pytest.mark.parametrize("text", ['{"people": 5}', "[]", '{"people": 5, "cameras": 2}'])
def test_damaged_settings_are_named_when_the_people_are_read(
    people: Path, tmp_path: Path, text: str
):
    root = tmp_path / "people"
    shutil.copytree(people, root)
    (root / "synthetic.json").write_text(text)
    with pytest.raises(ReseenError, match=r"synthetic\.json is damaged"):
        load(root)


def test_a_finished_folder_is_kept(people: Path):
    before = {path: path.stat().st_mtime_ns for path in people.rglob("*")}
    synthesize(people, people=5, cameras=2, twins=0.4, seed=3)
    assert {path: path.stat().st_mtime_ns for path in people.rglob("*")} == before


def test_a_folder_of_other_settings_is_refused(people: Path):
    with pytest.raises(ReseenError, match=r"people was made with another seed"):
        synthesize(people, people=5, cameras=2, twins=0.4, seed=4)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ReseenError, match=r"holds no synthetic\.json"):
        synthesize(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_stopped_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop):
    def one_then_stop(work, tasks, processes):
        work(*tasks[0])
        yield None
        raise stop

    monkeypatch.setattr(module, "unordered", one_then_stop)
    with pytest.raises((KeyboardInterrupt, ReseenError)) as caught:
        synthesize(tmp_path / "people", people=5)
    assert list(tmp_path.iterdir()) == []
    if isinstance(stop, OSError):
        assert "no space left on the disk" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"people": 3}, "3 people before 2 cameras are too few"),
        ({"cameras": 1}, "60 people before 1 camera are too few"),
        ({"twins": 1.5}, "between 0 and 1"),
        ({"seed": -1}, "must not be negative"),
        ({"same_gait": True}, "set twins to 0"),
    ],
)
def test_settings_that_make_no_benchmark_are_refused(tmp_path: Path, settings, message):
    with pytest.raises(ReseenError, match=message):
        synthesize(tmp_path / "people", **settings)
    assert not (tmp_path / "people").exists()


def test_twins_differ_in_tempo_only():
    one, other = (random_person(0, number, 10, twin=True, same_gait=False) for number in (1, 2))
    assert (one.look, one.build, one.posture) == (other.look, other.build, other.posture)
    assert one.tempo != other.tempo


def test_with_the_same_gait_people_differ_in_looks_only():
    one, other = (random_person(0, number, 10, twin=False, same_gait=True) for number in (1, 2))
    assert (one.build, one.posture, one.tempo) == (other.build, other.posture, other.tempo)
    assert one.look != other.look


# What the ladder of the three settings rests on: clothes show in single frames and not in motion,
# tempo shows in motion and not in single frames. Distances between simple descriptors say so.

LADDER_PEOPLE = 24
CALM = Difficulty(noise=2, jitter=0, occlusion=0, clutter=0)
GAIT_ONLY = Settings(LADDER_PEOPLE, 2, twins=1.0, seed=0, same_gait=False, difficulty=CALM)
CLOTHES_ONLY = Settings(LADDER_PEOPLE, 2, twins=0.0, seed=0, same_gait=True, difficulty=CALM)

Views = list[list[np.ndarray]]
"""The frames of each person, for each camera."""


def views(settings: Settings) -> Views:
    return [[drawn(settings, 1 + i, view) for i in range(LADDER_PEOPLE)] for view in (1, 2)]


@pytest.fixture(scope="module")
def gait_only() -> Views:
    return views(GAIT_ONLY)


def stripe_colours(frames: np.ndarray) -> np.ndarray:
    """Mean colour of 16 stripes, by the frames' own mean colour."""
    stripes = frames[:, :, 16:48].reshape(len(frames), 16, 8, 32, 3).mean((0, 2, 3))
    return (stripes / stripes.mean(axis=0)).ravel()


def amount_of_motion(frames: np.ndarray) -> np.ndarray:
    """Mean size of the flow, down and across, in four stripes."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    flow = np.array([lucas_kanade(*pair) for pair in pairwise(gray)])
    stripes = np.abs(flow.clip(-8, 8)).mean(axis=0).reshape(2, 4, 32, 64).mean((2, 3))
    return np.log(stripes + 0.05).ravel()


def share_ranked_first(views: Views, describe: Callable[[np.ndarray], np.ndarray]) -> float:
    """Share of people who rank before the right one: 0 at best, 0.5 by chance."""
    query, gallery = (np.stack([describe(frames) for frames in view]) for view in views)
    query, gallery = ((view - view.mean(0)) / view.std(0) for view in (query, gallery))
    distances = np.square(query[:, None] - gallery[None]).sum(axis=2)
    return float((distances < np.diag(distances)[:, None]).mean())


def test_with_gait_only_motion_finds_people_and_colours_do_not(gait_only: Views):
    assert share_ranked_first(gait_only, amount_of_motion) < 0.28
    assert share_ranked_first(gait_only, stripe_colours) > 0.35


def test_with_clothes_only_colours_find_people_and_motion_does_not():
    clothes_only = views(CLOTHES_ONLY)
    assert share_ranked_first(clothes_only, stripe_colours) < 0.15
    assert share_ranked_first(clothes_only, amount_of_motion) > 0.35


def test_frames_have_the_size_and_tracklets_the_length_of_the_real_sets(gait_only: Views):
    lengths = [len(frames) for view in gait_only for frames in view]
    assert min(lengths) >= 23
    assert max(lengths) <= 192
    assert 50 < np.mean(lengths) < 85
    assert np.median(lengths) < np.mean(lengths)
    assert {(frames.shape[1:], frames.dtype.name) for view in gait_only for frames in view} == {
        ((128, 64, 3), "uint8")
    }
