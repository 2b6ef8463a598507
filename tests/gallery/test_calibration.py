import contextlib
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import norm

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.files import converted
from reseen.gallery.calibration import (
    Calibration,
    Pairs,
    _standard_error,
    calibrate,
    calibrate_on_labels,
    equal_error_rate,
    fit,
)


def people(count=40, cameras=3, noise=0.6, seed=0, dimensions=6):
    """Every person in every camera: a centre of their own and noise around it."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(size=(count, dimensions)), cameras, axis=0)
    features = centres + noise * random.normal(size=centres.shape)
    persons = np.repeat(np.arange(1, count + 1), cameras)
    views = np.tile(np.arange(1, cameras + 1), count)
    names = tuple(f"{person}/{view}" for person, view in zip(persons, views, strict=True))
    return Embeddings(features.astype(np.float32), persons, views, names)


def logistic_pairs(count, intercept, slope, seed=0):
    random = np.random.default_rng(seed)
    distances = random.uniform(0, 10, count)
    probabilities = 1 / (1 + np.exp(slope * distances - intercept))
    return Pairs(distances, random.random(count) < probabilities)


def test_the_fit_finds_the_logistic_that_the_pairs_were_drawn_from():
    pairs = logistic_pairs(200_000, intercept=3.0, slope=1.5)
    intercept, slope = fit(pairs, prior=float(pairs.same.mean()))
    assert intercept == pytest.approx(3.0, abs=0.06)
    assert slope == pytest.approx(1.5, abs=0.03)


def test_a_prior_shifts_the_odds_by_bayes_rule():
    pairs = logistic_pairs(20_000, intercept=3.0, slope=1.5)
    share = float(pairs.same.mean())
    given, _ = fit(pairs, prior=share)
    rarer, _ = fit(pairs, prior=0.001)
    assert np.exp(rarer - given) == pytest.approx(0.001 / 0.999 * (1 - share) / share)


def test_the_distances_unit_does_not_matter():
    pairs = logistic_pairs(5_000, intercept=3.0, slope=1.5)
    finer = Pairs(pairs.distances * 1e6, pairs.same)
    intercept, slope = fit(pairs, 0.1)
    assert fit(finer, 0.1) == pytest.approx((intercept, slope / 1e6), rel=1e-4)


def test_a_larger_distance_is_never_a_larger_probability():
    random = np.random.default_rng(0)
    backwards = Pairs(random.uniform(0, 1, 1_000), np.arange(1_000) % 5 == 0)
    backwards.distances[backwards.same] += 5  # the same person is further away
    intercept, slope = fit(backwards, 0.2)
    assert slope >= 0
    assert 1 / (1 + np.exp(-intercept)) == pytest.approx(0.2, abs=0.01)


def test_separated_pairs_give_no_infinite_slope():
    pairs = Pairs(np.r_[np.full(50, 1.0), np.full(500, 2.0)], np.arange(550) < 50)
    intercept, slope = fit(pairs, prior=50 / 550)
    assert 0 < slope < 100
    assert 1 / (1 + np.exp(slope - intercept)) > 0.95


@pytest.mark.parametrize(("same", "different"), [(50, 500), (10, 10), (200, 15)])
def test_targets_are_platts(same, different):
    """With two distances the fit meets its targets: (n + 1) / (n + 2) and 1 / (m + 2)."""
    pairs = Pairs(
        np.r_[np.full(same, 1.0), np.full(different, 2.0)], np.arange(same + different) < same
    )
    intercept, slope = fit(pairs, prior=same / (same + different))
    assert intercept - slope == pytest.approx(np.log(same + 1), abs=0.01)
    assert intercept - 2 * slope == pytest.approx(-np.log(different + 1), abs=0.01)


def test_the_equal_error_rate_is_that_of_two_gaussians():
    random = np.random.default_rng(0)
    same, different = random.normal(2, 1, 50_000), random.normal(5, 1, 50_000)
    pairs = Pairs(np.r_[same, different], np.arange(100_000) < 50_000)
    assert equal_error_rate(pairs) == pytest.approx(norm.cdf(-1.5), abs=0.003)


def test_separated_pairs_have_no_error():
    """At a distance of 2 both pairs of the same person are accepted and nobody else is."""
    pairs = Pairs(np.array([1.0, 2, 3, 4]), np.array([True, True, False, False]))
    assert equal_error_rate(pairs) == 0


def test_the_equal_error_rate_is_where_both_are_as_many_not_where_they_are_fewest():
    """At 3 there is one error of eight pairs, at 4 one of either kind."""
    same, different = [1.0, 2, 3, 10], [4.0, 11, 12, 13]
    pairs = Pairs(np.array(same + different), np.arange(8) < 4)
    assert equal_error_rate(pairs) == 1 / 4


def test_rates_are_those_of_counting():
    calibration = calibrate(people(), "net")
    embeddings = people()
    away = np.linalg.norm(embeddings.features[:, None] - embeddings.features[None], axis=2)
    across = embeddings.cameras[:, None] != embeddings.cameras[None]
    one = embeddings.persons[:, None] == embeddings.persons[None]
    same, different = away[across & one], away[across & ~one]
    assert calibration.same_pairs == len(same) / 2 == 40 * 3
    assert calibration.different_pairs == len(different) / 2
    for rate, limit in zip(calibration.rates, (0.001, 0.01, 0.1), strict=True):
        assert 0.8 * limit < rate.false_accept <= limit
        assert rate.false_accept == pytest.approx(np.mean(different <= rate.distance), abs=5e-4)
        assert rate.false_reject == pytest.approx(np.mean(same > rate.distance))
        assert rate.probability == pytest.approx(
            float(calibration.probabilities(np.array([rate.distance]))[0])
        )


def test_probabilities_hold_for_people_who_were_not_fitted_on():
    held_out = calibrate(people(60, noise=0.4), "net").held_out
    assert held_out.brier < 0.7 * held_out.brier_of_prior
    assert held_out.calibration_error < 0.03


def knowing_nobody(count, seed=3):
    """People whose features have nothing to do with who they are."""
    embeddings = people(count)
    random = np.random.default_rng(seed)
    return Embeddings(
        random.normal(size=embeddings.features.shape).astype(np.float32),
        embeddings.persons,
        embeddings.cameras,
        embeddings.names,
    )


@pytest.mark.parametrize("count", [7, 12, 60])
def test_a_calibration_no_better_than_its_prior_is_refused(count):
    kept = []
    for seed in range(20):
        with contextlib.suppress(ReseenError):
            kept.append(calibrate(knowing_nobody(count, seed), "net"))
    assert len(kept) <= 1  # a sure gain is one of more than two standard errors
    with pytest.raises(ReseenError, match="says no more than their prior"):
        calibrate(knowing_nobody(count), "net")


def test_the_gains_error_is_the_jackknifes_over_people():
    random = np.random.default_rng(5)
    whose = np.array([[1, 1], [1, 2], [2, 2], [2, 3], [3, 1], [7, 7], [7, 8], [8, 8]])
    gains = random.normal(size=len(whose))
    halves = [Pairs(gains[part], gains[part] > 0, whose[part]) for part in (slice(5), slice(5, 8))]
    without = [gains[~(whose == person).any(axis=1)].mean() for person in (1, 2, 3, 7, 8)]
    expected = math.sqrt(4 / 5 * sum((each - np.mean(without)) ** 2 for each in without))
    assert _standard_error(gains, halves) == pytest.approx(expected, rel=1e-12)


def test_the_check_is_on_the_other_half():
    halves = [logistic_pairs(4_000, 3.0, 1.5, seed) for seed in (1, 2)]
    together = Pairs(
        *(
            np.concatenate([getattr(half, name) for half in halves])
            for name in ("distances", "same")
        )
    )
    found = calibrate_on_labels(together, "net")
    truth = 1 / (1 + np.exp(1.5 * together.distances - 3.0))
    noise = float(np.mean((truth - together.same) ** 2))
    assert found.held_out.brier == pytest.approx(noise, rel=0.01)
    share = float(together.same.mean())
    assert found.held_out.brier_of_prior == pytest.approx(share * (1 - share), rel=0.01)
    assert found.held_out.gain == found.held_out.brier_of_prior - found.held_out.brier


def test_labels_chosen_by_their_distance_leave_the_probabilities_as_they_are():
    pairs = logistic_pairs(200_000, intercept=3.0, slope=1.5)
    near_the_edge = np.abs(pairs.distances - 2.0) < 1.0
    chosen = Pairs(pairs.distances[near_the_edge], pairs.same[near_the_edge])
    found = calibrate_on_labels(chosen, "net")
    assert (found.intercept, found.slope) == pytest.approx((3.0, 1.5), rel=0.05)
    assert found.people == 0


def test_log_odds_are_those_of_the_probabilities():
    found = calibrate(people(), "net")
    distances = np.array([[0.0, 1.0], [2.5, 40.0]])
    probabilities = found.probabilities(distances)
    assert found.log_odds(distances) == pytest.approx(
        np.log(probabilities / (1 - probabilities)), rel=1e-6
    )


def test_junk_and_distractors_are_left_out():
    known = people(20)
    strangers = Embeddings(
        np.vstack([known.features, known.features[:6] + 0.01]),
        np.r_[known.persons, [0, 0, 0, -1, -1, -1]],
        np.r_[known.cameras, [1, 2, 3, 1, 2, 3]],
        (*known.names, *"abcdef"),
    )
    assert calibrate(strangers, "net") == calibrate(known, "net")


def test_very_many_tracklets_are_thinned_out_by_whole_people(monkeypatch):
    from reseen.gallery import calibration

    monkeypatch.setattr(calibration, "MOST_TRACKLETS", 30)
    found = calibrate(people(40, noise=0.2), "net")
    assert (found.people, found.same_pairs) == (10, 30)


@pytest.mark.parametrize(("count", "cameras"), [(3, 2), (40, 1), (0, 2)])
def test_too_few_pairs_are_refused(count, cameras):
    with pytest.raises(ReseenError, match="needs at least 10"):
        calibrate(people(count, cameras), "net")


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, float("nan")])
def test_a_prior_must_be_a_probability(prior):
    with pytest.raises(ReseenError, match="the prior must lie between 0 and 1"):
        calibrate(people(), "net", prior)


def test_people_of_whom_half_are_too_few_are_refused():
    # Five people in five cameras are enough pairs, but one half holds two of them at most.
    with pytest.raises(ReseenError, match="too few people to fit a calibration on one half"):
        calibrate(people(3, cameras=5), "net")


def test_five_pairs_in_each_half_are_enough_to_check():
    assert calibrate(people(10, cameras=2, noise=0.2), "net").same_pairs == 10
    with pytest.raises(ReseenError, match=r"only 9 pairs .* at least 10"):
        calibrate(people(9, cameras=2, noise=0.2), "net")


def test_it_comes_back_whole_from_json():
    calibration = calibrate(people(), "net", prior=0.01)
    document = json.loads(json.dumps(asdict(calibration)))
    assert converted(document, Calibration, "net", "calibrate again") == calibration


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("slope"),
        lambda document: document.update(rates=[{"distance": 1}]),
        lambda document: document.update(held_out=3),
        lambda document: document.update(slope="steep"),
    ],
)
def test_a_damaged_one_is_told(change):
    document = json.loads(json.dumps(asdict(calibrate(people(), "net"))))
    change(document)
    with pytest.raises(ReseenError, match=r"the one of net is damaged: .*; calibrate again"):
        converted(document, Calibration, "the one of net", "calibrate again")


@pytest.mark.parametrize("document", [[1], None, "x"])
def test_one_that_is_something_else_is_told(document):
    with pytest.raises(ReseenError, match=r"is damaged: .*; calibrate again"):
        converted(document, Calibration, "it", "calibrate again")
