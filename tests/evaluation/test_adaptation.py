"""Adaptation without labels against its formulas in loops, and what must not change it."""

import numpy as np
import pytest

from reseen.data.projections import principal_components
from reseen.errors import ReseenError
from reseen.evaluation.adaptation import (
    CameraMeans,
    self_trained_whitening,
    surer_pairs,
    tracklet_whitening,
)


def test_principal_components_keep_the_variance():
    generator = np.random.default_rng(7)
    features = generator.normal(size=(50, 3)) @ generator.normal(size=(3, 8)) + 5
    directions = principal_components(features, 200)
    assert directions.shape == (8, 3)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-10)
    centred = features - features.mean(axis=0)
    np.testing.assert_allclose(centred @ directions @ directions.T, centred, atol=1e-9)
    first = principal_components(features, 1)[:, 0]
    assert np.var(features @ first) == pytest.approx(
        np.linalg.eigvalsh(np.cov(features.T, ddof=0))[-1]
    )


def test_principal_components_of_fewer_points_than_numbers():
    features = np.random.default_rng(8).normal(size=(6, 30))
    directions = principal_components(features, 4)
    np.testing.assert_allclose(directions.T @ directions, np.eye(4), atol=1e-10)
    expected = np.linalg.svd(features - features.mean(axis=0))[2][:4]
    np.testing.assert_allclose(
        directions @ directions.T, expected.T @ expected, rtol=1e-9, atol=1e-12
    )


def walkers(count=30, pictures=4, dimensions=8, seed=0):
    """Pictures of tracklets, scattered about their tracklet's mean along few directions."""
    generator = np.random.default_rng(seed)
    tracklets = np.repeat(np.arange(count), pictures)
    scatter = generator.normal(size=(len(tracklets), dimensions)) * np.linspace(0.1, 4, dimensions)
    turn = np.linalg.qr(generator.normal(size=(dimensions, dimensions)))[0]
    return 5 + (generator.normal(size=(count, dimensions))[tracklets] + scatter) @ turn, tracklets


def inner_covariance(points, tracklets):
    """Mean outer product of each picture less its tracklet's mean, in a loop."""
    total = np.zeros((points.shape[1], points.shape[1]))
    for point, tracklet in zip(points, tracklets, strict=True):
        away = point - points[tracklets == tracklet].mean(axis=0)
        total += np.outer(away, away)
    return total / len(points)


def test_whitened_pictures_vary_alike_within_tracklets():
    pictures, tracklets = walkers()
    found = tracklet_whitening(pictures, tracklets, shrinkage=0.0)
    points = found.apply(pictures)
    np.testing.assert_allclose(inner_covariance(points, tracklets), np.eye(8), atol=1e-9)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize(("dimensions", "shrinkage"), [(512, 0.3), (512, 1.0), (3, 0.3), (5, 0.7)])
def test_whitening_against_its_formula(dimensions, shrinkage):
    """Squared distances are those of the inverse of the shrunk covariance."""
    pictures, tracklets = walkers()
    components = np.linalg.svd(pictures - pictures.mean(axis=0), full_matrices=False)[2]
    points = pictures @ components[:dimensions].T
    covariance = inner_covariance(points, tracklets)
    ridge = shrinkage * np.diag(covariance).mean() * np.eye(len(covariance))
    inverse = np.linalg.inv((1 - shrinkage) * covariance + ridge)
    away = points[0] - points[1:]
    expected = np.einsum("pd,de,pe->p", away, inverse, away)
    found = tracklet_whitening(
        pictures, tracklets, dimensions=dimensions, shrinkage=shrinkage
    ).apply(pictures)
    assert found.shape == (120, min(dimensions, 8))
    np.testing.assert_allclose(np.square(found[0] - found[1:]).sum(axis=1), expected, rtol=1e-8)


def test_whitening_keeps_512_components_and_shrinks_by_three_tenths_unless_told():
    pictures, tracklets = walkers(200, 4, 520)
    assert tracklet_whitening(pictures, tracklets).matrix.shape == (520, 512)
    few, names = walkers()
    np.testing.assert_array_equal(
        tracklet_whitening(few, names).matrix,
        tracklet_whitening(few, names, dimensions=512, shrinkage=0.3).matrix,
    )


