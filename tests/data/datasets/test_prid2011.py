import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reseen.data.datasets import two_cameras
from reseen.data.tracklet import Benchmark
from reseen.errors import ReseenError

Plant = Callable[..., Path]
TOO_SHORT = "6 19 31 52 57 62 71 94 106 120 136 138 139 142 145 158 159 166 183 190 199 200"
PEOPLE_178 = [number for number in range(1, 201) if str(number) not in TOO_SHORT.split()]


def frames(people: range, camera: str) -> list[str]:
    return [f"multi_shot/{camera}/person_{number:04d}/0001.png" for number in people]


@pytest.fixture
def root(plant: Plant) -> Path:
    """One frame for each of a few more than 200 people, of whom only 200 are the same."""
    return plant(*frames(range(1, 206), "cam_a"), *frames(range(1, 211), "cam_b"))


def people(benchmark: Benchmark, indices: tuple[int, ...]) -> list[int]:
    return [benchmark.tracklets[index].person for index in indices]


def published_halves() -> list[tuple[list[int], list[int]]]:
    """Ten divisions of the 178 people in (scored, training), drawn apart from the program's."""
    generator = np.random.default_rng(1)
    orders = [generator.permutation(PEOPLE_178).tolist() for _ in range(10)]
    return [(order[:89], order[89:]) for order in orders]


def write_json_splits(path: Path) -> None:
    def names(numbers: list[int]) -> list[str]:
        return [f"person_{number:04d}" for number in sorted(numbers)]

    halves = published_halves()
    splits = [{"train": names(train), "test": names(test)} for test, train in halves]
    path.write_text(json.dumps(splits))


def write_matlab_splits(path: Path) -> None:
    rows = [
        [1 + PEOPLE_178.index(number) for number in test + train]
        for test, train in published_halves()
    ]
    scipy.io.savemat(path, {"ls_set": np.array(rows, dtype=np.uint8)})


def test_the_papers_set_is_the_first_200_people_in_ten_halves(root: Path):
    benchmark = two_cameras.load_prid2011(root)
    assert (benchmark.dataset, benchmark.notes) == ("prid2011", ())
    assert {one.person for one in benchmark.tracklets} == set(range(1, 201))
    assert (benchmark.tracklets[0].name, benchmark.tracklets[-1].name) == (
        "person_0001/cam_a",
        "person_0200/cam_b",
    )
    assert len(benchmark.splits) == 10
    for split in benchmark.splits:
        assert [len(split.train), len(split.query), len(split.gallery)] == [200, 100, 100]


def test_queries_are_of_camera_a_and_the_gallery_of_camera_b(root: Path):
    benchmark = two_cameras.load_prid2011(root)
    split = benchmark.splits[3]
    assert {benchmark.tracklets[index].camera for index in split.query} == {1}
    assert {benchmark.tracklets[index].camera for index in split.gallery} == {2}
    assert people(benchmark, split.query) == people(benchmark, split.gallery)


def test_the_fields_set_leaves_22_people_out(root: Path):
    benchmark = two_cameras.load_prid2011_178(root)
    assert sorted({one.person for one in benchmark.tracklets}) == PEOPLE_178
    assert len(PEOPLE_178) == 178
    assert PEOPLE_178[:6] == [1, 2, 3, 4, 5, 7]


def test_without_split_file_the_splits_are_random_and_a_note_says_so(root: Path):
    benchmark = two_cameras.load_prid2011_178(root)
    (note,) = benchmark.notes
    assert "no published splits found" in note
    assert "splits_prid2011.json or train_test_splits_prid.mat" in note
    assert [len(split.query) for split in benchmark.splits] == [89] * 10


@pytest.mark.parametrize(
    ("place", "write"),
    [
        ("splits_prid2011.json", write_json_splits),
        ("../splits_prid2011.json", write_json_splits),
        ("train_test_splits_prid.mat", write_matlab_splits),
        ("train-test people splits/train_test_splits_prid.mat", write_matlab_splits),
        ("../train-test people splits/train_test_splits_prid.mat", write_matlab_splits),
    ],
)
def test_the_published_splits_are_taken(root: Path, place: str, write: Callable[[Path], None]):
    home = root.rename(root.parent / f"{root.name}_home") / "prid_2011"
    home.mkdir()
    (home.parent / "multi_shot").rename(home / "multi_shot")
    (home / place).parent.mkdir(exist_ok=True)
    write(home / place)
    for given in (home, home.parent):
        benchmark = two_cameras.load_prid2011_178(given)
        assert benchmark.notes == ()
        for split, (test, train) in zip(benchmark.splits, published_halves(), strict=True):
            assert people(benchmark, split.query) == sorted(test)
            assert people(benchmark, split.gallery) == sorted(test)
            assert people(benchmark, split.train) == sorted(train * 2)


