"""Features scored and ranked through several test-time augmentations, some queries at a time."""

import numpy as np
import pytest

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.evaluation import scoring
from reseen.evaluation.metrics import score
from reseen.evaluation.scoring import ranking, score_features, summed_distances


def tracklets(features, persons, cameras):
    names = tuple(f"tracklet {number}" for number in range(len(persons)))
    features = np.asarray(features, dtype=np.float32)
    return Embeddings(features, np.asarray(persons), np.asarray(cameras), names)


def random_tracklets(count, seed, number=1, dimensions=7):
    generator = np.random.default_rng(seed)
    persons, cameras = generator.integers(-1, 8, count), generator.integers(1, 4, count)
    features = generator.normal(size=(number, count, dimensions))
    return [tracklets(each, persons, cameras) for each in features]


def test_collapsed_features_score_worst():
    generator = np.random.default_rng(0)
    feature = generator.normal(size=128).astype(np.float32) * 1000
    everyone = tracklets(np.tile(feature, (60, 1)), np.arange(60) // 2 + 1, np.arange(60) % 2 + 1)
    assert score_features(everyone, everyone).first_ranks.tolist() == [59] * 60


def test_augmentations_add_their_distances():
    query, gallery = random_tracklets(6, 2, number=3), random_tracklets(8, 3, number=3)
    expected = sum(
        np.linalg.norm(one.features[:, None] - other.features[None], axis=2)
        for one, other in zip(query, gallery, strict=True)
    )
    np.testing.assert_allclose(summed_distances(query, gallery), expected, rtol=1e-5)


def test_augmentations_must_agree():
    query, gallery = random_tracklets(6, 2, number=2), random_tracklets(8, 3)
    with pytest.raises(ReseenError, match="the query has 2 test-time augmentations, the gallery 1"):
        summed_distances(query, gallery)
    with pytest.raises(ReseenError, match="augmentation 1 has 8 tracklets"):
        summed_distances([query[0], gallery[0]], gallery * 2)


def test_nobody_to_search_is_refused():
    nobody = tracklets(np.zeros((0, 7)), np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(ReseenError, match="no tracklet"):
        score_features(random_tracklets(3, 0), nobody)


@pytest.mark.parametrize("at_once", [1, 25, 1000])
def test_chunks_score_like_the_whole_matrix(monkeypatch, at_once):
    monkeypatch.setattr(scoring, "DISTANCES_AT_ONCE", at_once)
    query, gallery = random_tracklets(20, 4, number=2), random_tracklets(30, 5, number=2)
    whole = score(
        summed_distances(query, gallery),
        query[0].persons,
        query[0].cameras,
        gallery[0].persons,
        gallery[0].cameras,
    )
    chunked = score_features(query, gallery)
    np.testing.assert_array_equal(chunked.first_ranks, whole.first_ranks)
    np.testing.assert_array_equal(chunked.average_precisions, whole.average_precisions)


def test_ranking_marks_what_scoring_counts():
    # At distance 1 a wrong one and a match: the wrong one first. Junk and same camera left out.
    query = tracklets([[0.0]], [1], [1])
    gallery = tracklets([[1.0], [1.0], [0.5], [0.25], [3.0]], [1, 2, -1, 1, 0], [2, 1, 1, 1, 1])
    found = ranking(query, gallery, 0, length=10)
    assert found.query == "tracklet 0"
    assert found.names == ("tracklet 1", "tracklet 0", "tracklet 4")
    assert found.positive.tolist() == [False, True, False]
    np.testing.assert_allclose(found.distances, [1, 1, 3], rtol=1e-6)
    assert ranking(query, gallery, 0, length=1).names == ("tracklet 1",)


def test_ranking_agrees_with_scores():
    query, gallery = random_tracklets(20, 6), random_tracklets(30, 7)
    scores = score_features(query, gallery)
    for index in np.flatnonzero(scores.scored):
        positive = ranking(query, gallery, index, length=30).positive
        assert np.argmax(positive) + 1 == scores.first_ranks[index]


def test_features_of_different_length_are_refused():
    query, gallery = random_tracklets(3, 0, dimensions=64), random_tracklets(3, 0, dimensions=128)
    with pytest.raises(ReseenError, match="features of 64 and of 128 numbers"):
        score_features(query, gallery)
