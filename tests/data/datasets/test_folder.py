from collections.abc import Callable
from pathlib import Path

import pytest

from reseen.data.datasets import folder, load
from reseen.data.layout import gaps
from reseen.errors import ReseenError

Plant = Callable[..., Path]
PEOPLE = ("ann", "bob", "cem", "dan")


def four_people() -> list[str]:
    return [f"{person}/{camera}/1.png" for person in PEOPLE for camera in ("left", "right")]


def test_frames_are_in_time_order_whatever_the_order_on_disk(plant: Plant):
    numbers = [7, 12, 1, 3, 11, 2, 9, 10, 4, 8, 6, 5]
    root = plant(*four_people(), *(f"ann/left/{number}.png" for number in numbers))
    ann_left = folder.load(root).tracklets[0]
    assert ann_left.name == "ann/left"
    assert ann_left.files == tuple(f"{number}.png" for number in range(1, 13))


def test_persons_and_cameras_are_numbered_by_name_across_people(plant: Plant):
    root = plant("p10/cam2/1.png", "p10/cam10/1.png", "p9/cam10/1.png", "p9/cam2/1.png")
    plant("p1/cam3/1.png", "p1/cam10/1.png", "p2/cam2/1.png", "p2/cam3/1.png")
    found = {one.name: (one.person, one.camera) for one in folder.load(root).tracklets}
    assert found == {
        "p1/cam3": (1, 2),
        "p1/cam10": (1, 3),
        "p2/cam2": (2, 1),
        "p2/cam3": (2, 2),
        "p9/cam2": (3, 1),
        "p9/cam10": (3, 3),
        "p10/cam2": (4, 1),
        "p10/cam10": (4, 3),
    }


def test_a_camera_may_hold_several_tracklets_and_one_of_its_own(plant: Plant):
    root = plant(*four_people(), "ann/left/t10/1.png", "ann/left/t2/1.png")
    benchmark = folder.load(root)
    names = [one.name for one in benchmark.tracklets if one.person == 1 and one.camera == 1]
    assert names == ["ann/left", "ann/left/t2", "ann/left/t10"]
    assert {one.folder for one in benchmark.tracklets} >= {root / "ann/left/t2", root / "ann/left"}


def test_pictures_of_all_kinds_are_taken(plant: Plant):
    root = plant(
        *four_people(), *(f"ann/left/2{kind}" for kind in (".JPG", ".jpeg", ".bmp", ".webp"))
    )
    assert len(folder.load(root).tracklets[0]) == 5


def test_without_train_and_test_there_are_ten_random_halves(plant: Plant):
    benchmark = folder.load(plant(*four_people()))
    assert len(benchmark.splits) == 10
    assert {len(split.train) for split in benchmark.splits} == {4}
    assert {(len(split.query), len(split.gallery)) for split in benchmark.splits} == {(2, 2)}


def test_train_and_test_are_the_split(plant: Plant):
    half = {"ann": "train", "bob": "train", "cem": "test", "dan": "test"}
    root = plant(*(f"{half[name.partition('/')[0]]}/{name}" for name in four_people()))
    benchmark = folder.load(root)
    (split,) = benchmark.splits
    names = [one.name for one in benchmark.tracklets]
    assert [names[index] for index in split.train] == [
        "train/ann/left",
        "train/ann/right",
        "train/bob/left",
        "train/bob/right",
    ]
    assert [names[index] for index in split.query] == ["test/cem/left", "test/dan/left"]
    assert [names[index] for index in split.gallery] == ["test/cem/right", "test/dan/right"]


def test_what_is_left_out_is_counted(plant: Plant):
    root = plant(*four_people(), "readme.txt", "ann/portrait.png", "ann/left/boxes.csv")
    plant(".hidden/cam/1.png", "ann/left/.DS_Store", "ann/left/._1.png")
    for empty in ("eve", "ann/back", "ann/left/t1"):
        (root / empty).mkdir()
    notes = folder.load(root).notes
    assert notes[1:] == (
        "files left out, no frames: 3 (readme.txt, ann/portrait.png, ann/left/boxes.csv)",
        "folders left out, no frames: 3 (ann/back, ann/left/t1, eve)",
    )


def test_folders_beside_train_and_test_are_counted(plant: Plant):
    root = plant(*(f"{half}/{half}{name}" for half in ("train", "test") for name in four_people()))
    plant("validation/x/y/1.png")
    assert folder.load(root).notes[1:] == ("folders left out, no frames: 1 (validation)",)


def test_a_person_of_one_camera_stays_and_is_counted(plant: Plant):
    root = plant(*four_people(), "eve/left/1.png")
    benchmark = folder.load(root)
    assert benchmark.notes[1:] == ("people seen by one camera only, who cannot be searched for: 1",)
    eve = len(benchmark.tracklets) - 1
    assert benchmark.tracklets[eve].name == "eve/left"
    assert all(eve not in split.query for split in benchmark.splits)
    assert all(eve in (*split.train, *split.gallery) for split in benchmark.splits)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no picture of a person in .*the layout must be ROOT/<person>/<camera>"),
        (["ann/1.png", "bob/1.png"], "no picture of a person in"),
        (["a/b/c/d/1.png"], "no picture of a person in"),
        (four_people()[:6], "3 of 3 people are seen by two cameras; at least 4 are needed"),
        (
            [f"train/{name}" for name in four_people()],
            "must have one of each, train/ and test/, but has train",
        ),
        (
            [f"{half}/{name}" for half in ("train", "test") for name in four_people()],
            "people in train/ and in test/, who must be in one: ann, bob, cem, …",
        ),
        (
            [f"{half}/{half}/{camera}/1.png" for half in ("train", "test") for camera in "ab"],
            "a split needs two people to train on",
        ),
    ],
)
def test_a_wrong_folder_is_explained(plant: Plant, names: list[str], message: str):
    with pytest.raises(ReseenError, match=message):
        folder.load(plant(*names))


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(ReseenError, match="nowhere"):
        folder.load(tmp_path / "nowhere")


