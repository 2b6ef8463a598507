import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reseen.data.datasets import two_cameras
from reseen.errors import ReseenError

Plant = Callable[..., Path]
NUMBERS = [number for number in range(1, 320) if number % 17 != 3]
"""300 folder numbers up to 319, with gaps as in the real data set."""


def frame(camera: str, number: int, frame: int) -> str:
    person = f"person{number:03d}"
    return f"i-LIDS-VID/sequences/{camera}/{person}/{camera}_{person}_{frame:05d}.png"


@pytest.fixture
def root(plant: Plant) -> Path:
    numbers = np.random.default_rng(0).permutation(NUMBERS).tolist()
    return plant(*(frame(camera, number, 1) for number in numbers for camera in ("cam1", "cam2")))


def matlab_rows() -> list[list[int]]:
    generator = np.random.default_rng(5)
    return [(1 + generator.permutation(300)).tolist() for _ in range(10)]


def write_matlab_splits(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    scipy.io.savemat(path, {"ls_set": np.array(matlab_rows(), dtype=np.uint16)})


@pytest.mark.parametrize("place", ["train-test people splits", "i-LIDS-VID", "."])
def test_splits_point_into_the_sorted_folders_and_the_first_half_is_scored(root: Path, place: str):
    assert len(NUMBERS) == 300
    write_matlab_splits(root / place / "train_test_splits_ilidsvid.mat")
    benchmark = two_cameras.load_ilids_vid(root)
    assert (benchmark.dataset, benchmark.notes, len(benchmark.splits)) == ("ilids-vid", (), 10)
    for split, row in zip(benchmark.splits, matlab_rows(), strict=True):
        folders = [f"person{NUMBERS[position - 1]:03d}" for position in row]

        def names(indices: tuple[int, ...]) -> list[str]:
            return [benchmark.tracklets[index].name for index in indices]

        assert names(split.query) == [f"{name}/cam1" for name in sorted(folders[:150])]
        assert names(split.gallery) == [f"{name}/cam2" for name in sorted(folders[:150])]
        assert {name[:9] for name in names(split.train)} == set(folders[150:])


def test_splits_by_name_are_taken_too(root: Path):
    names = [f"person{number:03d}" for number in NUMBERS]
    splits = [{"train": names[trial::2], "test": names[1 - trial :: 2]} for trial in (0, 1)]
    (root / "splits.json").write_text(json.dumps(splits))
    benchmark = two_cameras.load_ilids_vid(root)
    scored = [{benchmark.tracklets[i].name[:9] for i in split.query} for split in benchmark.splits]
    assert scored == [set(names[1::2]), set(names[0::2])]


def test_without_split_file_the_splits_are_random_and_a_note_says_so(root: Path):
    benchmark = two_cameras.load_ilids_vid(root)
    assert [len(split.query) for split in benchmark.splits] == [150] * 10
    (note,) = benchmark.notes
    assert note.startswith("no published splits found (train_test_splits_ilidsvid.mat or splits.")


def test_a_lost_person_makes_the_published_splits_useless(root: Path):
    write_matlab_splits(root / "train_test_splits_ilidsvid.mat")
    for camera in ("cam1", "cam2"):
        path = root / frame(camera, 1, 1)
        path.unlink()
        path.parent.rmdir()
    with pytest.raises(ReseenError, match="does not point at the 299 people"):
        two_cameras.load_ilids_vid(root)


def test_a_person_lost_in_one_camera_keeps_their_place_in_the_splits(root: Path):
    write_matlab_splits(root / "train_test_splits_ilidsvid.mat")
    path = root / frame("cam1", 1, 1)
    path.unlink()
    path.parent.rmdir()
    benchmark = two_cameras.load_ilids_vid(root)
    assert benchmark.notes == ("tracklets missing or empty: 1 (person001/cam1)",)
    assert len(benchmark.splits) == 10


def test_frames_are_in_time_order_whatever_the_order_on_disk(root: Path, plant: Plant):
    numbers = [99999, 317, 100001, 100000, 20, 3, 1000]
    plant(*(frame("cam2", 1, number) for number in numbers))
    files = two_cameras.load_ilids_vid(root).tracklets[1].files
    assert [int(name.removesuffix(".png").rpartition("_")[2]) for name in files] == sorted(
        [1, *numbers]
    )


def test_a_wrong_folder_is_explained(plant: Plant):
    root = plant("sequences/cam1/person001/cam1_person001_00001.png", "images/cam1/person001/1.png")
    with pytest.raises(
        ReseenError, match=r"no sequences/cam1/ and sequences/cam2/ in .*i-LIDS-VID"
    ):
        two_cameras.load_ilids_vid(root)
    (root / "sequences/cam2").mkdir()
    (root / "sequences/cam1/person001").rename(root / "sequences/cam1/somebody")
    with pytest.raises(ReseenError, match="no person in"):
        two_cameras.load_ilids_vid(root)
