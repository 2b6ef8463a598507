"""KISSME, XQDA and LDA against their formulas in loops, and what they must never see."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.linalg import eigh

from reseen.data.embeddings import Embeddings
from reseen.data.projections import lda
from reseen.errors import ReseenError
from reseen.evaluation import metric_learning
from reseen.evaluation.metric_learning import (
    LEARNED_METRICS,
    Metric,
    fit_kissme,
    fit_lda,
    fit_xqda,
    kissme,
    xqda,
)
from reseen.evaluation.scoring import score_features


def embeddings(features, persons, cameras):
    names = tuple(f"tracklet {number}" for number in range(len(persons)))
    features = np.asarray(features, dtype=np.float32)
    return Embeddings(features, np.asarray(persons), np.asarray(cameras), names)


def people(count, dimensions, seed=0, tracklets=2, cameras=2, noise=0.5, shift=0.0):
    """Drawn people; `shift` moves the first dimension from camera to camera."""
    generator = np.random.default_rng(seed)
    persons = np.repeat(np.arange(1, count + 1), tracklets)
    views = np.tile(np.arange(tracklets) % cameras + 1, count)
    looks = generator.normal(size=(count + 1, dimensions))[persons]
    features = looks + noise * generator.normal(size=looks.shape)
    features[:, 0] += shift * views * generator.normal(size=len(views))
    return embeddings(features, persons, views)


def joined(one, other):
    return embeddings(
        np.concatenate([one.features, other.features]),
        np.concatenate([one.persons, other.persons]),
        np.concatenate([one.cameras, other.cameras]),
    )


def squared(metric, one, other):
    """The metric's distances, pair by pair, from its definition."""
    whole = metric.projection @ metric.matrix @ metric.projection.T
    return np.array([[(x - y) @ whole @ (x - y) for y in other] for x in one])


def moment(differences):
    return np.mean([np.outer(difference, difference) for difference in differences], axis=0)


def oracle_xqda(gallery, gallery_persons, probe, probe_persons):
    """Liao et al. 2015, from every single pair; the whole matrix W M Wᵀ."""
    pairs = list(product(range(len(gallery)), range(len(probe))))
    same = [(i, j) for i, j in pairs if gallery_persons[i] == probe_persons[j]]
    within = moment([gallery[i] - probe[j] for i, j in same])
    between = moment([gallery[i] - probe[j] for i, j in pairs if (i, j) not in set(same)])
    within = within + 0.001 * np.eye(len(within))
    vectors, values, _ = np.linalg.svd(np.linalg.inv(within) @ between)
    kept = vectors[:, : max(1, sum(value > 1 for value in values))]
    inverse = np.linalg.inv
    matrix = inverse(kept.T @ within @ kept) - inverse(kept.T @ between @ kept)
    return kept @ matrix @ kept.T, kept.shape[1]


@pytest.mark.parametrize("seed", range(3))
def test_distances_follow_the_definition(seed):
    generator = np.random.default_rng(seed)
    rotation = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    metric = Metric(generator.normal(size=(5, 3)), rotation * [-2, -1, 1] @ rotation.T)
    query, gallery = generator.normal(size=(4, 5)) + 50, generator.normal(size=(6, 5)) + 50
    distances = metric.distances(query, gallery)
    np.testing.assert_allclose(distances, squared(metric, query, gallery), rtol=1e-9)
    assert distances.min() < 0


@pytest.mark.parametrize(("count", "dimensions"), [(12, 4), (9, 6), (30, 10)])
def test_xqda_against_every_pair(count, dimensions):
    generator = np.random.default_rng(count)
    looks = generator.normal(size=(count + 1, dimensions))
    # Uneven numbers of tracklets a person, and people whom one view never saw.
    gallery_persons = generator.integers(1, count + 1, 3 * count)
    probe_persons = generator.integers(1, count + 1, 2 * count)
    gallery = looks[gallery_persons] + 0.7 * generator.normal(size=(3 * count, dimensions))
    probe = looks[probe_persons] + 0.7 * generator.normal(size=(2 * count, dimensions))
    expected, kept = oracle_xqda(gallery, gallery_persons, probe, probe_persons)
    metric = xqda(gallery, gallery_persons, probe, probe_persons)
    assert metric.projection.shape == (dimensions, kept)
    np.testing.assert_allclose(
        metric.projection @ metric.matrix @ metric.projection.T, expected, rtol=1e-7, atol=1e-9
    )


