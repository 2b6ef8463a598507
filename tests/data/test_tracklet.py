import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reseen.data.layout import natural_sorted
from reseen.data.tracklet import (
    DISTRACTOR,
    JUNK,
    Benchmark,
    BenchmarkTracklet,
    Split,
)
from reseen.errors import ReseenError


def tracklet(person: int, camera: int, name: str = "") -> BenchmarkTracklet:
    return BenchmarkTracklet(name or f"{person}/{camera}", person, camera, Path("root"), ("1.png",))


def test_numbers_in_names_sort_by_value():
    assert natural_sorted(["10.png", "9.png", "1.png"]) == ["1.png", "9.png", "10.png"]
    frames = ["cam1_person001_00317.png", "cam1_person001_9.png", "cam1_person001_01000.png"]
    assert natural_sorted(frames) == [frames[1], frames[0], frames[2]]


def test_superscripts_are_no_numbers():
    assert natural_sorted(["1²", "1"]) == ["1", "1²"]


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_frames_sort_as_their_numbers_do(numbers: list[int]):
    assert natural_sorted(map("frame {}.jpg".format, numbers)) == [
        f"frame {number}.jpg" for number in sorted(numbers)
    ]


@given(st.lists(st.text(max_size=8), unique=True))
def test_the_order_does_not_depend_on_the_order_before(names: list[str]):
    assert natural_sorted(names) == natural_sorted(reversed(names))


def test_a_tracklet_without_frames_is_refused():
    with pytest.raises(ReseenError, match="person/cam in root has no frame"):
        BenchmarkTracklet("person/cam", 1, 1, Path("root"), ())


def test_a_tracklet_knows_its_pictures_in_time_order():
    found = BenchmarkTracklet("1/1", 1, 1, Path("root"), ("2.png", "10.png"))
    assert len(found) == 2
    assert list(found.paths) == [Path("root/2.png"), Path("root/10.png")]


def test_names_must_be_unique():
    with pytest.raises(ReseenError, match="2 tracklets are called same"):
        Benchmark("folder", (tracklet(1, 1, "same"), tracklet(2, 1, "same")), ())


@pytest.mark.parametrize("part", ["train", "query", "gallery"])
@pytest.mark.parametrize("index", [-1, 2])
def test_a_split_must_point_at_tracklets(part: str, index: int):
    split = Split(**({"train": (), "query": (), "gallery": ()} | {part: (index,)}))
    with pytest.raises(ReseenError, match=f"trial 0 points at tracklet {index} of 2"):
        Benchmark("folder", (tracklet(1, 1), tracklet(2, 1)), (split,))


@pytest.mark.parametrize("scored", ["query", "gallery"])
def test_nobody_is_trained_on_and_scored(scored: str):
    sound = Split((0,), (), ())
    leaking = Split(**({"train": (0,), "query": (), "gallery": ()} | {scored: (1,)}))
    with pytest.raises(ReseenError, match="trial 1 trains on person 1 and scores them too"):
        Benchmark("folder", (tracklet(1, 1), tracklet(1, 2)), (sound, leaking))


def test_distractors_and_junk_are_no_persons():
    tracklets = tuple(tracklet(p, c) for p in (JUNK, DISTRACTOR) for c in (1, 2))
    Benchmark("mars", tracklets, (Split(train=(0, 2), query=(), gallery=(1, 3)),))


def test_a_name_that_is_not_utf_8_is_refused_before_any_work():
    latin = os.fsdecode("café/a".encode("latin-1"))
    with pytest.raises(ReseenError, match="this name is not UTF-8; rename it"):
        BenchmarkTracklet(latin, 1, 1, Path("people"), ("0.png",))
