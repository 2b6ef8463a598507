"""Scores of identities against loops over tracklets and pairs, and cases worked out by hand."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reseen.errors import ReseenError
from reseen.evaluation.clustering import score_clustering

SMALL = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12)


def arrays(pairs):
    identities, persons = zip(*pairs, strict=True)
    return np.array(identities), np.array(persons)


@given(SMALL)
def test_bcubed_and_hota_are_means_over_tracklets(pairs):
    identities, persons = arrays(pairs)
    precisions, recalls, jaccards = [], [], []
    for one in range(len(pairs)):
        group = {other for other in range(len(pairs)) if identities[other] == identities[one]}
        person = {other for other in range(len(pairs)) if persons[other] == persons[one]}
        precisions.append(len(group & person) / len(group))
        recalls.append(len(group & person) / len(person))
        jaccards.append(len(group & person) / len(group | person))
    scores = score_clustering(identities, persons)
    precision, recall = sum(precisions) / len(pairs), sum(recalls) / len(pairs)
    assert scores.bcubed_precision == pytest.approx(precision)
    assert scores.bcubed_recall == pytest.approx(recall)
    assert scores.bcubed_f1 == pytest.approx(2 / (1 / precision + 1 / recall))
    assert scores.hota**2 == pytest.approx(sum(jaccards) / len(pairs))


@given(SMALL)
def test_pairs_are_counted_one_by_one(pairs):
    identities, persons = arrays(pairs)
    every = list(combinations(range(len(pairs)), 2))
    put = {(a, b) for a, b in every if identities[a] == identities[b]}
    true = {(a, b) for a, b in every if persons[a] == persons[b]}
    scores = score_clustering(identities, persons)
    assert scores.pair_precision == (len(put & true) / len(put) if put else 1.0)
    assert scores.pair_recall == (len(put & true) / len(true) if true else 1.0)


@given(SMALL)
def test_idf1_takes_the_best_of_all_namings(pairs):
    identities, persons = arrays(pairs)
    names = [*range(4), None, None, None, None]
    best = max(
        sum(naming[identity] == person for identity, person in pairs)
        for naming in set(permutations(names, 4))
    )
    assert score_clustering(identities, persons).idf1 == best / len(pairs)


def test_a_case_worked_out_by_hand():
    # One identity holds 1 1 2, another 2 2, a third 3.
    scores = score_clustering(np.array([7, 7, 7, 8, 8, 9]), np.array([1, 1, 2, 2, 2, 3]))
    assert scores.pair_precision == 2 / 4
    assert scores.pair_recall == 2 / 4
    assert scores.bcubed_precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1 + 1) / 6)
    assert scores.bcubed_recall == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3 + 1) / 6)
    assert scores.idf1 == 5 / 6


# By reid_hota 0.3.6 of NIST: a frame for each tracklet, the same box on both sides, everybody
# annotated, identities aligned over all.
BY_NIST = [
    ("777889", "112223", 0.7237468644557459),
    ("001122334455", "000111222333", 0.5773502691896257),
    ("0000000000", "0123012301", 0.23008949665421113),
    ("0123456789", "0000111222", 0.23221018200641197),
]


@pytest.mark.parametrize(("identities", "persons", "hota"), BY_NIST)
def test_hota_for_reidentification_is_nists(identities, persons, hota):
    scores = score_clustering(np.array([*map(int, identities)]), np.array([*map(int, persons)]))
    assert scores.reid_hota == pytest.approx(hota)


@pytest.mark.parametrize(("identities", "persons"), [([], []), ([1, 2], [1])])
def test_what_cannot_be_compared_is_named(identities, persons):
    with pytest.raises(ReseenError, match="cannot be scored"):
        score_clustering(np.array(identities, np.int64), np.array(persons, np.int64))