def test_xqda_with_more_dimensions_than_features():
    """The span of the features holds all there is: any other basis of it gives the same."""
    train = people(7, 40)
    metric = fit_xqda(train)
    basis = np.linalg.svd(train.features.astype(np.float64), full_matrices=False)[2].T
    spanned = embeddings(train.features @ basis, train.persons, train.cameras)
    inside = fit_xqda(spanned)
    assert metric.projection.shape[0] == 40
    assert metric.projection.shape[1] == inside.projection.shape[1]
    np.testing.assert_allclose(
        metric.distances(train.features, train.features),
        inside.distances(spanned.features, spanned.features),
        rtol=1e-3,
        atol=1e-3 * np.abs(inside.matrix).max(),
    )


def test_xqda_views_are_the_two_cameras():
    train = people(15, 5, tracklets=4)
    second, first = train.cameras == 2, train.cameras == 1
    features = train.features.astype(np.float64)
    expected, _ = oracle_xqda(
        features[second], train.persons[second], features[first], train.persons[first]
    )
    metric = fit_xqda(train)
    np.testing.assert_allclose(
        metric.projection @ metric.matrix @ metric.projection.T, expected, rtol=1e-7, atol=1e-9
    )


def test_xqda_pairs_halves_of_more_cameras():
    """Shuffled with the seed; a pair within one camera is dropped."""
    train = people(20, 3, tracklets=5, cameras=5)
    np.testing.assert_array_equal(fit_xqda(train, 1).matrix, fit_xqda(train, 1).matrix)
    assert not np.allclose(fit_xqda(train, 1).matrix, fit_xqda(train, 2).matrix)
    one_camera = embeddings([[1e6, 0, 0], [0, 1e6, 0]], [100, 100], [3, 3])
    np.testing.assert_array_equal(
        fit_xqda(joined(train, one_camera)).matrix, fit_xqda(train).matrix
    )


@pytest.mark.parametrize("seed", range(4))
def test_xqda_halves_are_one_of_all_possible_ones(seed):
    """Three people with two tracklets each can be halved in eight ways."""
    train = embeddings(people(3, 2).features, [1, 1, 2, 2, 3, 3], [1, 2, 2, 3, 3, 1])
    features = train.features.astype(np.float64)
    persons = np.array([1, 2, 3])
    possible = []
    for sides in product((0, 1), repeat=3):
        probe = np.array([0, 2, 4]) + sides
        gallery = np.array([1, 3, 5]) - sides
        possible.append(oracle_xqda(features[gallery], persons, features[probe], persons)[0])
    metric = fit_xqda(train, seed)
    whole = metric.projection @ metric.matrix @ metric.projection.T
    assert any(np.allclose(whole, matrix, rtol=1e-6) for matrix in possible)


def test_xqda_beats_euclid_when_one_axis_carries_the_camera():
    train, test = people(60, 12, seed=1, shift=4), people(60, 12, seed=2, shift=4)
    query, gallery = test.take(np.arange(0, 120, 2)), test.take(np.arange(1, 120, 2))
    plain = score_features(query, gallery)
    learned = score_features(query, gallery, distance=fit_xqda(train).distances)
    assert learned.cmc[0] > plain.cmc[0] + 0.2


def test_xqda_matrix_is_nearly_positive_on_isotropic_people():
    values = np.linalg.eigvalsh(fit_xqda(people(300, 4)).matrix)
    assert values.min() > -0.01 * values.max()


def test_xqda_ignores_scale_where_regularisation_does_not_count():
    """Ranks stay when all features are multiplied by a large number."""
    train, test = people(60, 5), people(20, 5, seed=3)
    large, larger = (
        fit_xqda(embeddings(train.features * scale, train.persons, train.cameras)).distances(
            test.features * scale, test.features * scale
        )
        for scale in (1e3, 1e4)
    )
    np.testing.assert_allclose(large, larger, rtol=1e-4, atol=1e-4)


