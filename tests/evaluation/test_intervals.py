"""95 % intervals against textbook values and against drawing samples."""

import numpy as np
import pytest

from reseen.evaluation.intervals import effective_queries, t_interval, wilson_interval


def test_t_interval_against_the_table():
    # Student's t for 9 degrees of freedom at 97.5 % is 2.262.
    values = np.linspace(0.5, 0.7, 10)
    half = 2.262 * values.std(ddof=1) / np.sqrt(10)
    assert t_interval(values) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-4)


def test_t_interval_stays_within_shares():
    assert t_interval(np.array([0.9, 1.0])) == (pytest.approx(0.3147, abs=1e-4), 1.0)


@pytest.mark.parametrize(
    ("share", "people", "expected"),
    [
        (0.5, 10, (0.2366, 0.7634)),
        (1.0, 16, (0.8064, 1.0)),
        (0.0, 16, (0.0, 0.1936)),
        (0.81, 263, (0.7582, 0.8531)),
    ],
)
def test_wilson_interval_against_known_values(share, people, expected):
    assert wilson_interval(share, people) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("persons", "worth"),
    [([1, 2, 3, 4], 4), ([1, 1, 2, 2], 2), ([5, 5, 5], 1), ([1, 1, 1, 2], 16 / 10)],
)
def test_queries_of_one_person_count_once(persons, worth):
    assert effective_queries(np.array(persons)) == pytest.approx(worth)


def test_interval_covers_the_truth_with_queries_that_agree():
    generator = np.random.default_rng(0)
    persons = np.repeat(np.arange(40), generator.integers(1, 5, 40))
    people = effective_queries(persons)
    found = generator.random((2000, 40)) < 0.7
    intervals = [wilson_interval(person[persons].mean(), people) for person in found]
    covered = np.mean([low <= 0.7 <= high for low, high in intervals])
    assert 0.93 < covered < 0.98
