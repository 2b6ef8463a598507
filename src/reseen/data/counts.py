"""What is published about each data set, beside what a folder holds."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets import ilids_vid, prid2011
from reseen.data.datasets.published import find_split_file
from reseen.data.datasets.splits import cameras_of_people
from reseen.data.layout import entries, gaps
from reseen.data.tracklet import DISTRACTOR, JUNK, Benchmark, BenchmarkTracklet

FRAMES_IN_A_CLIP = 16
"""Length T of a clip in the paper, section 3.2."""


@dataclass(frozen=True)
class Fact:
    """One count of a data set.

    Attributes:
        name: what is counted.
        expected: the published value; None where nothing is published.
        found: the value in this folder.
    """

    name: str
    expected: int | str | None
    found: int | str

    @property
    def ok(self) -> bool:
        """Whether the folder holds what is published."""
        return self.expected is None or self.expected == self.found

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What is counted, the published and the found value, and a mark where they differ."""
        return self.name, _shown(self.expected), _shown(self.found), "" if self.ok else "wrong"


def count_prid2011(root: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
    """Count PRID-2011: everyone in both cameras, and the tracklets of the 200 people."""
    in_both = sum(len(cameras) == 2 for cameras in _cameras(benchmark.tracklets))
    return (
        *_prid2011_people(root),
        Fact("people of the first 200 in both cameras", 200, in_both),
        Fact("tracklets", 400, len(benchmark.tracklets)),
        Fact("people in training/scoring", "100/100", _halves(benchmark)),
    )


def count_prid2011_178(root: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
    """Count PRID-2011 with the field's 178 people and their published splits."""
    splits = find_split_file(prid2011.multi_shot(root).parent, prid2011.SPLIT_FILES)
    return (
        *_prid2011_people(root),
        Fact("tracklets", 356, len(benchmark.tracklets)),
        Fact("published splits", 10, len(benchmark.splits) if splits else 0),
        Fact("people in training/scoring", "89/89", _halves(benchmark)),
    )


def _prid2011_people(root: Path) -> tuple[Fact, ...]:
    folder = prid2011.multi_shot(root)
    people = [len(entries(folder / camera)[0]) for camera in prid2011.CAMERAS]
    shortest: dict[int, int] = {}
    for tracklet in prid2011.load(root).tracklets:
        shortest[tracklet.person] = min(len(tracklet), shortest.get(tracklet.person, len(tracklet)))
    long_enough = {person for person, length in shortest.items() if length >= 27}
    published = set(prid2011.PEOPLE_IN_BOTH_CAMERAS) - prid2011.TOO_SHORT
    return (
        Fact("people in cam_a", 385, people[0]),
        Fact("people in cam_b", 749, people[1]),
        Fact("people with 27 frames or more", 178, len(long_enough)),
        Fact("… who are not on the published list", 0, len(long_enough - published)),
        Fact("people with 21 frames or more", 183, sum(n >= 21 for n in shortest.values())),
    )


def count_ilids_vid(root: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
    """Count iLIDS-VID."""
    lengths = _lengths(benchmark.tracklets)
    found_lengths = f"{lengths.min()}-{lengths.max()}, mean {lengths.mean():.0f}"
    splits = find_split_file(ilids_vid.sequences(root).parent, ilids_vid.SPLIT_FILES)
    cameras = _cameras(benchmark.tracklets)
    return (
        Fact("people", 300, len(cameras)),
        Fact("people in both cameras", 300, sum(len(seen) == 2 for seen in cameras)),
        Fact("tracklets", 600, len(lengths)),
        Fact("frames in a tracklet", "23-192, mean 73", found_lengths),
        Fact("published splits", 10, len(benchmark.splits) if splits else 0),
        Fact("people in training/scoring", "150/150", _halves(benchmark)),
    )


def count_mars(_: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
    """Count MARS: every number that its tables hold."""
    (split,) = benchmark.splits
    train, query, test = (
        [benchmark.tracklets[index] for index in part]
        for part in (split.train, split.query, split.gallery)
    )
    return (*_mars_train(train), *_mars_test(test), *_mars_query(query, test))


def _mars_train(train: Sequence[BenchmarkTracklet]) -> tuple[Fact, ...]:
    lengths = _lengths(train)
    cameras = Counter(map(len, _cameras(train)))
    spread = ", ".join(str(cameras[number]) for number in range(1, 7))
    return (
        Fact("training people", 625, len(_cameras(train))),
        Fact("training people seen by 1, 2 … 6 cameras", "6, 221, 184, 137, 55, 22", spread),
        Fact("training tracklets", 8298, len(train)),
        Fact("training frames", 509914, int(lengths.sum())),
        Fact("frames in a training tracklet", "5-900, median 36, mean 61.5", _spread(lengths)),
        Fact("training tracklets shorter than a clip", 1494, _short(lengths)),
        Fact("training tracklets with gaps", 1, _with_gaps(train)),
    )


def _mars_test(test: Sequence[BenchmarkTracklet]) -> tuple[Fact, ...]:
    lengths = _lengths(test)
    persons = Counter(tracklet.person for tracklet in test)
    return (
        Fact("test people", 634, len(_cameras(test))),
        Fact("test tracklets", 12180, len(test)),
        Fact("… of distractors", 3248, persons[DISTRACTOR]),
        Fact("… of junk", 870, persons[JUNK]),
        Fact("test frames", 681089, int(lengths.sum())),
        Fact("frames in a test tracklet", "2-920, median 30, mean 55.9", _spread(lengths)),
        Fact("test tracklets with gaps", 10, _with_gaps(test)),
    )


def _mars_query(
    query: Sequence[BenchmarkTracklet], test: Sequence[BenchmarkTracklet]
) -> tuple[Fact, ...]:
    names = {tracklet.name for tracklet in query}
    others = cameras_of_people([tracklet for tracklet in test if tracklet.name not in names])
    unmatched = sum(not others.get(one.person, set()) - {one.camera} for one in query)
    views = {(tracklet.person, tracklet.camera) for tracklet in query}
    return (
        Fact("queries", 1980, len(query)),
        Fact("… from different views of a person", 1980, len(views)),
        Fact("… without a match outside the queries", 140, unmatched),
        Fact("… shorter than a clip", 391, _short(_lengths(query))),
        Fact("people searched for", 626, len(_cameras(query))),
    )


def count_people(_: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
    """Count people of whom nothing is published."""
    return (
        Fact("people", None, len(_cameras(benchmark.tracklets))),
        Fact("cameras", None, len({tracklet.camera for tracklet in benchmark.tracklets})),
        Fact("tracklets", None, len(benchmark.tracklets)),
        Fact("frames", None, int(_lengths(benchmark.tracklets).sum())),
        Fact("frames in a tracklet", None, _spread(_lengths(benchmark.tracklets))),
        Fact("splits", None, len(benchmark.splits)),
        Fact("people in training/scoring", None, _halves(benchmark)),
    )


COUNTS: dict[str, Callable[[Path, Benchmark], tuple[Fact, ...]]] = {
    "prid2011": count_prid2011,
    "prid2011-178": count_prid2011_178,
    "ilids-vid": count_ilids_vid,
    "mars": count_mars,
    "folder": count_people,
}
"""For each data set, its counts: the published ones beside those found in a folder."""


def _shown(value: int | str | None) -> str:
    return f"{value:,}" if isinstance(value, int) else value or ""


def _cameras(tracklets: Sequence[BenchmarkTracklet]) -> list[set[int]]:
    """For each person, the cameras."""
    return list(cameras_of_people(tracklets).values())


def _lengths(tracklets: Sequence[BenchmarkTracklet]) -> NDArray[np.int64]:
    return np.array([len(tracklet) for tracklet in tracklets], dtype=np.int64)


def _spread(lengths: NDArray[np.int64]) -> str:
    if lengths.size == 0:
        return "none"
    middle = f"median {np.median(lengths):g}, mean {lengths.mean():.1f}"
    return f"{lengths.min()}-{lengths.max()}, {middle}"


def _short(lengths: NDArray[np.int64]) -> int:
    return int((lengths < FRAMES_IN_A_CLIP).sum())


def _with_gaps(tracklets: Sequence[BenchmarkTracklet]) -> int:
    return sum(bool(gaps(tracklet.files)) for tracklet in tracklets)


def _halves(benchmark: Benchmark) -> str:
    """How many people train and are scored, "89/89"; of all trials, where they differ."""

    def people(indices: Sequence[int]) -> int:
        return len({benchmark.tracklets[index].person for index in indices} - {JUNK, DISTRACTOR})

    found = {
        f"{people(split.train)}/{people((*split.query, *split.gallery))}"
        for split in benchmark.splits
    }
    return " or ".join(sorted(found))
