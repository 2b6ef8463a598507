import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reseen.data.datasets import mars
from reseen.data.datasets.common import cameras_of_people, first_tracklets
from reseen.data.tracklet import DISTRACTOR, JUNK, Benchmark, BenchmarkTracklet
from reseen.errors import ReseenError

Plant = Callable[..., Path]

TRAIN = ["0001C1T0001F001", "0001C1T0001F002", "0001C2T0001F001", "0003C4T0002F007"]
TEST = ["00-1C1T0001F001", "0000C2T0001F001", "0000C2T0001F002"]
TEST += ["0002C1T0001F001", "0002C1T0002F001", "0002C6T0003F001", "0004C5T0001F001"]
TRAIN_TABLE = [[1, 2, 1, 1], [3, 3, 1, 2], [4, 4, 3, 4]]
TEST_TABLE = [[1, 1, -1, 1], [2, 3, 0, 2], [4, 4, 2, 1], [5, 5, 2, 1], [6, 6, 2, 6], [7, 7, 4, 5]]


def pictures(names: list[str], part: str) -> list[str]:
    return [f"bbox_{part}/{name[:4]}/{name}.jpg" for name in names]


@pytest.fixture
def root(plant: Plant) -> Path:
    return plant(*pictures(TRAIN, "train"), *pictures(TEST, "test"))


def write_tables(root: Path, query: tuple[int, ...] = (4, 5)) -> Path:
    info = root / "info"
    info.mkdir()
    for part, names, table in (("train", TRAIN, TRAIN_TABLE), ("test", TEST, TEST_TABLE)):
        (info / f"{part}_name.txt").write_text("".join(f"{name}.jpg\n" for name in names))
        key = f"track_{part}_info"
        scipy.io.savemat(info / f"tracks_{part}_info.mat", {key: np.array(table, np.int32)})
    scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": np.array([query], np.uint16)})
    return info


def summary(benchmark: Benchmark) -> list[tuple[str, int, int, int]]:
    return [(one.name, one.person, one.camera, len(one)) for one in benchmark.tracklets]


EXPECTED = [
    ("0001C1T0001", 1, 1, 2),
    ("0001C2T0001", 1, 2, 1),
    ("0003C4T0002", 3, 4, 1),
    ("00-1C1T0001", JUNK, 1, 1),
    ("0000C2T0001", DISTRACTOR, 2, 2),
    ("0002C1T0001", 2, 1, 1),
    ("0002C1T0002", 2, 1, 1),
    ("0002C6T0003", 2, 6, 1),
    ("0004C5T0001", 4, 5, 1),
]


def test_tables_count_from_one_and_include_the_last_line(root: Path):
    write_tables(root)
    benchmark = mars.load(root)
    assert summary(benchmark) == EXPECTED
    assert benchmark.tracklets[0].files == ("0001C1T0001F001.jpg", "0001C1T0001F002.jpg")
    assert benchmark.notes == ()
    assert all(path.is_file() for one in benchmark.tracklets for path in one.paths)


def test_queries_are_rows_of_the_test_table_and_the_gallery_is_all_of_it(root: Path):
    write_tables(root, query=(4, 5))
    (split,) = mars.load(root).splits
    assert (split.train, split.query, split.gallery) == ((0, 1, 2), (6, 7), (3, 4, 5, 6, 7, 8))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ((0,), r"query_IDX.mat does not point at 6 tracklets"),
        ((7,), r"query_IDX.mat does not point at 6 tracklets"),
        ((), r"query_IDX.mat has no table query_IDX"),
    ],
)
def test_a_query_outside_the_table_is_refused(root: Path, query: tuple[int, ...], message: str):
    write_tables(root, query)
    with pytest.raises(ReseenError, match=message):
        mars.load(root)


