"""Preparing a store: what is in it, what is left out, and what survives an interruption."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.data import prepare as module
from reseen.data.coding import pack_frames
from reseen.data.frame_vectors import open_network
from reseen.data.pictures import read_picture
from reseen.data.prepare import prepare
from reseen.data.store import INDEX_FILE, PLAN_FILE, FrameStore, damaged_shards, shard_file
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError
from reseen.models.lite0 import lite0_file

LENGTHS = (3, 1, 4, 2, 5, 3)


def draw(root: Path) -> Benchmark:
    """Three people in two cameras; one trial trains on the first and searches for the others."""
    random = np.random.default_rng(0)
    tracklets = []
    for index, length in enumerate(LENGTHS):
        person, camera = index // 2 + 1, index % 2 + 1
        folder = root / f"{person}" / f"{camera}"
        folder.mkdir(parents=True)
        files = tuple(f"{number}.png" for number in range(length))
        for file in files:
            cv2.imwrite(str(folder / file), random.integers(0, 256, (40, 24, 3), np.uint8))
        tracklets.append(BenchmarkTracklet(f"{person}/{camera}", person, camera, folder, files))
    return Benchmark("folder", tuple(tracklets), (Split((0, 1), (2, 4), (3, 5)),), ("drawn",))


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return draw(tmp_path / "people")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Path]:
    """A benchmark and its store, not to be changed."""
    root = tmp_path_factory.mktemp("finished")
    benchmark = draw(root / "people")
    prepare(benchmark, root / "store", processes=2)
    return benchmark, root / "store"


@pytest.fixture
def copied(finished: tuple[Benchmark, Path], tmp_path: Path) -> tuple[Benchmark, Path]:
    benchmark, store = finished
    return benchmark, Path(shutil.copytree(store, tmp_path / "store"))


def packed_from(tracklet: BenchmarkTracklet, without: tuple[str, ...] = ()) -> np.ndarray:
    return pack_frames([read_picture(path) for path in tracklet.paths if path.name not in without])


def test_a_store_holds_every_tracklet_as_packed_by_itself(finished):
    benchmark, path = finished
    store = FrameStore(path)
    assert store.frames.shape == (sum(LENGTHS), 5, 64, 48)
    for index, tracklet in enumerate(benchmark.tracklets):
        np.testing.assert_array_equal(store.tracklet(index), packed_from(tracklet))
    assert store.names == ("1/1", "1/2", "2/1", "2/2", "3/1", "3/2")
    assert store.persons.tolist() == [1, 1, 2, 2, 3, 3]
    assert store.cameras.tolist() == [1, 2, 1, 2, 1, 2]
    assert store.lengths.tolist() == list(LENGTHS)
    assert store.splits == benchmark.splits
    assert (store.dataset, store.flow) == ("folder", "lucas-kanade")
    assert (store.notes, store.left_out) == (("drawn",), ())
    assert list(damaged_shards(path)) == []


def test_a_finished_store_holds_nothing_else_and_opens_with_numpy(finished):
    _, path = finished
    assert sorted(file.name for file in path.iterdir()) == [shard_file(0), INDEX_FILE]
    frames = np.load(path / shard_file(0), mmap_mode="r", allow_pickle=False)
    assert (frames.dtype, frames.shape) == (np.uint8, (sum(LENGTHS), 5, 64, 48))


@pytest.mark.parametrize(("most", "shards"), [(2, [4, 2]), (3, [3, 2, 1]), (100, [1] * 6)])
def test_shards_hold_whole_tracklets_in_order(benchmark, tmp_path, monkeypatch, most, shards):
    monkeypatch.setattr(module, "LEAST_PICTURES", 1)
    monkeypatch.setattr(module, "MOST_SHARDS", most)
    store = prepare(benchmark, tmp_path / "store", processes=1)
    ends = np.cumsum([0, *shards])
    for number, (begin, end) in enumerate(pairwise(ends)):
        frames = np.load(tmp_path / "store" / shard_file(number))
        tracklets = benchmark.tracklets[begin:end]
        np.testing.assert_array_equal(frames, np.concatenate([*map(packed_from, tracklets)]))
    for index, tracklet in enumerate(benchmark.tracklets):
        np.testing.assert_array_equal(store.tracklet(index), packed_from(tracklet))


def test_a_finished_store_is_opened_at_once(copied, monkeypatch):
    monkeypatch.setattr(module, "unordered", lambda *_: pytest.fail("worked again"))
    benchmark, path = copied
    before = (path / INDEX_FILE).read_bytes()
    leftovers = (path / PLAN_FILE, note_file(path, 0))  # as a kill in the last moment leaves them
    for file in leftovers:
        file.touch()
    assert len(prepare(benchmark, path)) == len(LENGTHS)
    assert (path / INDEX_FILE).read_bytes() == before
    assert not any(file.exists() for file in leftovers)


def note_file(path: Path, number: int) -> Path:
    return (path / shard_file(number)).with_suffix(".json")


# What is left out


def test_unreadable_pictures_are_left_out_and_named(benchmark, tmp_path):
    """Flow then runs between the neighbours of what is left out."""
    broken = benchmark.tracklets[4]
    (broken.folder / "0.png").write_bytes(b"")
    (broken.folder / "2.png").unlink()
    store = prepare(benchmark, tmp_path / "store", processes=1)
    assert store.left_out == ("3/1: 2 of 5 pictures unreadable: 0.png, 2.png",)
    np.testing.assert_array_equal(store.tracklet(4), packed_from(broken, ("0.png", "2.png")))
    np.testing.assert_array_equal(store.tracklet(5), packed_from(benchmark.tracklets[5]))
    assert store.splits == benchmark.splits


def test_a_tracklet_without_any_picture_leaves_the_trials_too(benchmark, tmp_path):
    for path in benchmark.tracklets[3].paths:
        path.write_bytes(b"not a picture")
    for path in (*benchmark.tracklets[0].paths, *benchmark.tracklets[1].paths):
        path.write_bytes(b"")
    everybody = replace(benchmark, splits=(Split((0, 1, 2), (4,), (5,)), Split((2, 3), (4,), (5,))))
    store = prepare(everybody, tmp_path / "store", processes=1)
    assert store.names == ("2/1", "3/1", "3/2")
    assert store.splits == (Split((0,), (1,), (2,)), Split((0,), (1,), (2,)))
    np.testing.assert_array_equal(store.tracklet(1), packed_from(benchmark.tracklets[4]))
    assert store.left_out[-1] == "2/2: 2 of 2 pictures unreadable: 0.png, 1.png"
    assert store.notes[-1].startswith("3 of 6 tracklets and 1 of 3 people are in no trial")


def test_long_lists_of_unreadable_pictures_are_cut(benchmark, tmp_path):
    for path in benchmark.tracklets[4].paths:
        path.write_bytes(b"")
    store = prepare(benchmark, tmp_path / "store", processes=1)
    assert store.left_out == ("3/1: 5 of 5 pictures unreadable: 0.png, 1.png, 2.png, …",)


def test_a_part_of_a_trial_with_nobody_left_is_an_error(benchmark, tmp_path):
    for index in (0, 1):
        for path in benchmark.tracklets[index].paths:
            path.write_bytes(b"")
    with pytest.raises(ReseenError, match="not one train tracklet has a readable picture"):
        prepare(benchmark, tmp_path / "store", processes=1)
    assert not (tmp_path / "store" / INDEX_FILE).exists()


# What has changed


def changed_picture(old: Benchmark) -> Benchmark:
    """The same pictures, but written later."""
    *first, changed = old.tracklets
    later = Path(f"{changed.folder}-later")
    shutil.copytree(changed.folder, later, copy_function=shutil.copy, dirs_exist_ok=True)
    return replace(old, tracklets=(*first, replace(changed, folder=later)))


CHANGES = {
    "a picture": (changed_picture, "from other pictures of tracklet 3/2, which have changed"),
    "a tracklet more": (
        lambda old: replace(
            old, tracklets=(*old.tracklets, replace(old.tracklets[0], name="1/3", camera=3))
        ),
        "without tracklet 1/3, which has come",
    ),
    "a tracklet less": (
        lambda old: replace(old, tracklets=old.tracklets[:5], splits=(Split((0,), (2,), (3,)),)),
        "with tracklet 3/2, which has gone",
    ),
    "a person's number": (
        lambda old: replace(
            old, tracklets=(*old.tracklets[:5], replace(old.tracklets[5], person=9))
        ),
        "from other pictures of tracklet 3/2",
    ),
    "the splits": (
        lambda old: replace(old, splits=(Split((2, 3), (0,), (1,)),)),
        "with other splits",
    ),
    "the data set": (lambda old: replace(old, dataset="mars"), "with dataset folder, not mars"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_a_changed_source_is_noticed_and_named(copied, change, message, state):
    benchmark, path = copied
    if state == "unfinished":
        make_unfinished(path)
    with pytest.raises(ReseenError, match=f"{path} was prepared {message}.*choose another --out"):
        prepare(change(benchmark), path)


def make_unfinished(path: Path) -> None:
    """Take a store's index away, as if it had been stopped before its first shard."""
    recipe = json.loads((path / INDEX_FILE).read_text())["recipe"]
    (path / PLAN_FILE).write_text(json.dumps(recipe))
    (path / INDEX_FILE).unlink()


