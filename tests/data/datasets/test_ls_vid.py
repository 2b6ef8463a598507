from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from reseen.data.datasets import DATASETS, load
from reseen.data.tracklet import JUNK, Split
from reseen.errors import ReseenError

Plant = Callable[..., Path]

TRAIN = ["tracklet_train/0000/0000_0001_03_ 0", "tracklet_train/0000/0000_0002_15_ 0"]
TEST = [
    "tracklet_test/0842/0842_0001_01_ 842",
    "tracklet_test/0842/0842_0002_07_ 842",
    "tracklet_test/0843/0843_0003_07_ 843",
    "tracklet_test/-001/-001_0004_07_ -1",
]


@pytest.fixture
def root(plant: Plant) -> Path:
    """Each tracklet of two pictures; two of them share a folder."""
    lines = [*TRAIN, *TEST]
    return plant(*(f"{line.split()[0]}000{frame}.jpg" for line in lines for frame in (1, 2)))


def write_lists(root: Path, lists: str = "list_sequence", train=TRAIN, test=TEST) -> None:
    (root / lists).mkdir(parents=True)
    (root / lists / "list_seq_train.txt").write_text("\n".join(train) + "\n")
    (root / lists / "list_seq_test.txt").write_text("\n".join(test) + "\n")


def write_queries(path: Path, rows: list[int], hdf: bool) -> None:
    path.parent.mkdir(parents=True)
    if hdf:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["query"] = np.array([rows], np.float64)
        content = bytearray(path.read_bytes())
        content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
        path.write_bytes(content)
    else:
        scipy.io.savemat(path, {"query": [rows]})


@pytest.mark.parametrize(
    ("lists", "info", "hdf"),
    [
        ("list_sequence", "test/data", True),
        ("list_sequence", "test/data", False),
        ("info/list_sequence", "info/data", True),
    ],
)
def test_a_miniature_is_read_by_its_lists(root, lists, info, hdf):
    write_lists(root, lists)
    write_queries(root / info / "info_test.mat", [2, 1], hdf)
    benchmark = load("ls-vid", root)
    assert [one.person for one in benchmark.tracklets] == [1, 1, 843, 843, 844, JUNK]
    assert [one.camera for one in benchmark.tracklets] == [3, 15, 1, 7, 7, 7]
    assert benchmark.tracklets[1].files == ("0000_0002_15_0001.jpg", "0000_0002_15_0002.jpg")
    assert all(path.is_file() for one in benchmark.tracklets for path in one.paths)
    assert benchmark.splits == (Split((0, 1), (2, 3), (4, 5)),)
    found = {fact.name: fact.found for fact in DATASETS["ls-vid"].count(root, benchmark)}
    assert found == {
        "people": 3,
        "training people": 1,
        "training tracklets": 2,
        "queries": 2,
        "gallery tracklets": 2,
        "cameras": 4,
    }


def test_tracklets_may_have_folders_of_their_own(plant: Plant):
    names = ["0000_0001_03_0001.jpg", "0000_0001_03_0002.jpg"]
    root = plant(
        *(f"tracklet_train/0000/0001/{name}" for name in names),
        "tracklet_train/0000/0002/0001_0001_05_0001.jpg",
    )
    write_lists(root, train=["tracklet_train/0000/0001 0 3"], test=["tracklet_train/0000/0002 1 5"])
    write_queries(root / "test/data/info_test.mat", [1], False)
    assert load("ls-vid", root).tracklets[0].files == tuple(names)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tracklet_train/0000/0009_ 0", r"the pictures none in .*expected names like"),
        ("tracklet_train/0000/0000_ 0", "do not name one camera"),
        ("../tracklet_train/0000/0000_0001_03_ 0", "expected a place below ROOT and a person"),
        ("/etc/0000_0001_03_ 0", "expected a place below ROOT and a person"),
        ("tracklet_train/0000/0000_0001_03_", "expected a place below ROOT and a person"),
        ("tracklet_train/0000/0000_0001_03_ anna", "anna"),
        ("tracklet_train/0000/0000_0001_03_ 0 9", "camera 9, but the pictures say 3"),
        ("tracklet_train/nowhere/0000_0001_03_ 0", "cannot read the folder"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, line, message):
    write_lists(root, train=[line])
    write_queries(root / "test/data/info_test.mat", [1], False)
    with pytest.raises(ReseenError, match=message):
        load("ls-vid", root)


@pytest.mark.parametrize("rows", [[0], [5]])
def test_queries_outside_the_list_are_refused(root, rows):
    write_lists(root)
    write_queries(root / "test/data/info_test.mat", rows, False)
    with pytest.raises(ReseenError, match="is none of 4 test tracklets"):
        load("ls-vid", root)
