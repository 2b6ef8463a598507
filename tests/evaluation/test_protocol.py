"""The protocols on MARS's real tables, where those lie beside the project, and by hand."""

import numpy as np
import pytest
from scipy.io import loadmat

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.evaluation.metrics import plain_average_precision, score, trapezoid_average_precision
from reseen.evaluation.protocol import (
    PROTOCOLS,
    find_protocol,
    score_by_protocol,
    searched_gallery,
)
from reseen.evaluation.reranking import reranked_distances


@pytest.fixture(scope="module")
def mars(shared_data):
    """Queries and the whole test set of MARS, with drawn features that know a little."""
    tables = shared_data / "mars-info"
    tracks = loadmat(tables / "tracks_test_info.mat")["track_test_info"].astype(np.int64)
    queries = loadmat(tables / "query_IDX.mat")["query_IDX"].ravel().astype(np.int64) - 1
    persons, cameras = tracks[:, 2], tracks[:, 3]
    generator = np.random.default_rng(0)
    looks = generator.normal(size=(persons.max() + 2, 32))
    features = looks[persons] + 0.8 * generator.normal(size=(len(persons), 32))
    names = tuple(f"tracklet {row}" for row in range(len(persons)))
    gallery = Embeddings(features.astype(np.float32), persons, cameras, names)
    return gallery.take(queries), gallery


@pytest.mark.parametrize(
    ("name", "searched", "scored", "unscored"),
    [
        ("mars-official", 11_310, 1_980, 0),
        ("mars-field", 11_310, 1_980, 0),
        ("mars-torchreid", 9_330, 1_840, 140),
    ],
)
def test_mars_counts(mars, name, searched, scored, unscored):
    query, gallery = mars
    (left,) = searched_gallery(PROTOCOLS[name], query, gallery)
    assert len(left) == searched
    scores = score_by_protocol(query, gallery, name)
    assert (scores.queries, scores.unscored) == (scored, unscored)


def test_official_and_field_rank_alike_on_mars(mars):
    official, field, torchreid = (
        score_by_protocol(*mars, name) for name in ("mars-official", "mars-field", "mars-torchreid")
    )
    np.testing.assert_array_equal(official.first_ranks, field.first_ranks)
    assert official.mean_average_precision < field.mean_average_precision
    # With fewer matches in the gallery, the first one comes later.
    assert torchreid.cmc[0] < field.cmc[0]


def tiny():
    """One person in three cameras, two of them queries; one other person, junk, a distractor."""
    features = np.array([[0], [0.4], [4], [1], [0.1], [2]], dtype=np.float32)
    persons, cameras = np.array([1, 1, 1, 2, -1, 0]), np.array([1, 2, 3, 1, 2, 2])
    gallery = Embeddings(features, persons, cameras, tuple("abcdef"))
    return gallery.take([0, 1]), gallery


@pytest.mark.parametrize(
    ("name", "names", "first_ranks", "precisions"),
    [
        # The query at 0 finds 0.4, then 1 and 2 (wrong), then 4; the one at 0.4 mirrors it.
        ("cross-camera", "abcdf", [1, 1], [3 / 4, 3 / 4]),
        ("mars-official", "abcdf", [1, 1], [(2 + 1 / 3 + 2 / 4) / 4] * 2),
        ("mars-field", "abcdf", [1, 1], [3 / 4, 3 / 4]),
        # Without the queries in the gallery only the tracklet at 4 is left to find.
        ("mars-torchreid", "cdf", [3, 3], [1 / 3, 1 / 3]),
    ],
)
def test_protocols_by_hand(name, names, first_ranks, precisions):
    query, gallery = tiny()
    (searched,) = searched_gallery(PROTOCOLS[name], query, gallery)
    assert "".join(searched.names) == names
    scores = score_by_protocol(query, gallery, name)
    assert scores.first_ranks.tolist() == first_ranks
    assert scores.average_precisions == pytest.approx(precisions)


@pytest.mark.parametrize("seed", range(5))
def test_junk_in_the_gallery_changes_no_score(seed):
    """The camera rule alone, with junk searched, gives what the protocol gives without it."""
    generator = np.random.default_rng(seed)
    persons, cameras = generator.integers(-1, 6, 60), generator.integers(1, 4, 60)
    features = generator.integers(-3, 4, (60, 2)).astype(np.float32)
    gallery = Embeddings(features, persons, cameras, tuple(map(str, range(60))))
    query = gallery.take(np.flatnonzero(persons > 0)[:12])
    away = np.linalg.norm(query.features[:, None] - features, axis=2).round(3)
    whole = score(away, query.persons, query.cameras, persons, cameras)
    found = score_by_protocol(
        query,
        gallery,
        distance=lambda a, b: np.linalg.norm(a[:, None] - b, axis=2).round(3),
    )
    np.testing.assert_array_equal(found.first_ranks, whole.first_ranks)
    np.testing.assert_array_equal(found.average_precisions, whole.average_precisions)
    np.testing.assert_array_equal(found.chance_level, whole.chance_level)


def test_several_augmentations_and_a_learned_distance():
    query, gallery = tiny()
    doubled = score_by_protocol([query, query], [gallery, gallery], "mars-field")
    assert doubled.first_ranks.tolist() == [1, 1]
    farthest = score_by_protocol(query, gallery, "mars-field", lambda a, b: -abs(a - b.T))
    assert farthest.first_ranks.tolist() == [1, 1]
    assert farthest.average_precisions == pytest.approx([(1 + 2 / 4) / 2] * 2)


def test_reranking_searches_the_same_gallery():
    query, gallery = tiny()
    scores = score_by_protocol(query, gallery, "mars-torchreid", reranked=True)
    left = gallery.take([2, 3, 5])
    people = (query.persons, query.cameras, left.persons, left.cameras)
    expected = score(reranked_distances(query, left), *people)
    assert scores.first_ranks.tolist() == expected.first_ranks.tolist()


def test_precision_is_averaged_as_the_names_say():
    kinds = {name: protocol.average_precision for name, protocol in PROTOCOLS.items()}
    assert kinds.pop("mars-official") is trapezoid_average_precision
    assert set(kinds.values()) == {plain_average_precision}


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(ReseenError, match="'mars-offical'; did you mean 'mars-official'"):
        find_protocol("mars-offical")
