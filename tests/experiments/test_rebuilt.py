"""TDL and SRID against their definitions in loops and against conditions of the optimum."""

import numpy as np
import pytest
from scipy.optimize import minimize

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.evaluation.scoring import score_features
from reseen.experiments.rebuilt import (
    block_sparse_codes,
    block_sparse_distances,
    fit_tdl,
    top_push,
    top_push_loss,
)


def loss(matrix, points, persons):
    """You et al. 2016, pair by pair."""
    total, pairs = 0.0, 0

    def away(i, j):
        return (points[i] - points[j]) @ matrix @ (points[i] - points[j])

    for i, person in enumerate(persons):
        nearest = min(away(i, k) for k, other in enumerate(persons) if other != person)
        for j, other in enumerate(persons):
            if i != j and other == person:
                total += 0.5 * away(i, j) + 0.5 * max(0.0, away(i, j) + 1 - nearest)
                pairs += 1
    return total / pairs


def some_people(seed=0, dimensions=3):
    generator = np.random.default_rng(seed)
    persons = np.array([1, 1, 2, 2, 2, 3, 3, 4])
    looks = generator.normal(size=(5, dimensions))[persons]
    return looks + 0.6 * generator.normal(size=looks.shape), persons


@pytest.mark.parametrize("seed", range(4))
def test_top_push_loss_and_gradient_against_every_pair(seed):
    points, persons = some_people(seed)
    root = np.random.default_rng(10 + seed).normal(size=(3, 3))
    matrix = root @ root.T
    value, gradient = top_push_loss(matrix, points, persons)
    assert value == pytest.approx(loss(matrix, points, persons))
    for i in range(3):
        for j in range(3):
            move = np.zeros((3, 3))
            move[i, j] = 1e-6
            change = loss(matrix + move, points, persons) - loss(matrix - move, points, persons)
            assert gradient[i, j] == pytest.approx(change / 2e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_top_push_reaches_the_minimum_of_a_convex_problem(seed):
    """Another solver, over M = L Lᵀ and from several starts, finds nothing much lower."""
    generator = np.random.default_rng(seed)
    persons = np.repeat(np.arange(25), 3)
    points = generator.normal(size=(25, 3))[persons] + 0.8 * generator.normal(size=(75, 3))
    found = top_push(points, persons)
    assert np.linalg.eigvalsh(found).min() > -1e-12

    def of_root(flat):
        root = flat.reshape(3, 3)
        value, gradient = top_push_loss(root @ root.T, points, persons)
        return value, ((gradient + gradient.T) @ root).ravel()

    starts = generator.normal(size=(4, 9))
    best = min(minimize(of_root, start, jac=True).fun for start in starts)
    assert top_push_loss(found, points, persons)[0] <= 1.01 * best


def crowd(seed, shift):
    generator = np.random.default_rng(seed)
    persons, cameras = np.repeat(np.arange(1, 41), 2), np.tile([1, 2], 40)
    features = generator.normal(size=(41, 8))[persons] + 0.3 * generator.normal(size=(80, 8))
    features[:, 0] += shift * generator.normal(size=80)
    return Embeddings(features.astype(np.float32), persons, cameras, tuple(map(str, range(80))))


def test_tdl_beats_euclid_when_one_axis_is_noise():
    train, test = crowd(1, 8.0), crowd(2, 8.0)
    query, gallery = test.take(np.arange(0, 80, 2)), test.take(np.arange(1, 80, 2))
    learned = score_features(query, gallery, distance=fit_tdl(train).distances)
    assert learned.cmc[0] > score_features(query, gallery).cmc[0] + 0.3


def test_tdl_ignores_scale_and_junk():
    train = crowd(1, 1.0)
    larger = Embeddings(50 * train.features, train.persons, train.cameras, train.names)
    plain, scaled = fit_tdl(train), fit_tdl(larger)
    np.testing.assert_allclose(
        plain.distances(train.features, train.features),
        scaled.distances(larger.features, larger.features),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip
    junk = Embeddings(
        np.concatenate([train.features, np.full((2, 8), 1e6, np.float32)]),
        np.r_[train.persons, -1, 0],
        np.r_[train.cameras, 1, 2],
        (*train.names, "junk", "distractor"),
    )
    np.testing.assert_array_equal(fit_tdl(junk).matrix, plain.matrix)


@pytest.mark.parametrize("persons", [[1, 1, 1, 1], [1, 2, 3, 4], [0, 0, -1, -1]])
def test_too_few_people_are_refused(persons):
    features = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    train = Embeddings(features, np.array(persons), np.array([1, 2, 1, 2]), tuple("abcd"))
    with pytest.raises(ReseenError, match="two people"):
        fit_tdl(train)


@pytest.mark.parametrize("weight", [0.05, 0.2, 0.5])
def test_block_sparse_codes_meet_the_conditions_of_the_optimum(weight):
    """Bᵀr = λ a / ‖a‖ where a block takes part, and ‖Bᵀr‖ is at most λ where it does not."""
    generator = np.random.default_rng(5)
    queries, blocks = generator.normal(size=(6, 12)), generator.normal(size=(15, 3, 12))
    for query, codes in zip(queries, block_sparse_codes(queries, blocks, weight), strict=True):
        limit = weight * max(np.linalg.norm(block @ query) for block in blocks)
        rest = query - sum(code @ block for code, block in zip(codes, blocks, strict=True))
        assert 0 < codes.any(axis=1).sum() < 15
        for code, block in zip(codes, blocks, strict=True):
            if code.any():
                expected = limit * code / np.linalg.norm(code)
                np.testing.assert_allclose(block @ rest, expected, atol=0.01 * limit)
            else:
                assert np.linalg.norm(block @ rest) <= 1.01 * limit


@pytest.mark.parametrize(("weight", "part"), [(0.999, 1), (1.001, 0)])
def test_at_the_least_limit_no_block_takes_part(weight, part):
    generator = np.random.default_rng(5)
    queries, blocks = generator.normal(size=(6, 12)), generator.normal(size=(15, 3, 12))
    taking_part = block_sparse_codes(queries, blocks, weight).any(axis=2).sum(axis=1)
    assert taking_part.tolist() == [part] * 6


def test_a_query_out_of_a_block_is_nearest_to_it_whatever_the_lengths():
    generator = np.random.default_rng(6)
    blocks = generator.normal(size=(30, 3, 16))
    own = generator.integers(0, 30, 12)
    query = np.einsum("qv,qvd->qd", generator.normal(size=(12, 3)), blocks[own])
    distances = block_sparse_distances(query, blocks)
    assert distances.argmin(axis=1).tolist() == own.tolist()
    scaled = block_sparse_distances(7 * query, blocks * generator.uniform(1, 9, (30, 3, 1)))
    np.testing.assert_allclose(scaled, distances, atol=1e-9)


def test_who_takes_no_part_is_ordered_by_likeness():
    blocks = np.array([[[1.0, 0]], [[0.6, 0.8]], [[0, 1.0]]])
    (distances,) = block_sparse_distances(np.array([[1.0, 0]]), blocks, weight=0.9)
    assert distances[0] < distances[1] < distances[2]
