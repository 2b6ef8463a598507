"""Opening a store: what a whole one gives, and what every kind of damage is answered with."""

import json
from dataclasses import replace
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reseen.data.store import (
    FORMAT,
    INDEX_FILE,
    PLAN_FILE,
    FrameStore,
    Index,
    Recipe,
    damaged_shards,
    shard_file,
)
from reseen.data.tracklet import Split
from reseen.errors import ReseenError
from tests.conftest import changed, write_shard

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 5, 64, 48), np.uint8)
VECTORS = np.random.default_rng(0).normal(size=(9, 6, 32)).astype(np.float16)


def write(path: Path, frames: NDArray[np.generic] = FRAMES, **changes: object) -> Path:
    """A store of three shards, the second of which is empty."""
    path.mkdir(exist_ok=True)
    parts = (frames[:3], frames[3:3], frames[3:])
    index = Index(
        format=FORMAT,
        fingerprint="f00d",
        notes=("one camera was upside down",),
        left_out=("b/1: 1 of 5 pictures unreadable: 3.png",),
        frame_shape=frames.shape[1:],
        dtype=str(frames.dtype),
        shards=tuple(write_shard(path, number, part) for number, part in enumerate(parts)),
        names=("a/1", "b/1", "b/2"),
        persons=(1, 2, 2),
        cameras=(1, 1, 2),
        lengths=(3, 4, 2),
        splits=(Split((0,), (1,), (2,)),),
        recipe=Recipe("folder", "dis", "", {}),
    )
    replace(index, **changes).write(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "store")


def is_mapped(array: Any) -> bool:
    """Whether an array, or what it is a view of, is a file in memory."""
    return array is not None and (
        isinstance(array, mmap) or is_mapped(getattr(array, "base", None))
    )


@pytest.mark.parametrize("frames", [FRAMES, VECTORS], ids=["pictures", "vectors"])
def test_a_store_gives_its_tracklets_without_reading_them(tmp_path, frames):
    store = FrameStore(write(tmp_path / "store", frames))
    assert len(store) == 3
    for index, rows in enumerate((slice(0, 3), slice(3, 7), slice(7, 9))):
        np.testing.assert_array_equal(store.tracklet(index), frames[rows])
        assert is_mapped(store.tracklet(index))
    assert (store.frame_shape, store.frames.dtype) == (frames.shape[1:], frames.dtype)
    assert (store.frames.shape, store.frames.nbytes) == (frames.shape, frames.nbytes)
    assert store.splits == (Split((0,), (1,), (2,)),)
    assert (store.dataset, store.flow, store.fingerprint) == ("folder", "dis", "f00d")
    assert store.notes == ("one camera was upside down",)
    assert store.left_out == ("b/1: 1 of 5 pictures unreadable: 3.png",)
    assert store.names == ("a/1", "b/1", "b/2")
    assert store.starts.tolist() == [0, 3, 7]
    for column in (store.persons, store.cameras, store.starts, store.lengths):
        assert column.dtype == np.int64


@pytest.mark.parametrize(
    "rows",
    [np.arange(9), np.array([[8, 0, 2], [3, 3, 4]]), np.array([2, 3]), np.array([], int), 5],
    ids=["all", "mixed", "across a border", "none", "one"],
)
def test_frames_of_several_shards_are_read_as_if_they_lay_in_one(path, rows):
    frames = FrameStore(path).frames
    np.testing.assert_array_equal(frames[np.asarray(rows)], FRAMES[rows])
    np.testing.assert_array_equal(np.array(frames), FRAMES)


@pytest.mark.parametrize("rows", [[-1], [0, 9]])
def test_rows_outside_the_store_are_no_frames(path, rows):
    with pytest.raises(IndexError, match="of 9 frames"):
        FrameStore(path).frames[np.array(rows)]


def test_frames_cannot_be_changed_by_accident(path):
    with pytest.raises(ValueError, match="read-only"):
        FrameStore(path).tracklet(0)[0] = 0


def test_a_folder_without_a_store_is_named(tmp_path):
    with pytest.raises(ReseenError, match="nowhere is not a store; make one with"):
        FrameStore(tmp_path / "nowhere")


def test_an_unfinished_store_is_not_taken_for_a_whole_one(path):
    (path / INDEX_FILE).rename(path / PLAN_FILE)
    with pytest.raises(ReseenError, match="is not finished; run prepare again"):
        FrameStore(path)


