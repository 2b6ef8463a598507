"""Who trains, who is searched for and what is searched."""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence

import numpy as np

from reseen.data.tracklet import BenchmarkTracklet, Split
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

    Args:
        tracklets: all tracklets of the data set.
        trials: how many splits to draw.
        seed: where the random numbers start.
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

    Args:
        tracklets: all tracklets of the data set.
        training: numbers of the people to train on.
    """
    train = tuple(i for i, t in enumerate(tracklets) if t.person > 0 and t.person in training)
    scored = sorted(set(range(len(tracklets))) - set(train))
    query = first_tracklets(tracklets, scored)
    if len({tracklets[index].person for index in train}) < 2 or not query:
        raise ReseenError(
            "a split needs two people to train on, and one person in two cameras to search for"
        )
    if not _is_single_shot(tracklets):
        return Split(train, query, tuple(scored))
    first_camera = min(tracklet.camera for tracklet in tracklets if tracklet.person > 0)
    query = tuple(index for index in query if tracklets[index].camera == first_camera)
    return Split(train, query, tuple(sorted(set(scored) - set(query))))


def published_split(train: int, test: int, rows: Sequence[int]) -> Split:
    """The split of a data set whose test tracklets follow its training tracklets.

    Args:
        train, test: how many there are.
        rows: the queries' places among the test tracklets, from 0; all others are the gallery.
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

    Junk, distractors and people seen by one camera only cannot be searched for.

    Args:
        tracklets: all tracklets of the data set.
        among: indices to choose from, in order.

    Returns:
        Indices into `tracklets`.
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


def _is_single_shot(tracklets: Sequence[BenchmarkTracklet]) -> bool:
    views = Counter((t.person, t.camera) for t in tracklets if t.person > 0)
    cameras = {camera for _, camera in views}
    return len(cameras) == 2 and max(views.values()) == 1