def crossing_pairs(train):
    """Pairs of one person and of two people, in two cameras, in the order of their tracklets."""
    pairs = [
        (i, j)
        for i, j in combinations(range(len(train)), 2)
        if train.cameras[i] != train.cameras[j]
    ]
    same = [(i, j) for i, j in pairs if train.persons[i] == train.persons[j]]
    different = [(i, j) for i, j in pairs if train.persons[i] != train.persons[j]]
    return np.array(same), np.array(different)


def pair_moment(features, pairs):
    return moment([features[i] - features[j] for i, j in pairs])


def test_kissme_against_every_pair():
    train = people(40, 3, tracklets=3, cameras=3)
    features = train.features.astype(np.float64)
    same, different = crossing_pairs(train)
    inverse = np.linalg.inv
    expected = inverse(pair_moment(features, same)) - inverse(pair_moment(features, different))
    assert np.linalg.eigvalsh(expected).min() > 0
    np.testing.assert_allclose(kissme(features, same, different), expected, rtol=1e-9)


def test_kissme_raises_eigenvalues_that_are_not_positive():
    """With the pairs swapped M is all negative: each eigenvalue becomes 1e-6."""
    train = people(40, 3, tracklets=3, cameras=3)
    same, different = crossing_pairs(train)
    swapped = kissme(train.features.astype(np.float64), different, same)
    np.testing.assert_allclose(swapped, 1e-6 * np.eye(3), atol=1e-15)


def test_kissme_with_few_pairs_gets_a_ridge():
    train = people(10, 20)
    features = train.features.astype(np.float64)
    same, different = crossing_pairs(train)
    moments = [pair_moment(features, pairs) for pairs in (same, different)]
    within = moments[0] + 0.1 * np.diag(moments[0]).mean() * np.eye(20)
    few = different[:199]
    between = pair_moment(features, few)
    between += 0.1 * np.diag(between).mean() * np.eye(20)
    whole = np.linalg.inv(within) - np.linalg.inv(between)
    values, vectors = np.linalg.eigh(whole)
    values[values <= 1e-10] = 1e-6
    expected = vectors @ np.diag(values) @ vectors.T
    np.testing.assert_allclose(kissme(features, same, few), expected, rtol=1e-7, atol=1e-9)


def test_kissme_learns_from_crossing_pairs_of_people(monkeypatch):
    nobody = embeddings(np.zeros((4, 3)), [-1, 0, -1, 0], [1, 2, 3, 1])
    train = joined(nobody, people(10, 3, tracklets=6, cameras=3))
    learned_from = []
    monkeypatch.setattr(
        metric_learning, "kissme", lambda *given: learned_from.append(given) or np.eye(3)
    )
    metric = fit_kissme(train)
    features, same, different = learned_from[0]
    np.testing.assert_allclose(features, train.features @ metric.projection)
    real = crossing_pairs(train.take(np.arange(4, 64)))[0] + 4
    assert same.tolist() == real.tolist()
    assert different.shape == same.shape
    first, second = different.T
    assert np.all(train.persons[first] != train.persons[second])
    assert np.all(train.cameras[first] != train.cameras[second])
    assert different.min() >= 4
    assert len(set(map(frozenset, different.tolist()))) > 0.8 * len(different)


def test_kissme_without_information_is_nothing():
    """People who all look alike: Σ₁ is Σ₀, so M is near nothing."""
    train = people(4000, 3, seed=5)
    alike = np.random.default_rng(6).normal(size=train.features.shape)
    metric = fit_kissme(embeddings(alike, train.persons, train.cameras))
    assert np.abs(metric.matrix).max() < 0.1
    assert np.linalg.eigvalsh(metric.matrix).min() > 0


def test_kissme_is_a_metric():
    metric = fit_kissme(people(30, 20))
    assert np.linalg.eigvalsh(metric.matrix).min() > 0


def test_kissme_beats_euclid_when_one_axis_carries_the_camera():
    train, test = people(60, 12, seed=1, shift=4), people(60, 12, seed=2, shift=4)
    query, gallery = test.take(np.arange(0, 120, 2)), test.take(np.arange(1, 120, 2))
    plain = score_features(query, gallery)
    learned = score_features(query, gallery, distance=fit_kissme(train).distances)
    assert learned.cmc[0] > plain.cmc[0] + 0.2


