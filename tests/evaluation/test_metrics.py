"""Scoring against an oracle in plain loops, and hand-made cases with known answers."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reseen.errors import ReseenError
from reseen.evaluation.metrics import (
    MAX_RANK,
    euclidean_distances,
    plain_average_precision,
    score,
    trapezoid_average_precision,
)


def oracle_marks(row, person, camera, gallery_persons, gallery_cameras):
    """True for a match and False for a wrong one, nearest first, the worst order among equals."""
    items = []
    for distance, other, view in zip(row, gallery_persons, gallery_cameras, strict=True):
        if other == -1 or (other == person and view == camera):
            continue
        items.append((distance, other == person and person > 0))
    return [right for _, right in sorted(items)]


def oracle_plain(marks):
    found, total = 0, 0.0
    for position, right in enumerate(marks, start=1):
        if right:
            found += 1
            total += found / position
    return total / found


def oracle_trapezoid(marks):
    matches = sum(marks)
    area, old_recall, old_precision, found = 0.0, 0.0, 1.0, 0
    for position, right in enumerate(marks, start=1):
        found += right
        recall, precision = found / matches, found / position
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    return area


@st.composite
def problems(draw):
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 12))

    def labels(count, lowest, highest):
        return draw(arrays(np.int64, count, elements=st.integers(lowest, highest)))

    few_values = st.sampled_from([-1.5, 0.0, 0.5, 0.5000001, 2.0])
    return (
        draw(arrays(np.float64, (queries, gallery), elements=few_values)),
        labels(queries, -1, 4),
        labels(queries, 1, 3),
        labels(gallery, -1, 4),
        labels(gallery, 1, 3),
    )


@settings(deadline=None)
@given(problem=problems())
@pytest.mark.parametrize(
    ("average_precision", "oracle"),
    [
        (plain_average_precision, oracle_plain),
        (trapezoid_average_precision, oracle_trapezoid),
    ],
)
def test_agrees_with_plain_loops(average_precision, oracle, problem):
    distances, persons, cameras, gallery_persons, gallery_cameras = problem
    every = [
        oracle_marks(row, person, camera, gallery_persons, gallery_cameras)
        for row, person, camera in zip(distances, persons, cameras, strict=True)
    ]
    scored = [marks for marks in every if any(marks)]
    if not scored:
        with pytest.raises(ReseenError, match="has a match"):
            score(*problem)
        return
    scores = score(*problem, average_precision)
    first = [marks.index(True) + 1 if any(marks) else 0 for marks in every]
    assert scores.first_ranks.tolist() == first
    assert (scores.queries, scores.unscored) == (len(scored), len(every) - len(scored))
    expected = [oracle(marks) if any(marks) else np.nan for marks in every]
    np.testing.assert_allclose(scores.average_precisions, expected, atol=1e-12)
    assert scores.mean_average_precision == pytest.approx(np.mean([oracle(m) for m in scored]))
    penalty = [sum(marks) / (len(marks) - marks[::-1].index(True)) for marks in scored]
    assert scores.mean_inverse_negative_penalty == pytest.approx(np.mean(penalty))
    for rank in (1, 2, 5, MAX_RANK):
        assert scores.cmc[rank - 1] == np.mean([any(marks[:rank]) for marks in scored])


def one_query(distances, persons, cameras, **options):
    """Scores of person 1 in camera 1 against a hand-made gallery."""
    one = np.array([1])
    return score(np.array([distances]), one, one, np.array(persons), np.array(cameras), **options)


def test_hand_made_ranking():
    # Ranked: wrong, match, junk (ignored), same camera (ignored), distractor (wrong), match.
    scores = one_query([1, 2, 3, 4, 5, 6], [2, 1, -1, 1, 0, 1], [2, 2, 2, 1, 2, 3])
    assert scores.first_ranks.tolist() == [2]
    assert scores.average_precisions == pytest.approx([(1 / 2 + 2 / 4) / 2])
    assert scores.mean_inverse_negative_penalty == pytest.approx(2 / 4)
    assert scores.cmc[:3].tolist() == [0, 1, 1]


def test_hand_made_trapezoids():
    # Matches at ranks 1 and 4: recall 1/2 at precision 1 from 1, then at 2/4 from 1/3.
    scores = one_query(
        [1, 2, 3, 4], [1, 2, 3, 1], [2] * 4, average_precision=trapezoid_average_precision
    )
    assert scores.average_precisions == pytest.approx([(1 + 1) / 4 + (1 / 3 + 2 / 4) / 4])


def test_hand_made_trapezoids_of_matches_in_a_row():
    """Matches at ranks 1, 2 and 4; before them the precision is 1, 1/1 and 2/3."""
    average = trapezoid_average_precision(np.array([1, 2, 4]))
    assert average == pytest.approx(((1 + 1) / 2 + (1 + 1) / 2 + (2 / 3 + 3 / 4) / 2) / 3)


def test_rows_may_come_one_by_one_but_none_may_be_missing():
    people = (np.array([1, 2]), np.array([1, 1]), np.array([1, 2]), np.array([2, 2]))
    rows = [np.array([1.0, 2.0]), np.array([1.0, 2.0])]
    assert score(iter(rows), *people).first_ranks.tolist() == [1, 2]
    for wrong in (rows[:1], [*rows, rows[0]]):
        with pytest.raises(ValueError, match="zip"):
            score(iter(wrong), *people)


def test_equal_distances_rank_every_wrong_one_first():
    scores = one_query([7] * 10, [1, 2, 3, 1, 4, 5, 6, 0, 1, 7], [2] * 10)
    assert scores.first_ranks.tolist() == [8]
    assert scores.average_precisions == pytest.approx([(1 / 8 + 2 / 9 + 3 / 10) / 3])


def test_query_without_match_is_counted_not_dropped():
    distances = np.array([[1.0, 2.0], [1.0, 2.0]])
    scores = score(
        distances, np.array([1, 2]), np.array([1, 1]), np.array([1, 2]), np.array([2, 1])
    )
    assert (scores.queries, scores.unscored) == (1, 1)
    assert scores.first_ranks.tolist() == [1, 0]
    assert np.isnan(scores.average_precisions[1])
    assert scores.cmc.tolist() == [1.0] * MAX_RANK


def test_no_match_at_all_is_refused():
    with pytest.raises(ReseenError, match="none of the 1 queries has a match"):
        one_query([1, 2], [1, 2], [1, 2])


def labels(**changed):
    lengths = {"query_persons": 3, "query_cameras": 3, "gallery_persons": 5, "gallery_cameras": 5}
    return {name: np.ones(length, dtype=int) for name, length in {**lengths, **changed}.items()}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"query_cameras": 48}, "query_cameras has 48 entries but query_persons has 3"),
        ({"gallery_cameras": 4}, "gallery_cameras has 4 entries but gallery_persons has 5"),
        (
            {"query_persons": 2, "query_cameras": 2},
            "distances has 3 entries but query_persons has 2",
        ),
        (
            {"gallery_persons": 6, "gallery_cameras": 6},
            "a row of distances has 5 entries but gallery_persons has 6",
        ),
    ],
)
def test_unequal_lengths_are_refused_by_name(changed, told):
    with pytest.raises(ReseenError, match=told):
        score(np.zeros((3, 5)), **labels(**changed))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_distances_that_are_not_finite_are_refused(value):
    distances = np.zeros((3, 5))
    distances[1, 2] = value
    with pytest.raises(ReseenError, match="not finite"):
        score(distances, **labels())


def test_euclidean_distances_against_numpy():
    generator = np.random.default_rng(1)
    query, gallery = generator.normal(size=(9, 6)) + 100, generator.normal(size=(11, 6)) + 100
    expected = np.linalg.norm(query[:, None] - gallery[None], axis=2)
    distances = euclidean_distances(query.astype(np.float32), gallery.astype(np.float32))
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances, expected, atol=1e-4)


def test_features_almost_alike_are_almost_no_distance_apart():
    """By |x|² + |y|² - 2 x·y rounding leaves less than nothing for some of them."""
    features = 1000 * np.random.default_rng(2).normal(size=(200, 64)).astype(np.float32)
    own = euclidean_distances(features, features).diagonal()
    assert (own >= 0).all()
    lengths = np.square(features.astype(np.float64)).sum(axis=1)
    bound = 2 * (64 + 2) * np.finfo(np.float32).eps * lengths  # sums of 64 products, rounded
    assert (np.square(own) <= bound).all()
    assert euclidean_distances(np.zeros((1, 1)), np.array([[0.25]])) == pytest.approx(0.25)


def test_the_chance_level_is_the_mean_over_all_orders():
    # Persons 1 and 2 have two and one matches among five and six tracklets; 3 has none.
    gallery_persons = np.array([1, 1, 1, 2, 4, 4, -1])
    gallery_cameras = np.array([1, 2, 3, 2, 2, 3, 2])
    query_persons, query_cameras = np.array([1, 2, 3]), np.array([1, 1, 1])
    first = np.zeros((2, MAX_RANK))
    for query, person in enumerate((1, 2)):
        orders = list(permutations(range(len(gallery_persons))))
        for order in orders:
            people = (person, 1, gallery_persons, gallery_cameras)
            rank = oracle_marks(np.array(order), *people).index(True)
            first[query, rank:] += 1 / len(orders)
    distances = np.zeros((3, len(gallery_persons)))
    scores = score(distances, query_persons, query_cameras, gallery_persons, gallery_cameras)
    np.testing.assert_allclose(scores.chance_level, first.mean(axis=0), atol=1e-12)