@pytest.mark.parametrize("version", [1, 99, None])
def test_a_store_of_another_version_is_to_be_prepared_again(path, version):
    (path / INDEX_FILE).write_text(json.dumps({"format": version, "starts": [0]}))
    message = f"has format {version}, this version of reseen reads 2; remove .* prepare it again"
    with pytest.raises(ReseenError, match=message):
        FrameStore(path)


def cut_frames(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def hide_code_in_frames(file: Path) -> None:
    np.save(file, np.array([{"code": "here"}], object), allow_pickle=True)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize(
    "damage",
    [
        cut_frames,
        hide_code_in_frames,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran"),
        lambda file: file.write_bytes(b"\x93NUMPY\x01\x00\x76\x00{'descr': (" + b" " * 105),
        lambda file: file.write_bytes(b"\x93NUMPY\x02\x00\x76\x00\x00\x00'''" + b" " * 115),
        lambda file: file.write_bytes(
            b"\x93NUMPY\x01\x00\x76\x00"
            + b"{'descr': '|u1', 'fortran_order': False, 'shape': (9%030d,)}".ljust(118) % 0
        ),
        lambda file: file.unlink(),
    ],
    ids=["cut", "a pickle", "empty", "half", "open bracket", "open text", "too many", "missing"],
)
def test_damaged_frames_are_named(path, damage, number):
    damage(path / shard_file(number))
    message = rf"{shard_file(number)} is missing or damaged .*prepare it again"
    with pytest.raises(ReseenError, match=message):
        FrameStore(path)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((6, 5, 64, 47), np.uint8),
        np.zeros((6, 5, 64, 48), np.float32),
        np.zeros((5, 5, 64, 48), np.uint8),
    ],
    ids=["other size", "other type", "fewer"],
)
def test_frames_of_another_kind_are_refused(path, frames):
    np.save(path / shard_file(2), frames)
    with pytest.raises(ReseenError, match=rf"{shard_file(2)} holds .* not uint8 of shape"):
        FrameStore(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"persons": (1, 2)}, "columns of unequal length"),
        ({"lengths": (3, 4, 3)}, "not as long as its frames"),
        ({"lengths": (3, 6, 0)}, "not as long as its frames"),
        ({"names": ("a/1", "b/1", "b/1")}, "2 tracklets are called b/1"),
        ({"splits": (Split((0,), (3,), ()),)}, "points at tracklet 3 of 3"),
        ({"splits": (Split((1,), (2,), ()),)}, "trains on person 2"),
        ({"splits": ({"train": [0]},)}, r"is damaged: .*splits\[0\]"),
        ({"persons": ("one", "two", "two")}, r"is damaged: .*persons\[0\]"),
        ({"lengths": (10**30, 2, 3)}, r"is damaged: .*lengths\[0\]"),
    ],
)
def test_an_index_that_does_not_fit_together_is_refused(tmp_path, changes, message):
    with pytest.raises(ReseenError, match=message):
        FrameStore(write(tmp_path / "store", **changes))


@pytest.mark.parametrize("content", ["{", "[]", "", "null"])
def test_an_index_that_is_no_index_is_refused(path, content):
    (path / INDEX_FILE).write_text(content)
    with pytest.raises(ReseenError):
        FrameStore(path)


def test_any_byte_of_the_index_that_changes_it_is_noticed(path):
    file = path / INDEX_FILE
    whole = file.read_bytes()
    for place in range(len(whole)):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        file.write_bytes(changed)
        with pytest.raises(ReseenError, match=f"{INDEX_FILE}|has format"):
            FrameStore(path)


@pytest.mark.parametrize("place", [0, 60, 128, 5000, -1])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_flipped_byte_in_any_shard_is_named(path, number, place):
    assert list(damaged_shards(path)) == []
    file = path / shard_file(number)
    content = bytearray(file.read_bytes())
    content[min(place, len(content) - 1)] ^= 1
    file.write_bytes(content)
    (line,) = damaged_shards(path)
    assert line.startswith(f"{file} is missing or damaged")


def test_one_published_split_serves_every_trial(make_store):
    store = make_store([(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)])

    assert store.split(0) == store.split(7) == store.splits[0]


def test_a_trial_that_is_not_there_is_named(make_store):
    one = make_store([(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)])
    store = changed(one, splits=one.splits * 2)

    assert store.split(1) == store.splits[1]
    for trial in (2, -1):
        with pytest.raises(ReseenError, match=f"has 2 trials, from 0; not {trial}"):
            store.split(trial)
