"""What is known of a data set beside its pictures, and how a folder is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets.splits import cameras_of_people
from reseen.data.layout import gaps
from reseen.data.tracklet import DISTRACTOR, JUNK, Benchmark, BenchmarkTracklet

FRAMES_IN_A_CLIP = 16
"""Length T of a clip in the paper, section 3.2."""

Printed = tuple[int | None, int | None, int | None, int | None]
"""Rank 1, 5, 10 and 20 in percent; None where the paper prints a dash."""


@dataclass(frozen=True)
class Published:
    """Rows of the paper's tables for one data set, by method; nothing here was measured here."""

    table1: dict[str, Printed]
    table2: dict[str, Printed]
    table3: dict[str, Printed]


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


def _shown(value: int | str | None) -> str:
    return f"{value:,}" if isinstance(value, int) else value or ""


def count_people(_: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
    """Count people of whom nothing is published."""
    lengths = lengths_of(benchmark.tracklets)
    return (
        Fact("people", None, people_in(benchmark.tracklets)),
        Fact("cameras", None, len({tracklet.camera for tracklet in benchmark.tracklets})),
        Fact("tracklets", None, len(benchmark.tracklets)),
        Fact("frames", None, int(lengths.sum())),
        Fact("frames in a tracklet", None, spread(lengths)),
        Fact("splits", None, len(benchmark.splits)),
        Fact("people in training/scoring", None, halves(benchmark)),
    )


def people_in(tracklets: Sequence[BenchmarkTracklet]) -> int:
    """How many people these are; junk and distractors are no people."""
    return len(cameras_of_people(tracklets))


def lengths_of(tracklets: Sequence[BenchmarkTracklet]) -> NDArray[np.int64]:
    """Frames of each tracklet."""
    return np.array([len(tracklet) for tracklet in tracklets], dtype=np.int64)


def spread(lengths: NDArray[np.int64]) -> str:
    """Shortest, longest, median and mean length, as text."""
    if lengths.size == 0:
        return "none"
    middle = f"median {np.median(lengths):g}, mean {lengths.mean():.1f}"
    return f"{lengths.min()}-{lengths.max()}, {middle}"


def short(lengths: NDArray[np.int64]) -> int:
    """How many tracklets are shorter than a clip."""
    return int((lengths < FRAMES_IN_A_CLIP).sum())


def with_gaps(tracklets: Sequence[BenchmarkTracklet]) -> int:
    """In how many tracklets a frame is missing."""
    return sum(bool(gaps(tracklet.files)) for tracklet in tracklets)


def halves(benchmark: Benchmark) -> str:
    """How many people train and are scored, "89/89"; of all trials, where they differ."""

    def people(indices: Sequence[int]) -> int:
        return len({benchmark.tracklets[index].person for index in indices} - {JUNK, DISTRACTOR})

    found = {
        f"{people(split.train)}/{people((*split.query, *split.gallery))}"
        for split in benchmark.splits
    }
    return " or ".join(sorted(found))