def test_a_changed_setting_is_noticed_and_named(copied):
    benchmark, path = copied
    with pytest.raises(ReseenError, match="was prepared with flow lucas-kanade, not dis"):
        prepare(benchmark, path, flow="dis")


def test_an_unknown_flow_is_refused_before_anything_is_written(benchmark, tmp_path):
    with pytest.raises(ReseenError, match="no flow called tvl1"):
        prepare(benchmark, tmp_path / "store", flow="tvl1")
    assert not (tmp_path / "store").exists()


# Interruptions

KILLED = """
import sys
from pathlib import Path
from reseen.data import prepare as module
sys.path.insert(0, sys.argv[1])
from test_prepare import many

def telling(work, tasks, processes, unordered=module.unordered):
    for result in unordered(work, tasks, processes):
        print("written", flush=True)
        yield result

if __name__ == "__main__":
    module.LEAST_PICTURES = 1
    module.unordered = telling
    module.prepare(many(Path(sys.argv[2])), Path(sys.argv[3]), processes=2)
"""


def many(root: Path) -> Benchmark:
    """The tracklet of one folder, forty times over."""
    files = tuple(sorted(file.name for file in root.iterdir()))
    tracklets = tuple(
        BenchmarkTracklet(f"{number}", number, 1, root, files) for number in range(1, 41)
    )
    return Benchmark("folder", tracklets, (Split(tuple(range(40)), (), ()),))


