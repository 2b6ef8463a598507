"""What data sets share: splits, how a folder is counted, and what the paper prints."""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from reseen.data.layout import gaps
from reseen.data.tracklet import DISTRACTOR, JUNK, Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError

FEWEST_PEOPLE = 4
"""Two people to tell apart in training and two in scoring."""


def random_half_splits(
    tracklets: Sequence[BenchmarkTracklet], trials: int = 10, seed: int = 0
) -> tuple[Split, ...]:
    """Divide the people at random, half for training and half for scoring, once for each trial.

    People whom two cameras or more have seen are divided evenly; of an odd number the larger
    part is scored. People seen by one camera only are divided evenly too: in training they
    serve in negative pairs, in scoring they lie in the gallery and are nobody's match. Junk and
    distractors never train. The paper, section 3.1, divides the people of each data set so.

    The same seed gives the same splits on any machine and with any NumPy: only the raw bit
    stream of PCG64 is used, which NumPy keeps stable.
    """
    cameras = cameras_of_people(tracklets)
    several = sorted(person for person, seen in cameras.items() if len(seen) > 1)
    single = sorted(person for person, seen in cameras.items() if len(seen) == 1)
    if len(several) < FEWEST_PEOPLE:
        raise ReseenError(
            f"{len(several)} of {len(cameras)} people are seen by two cameras; "
            f"at least {FEWEST_PEOPLE} are needed to train on one half and score the other"
        )
    splits = []
    for trial in range(trials):
        bits = np.random.PCG64([seed, trial])
        training = {*_random_half(several, bits), *_random_half(single, bits)}
        splits.append(split_by_people(tracklets, training))
    return tuple(splits)