def oracle_lda(features, persons, dimensions, shrinkage):
    """The generalised eigenvectors of scatter between and within people, by its definition."""
    mean = features.mean(axis=0)
    within, between = np.zeros((2, features.shape[1], features.shape[1]))
    for person in set(persons):
        own = features[persons == person]
        between += len(own) * np.outer(own.mean(axis=0) - mean, own.mean(axis=0) - mean)
        for feature in own:
            within += np.outer(feature - own.mean(axis=0), feature - own.mean(axis=0))
    within, between = within / len(features), between / len(features)
    within = (1 - shrinkage) * within + shrinkage * np.diag(within).mean() * np.eye(len(within))
    return eigh(between, within)[1][:, ::-1][:, :dimensions]


@pytest.mark.parametrize(
    ("count", "size", "asked", "kept"),
    [(12, 5, 3, 3), (6, 9, None, 5), (4, 40, None, 3), (110, 120, None, 96), (3, 8, 20, 2)],
)
def test_lda_against_the_generalised_eigenvectors(count, size, asked, kept):
    train = people(count, size, tracklets=4)
    persons, features = train.persons[1:], train.features[1:].astype(np.float64)  # uneven people
    found = lda(features, persons, asked)
    expected = oracle_lda(features, persons, kept, 0.1)
    assert found.matrix.shape == (size, kept)
    signs = np.sign(np.sum(found.matrix * expected, axis=0))
    np.testing.assert_allclose(found.matrix * signs, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.mean, features.mean(axis=0))


def test_lda_shrinks_as_it_is_told():
    train = people(8, 6, tracklets=3)
    features = train.features.astype(np.float64)
    found = lda(features, train.persons, 2, shrinkage=0.6).matrix
    expected = oracle_lda(features, train.persons, 2, 0.6)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, rtol=1e-9)


def test_lda_distances_do_not_ask_for_axes_units_or_order():
    train = people(15, 6, tracklets=4)
    generator = np.random.default_rng(1)
    turn, order = np.linalg.qr(generator.normal(size=(6, 6)))[0], generator.permutation(60)
    other = (train.features.astype(np.float64) @ turn + 7) * 30
    plain = lda(train.features.astype(np.float64), train.persons)
    changed = lda(other[order], 1000 - train.persons[order])
    np.testing.assert_allclose(
        Metric(plain.matrix, np.eye(6)).distances(train.features, train.features),
        Metric(changed.matrix, np.eye(6)).distances(other, other),
        rtol=1e-7,
        atol=1e-7,
    )


def test_lda_beats_euclid_when_one_axis_carries_the_camera():
    train, test = people(60, 12, seed=1, shift=4), people(60, 12, seed=2, shift=4)
    query, gallery = test.take(np.arange(0, 120, 2)), test.take(np.arange(1, 120, 2))
    plain = score_features(query, gallery)
    learned = score_features(query, gallery, distance=fit_lda(train).distances)
    assert learned.cmc[0] > plain.cmc[0] + 0.2


@pytest.mark.parametrize("fit", LEARNED_METRICS.values(), ids=LEARNED_METRICS)
def test_junk_and_distractors_do_not_reach_the_fit(fit):
    train = people(20, 4)
    nobody = embeddings(np.full((4, 4), 1e6), [-1, -1, 0, 0], [1, 2, 1, 2])
    both = joined(train, nobody)
    np.testing.assert_array_equal(fit(train).matrix, fit(both).matrix)


@pytest.mark.parametrize("fit", LEARNED_METRICS.values(), ids=LEARNED_METRICS)
@pytest.mark.parametrize(
    ("persons", "cameras"),
    [([1, 2, 3, 4], [1, 2, 1, 2]), ([1, 1, 1, 1], [1, 2, 1, 2]), ([0, 0, -1, -1], [1, 2, 1, 2])],
    ids=["nobody in two cameras", "one person", "only distractors and junk"],
)
def test_too_few_people_are_refused(fit, persons, cameras):
    features = np.random.default_rng(0).normal(size=(4, 3))
    with pytest.raises(ReseenError, match="two people"):
        fit(embeddings(features, persons, cameras))


@pytest.mark.parametrize("fit", LEARNED_METRICS.values(), ids=LEARNED_METRICS)
def test_features_that_do_not_differ_are_refused(fit):
    with pytest.raises(ReseenError, match="training features"):
        fit(embeddings(np.ones((8, 3)), [1, 1, 2, 2, 3, 3, 4, 4], [1, 2] * 4))
