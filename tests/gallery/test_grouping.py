"""Grouping against average linkage recomputed from nothing at every step."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from reseen.errors import ReseenError
from reseen.gallery.grouping import Evidence, group, memberships, nearest_pairs


def evidence(count, odds, unlisted=-4.0, **more):
    """Evidence on tracklets of two cameras by turns, that never meet in time unless told."""
    pairs = np.array(list(odds), np.int64).reshape(-1, 2)
    facts = {
        "ids": [f"t{place}" for place in range(count)],
        "cameras": ["north", "south"] * count,
        "spans": [(10.0 * place, 10.0 * place + 5) for place in range(count)],
    }
    return Evidence(
        **(facts | more), pairs=pairs, log_odds=np.array([*odds.values()]), unlisted=unlisted
    )


def naive(known, apart):
    """Average linkage with forbidden pairs, every mean recomputed at every step."""
    odds = dict(zip(map(tuple, known.pairs.tolist()), known.log_odds.tolist(), strict=True))
    groups = [{place} for place in range(len(known.ids))]
    while True:
        best, join = 0.0, None
        for one, two in combinations(groups, 2):
            crossing = [tuple(sorted((a, b))) for a in one for b in two]
            if not any(pair in odds for pair in crossing) or any(
                pair in apart for pair in crossing
            ):
                continue
            mean = sum(odds.get(pair, known.unlisted) for pair in crossing) / len(crossing)
            if mean > best:
                best, join = mean, (one, two)
        if join is None:
            return {frozenset(one) for one in groups}
        groups.remove(join[0])
        groups.remove(join[1])
        groups.append(join[0] | join[1])


def partition(identities):
    return {
        frozenset(np.flatnonzero(identities == identity).tolist())
        for identity in np.unique(identities)
    }


@given(st.integers(2, 9), st.integers(0, 10**6))
def test_groups_are_those_of_average_linkage(count, seed):
    random = np.random.default_rng(seed)
    every = list(combinations(range(count), 2))
    odds = {pair: float(random.normal(0, 3)) for pair in every if random.random() < 0.7}
    apart = {pair for pair in every if random.random() < 0.2}
    known = evidence(count, odds, different=sorted(apart))
    assert partition(group(known)) == naive(known, apart)


def test_an_identity_is_called_by_its_first_tracklet():
    found = group(evidence(5, {(1, 3): 2.0, (2, 4): 1.0}))
    assert found.tolist() == [0, 1, 2, 1, 2]


def test_whoever_is_seen_twice_at_once_in_one_camera_is_two_people():
    odds, cameras = {(0, 1): 9.0, (1, 2): 8.0}, ["north", "north", "south"]
    spans = [(0.0, 5.0), (4.0, 9.0), (4.0, 9.0)]
    found = group(evidence(3, odds, -0.1, cameras=cameras, spans=spans))
    assert found.tolist() == [0, 1, 1]
    touching = [(0.0, 5.0), (5.0, 9.0), (4.0, 9.0)]
    assert group(evidence(3, odds, -0.1, cameras=cameras, spans=touching)).tolist() == [0, 0, 0]
    unknown = [(0.0, 5.0), None, (4.0, 9.0)]
    assert group(evidence(3, odds, -0.1, cameras=cameras, spans=unknown)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("start", "together"), [(64.9, False), (65.0, True), (-59.0, False)])
def test_nobody_is_faster_than_the_way_between_two_cameras(start, together):
    spans = [(0.0, 5.0), (start, start + 4)]
    known = evidence(2, {(0, 1): 5.0}, spans=spans, travel={("north", "south"): 60.0})
    assert (len(partition(group(known))) == 1) is together


def test_human_labels_bind():
    odds = {(0, 1): -9.0, (1, 2): 9.0, (2, 3): 9.0}
    assert group(evidence(4, odds, -0.1)).tolist() == [0, 1, 1, 1]
    known = evidence(4, odds, -0.1, same=[(0, 1)], different=[(1, 2)])
    assert group(known).tolist() == [0, 0, 2, 2]


def test_who_is_recognised_brings_all_of_theirs():
    odds = {(0, 1): 5.0, (2, 3): 5.0, (4, 5): 5.0, (0, 2): -9.0}
    known = evidence(6, odds, same=[(0, 3), (3, 5)])
    assert group(known).tolist() == [0] * 6


def test_who_is_recognised_comes_alone_where_the_others_cannot_be_that_person():
    odds = {(0, 1): 5.0, (2, 3): 5.0}
    apart = evidence(4, odds, same=[(0, 3)], different=[(1, 2)])
    assert group(apart).tolist() == [0, 1, 2, 0]
    spans = [(0.0, 5.0), (20.0, 25.0), (40.0, 45.0), (22.0, 27.0)]
    at_once = evidence(4, odds, spans=spans, cameras=["north"] * 4, same=[(0, 2)])
    assert group(at_once).tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize(
    ("same", "different", "says"),
    [
        ([(0, 1), (1, 2)], [(0, 2)], "t0 and t2 are labelled different, and the same"),
        ([(2, 0)], [(0, 2)], "t0 and t2 are labelled different, and the same"),
        ([(0, 4)], [], "t0 and t4 are labelled the same person, who would be in two places"),
        ([(0, 2), (2, 4)], [], "t0 and t4 are labelled the same person"),
    ],
)
def test_labels_that_cannot_all_be_true_are_named(same, different, says):
    spans = [(0.0, 5.0), (10.0, 11.0), (20.0, 21.0), (30.0, 31.0), (3.0, 8.0)]
    known = evidence(5, {}, spans=spans, same=same, different=different)
    with pytest.raises(ReseenError, match=says):
        group(known)


def test_a_membership_is_the_mean_probability_over_the_others():
    known = evidence(4, {(0, 1): 2.0, (1, 2): 1.0, (0, 3): -3.0}, -0.5, same=[(0, 2)])
    found = memberships(known, np.array([0, 0, 0, 3]))
    assert found[:3] == pytest.approx(
        [(expit(2.0) + 1) / 2, (expit(2.0) + expit(1.0)) / 2, (1 + expit(1.0)) / 2]
    )
    assert np.isnan(found[3])


def test_who_is_alone_in_all_the_evidence_has_no_membership():
    assert np.isnan(memberships(evidence(1, {}), np.array([0]))).all()


@pytest.mark.parametrize("count", [1, 5, 700])
def test_nearest_pairs_are_those_of_a_full_comparison(count):
    vectors = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    pairs, distances = nearest_pairs(vectors, count)
    full = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    np.fill_diagonal(full, np.inf)
    near = np.argsort(full, axis=1)[:, : min(count, 599)]
    expected = {tuple(sorted((a, b))) for a, row in enumerate(near.tolist()) for b in row}
    assert set(map(tuple, pairs.tolist())) == expected
    assert distances == pytest.approx(full[tuple(pairs.T)], rel=1e-5)