def test_killed_and_started_again_it_continues(benchmark, tmp_path, monkeypatch):
    """A real SIGKILL after the third shard; the store must be the same byte for byte."""
    root = benchmark.tracklets[4].folder
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    (tmp_path / "script.py").write_text(KILLED)
    arguments = [tmp_path / "script.py", Path(__file__).parent, root, killed]
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert [process.stdout.readline() for _ in range(3)] == ["written\n"] * 3
    process.kill()
    process.communicate(timeout=60)
    with pytest.raises(ReseenError, match="is not finished; run prepare again"):
        FrameStore(killed)

    monkeypatch.setattr(module, "LEAST_PICTURES", 1)
    done = []
    monkeypatch.setattr(module, "unordered", counting(module.unordered, done))
    prepare(many(root), killed, processes=1)
    assert 0 < len(done) <= 37
    done.clear()
    prepare(many(root), whole, processes=2)
    assert len(done) == 40
    files = {file.name for file in killed.iterdir()}
    assert files == {file.name for file in whole.iterdir()}
    assert files == {INDEX_FILE, *map(shard_file, range(40))}
    for file in files:
        assert (killed / file).read_bytes() == (whole / file).read_bytes()


def counting(unordered, done: list):
    def counted(work, tasks, processes):
        for result in unordered(work, tasks, processes):
            done.append(result)
            yield result

    return counted


def test_a_shard_without_its_note_is_packed_again(copied):
    """A kill can fall between the two; nothing vouches for the shard then."""
    benchmark, path = copied
    make_unfinished(path)
    before = (path / shard_file(0)).read_bytes()
    (path / shard_file(0)).write_bytes(b"from somewhere else")
    (path / f".{shard_file(0)}.half.npy").write_bytes(b"cut off by a kill")
    prepare(benchmark, path, processes=1)
    assert sorted(file.name for file in path.iterdir()) == [shard_file(0), INDEX_FILE]
    assert (path / shard_file(0)).read_bytes() == before