def test_whitening_does_not_ask_for_names_axes_units_or_order():
    pictures, tracklets = walkers()
    generator = np.random.default_rng(3)
    turn, order = np.linalg.qr(generator.normal(size=(8, 8)))[0], generator.permutation(120)
    other = 40 * (pictures @ turn) - 9
    names = np.array([f"tracklet {number}" for number in tracklets])
    plain = tracklet_whitening(pictures, tracklets).apply(pictures)
    changed = tracklet_whitening(other[order], names[order]).apply(other)
    np.testing.assert_allclose(
        np.linalg.norm(plain[0] - plain, axis=1),
        np.linalg.norm(changed[0] - changed, axis=1),
        rtol=1e-7,
    )


def test_whitening_counts_people_more_than_light():
    """Light moves one direction within every tracklet; afterwards it hides nobody."""
    generator = np.random.default_rng(4)
    tracklets = np.repeat(np.arange(40), 5)
    looks = generator.normal(size=(20, 6))[tracklets // 2]
    pictures = looks + 0.1 * generator.normal(size=looks.shape)
    pictures[:, 0] += 20 * generator.normal(size=200)

    def found(points):
        means = points.reshape(40, 5, -1).mean(axis=1)
        away = np.linalg.norm(means[:, None] - means, axis=2) + 1e9 * np.eye(40)
        return np.mean(away.argmin(axis=1) // 2 == np.arange(40) // 2)

    assert found(tracklet_whitening(pictures, tracklets, shrinkage=0.01).apply(pictures)) == 1
    assert found(pictures) < 0.5


@pytest.mark.parametrize(
    "tracklets", [np.arange(4), np.array([0, 0, 1, 1])], ids=["one picture each", "equal pictures"]
)
def test_tracklets_that_teach_nothing_are_refused(tracklets):
    pictures = np.array([[0.1, 0.7], [0.1, 0.7], [0.3, 0.2], [0.3, 0.2]])
    with pytest.raises(ReseenError, match="no tracklet has two pictures that differ"):
        tracklet_whitening(pictures, tracklets)


def test_pictures_that_are_all_the_same_are_refused():
    with pytest.raises(ReseenError, match="all the same"):
        tracklet_whitening(np.full((6, 3), 0.1), np.array([0, 0, 0, 1, 1, 1]))


def test_each_camera_loses_its_own_mean_and_a_small_one_the_mean_of_all():
    features = np.array([[1.0, 0], [3, 4], [10, 10], [20, 30], [60, 0]], dtype=np.float32)
    cameras = np.array(["door", "door", "yard", "yard", "roof"])
    means = CameraMeans.of(features, cameras, fewest=2)
    assert set(means.own) == {"door", "yard"}
    expected = [[-1, -2], [1, 2], [-5, -10], [5, 10], [60 - 94 / 5, -44 / 5]]
    np.testing.assert_allclose(means.remove(features, cameras), expected, rtol=1e-6)
    later = means.remove(np.array([[5.0, 5.0]]), np.array(["never seen"]))
    np.testing.assert_allclose(later, [[5 - 94 / 5, 5 - 44 / 5]], rtol=1e-6)


def test_ten_tracklets_make_a_mean_of_their_own_unless_told():
    cameras = np.repeat([1, 2], [10, 9])
    assert set(CameraMeans.of(np.eye(19), cameras).own) == {1}


def test_means_of_many_float32_are_found_in_float64():
    features = np.full((1 << 15, 1), 16_777_217 / 3, dtype=np.float32)
    cameras = np.zeros(len(features), dtype=np.int64)
    assert not CameraMeans.of(features, cameras).remove(features, cameras).any()


def test_nothing_is_removed_from_nobody():
    means = CameraMeans.of(np.ones((2, 3)), np.array([1, 1]))
    assert means.remove(np.ones((0, 3)), np.array([], dtype=np.int64)).shape == (0, 3)


def test_surer_half_of_mutual_nearest_pairs_across_cameras():
    """Four people at right angles, each seen by two cameras, the later ones less alike."""
    turns = np.array([0.05, 0.1, 0.2, 0.4])
    north = np.eye(8)[:4]
    south = np.cos(turns)[:, np.newaxis] * north + np.sin(turns)[:, np.newaxis] * np.eye(8)[4:]
    cameras = np.repeat(["north", "south"], 4)
    pairs = surer_pairs(np.concatenate([north, south]), cameras)
    np.testing.assert_array_equal(pairs, [[0, 4], [1, 5]])


def test_there_are_no_pairs_within_one_camera():
    assert surer_pairs(np.eye(3), np.array(["north"] * 3)).shape == (0, 2)


def two_views(people=40, pictures=3, seed=1):
    """People of 4 numbers seen by two cameras; 4 more numbers vary between cameras only."""
    generator = np.random.default_rng(seed)
    person, view = generator.normal(size=(people, 4)), generator.normal(size=(2, people, 4))
    features = np.concatenate([np.hstack([person, 1.2 * view[camera]]) for camera in (0, 1)])
    noise = 0.3 * generator.normal(size=(2 * people, pictures, 8))
    seen = features[:, np.newaxis] + noise
    tracklets = np.repeat(np.arange(2 * people), pictures)
    return seen.reshape(-1, 8), tracklets, seen.mean(axis=1), np.repeat(["north", "south"], people)


def share_found(projection, features):
    points = projection.apply(features)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    half = len(points) // 2
    return np.mean((points[:half] @ points[half:].T).argmax(axis=1) == np.arange(half))


def test_self_training_finds_what_varies_between_cameras():
    pictures, tracklets, features, cameras = two_views()
    nothing = np.empty((0, 2), np.int64)
    before = tracklet_whitening(pictures, tracklets)
    after = self_trained_whitening(pictures, tracklets, features, cameras, nothing)
    assert share_found(after, features) > share_found(before, features)


def test_labels_join_the_pairs():
    pictures, tracklets, features, cameras = two_views()
    labelled = np.stack([np.arange(20), np.arange(20) + 40], axis=1)
    nothing = np.empty((0, 2), np.int64)
    others = np.r_[20:40, 60:80]
    without, having = (
        self_trained_whitening(pictures, tracklets, features, cameras, known)
        for known in (nothing, labelled)
    )
    assert share_found(having, features[others]) > share_found(without, features[others])


def test_without_pairs_self_training_whitens_tracklets():
    pictures, tracklets, features, cameras = two_views()
    alone = np.array(["north"] * len(cameras))
    nothing = np.empty((0, 2), np.int64)
    found = self_trained_whitening(pictures, tracklets, features, alone, nothing)
    expected = tracklet_whitening(pictures, tracklets)
    np.testing.assert_allclose(found.matrix, expected.matrix)


def test_labels_alone_find_what_varies_between_cameras():
    pictures, tracklets, features, _ = two_views()
    labelled = np.stack([np.arange(20), np.arange(20) + 40], axis=1)
    others = np.r_[20:40, 60:80]
    before = tracklet_whitening(pictures, tracklets)
    after = tracklet_whitening(pictures, tracklets, features, labelled)
    assert share_found(after, features[others]) > share_found(before, features[others])


def test_labelled_whitening_against_its_formula():
    """Squared distances are those of the inverse of both covariances of trace 1, shrunk."""
    pictures, tracklets, features, _ = two_views()
    labelled = np.array([[0, 40], [3, 43], [7, 47]])
    within, between = inner_covariance(pictures, tracklets), np.zeros((8, 8))
    for one, other in labelled:
        between += np.outer(features[one] - features[other], features[one] - features[other])
    both = within / np.trace(within) + between / np.trace(between)
    inverse = np.linalg.inv(0.7 * both + 0.3 * np.trace(both) / 8 * np.eye(8))
    away = features[0] - features[1:]
    expected = np.einsum("pd,de,pe->p", away, inverse, away)
    found = tracklet_whitening(pictures, tracklets, features, labelled).apply(features)
    np.testing.assert_allclose(np.square(found[0] - found[1:]).sum(axis=1), expected, rtol=1e-8)