def test_frames_are_in_time_order_whatever_the_order_on_disk(root: Path, plant: Plant):
    numbers = [12, 7, 3, 11, 2, 9, 10, 4, 8, 6, 5]
    plant(*(f"multi_shot/cam_a/person_0001/{number}.png" for number in numbers))
    expected = ("0001.png", *(f"{number}.png" for number in range(2, 13)))
    assert two_cameras.load_prid2011(root).tracklets[0].files == expected


@pytest.mark.parametrize("name", ["prid_2011", "prid2011", "prid2011/prid_2011", "PRID2011"])
def test_the_parent_folder_will_do(root: Path, name: str):
    (root / name).mkdir(parents=True)
    (root / "multi_shot").rename(root / name / "multi_shot")
    assert len(two_cameras.load_prid2011(root).tracklets) == 400


def test_missing_and_empty_tracklets_are_named(root: Path):
    for name in ("cam_a/person_0002", "cam_b/person_0003"):
        (root / "multi_shot" / name / "0001.png").unlink()
    (root / "multi_shot/cam_b/person_0003").rmdir()
    benchmark = two_cameras.load_prid2011(root)
    assert benchmark.notes == (
        "tracklets missing or empty: 2 (person_0002/cam_a, person_0003/cam_b)",
    )
    assert len(benchmark.tracklets) == 398


def test_a_split_file_of_other_people_is_refused(root: Path):
    path = root / "splits_prid2011.json"
    path.write_text(json.dumps([{"train": ["person_0001"], "test": ["person_0002"]}]))
    with pytest.raises(ReseenError, match=r"splits_prid2011.json does not divide the 178 people"):
        two_cameras.load_prid2011_178(root)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("splits_prid2011.json", b"[", "cannot be read as JSON"),
        ("splits_prid2011.json", b'{"train": []}', "is no list of splits"),
        ("splits_prid2011.json", b"[1]", "is no list of splits"),
        ("train_test_splits_prid.mat", b"", "cannot be read as a MATLAB file"),
        ("train_test_splits_prid.mat", b"not a table" * 99, "cannot be read as a MATLAB file"),
    ],
)
def test_a_broken_split_file_is_named(root: Path, name: str, content: bytes, message: str):
    (root / name).write_bytes(content)
    with pytest.raises(ReseenError, match=f"{name} {message}"):
        two_cameras.load_prid2011_178(root)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"other": [[1]]}, "has no table ls_set"),
        ({"ls_set": [[0, 1]]}, "does not point at the 178 people"),
        ({"ls_set": [[1, 179]]}, "does not point at the 178 people"),
        ({"ls_set": [[1, 2]]}, "does not divide the 178 people"),
        ({"ls_set": [[1] * 178]}, "does not divide the 178 people"),
    ],
)
def test_a_wrong_table_of_splits_is_named(root: Path, table: dict[str, object], message: str):
    path = root / "train_test_splits_prid.mat"
    scipy.io.savemat(path, table)
    with pytest.raises(ReseenError, match=f"train_test_splits_prid.mat {message}"):
        two_cameras.load_prid2011_178(root)


def test_a_wrong_folder_is_explained(plant: Plant):
    root = plant("multi_shot/cam_a/person_0001/0001.png")
    with pytest.raises(
        ReseenError, match=r"no multi_shot/cam_a/ and multi_shot/cam_b/ in .*prid_2011"
    ):
        two_cameras.load_prid2011(root)
    plant("multi_shot/cam_b/readme.txt")
    (root / "multi_shot/cam_a/person_0001/0001.png").unlink()
    with pytest.raises(ReseenError, match=r"no frame of 200 people in .*cam_a/<person>"):
        two_cameras.load_prid2011(root)