@pytest.mark.parametrize("content", ["these are words", "[]", '{"digest": 1}', "null"])
def test_a_damaged_note_is_named(copied, content):
    benchmark, path = copied
    make_unfinished(path)
    note_file(path, 0).write_text(content)
    with pytest.raises(ReseenError, match=str(note_file(path, 0))):
        prepare(benchmark, path)
    assert not (path / INDEX_FILE).exists()


@pytest.mark.parametrize("content", ["these are words", "[]", "null", "{}"])
def test_a_damaged_plan_is_named(copied, content):
    benchmark, path = copied
    make_unfinished(path)
    (path / PLAN_FILE).write_text(content)
    with pytest.raises(ReseenError, match=str(path)):
        prepare(benchmark, path)


def test_frames_that_somebody_else_put_there_are_not_overwritten(benchmark, tmp_path):
    (tmp_path / shard_file(0)).write_bytes(b"precious")
    with pytest.raises(ReseenError, match=r"is not empty and holds no unfinished\.json"):
        prepare(benchmark, tmp_path)
    assert (tmp_path / shard_file(0)).read_bytes() == b"precious"


def test_a_full_disk_leaves_no_half_file_and_can_be_continued(benchmark, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "store"
    monkeypatch.setattr(module, "unordered", lambda work, tasks, _: (work(*task) for task in tasks))
    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_header", full)
        with pytest.raises(ReseenError, match=rf"no space left on the disk for .*{shard_file(0)}"):
            prepare(benchmark, path)
    assert [file.name for file in path.iterdir()] == [PLAN_FILE]
    assert len(prepare(benchmark, path)) == len(LENGTHS)


def test_too_small_frames_for_a_flow_are_named_with_their_tracklet(benchmark, tmp_path):
    for path in benchmark.tracklets[2].paths:
        cv2.imwrite(str(path), np.zeros((6, 4, 3), np.uint8))
    with pytest.raises(ReseenError, match="tracklet 2/1: frames of 6x4 pixels are too small"):
        prepare(benchmark, tmp_path / "store", flow="dis", processes=1)


def test_a_store_of_a_trunk_holds_its_vectors_of_each_half_and_mirror(benchmark, tmp_path):
    store = prepare(benchmark, tmp_path / "store", processes=2, trunk="lite0")
    assert store.frame_shape == (6, 3_712)
    assert (store.frames.dtype, store.trunk, store.flow) == (np.float16, "lite0-57934424", "none")
    network = open_network("lite0")
    for index, tracklet in enumerate(benchmark.tracklets):
        pictures = [read_picture(path) for path in tracklet.paths]
        for place, part in ((0, slice(0, 40)), (2, slice(0, 20)), (4, slice(20, 40))):
            halves = [picture[part] for picture in pictures]
            mirrored = [np.ascontiguousarray(half[:, ::-1]) for half in halves]
            found = store.tracklet(index)[:, place : place + 2].astype(np.float32)
            np.testing.assert_allclose(found[:, 0], network.vectors(halves), atol=1e-3)
            np.testing.assert_allclose(found[:, 1], network.vectors(mirrored), atol=1e-3)
    assert not list(damaged_shards(store.path))


def test_a_store_of_a_trunk_named_by_its_file_says_where_it_lay(benchmark, tmp_path, monkeypatch):
    (tmp_path / "own.onnx").write_bytes(lite0_file().read_bytes())
    monkeypatch.chdir(tmp_path)
    store = prepare(benchmark, "store", processes=1, trunk="own.onnx", style="lite0")
    assert store.trunk.startswith("own-lite0-")
    assert store.trunk_file == str(tmp_path / "own.onnx")


def test_a_store_of_another_trunk_is_not_gone_on_with(benchmark, copied):
    with pytest.raises(ReseenError, match=r"with the trunk \(none\), not lite0-57934424"):
        prepare(copied[0], copied[1], trunk="lite0")


def test_a_trunk_that_cannot_be_used_leaves_nothing(benchmark, tmp_path):
    with pytest.raises(ReseenError, match="neither an ONNX file"):
        prepare(benchmark, tmp_path / "store", trunk="nothing")
    assert not (tmp_path / "store").exists()