def _random_half(people: Sequence[int], bits: np.random.PCG64) -> list[int]:
    order = np.argsort(bits.random_raw(len(people)), kind="stable")
    return [people[index] for index in order[: len(people) // 2]]


def split_by_people(tracklets: Sequence[BenchmarkTracklet], training: Container[int]) -> Split:
    """Train on the people in `training` and score all others.

    Where the data set has two cameras and one tracklet in each (PRID-2011, iLIDS-VID), the
    first camera holds the queries and the gallery is everything else: the single-shot protocol
    of the paper's section 3.2. Otherwise the first tracklet of each person in each camera is a
    query and the gallery is every scored tracklet, as in MARS.
    """
    train = tuple(i for i, t in enumerate(tracklets) if t.person > 0 and t.person in training)
    scored = sorted(set(range(len(tracklets))) - set(train))
    query = first_tracklets(tracklets, scored)
    if len({tracklets[index].person for index in train}) < 2 or not query:
        raise ReseenError(
            "a split needs two people to train on, and one person in two cameras to search for"
        )
    seen = Counter((one.person, one.camera) for one in tracklets if one.person > 0)
    cameras = {camera for _, camera in seen}
    if len(cameras) != 2 or max(seen.values()) > 1:
        return Split(train, query, tuple(scored))
    query = tuple(index for index in query if tracklets[index].camera == min(cameras))
    return Split(train, query, tuple(sorted(set(scored) - set(query))))


def published_split(train: int, test: int, rows: Sequence[int]) -> Split:
    """The split of a data set whose `test` tracklets follow its `train` tracklets.

    `rows` are the queries' places among the test tracklets, from 0; all others are the gallery.
    """
    outside = [row for row in rows if not 0 <= row < test]
    if outside:
        raise ReseenError(f"query {outside[0]}, counted from 0, is none of {test} test tracklets")
    query = set(rows)
    gallery = (train + row for row in range(test) if row not in query)
    return Split(tuple(range(train)), tuple(train + row for row in sorted(query)), tuple(gallery))


def first_tracklets(
    tracklets: Sequence[BenchmarkTracklet], among: Sequence[int]
) -> tuple[int, ...]:
    """Choose one query for each person in each camera: their first tracklet there.

    They are chosen from the indices `among`. Junk, distractors and people seen by one camera only
    cannot be searched for.
    """
    cameras = cameras_of_people([tracklets[index] for index in among])
    first: dict[tuple[int, int], int] = {}
    for index in among:
        tracklet = tracklets[index]
        if len(cameras.get(tracklet.person, ())) > 1:
            first.setdefault((tracklet.person, tracklet.camera), index)
    return tuple(first.values())


def cameras_of_people(tracklets: Sequence[BenchmarkTracklet]) -> dict[int, set[int]]:
    """The cameras that have seen each person; junk and distractors are no persons."""
    cameras: defaultdict[int, set[int]] = defaultdict(set)
    for tracklet in tracklets:
        if tracklet.person > 0:
            cameras[tracklet.person].add(tracklet.camera)
    return dict(cameras)


FRAMES_IN_A_CLIP = 16
"""Length T of a clip in the paper, section 3.2."""

Counts = dict[str, int | str]
"""What was counted, by its name, as a number or a text."""

Printed = tuple[int | None, int | None, int | None, int | None]
"""Rank 1, 5, 10 and 20 in percent; None where the paper prints a dash."""


@dataclass(frozen=True)
class Published:
    """Rows of the paper's tables for one data set, by method; nothing here was measured here."""

    table1: dict[str, Printed]
    table2: dict[str, Printed]
    table3: dict[str, Printed]

    @classmethod
    def of(cls, others: dict[str, Printed], euclidean: Printed, *branches: Printed) -> "Published":
        """The tables from what differs between them.

        Args:
            others: what table 1 prints for other methods.
            euclidean: Zheng et al. with the Euclidean distance, in table 2.
            branches: spatial, temporal, fused and parts; the last is the paper's own row elsewhere.
        """
        zheng, ours = others["Zheng et al."], branches[-1]
        with_distance = {"Zheng et al. + Euclidean": euclidean, "Zheng et al. + XQDA": zheng}
        return cls(
            others | {"Chen et al.": ours},
            with_distance | {"Chen et al. + Euclidean": ours},
            dict(zip(("spatial", "temporal", "fused", "parts"), branches, strict=True)),
        )


def counted(benchmark: Benchmark) -> Counts:
    """Counts of a benchmark by their names, those that need no more than its tracklets and splits.

    What trains and what is searched is that of the first trial.
    """
    every, split = benchmark.tracklets, benchmark.splits[0]
    cameras = cameras_of_people(every)
    found: Counts = {
        "cameras": len({tracklet.camera for tracklet in every}),
        "people in both cameras": sum(len(seen) == 2 for seen in cameras.values()),
        "splits": len(benchmark.splits),
        "people in training/scoring": _halves(benchmark),
        "queries": len(split.query),
        "gallery tracklets": len(split.gallery),
    }
    parts = {"": range(len(every)), "training ": split.train, "test ": split.gallery}
    for which, indices in parts.items():
        part = [every[index] for index in indices]
        lengths = np.array([len(tracklet) for tracklet in part], np.int64)
        spread = "none"
        if part:
            spread = f"{lengths.min()}-{lengths.max()}, "
            spread += f"median {np.median(lengths):g}, mean {lengths.mean():.1f}"
        found |= {
            f"{which}people": people_in(part),
            f"{which}tracklets": len(part),
            f"{which}frames": int(lengths.sum()),
            f"frames in a {which}tracklet": spread,
            f"{which}tracklets shorter than a clip": short(part),
            f"{which}tracklets with gaps": sum(bool(gaps(tracklet.files)) for tracklet in part),
        }
    return found


def people_in(tracklets: Sequence[BenchmarkTracklet]) -> int:
    """How many people these are; junk and distractors are no people."""
    return len(cameras_of_people(tracklets))


def short(tracklets: Sequence[BenchmarkTracklet]) -> int:
    """How many tracklets are shorter than a clip."""
    return sum(len(tracklet) < FRAMES_IN_A_CLIP for tracklet in tracklets)


def _halves(benchmark: Benchmark) -> str:
    """How many people train and are scored, "89/89"; of all trials, where they differ."""

    def people(indices: Sequence[int]) -> int:
        return len({benchmark.tracklets[index].person for index in indices} - {JUNK, DISTRACTOR})

    found = {
        f"{people(split.train)}/{people((*split.query, *split.gallery))}"
        for split in benchmark.splits
    }
    return " or ".join(sorted(found))