def test_name_lists_may_be_packed(root: Path):
    info = write_tables(root)
    for part in ("train", "test"):
        path = info / f"{part}_name.txt"
        (info / f"{part}_name.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert summary(mars.load(root)) == EXPECTED


def test_frames_of_a_row_are_put_in_time_order(root: Path):
    info = write_tables(root)
    names = ["0001C1T0001F1000", "0001C1T0001F999", *TRAIN[2:]]
    (info / "train_name.txt").write_text("".join(f"{name}.jpg\n" for name in names))
    files = mars.load(root).tracklets[0].files
    assert files == ("0001C1T0001F999.jpg", "0001C1T0001F1000.jpg")


def test_without_tables_the_file_names_tell_and_the_program_says_so(root: Path):
    benchmark = mars.load(root)
    assert sorted(summary(benchmark)) == sorted(EXPECTED)
    (split,) = benchmark.splits
    names = [one.name for one in benchmark.tracklets]
    assert [names[i] for i in split.train] == ["0001C1T0001", "0001C2T0001", "0003C4T0002"]
    # The first tracklet in each camera; person 4 was seen by one camera only.
    assert [names[i] for i in split.query] == ["0002C1T0001", "0002C6T0003"]
    assert len(split.gallery) == 6
    (note,) = benchmark.notes
    assert "has no folder info" in note
    assert "is a query (2)" in note


def test_without_tables_other_files_are_left_out_and_counted(root: Path, plant: Plant):
    plant("bbox_train/0001/Thumbs.db", "bbox_test/0002/0001C1T0009F001.jpg", "bbox_test/a.txt")
    benchmark = mars.load(root)
    assert sorted(summary(benchmark)) == sorted(EXPECTED)
    left_out = "bbox_train/0001/Thumbs.db, bbox_test/0002/0001C1T0009F001.jpg"
    assert benchmark.notes[1] == f"files left out, no frames: 2 ({left_out})"


def test_without_tables_frames_are_in_time_order_whatever_the_order_on_disk(
    root: Path, plant: Plant
):
    numbers = [12, 7, 1000, 3, 11, 999, 9, 10, 4, 8, 6, 5]
    plant(*pictures([f"0001C1T0001F{number:03d}" for number in numbers], "train"))
    files = mars.load(root).tracklets[0].files
    assert files == tuple(f"0001C1T0001F{number:03d}.jpg" for number in sorted([1, 2, *numbers]))


def test_the_parent_folder_will_do(root: Path):
    (root / "mars").mkdir()
    for part in ("train", "test"):
        (root / f"bbox_{part}").rename(root / "mars" / f"bbox_{part}")
    assert len(mars.load(root).tracklets) == 9


def test_a_wrong_folder_is_explained(plant: Plant):
    root = plant("bbox_train/0001/0001C1T0001F001.jpg")
    with pytest.raises(ReseenError, match=r"no bbox_train/ and bbox_test/ in .*; expected"):
        mars.load(root)
    (root / "bbox_test").mkdir()
    with pytest.raises(ReseenError, match=r"no picture of a person in .*bbox_test; expected MARS"):
        mars.load(root)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train_name.txt", "0001C1T0001F001.jpg\n", "points outside the 1 lines of train_name.txt"),
        ("train_name.txt", "a.jpg\n" * 4, '"a.jpg" is no file name of MARS'),
        ("test_name.txt", None, "cannot read .*test_name.txt, nor test_name.txt.gz"),
        ("tracks_test_info.mat", None, "tracks_test_info.mat does not exist"),
        ("tracks_test_info.mat", "cut", "tracks_test_info.mat cannot be read as a MATLAB file"),
        ("query_IDX.mat", None, "query_IDX.mat does not exist"),
    ],
)
def test_a_broken_table_is_named(root: Path, file: str, content: str | None, message: str):
    path = write_tables(root) / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReseenError, match=message):
        mars.load(root)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 2, 1]], "has 3 columns, not first, last, person, camera"),
        ([[0, 2, 1, 1]], "points outside the 4 lines"),
        ([[1, 5, 1, 1]], "points outside the 4 lines"),
        ([[2, 1, 1, 1]], "are not of one tracklet"),
        ([[1, 3, 1, 1]], "are not of one tracklet"),
        ([[1, 2, 2, 1]], "disagree at line 1"),
        ([[1, 2, 1, 3]], "disagree at line 1"),
    ],
)
def test_tables_that_do_not_fit_the_names_are_refused(
    root: Path, table: list[list[int]], message: str
):
    path = write_tables(root) / "tracks_train_info.mat"
    scipy.io.savemat(path, {"track_train_info": np.array(table, np.int32)})
    with pytest.raises(ReseenError, match=message):
        mars.load(root)


