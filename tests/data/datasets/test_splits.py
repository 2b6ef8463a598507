from pathlib import Path

import pytest

from reseen.data.datasets.common import random_half_splits, split_by_people
from reseen.data.tracklet import DISTRACTOR, JUNK, BenchmarkTracklet, Split
from reseen.errors import ReseenError


def tracklet(person: int, camera: int, number: int = 1) -> BenchmarkTracklet:
    return BenchmarkTracklet(f"{person}/{camera}/{number}", person, camera, Path(), ("1.png",))


def two_cameras(people: int) -> list[BenchmarkTracklet]:
    return [tracklet(person, camera) for person in range(1, people + 1) for camera in (1, 2)]


def people_of(tracklets: list[BenchmarkTracklet], indices: tuple[int, ...]) -> set[int]:
    return {tracklets[index].person for index in indices}


def test_half_of_the_people_train_and_the_other_half_is_scored():
    tracklets = two_cameras(200)
    splits = random_half_splits(tracklets)
    assert len(splits) == 10
    for split in splits:
        training, searched = (people_of(tracklets, part) for part in (split.train, split.query))
        assert (len(training), len(searched)) == (100, 100)
        assert training | searched == set(range(1, 201))


def test_of_an_odd_number_the_larger_part_is_scored():
    (split,) = random_half_splits(two_cameras(7), trials=1)
    assert (len(split.train), len(split.query)) == (2 * 3, 4)


def test_the_same_seed_gives_the_same_splits_everywhere():
    # Pinned: a change here changes every number that was published with seeded splits.
    tracklets = two_cameras(8)
    splits = random_half_splits(tracklets, trials=3, seed=7)
    training = [sorted(people_of(tracklets, split.train)) for split in splits]
    assert training == [[1, 4, 5, 7], [2, 3, 4, 8], [1, 5, 6, 7]]


def test_trials_differ_and_more_trials_do_not_change_the_first_ones():
    tracklets = two_cameras(50)
    splits = random_half_splits(tracklets)
    assert len(set(splits)) == 10
    assert random_half_splits(tracklets, trials=3) == splits[:3]
    assert random_half_splits(tracklets, seed=1)[0] != splits[0]


def test_two_cameras_with_one_tracklet_each_are_scored_single_shot():
    split = split_by_people(two_cameras(4), {2, 3})
    assert split == Split(train=(2, 3, 4, 5), query=(0, 6), gallery=(1, 7))


def test_otherwise_each_person_is_searched_for_once_from_each_camera_in_everything():
    seen_twice_by_one_camera = [tracklet(1, 1, 1), tracklet(1, 1, 2), tracklet(1, 2)]
    split = split_by_people([*seen_twice_by_one_camera, tracklet(2, 1), tracklet(3, 2)], {2, 3})
    assert split == Split(train=(3, 4), query=(0, 2), gallery=(0, 1, 2))


def test_three_cameras_are_scored_as_many_even_where_a_half_has_seen_two():
    tracklets = [*two_cameras(3), tracklet(4, 1), tracklet(4, 3)]
    split = split_by_people(tracklets, {3, 4})
    assert split == Split(train=(4, 5, 6, 7), query=(0, 1, 2, 3), gallery=(0, 1, 2, 3))


@pytest.mark.parametrize("training", [set(), {1}, {1, 2, 3}])
def test_a_split_without_people_to_train_on_or_to_search_for_is_refused(training: set[int]):
    with pytest.raises(ReseenError, match="two people to train on, and one person in two cameras"):
        split_by_people(two_cameras(3), training)


def test_junk_and_distractors_never_train_nor_are_searched_for():
    extra = [tracklet(number, camera) for number in (JUNK, DISTRACTOR) for camera in (1, 2)]
    tracklets = two_cameras(20) + extra
    for split in random_half_splits(tracklets):
        assert {JUNK, DISTRACTOR} <= people_of(tracklets, split.gallery)
        assert min(people_of(tracklets, split.train)) > 0
        assert min(people_of(tracklets, split.query)) > 0


def test_people_of_one_camera_are_divided_apart_and_never_searched_for():
    single = [tracklet(person, 1 + person % 2) for person in range(21, 31)]
    tracklets = two_cameras(20) + single
    for split in random_half_splits(tracklets):
        training = people_of(tracklets, split.train)
        assert len([person for person in training if person <= 20]) == 10
        assert len([person for person in training if person > 20]) == 5
        assert max(people_of(tracklets, split.query)) <= 20
        assert len([p for p in people_of(tracklets, split.gallery) if p > 20]) == 5


def test_too_few_people_are_named():
    tracklets = [*two_cameras(3), tracklet(4, 1)]
    with pytest.raises(ReseenError, match="3 of 4 people are seen by two cameras; at least 4"):
        random_half_splits(tracklets)
