"""Re-ranking against its definition in sets and dense arrays."""

import numpy as np
import pytest

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.evaluation import reranking
from reseen.evaluation.metrics import score
from reseen.evaluation.reranking import reranked_distances
from reseen.evaluation.scoring import score_features


def tracklets(features, persons=None, cameras=None):
    ones = np.ones(len(features), dtype=np.int64)
    names = tuple(f"tracklet {number}" for number in range(len(features)))
    features = np.asarray(features, dtype=np.float32)
    return Embeddings(
        features, ones if persons is None else persons, ones if cameras is None else cameras, names
    )


def nearest(distances, p, k):
    return sorted(range(len(distances)), key=lambda g: distances[p, g])[:k]


def reciprocal(distances, p, k):
    """R(p, k): neighbours of each other; p itself is the first of its k + 1 nearest."""
    return {g for g in nearest(distances, p, k + 1) if p in nearest(distances, g, k + 1)}


def expanded(distances, p, k):
    """R*(p, k): with the neighbours of neighbours that share most of theirs."""
    near = reciprocal(distances, p, k)
    nearer = [reciprocal(distances, q, round(k / 2)) for q in near]
    return near.union(*(more for more in nearer if 3 * len(more & near) > 2 * len(more)))


def oracle(distances, queries, k1, k2, share):
    """Zhong et al. 2017, section 3; distances (N, N) are plain Euclidean."""
    original = distances**2 / np.max(distances**2, axis=1, keepdims=True)
    weights = np.zeros_like(original)
    for p, row in enumerate(weights):
        members = list(expanded(distances, p, k1))
        row[members] = np.exp(-original[p, members])
        row /= row.sum()
    weights = np.array(
        [weights[nearest(distances, p, k2)].mean(axis=0) for p in range(len(weights))]
    )
    smaller = np.minimum(weights[:queries, np.newaxis], weights[queries:]).sum(axis=2)
    larger = np.maximum(weights[:queries, np.newaxis], weights[queries:]).sum(axis=2)
    return (1 - share) * (1 - smaller / larger) + share * original[:queries, queries:]


def euclidean(features):
    return np.linalg.norm(features[:, np.newaxis] - features, axis=2)


@pytest.mark.parametrize("at_once", [1, 500, 1 << 20])
@pytest.mark.parametrize(
    ("k1", "k2", "share"), [(7, 3, 0.3), (5, 1, 0.0), (3, 2, 0.9), (20, 6, 0.3), (6, 4, 1.0)]
)
def test_against_the_definition(monkeypatch, at_once, k1, k2, share):
    monkeypatch.setattr(reranking, "DISTANCES_AT_ONCE", at_once)
    monkeypatch.setattr(reranking, "PAIRS_AT_ONCE", at_once)
    generator = np.random.default_rng(k1)
    looks = generator.normal(size=(6, 3))[generator.integers(0, 6, 40)]
    features = (looks + 0.4 * generator.normal(size=looks.shape)).astype(np.float32)
    found = reranked_distances(tracklets(features[:12]), tracklets(features[12:]), k1, k2, share)
    expected = oracle(euclidean(features.astype(np.float64)), 12, k1, k2, share)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_augmentations_add_their_distances_before_squaring():
    generator = np.random.default_rng(0)
    views = generator.normal(size=(2, 30, 4)).astype(np.float32)
    query, gallery = [tracklets(view[:10]) for view in views], [tracklets(v[10:]) for v in views]
    distances = sum(euclidean(view.astype(np.float64)) for view in views)
    expected = oracle(distances, 10, 6, 3, 0.3)
    np.testing.assert_allclose(reranked_distances(query, gallery, 6, 3), expected, atol=1e-5)


def test_fewer_tracklets_than_neighbours():
    features = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    found = reranked_distances(tracklets(features[:2]), tracklets(features[2:]))
    np.testing.assert_allclose(
        found, oracle(euclidean(features.astype(np.float64)), 2, 20, 6, 0.3), atol=1e-5
    )


def test_equal_features_are_equally_far():
    found = reranked_distances(tracklets(np.ones((3, 4))), tracklets(np.ones((5, 4))), 20, 6)
    assert np.ptp(found) < 1e-6


def test_augmentations_must_agree_in_number():
    query, gallery = tracklets(np.eye(3)), tracklets(np.eye(3))
    with pytest.raises(ReseenError, match="the query has 2 test-time augmentations, the gallery 1"):
        reranked_distances([query, query], gallery)


def test_neighbours_help_people_seen_many_times():
    generator = np.random.default_rng(2)
    persons = np.repeat(np.arange(1, 31), 6)
    cameras = np.tile(np.arange(1, 7), 30)
    features = generator.normal(size=(31, 6))[persons] + 0.7 * generator.normal(size=(180, 6))
    everyone = tracklets(features, persons, cameras)
    query, gallery = everyone.take(np.arange(0, 180, 6)), everyone
    plain = score_features(query, gallery)
    people = (query.persons, query.cameras, gallery.persons, gallery.cameras)
    reranked = score(reranked_distances(query, gallery, 10, 3), *people)
    assert reranked.mean_average_precision > plain.mean_average_precision + 0.02