@pytest.fixture(scope="module")
def full(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """All of MARS by its real tables; the pictures are not there and not needed."""
    root = tmp_path_factory.mktemp("mars")
    (root / "bbox_train").mkdir()
    (root / "bbox_test").mkdir()
    (root / "info").symlink_to(shared_data / "mars-info")
    return mars.load(root)


def parts(
    benchmark: Benchmark,
) -> tuple[list[BenchmarkTracklet], list[BenchmarkTracklet], list[BenchmarkTracklet]]:
    (split,) = benchmark.splits
    train, query, gallery = (
        [benchmark.tracklets[index] for index in part]
        for part in (split.train, split.query, split.gallery)
    )
    return train, query, gallery


def test_the_real_tables_have_the_published_sizes(full: Benchmark):
    train, query, gallery = parts(full)
    assert (len(train), len(query), len(gallery)) == (8298, 1980, 12180)
    assert (sum(map(len, train)), sum(map(len, gallery))) == (509_914, 681_089)
    assert len({one.person for one in train}) == 625
    assert len({one.person for one in gallery}) == 634 + 2
    assert len({one.person for one in query}) == 626
    assert {one.camera for one in full.tracklets} == {1, 2, 3, 4, 5, 6}


def test_the_real_junk_and_distractors_are_kept_and_marked(full: Benchmark):
    _, query, gallery = parts(full)
    persons = Counter(one.person for one in gallery)
    assert (persons[JUNK], persons[DISTRACTOR]) == (870, 3248)
    assert len(gallery) - len(query) - persons[JUNK] - persons[DISTRACTOR] == 6082
    # The galleries of the three protocols.
    assert len(gallery) - len(query) == 10_200
    assert len(gallery) - len(query) - persons[JUNK] == 9330
    assert len(gallery) - persons[JUNK] == 11_310
    junk = next(one for one in gallery if one.person == JUNK)
    assert (junk.name, junk.folder.name) == ("00-1C1T0001", "00-1")


def test_the_real_lengths_and_cameras_are_the_known_ones(full: Benchmark):
    train, query, gallery = parts(full)
    for part, shortest, longest, median, mean in (
        (train, 5, 900, 36, 61.5),
        (gallery, 2, 920, 30, 55.9),
    ):
        lengths = [len(one) for one in part]
        assert (min(lengths), max(lengths), np.median(lengths)) == (shortest, longest, median)
        assert np.mean(lengths) == pytest.approx(mean, abs=0.05)
    assert sum(len(one) < 16 for one in train) == 1494
    assert sum(len(one) < 16 for one in query) == 391
    seen = Counter(len(cameras) for cameras in cameras_of_people(train).values())
    assert [seen[number] for number in range(1, 7)] == [6, 221, 184, 137, 55, 22]


def test_the_real_training_people_are_not_scored(full: Benchmark):
    train, _, gallery = parts(full)
    assert not {one.person for one in train} & {one.person for one in gallery}


def test_the_rule_without_tables_chooses_as_many_queries_as_the_real_table(full: Benchmark):
    """One query for each person and camera: both name the same 1,980 views."""
    (split,) = full.splits
    by_rule = first_tracklets(full.tracklets, split.gallery)

    def views(indices: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(full.tracklets[i].person, full.tracklets[i].camera) for i in indices}

    assert len(by_rule) == 1980
    assert views(by_rule) == views(split.query)


def test_140_real_queries_have_no_match_outside_the_queries(full: Benchmark):
    (split,) = full.splits
    others = [full.tracklets[index] for index in set(split.gallery) - set(split.query)]
    cameras = cameras_of_people(others)
    queries = [full.tracklets[index] for index in split.query]
    assert sum(not cameras.get(one.person, set()) - {one.camera} for one in queries) == 140