# What was taken for what

SIX = range(1, 7)


def laid_out(pattern: str, cameras: str = "12") -> list[str]:
    """Six people before each camera, three frames each."""
    return [
        pattern.format(person=f"{person:04d}", camera=camera, frame=frame)
        for person in SIX
        for camera in cameras
        for frame in (1, 2, 3)
    ]


def test_what_was_taken_for_what_is_said(plant: Plant):
    notes = folder.load(plant(*laid_out("{person}/cam{camera}/{frame}.jpg"))).notes
    assert notes == (
        "taken for 6 persons: 0001, 0002, 0003, …; for 2 cameras: cam1, cam2; "
        "for the frames of one tracklet, in order: 1.jpg, 2.jpg, 3.jpg",
    )


@pytest.mark.parametrize("name", ["cam{camera}", "C{camera}", "Camera_{camera}", "view 0{camera}"])
def test_cameras_above_persons_are_suspected_and_can_be_read(plant: Plant, name: str):
    root = plant(*laid_out(name + "/person{person}/{frame}.jpg", "123456"))
    assert (
        "look like cameras; if they are, read them with --layout camera/person"
        in (folder.load(root).notes[1])
    )
    benchmark = load("folder", root, "camera/person")
    assert benchmark.notes[0].startswith("taken for 6 persons: person0001, person0002")
    assert len(benchmark.notes) == 1
    assert {(one.person, one.camera) for one in benchmark.tracklets} == {
        (person, camera) for person in SIX for camera in SIX
    }


def test_a_layout_is_for_folders_only(plant: Plant):
    with pytest.raises(ReseenError, match="mars has a layout of its own"):
        load("mars", plant("a"), "camera/person")


def test_a_tree_one_level_too_deep_is_suspected(plant: Plant):
    names = laid_out("site{person}/person{person}x/cam{camera}/{frame}.jpg")
    names += laid_out("site{person}/person{person}y/cam{camera}/{frame}.jpg")
    notes = folder.load(plant(*names)).notes
    assert "the tracklets cam1, cam2 look like cameras; if they are, the tree is one" in notes[1]


def test_a_folder_around_all_persons_is_named(plant: Plant):
    root = plant(*laid_out("people/{person}/cam{camera}/{frame}.jpg"))
    with pytest.raises(ReseenError, match="holds one person only, people; if the persons lie in"):
        folder.load(root)


def test_cameras_that_each_see_one_person_are_suspected(plant: Plant):
    notes = folder.load(plant(*laid_out("{person}/p{person}c{camera}/{frame}.jpg"))).notes
    assert "no camera has seen two people" in notes[1]


@pytest.mark.parametrize("halves", [("Train", "Test"), ("TRAIN", "test"), ("train", "tEST")])
def test_train_and_test_are_known_in_any_case(plant: Plant, halves: tuple[str, str]):
    half = dict(zip(PEOPLE, (halves[0], halves[0], halves[1], halves[1]), strict=True))
    root = plant(*(f"{half[name.partition('/')[0]]}/{name}" for name in four_people()))
    (split,) = folder.load(root).splits
    assert (len(split.train), len(split.query), len(split.gallery)) == (4, 2, 2)


def test_train_twice_is_not_guessed_at(plant: Plant):
    root = plant(*(f"{half}/{name}" for half in ("Train", "train") for name in four_people()))
    plant("test/x/y/1.png")
    with pytest.raises(ReseenError, match="one of each, train/ and test/, but has Train, train"):
        folder.load(root)


def test_links_to_what_was_read_are_visited_once(plant: Plant):
    root = plant(*four_people())
    (root / "ann/left/again").symlink_to(root / "ann/left")
    (root / "ann/up").symlink_to(root)
    (root / "bob/left/other").symlink_to(root / "ann/right")
    benchmark = folder.load(root)
    assert [one.name for one in benchmark.tracklets] == four_people_names()
    assert benchmark.notes[-1].startswith("folders left out, no frames: ")


def four_people_names() -> list[str]:
    return [name.rpartition("/")[0] for name in four_people()]


@pytest.mark.parametrize(
    "times",
    [
        ["1714560000", "1714560000.125", "1714560000.25", "1714560000.5", "1714560001"],
        ["8", "8.04", "8.4", "10.1"],
        ["2026-05-01T11:59:59.75", "2026-05-01T12:00:00", "2026-05-01T12:00:00.25"],
        ["20260501_115959,5Z", "20260501_120000,125Z", "20260501_120000,25Z"],
    ],
)
def test_frames_named_by_times_are_in_their_order(plant: Plant, times: list[str]):
    root = plant(*four_people()[1:], *(f"ann/left/{time}.jpg" for time in reversed(times)))
    tracklet = folder.load(root).tracklets[0]
    assert tracklet.files == tuple(f"{time}.jpg" for time in times)
    assert gaps(tracklet.files) == []


def test_numbers_behind_a_point_that_are_no_fractions_stay_numbers(plant: Plant):
    root = plant(*four_people()[1:], *(f"ann/left/1.{number}.jpg" for number in range(1, 13)))
    assert folder.load(root).tracklets[0].files[-1] == "1.12.jpg"
