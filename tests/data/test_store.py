"""Opening a store: what a whole one gives, and what every kind of damage is answered with."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reseen.data.store import FRAMES_FILE, INDEX_FILE, FrameStore
from reseen.data.tracklet import Split
from reseen.errors import ReseenError

INDEX = {
    "format": 1,
    "fingerprint": "f00d",
    "notes": ["one camera was upside down"],
    "left_out": ["b/1: 1 of 5 pictures unreadable: 3.png"],
    "names": ["a/1", "b/1", "b/2"],
    "persons": [1, 2, 2],
    "cameras": [1, 1, 2],
    "starts": [0, 3, 8],
    "lengths": [3, 4, 2],
    "splits": [{"train": [0], "query": [1], "gallery": [2]}],
    "recipe": {"dataset": "folder", "flow": "dis"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 256, (10, 5, 64, 48), np.uint8)
    np.save(tmp_path / FRAMES_FILE, frames)
    write_index(tmp_path)
    return tmp_path


def write_index(path: Path, **changes: object) -> None:
    (path / INDEX_FILE).write_text(json.dumps(INDEX | changes))


def test_a_store_gives_its_tracklets_without_reading_them(path):
    store = FrameStore.open(path)
    assert isinstance(store.frames, np.memmap)
    assert len(store) == 3
    np.testing.assert_array_equal(store.tracklet(1), np.load(path / FRAMES_FILE)[3:7])
    assert np.shares_memory(store.tracklet(1), store.frames)
    assert store.splits == (Split((0,), (1,), (2,)),)
    assert (store.dataset, store.flow, store.fingerprint) == ("folder", "dis", "f00d")
    assert store.notes == ("one camera was upside down",)
    assert store.left_out == ("b/1: 1 of 5 pictures unreadable: 3.png",)
    assert store.names == ("a/1", "b/1", "b/2")
    for column in (store.persons, store.cameras, store.starts, store.lengths):
        assert column.dtype == np.int64


def test_frames_cannot_be_changed_by_accident(path):
    with pytest.raises(ValueError, match="read-only"):
        FrameStore.open(path).frames[0] = 0


def test_a_folder_without_a_store_is_named(tmp_path):
    with pytest.raises(ReseenError, match="nowhere is not a store; make one with"):
        FrameStore.open(tmp_path / "nowhere")


def test_an_unfinished_store_is_not_taken_for_a_whole_one(path):
    (path / INDEX_FILE).unlink()
    with pytest.raises(ReseenError, match="is not finished; run prepare again"):
        FrameStore.open(path)


@pytest.mark.parametrize("version", [2, None])
def test_a_store_of_another_version_is_refused(path, version):
    write_index(path, format=version)
    with pytest.raises(ReseenError, match=f"has format {version}, this version of reseen reads 1"):
        FrameStore.open(path)


def cut_frames(path: Path) -> None:
    content = (path / FRAMES_FILE).read_bytes()
    (path / FRAMES_FILE).write_bytes(content[:-1])


def hide_code_in_frames(path: Path) -> None:
    np.save(path / FRAMES_FILE, np.array([{"code": "here"}], object), allow_pickle=True)


@pytest.mark.parametrize(
    "damage",
    [
        cut_frames,
        hide_code_in_frames,
        lambda path: (path / FRAMES_FILE).write_bytes(b""),
        lambda path: (path / FRAMES_FILE).unlink(),
    ],
    ids=["cut short", "a pickle", "empty", "missing"],
)
def test_damaged_frames_are_named(path, damage):
    damage(path)
    with pytest.raises(ReseenError, match=r"frames\.npy is missing or damaged .*prepare it again"):
        FrameStore.open(path)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((10, 5, 64, 47), np.uint8), np.zeros((10, 5, 64, 48), np.float32)],
    ids=["other size", "other type"],
)
def test_frames_of_another_kind_are_refused(path, frames):
    np.save(path / FRAMES_FILE, frames)
    with pytest.raises(ReseenError, match=r"the frames in .* are not"):
        FrameStore.open(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"persons": [1, 2]}, "columns of unequal length"),
        ({"lengths": [3, 4, 3]}, "lies outside its frames"),
        ({"starts": [-1, 3, 8]}, "lies outside its frames"),
        ({"lengths": [3, 0, 2]}, "lies outside its frames"),
        ({"names": ["a/1", "b/1", "b/1"]}, "2 tracklets are called b/1"),
        ({"splits": [{"train": [0], "query": [3], "gallery": []}]}, "points at tracklet 3 of 3"),
        ({"splits": [{"train": [1], "query": [2], "gallery": []}]}, "trains on person 2"),
        ({"splits": [{"train": [0]}]}, "is damaged"),
        ({"persons": ["one", "two", "two"]}, "is damaged"),
        ({"recipe": {}}, "is damaged"),
    ],
)
def test_an_index_that_does_not_fit_together_is_refused(path, changes, message):
    write_index(path, **changes)
    with pytest.raises(ReseenError, match=message):
        FrameStore.open(path)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_an_index_that_is_no_index_is_refused(path, content):
    (path / INDEX_FILE).write_text(content)
    with pytest.raises(ReseenError):
        FrameStore.open(path)


def test_one_published_split_serves_every_trial(make_store):
    store = make_store([(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)])

    assert store.split(0) == store.split(7) == store.splits[0]


def test_a_trial_that_is_not_there_is_named(make_store):
    one = make_store([(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)])
    store = replace(one, splits=one.splits * 2)

    assert store.split(1) == store.splits[1]
    for trial in (2, -1):
        with pytest.raises(ReseenError, match=f"has 2 trials, from 0; not {trial}"):
            store.split(trial)
