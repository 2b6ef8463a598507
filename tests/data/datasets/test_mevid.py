from collections.abc import Callable
from pathlib import Path

import pytest

from reseen.data.datasets import DATASETS, load
from reseen.data.tracklet import Split
from reseen.errors import ReseenError

Plant = Callable[..., Path]


def names(person: int, outfit: int, camera: int, tracklet: int, frames: int = 2) -> list[str]:
    stem = f"{person:04d}O{outfit:03d}C{camera}T{tracklet:03d}"
    return [f"{stem}F{frame:05d}.jpg" for frame in range(frames)]


TRAIN = [*names(103, 20, 424, 0, 3), *names(103, 20, 330, 1)]
TEST = [*names(201, 3, 330, 4), *names(201, 4, 505, 0), *names(205, 1, 505, 2)]
TABLES = {
    "train_name.txt": "\n".join(TRAIN),
    "test_name.txt": "\n".join(TEST),
    "track_train_info.txt": "0 2 103 20 424\n3 4 103 20 330\n",
    "track_test_info.txt": "0.0e+00 1.0e+00 2.01e+02 3 330\n2 3 201 4 505\n4 5 205 1 505\n",
    "query_IDX.txt": "0\n",
}


def planted(plant: Plant, info: str = "mevid-v1-annotation-data", **changed: str) -> Path:
    paths = [f"bbox_train/{name[:4]}/{name}" for name in TRAIN]
    root = plant(*paths, *(f"bbox_test/{name[:4]}/{name}" for name in TEST))
    (root / info).mkdir(exist_ok=True)
    for name, text in (TABLES | {f"{key}.txt": text for key, text in changed.items()}).items():
        (root / info / name).write_text(text)
    return root


@pytest.mark.parametrize("info", ["mevid-v1-annotation-data", "."])
def test_a_miniature_is_read_by_its_tables(plant: Plant, info: str):
    root = planted(plant, info)
    benchmark = load("mevid", root)
    assert [(one.person, one.camera, len(one)) for one in benchmark.tracklets] == [
        (103, 424, 3),
        (103, 330, 2),
        (201, 330, 2),
        (201, 505, 2),
        (205, 505, 2),
    ]
    assert all(path.is_file() for one in benchmark.tracklets for path in one.paths)
    assert benchmark.splits == (Split((0, 1), (2,), (3, 4)),)
    assert "not told apart" in benchmark.notes[0]
    found = {fact.name: fact.found for fact in DATASETS["mevid"].count(root, benchmark)}
    assert found == {"people": 3, "tracklets": 5, "cameras": 3}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"track_train_info": "1 3 103 20 424\n"}, "says person 103, camera 424, pictures 1 to 3"),
        ({"track_train_info": "0 9 103 20 424\n"}, "train_name.txt of 5 names"),
        ({"track_train_info": "-1 2 103 20 424\n"}, "pictures -1 to 2"),
        ({"track_train_info": "0 2 104 20 424\n"}, r"says \[\(103, 424\)\]"),
        ({"track_train_info": "0 2 103 424\n"}, "must have rows of start, end, person"),
        ({"track_train_info": "zero\n"}, "as a table of numbers"),
        ({"track_train_info": ""}, "must have rows of start"),
        ({"track_train_info": "0 inf 103 20 424\n"}, "as a table of numbers"),
        ({"train_name": "\n".join(["../../passwd", *TRAIN[1:]])}, "line 1 of"),
        ({"query_IDX": "3\n"}, "is none of 3 test tracklets"),
        ({"query_IDX": "-1\n"}, "is none of 3 test tracklets"),
    ],
)
def test_tables_that_do_not_fit_are_named(plant: Plant, changed: dict[str, str], message: str):
    with pytest.raises(ReseenError, match=message):
        load("mevid", planted(plant, **changed))
