from collections.abc import Callable
from pathlib import Path

import pytest
import scipy.io

from reseen.data.datasets import DATASETS, load
from reseen.data.tracklet import Split
from reseen.errors import ReseenError

Plant = Callable[..., Path]

CASE_1, CASE_2 = "case1_aerial_to_ground", "case2_ground_to_aerial"


def pictures(part: str, person: str, camera: int, tracklet: str = "tracklet_1") -> list[str]:
    name = f"P{person}T230811A{15 * (camera > 3)}C{camera}E1K1F00"
    return [f"{part}/{person}/{tracklet}/{name}{frame}.jpg" for frame in (1, 2)]


AG = [
    *pictures("train", "0001", 0),
    *pictures("train", "0001", 4, "tracklet_2"),
    *pictures(f"{CASE_1}/query", "0007", 5),
    *pictures(f"{CASE_1}/gallery", "0007", 2),
    *pictures(f"{CASE_2}/query", "0007", 2),
    *pictures(f"{CASE_2}/gallery", "0007", 5),
]


def test_ag_vpreid_has_a_trial_for_each_direction(plant: Plant):
    root = plant(*AG)
    benchmark = load("ag-vpreid", root)
    assert [(one.person, one.camera, len(one)) for one in benchmark.tracklets] == [
        (1, 1, 2),
        (1, 5, 2),
        (2, 6, 2),
        (2, 3, 2),
        (2, 3, 2),
        (2, 6, 2),
    ]
    assert benchmark.splits == (Split((0, 1), (2,), (3,)), Split((0, 1), (4,), (5,)))
    assert all(path.is_file() for one in benchmark.tracklets for path in one.paths)
    assert DATASETS["ag-vpreid"].count(root, benchmark)[0].found == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("train/0001/tracklet_1/P0001T230811A0C1E1K1F003.jpg", "name the cameras 0, 1"),
        ("train/0001/tracklet_1/0003.jpg", "name the cameras 0, none"),
        ("train/0001/tracklet_1/P0001T230811A0C7E1K1F003.jpg", "name the cameras 0, none"),
    ],
)
def test_a_tracklet_without_one_camera_is_named(plant: Plant, more: str, message: str):
    with pytest.raises(ReseenError, match=f"{message}; expected one of C0 to C5"):
        load("ag-vpreid", plant(*AG, more))


def test_a_part_of_ag_vpreid_without_pictures_is_named(plant: Plant):
    root = plant(*(name for name in AG if f"{CASE_2}/query" not in name))
    (root / CASE_2 / "query").mkdir()
    with pytest.raises(ReseenError, match=f"no picture in .*{CASE_2}/query; expected AG-VPReID as"):
        load("ag-vpreid", root)


def test_g2a_vreid_is_read_by_tables_and_searches_what_is_no_query(plant: Plant):
    names = {
        "train": [f"0001C{camera}T0001F00{frame}.jpg" for camera in (1, 2) for frame in (1, 2)],
        "test": [f"0002C{camera}T0001F00{frame}.jpg" for camera in (1, 2) for frame in (1, 2)],
    }
    root = plant(*(f"bbox_{part}/{n[:4]}/{n}" for part in names for n in names[part]), "info/x")
    for part, person in (("train", 1), ("test", 2)):
        (root / "info" / f"{part}_name.txt").write_text("\n".join(names[part]))
        rows = [[1, 2, person, 1], [3, 4, person, 2]]
        scipy.io.savemat(root / f"info/tracks_{part}_info.mat", {f"track_{part}_info": rows})
    scipy.io.savemat(root / "info/query_IDX.mat", {"query_IDX": [1]})
    benchmark = load("g2a-vreid", root)
    assert [(one.person, one.camera) for one in benchmark.tracklets] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]
    assert benchmark.splits == (Split((0, 1), (2,), (3,)),)
    found = {fact.name: fact.found for fact in DATASETS["g2a-vreid"].count(root, benchmark)}
    assert found == {"people": 2, "tracklets": 4, "frames": 8, "cameras": 2}
