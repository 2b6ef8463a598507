from collections.abc import Callable
from pathlib import Path

import pytest

from reseen.data.datasets import DATASETS
from reseen.files import Fact

Plant = Callable[..., Path]
LEFT_OUT = "6 19 31 52 57 62 71 94 106 120 136 138 139 142 145 158 159 166 183 190 199 200"
PUBLISHED = set(range(1, 201)) - set(map(int, LEFT_OUT.split()))
BARELY_SHORT = {6, 19, 31, 52, 57}
"""Five people with 21 to 26 frames make 183 out of 178."""


def counted(dataset: str, root: Path) -> dict[str, Fact]:
    return {fact.name: fact for fact in DATASETS[dataset].count(root, DATASETS[dataset].load(root))}


def wrong(facts: dict[str, Fact]) -> dict[str, int | str]:
    return {fact.name: fact.found for fact in facts.values() if not fact.ok}


def test_nothing_is_wrong_about_an_unpublished_count():
    assert Fact("people", None, 12).ok
    assert Fact("people", 12, 12).ok
    assert not Fact("people", 12, 11).ok


def test_a_count_is_shown_beside_the_published_one_and_marked_where_they_differ():
    assert Fact("frames", 509914, 509914).row == ("frames", "509,914", "509,914", "")
    assert Fact("frames", 509914, 0).row == ("frames", "509,914", "0", "wrong")
    assert Fact("halves", "89/89", "88/89").row == ("halves", "89/89", "88/89", "wrong")
    assert Fact("people", None, 12).row == ("people", "", "12", "")


def prid_frames(person: int) -> int:
    if person in PUBLISHED:
        return 27
    return 21 if person in BARELY_SHORT else 20


@pytest.fixture(scope="module")
def prid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PRID-2011 with all its people, the first 200 with empty frames."""
    root = tmp_path_factory.mktemp("prid")
    for camera, people in (("cam_a", 385), ("cam_b", 749)):
        for person in range(1, people + 1):
            folder = root / "multi_shot" / camera / f"person_{person:04d}"
            folder.mkdir(parents=True)
            for frame in range(prid_frames(person) if person <= 200 else 1):
                (folder / f"{frame + 1:04d}.png").touch()
    return root


def test_a_whole_prid2011_is_right(prid: Path):
    facts = counted("prid2011", prid)
    assert wrong(facts) == {}
    assert {fact.found for fact in facts.values()} == {385, 749, 178, 0, 183, 200, 400, "100/100"}


def test_the_178_people_lack_only_the_split_file(prid: Path):
    assert wrong(counted("prid2011-178", prid)) == {"published splits": 0}


def test_a_damaged_prid2011_shows_in_the_counts(plant: Plant):
    root = plant(
        *(
            f"multi_shot/{camera}/person_{person:04d}/{frame:04d}.png"
            for camera in ("cam_a", "cam_b")
            for person in (1, 2, 3, 4, 6)
            for frame in range(30)
        )
    )
    (root / "multi_shot/cam_b/person_0007").mkdir()
    assert wrong(counted("prid2011", root)) == {
        "people in cam_a": 5,
        "people in cam_b": 6,
        "people with 27 frames or more": 5,
        "… who are not on the published list": 1,
        "people with 21 frames or more": 5,
        "people of the first 200 in both cameras": 5,
        "tracklets": 10,
        "people in training/scoring": "2/3",
    }


def test_a_damaged_ilids_vid_shows_in_the_counts(plant: Plant):
    lengths = {"person001": 23, "person002": 192, "person004": 50, "person319": 30}
    root = plant(
        *(
            f"sequences/{camera}/{person}/{camera}_{person}_{frame:05d}.png"
            for camera in ("cam1", "cam2")
            for person, length in lengths.items()
            for frame in range(length)
        ),
        "sequences/cam1/person400/1.png",
    )
    facts = counted("ilids-vid", root)
    assert facts["frames in a tracklet"].found == "1-192, mean 66"
    assert wrong(facts).keys() == facts.keys()
    assert [fact.expected for fact in facts.values()] == [
        300,
        300,
        600,
        "23-192, mean 73",
        10,
        "150/150",
    ]
    assert (facts["people"].found, facts["people in both cameras"].found) == (5, 4)


def test_the_real_tables_of_mars_are_right(shared_data: Path, tmp_path: Path):
    (tmp_path / "bbox_train").mkdir()
    (tmp_path / "bbox_test").mkdir()
    (tmp_path / "info").symlink_to(shared_data / "mars-info")
    facts = counted("mars", tmp_path)
    assert wrong(facts) == {}
    assert len(facts) == 19


def test_ones_own_people_are_counted(plant: Plant):
    root = plant(*(f"{p}/{c}/{frame}.png" for p in "abcd" for c in "xyz" for frame in range(5)))
    assert {fact.name: fact.found for fact in counted("folder", root).values()} == {
        "people": 4,
        "cameras": 3,
        "tracklets": 12,
        "frames": 60,
        "frames in a tracklet": "5-5, median 5, mean 5.0",
        "splits": 10,
        "people in training/scoring": "2/2",
    }
