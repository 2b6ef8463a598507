import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.evaluation.scoring import Ranking, score_features
from reseen.report.pictures import (
    NEGATIVE,
    POSITIVE,
    SHOWN,
    chosen_rankings,
    ranked_figure,
    rows,
)
from reseen.report.plots import INK, save


def embeddings(features, camera):
    persons = np.arange(1, len(features) + 1)
    return Embeddings(
        np.array(features, np.float32)[:, None],
        persons,
        np.full(len(features), camera),
        tuple(f"{person}/{camera}" for person in persons),
    )


def test_queries_are_chosen_evenly_from_best_to_worst():
    gallery = embeddings([0, 10, 20, 30, 40], camera=2)
    # The right ones are found at ranks 1, 2, 3, 4, 5: person 1 is looked for next to 1, and so on.
    query = embeddings([0, 0, 0, 0, 0], camera=1)
    scores = score_features(query, gallery)
    assert scores.first_ranks.tolist() == [1, 2, 3, 4, 5]
    shuffled = [3, 0, 4, 2, 1]
    query = query.take(shuffled)
    scores = score_features(query, gallery)
    chosen = chosen_rankings(query, gallery, scores, 3)
    assert [each.query for each in chosen] == ["1/1", "3/1", "5/1"]
    assert [each.positive.tolist().index(True) for each in chosen] == [0, 2, 4]
    assert [each.query for each in chosen_rankings(query, gallery, scores, 9)] == [
        f"{person}/1" for person in range(1, 6)
    ]


def test_unscored_queries_are_not_chosen():
    gallery = embeddings([0, 10], camera=2)
    query = embeddings([0, 10, 20], camera=1)
    chosen = chosen_rankings(query, gallery, score_features(query, gallery))
    assert {each.query for each in chosen} == {"1/1", "2/1"}


@pytest.fixture
def store(make_store):
    return make_store([(person, camera, 5) for person in range(1, 13) for camera in (1, 2)])


def ranking(store, right_at, length=12):
    """Tracklets of camera 2 as found for the first one of camera 1; the distance is the rank."""
    names = tuple(store.names[1::2][:length])
    right = np.arange(1, length + 1) == right_at
    return Ranking(store.names[0], names, np.arange(1.0, length + 1), right)


def test_a_row_shows_the_nearest_and_then_the_first_right_one_where_it_comes_later(store):
    near, far, none = rows(store, [ranking(store, rank) for rank in (3, 11, 0)])
    assert [found.rank for found in near.found] == list(range(1, SHOWN + 1))
    assert [found.positive for found in near.found] == [rank == 3 for rank in range(1, SHOWN + 1)]
    assert [found.rank for found in far.found] == [*range(1, SHOWN + 1), 11]
    assert far.found[-1].positive
    assert not any(found.positive for found in none.found)
    assert (near.first, far.first, none.first) == (3, 11, 0)


def test_a_row_names_tracklets_of_the_store(store):
    (row,) = rows(store, [ranking(store, 1)])
    assert (row.name, row.camera) == (store.names[0], 1)
    for found in row.found:
        assert store.names[found.index] == found.name
        assert store.cameras[found.index] == found.camera == 2
        assert found.distance == found.rank


def test_a_ranking_of_another_store_is_refused_by_name(store):
    other = Ranking(store.names[0], ("somebody/else",), np.zeros(1), np.ones(1, bool))
    with pytest.raises(ReseenError, match="no tracklet somebody/else"):
        rows(store, [other])


def test_frames_are_green_where_right_red_where_wrong_and_marked_without_colour(store):
    (axes,) = ranked_figure(store, [ranking(store, 2, length=4)]).axes
    edges = [to_hex(patch.get_edgecolor()) for patch in axes.patches]
    assert edges == [INK["ink"], NEGATIVE, POSITIVE, NEGATIVE, NEGATIVE]
    texts = [text.get_text() for text in axes.texts]
    assert [text for text in texts if text[0] in "✓✗"] == [
        "✗ 1   1.00",
        "✓ 2   2.00",
        "✗ 3   3.00",
        "✗ 4   4.00",
    ]


def test_everything_lies_inside_the_picture_and_no_text_on_a_tile(store):
    figure = ranked_figure(store, [ranking(store, 11), ranking(store, 1)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for artist in (*axes.texts, *axes.patches):
        box = artist.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    tiles = [patch.get_window_extent() for patch in axes.patches]
    assert not any(text.get_window_extent().count_overlaps(tiles) for text in axes.texts)


def test_names_with_dollars_and_long_names_are_drawn(store, tmp_path, make_store):
    save(ranked_figure(store, [ranking(store, 1)]), tmp_path / "ranked.png")
    picture = cv2.imread(str(tmp_path / "ranked.png"))
    assert picture.shape[1] > 1000
    name = r"$\frac{$-" + "n" * 40
    object.__setattr__(store, "names", (name, *store.names[1:]))
    figure = ranked_figure(store, [ranking(store, 1)])
    figure.draw_without_rendering()
    assert r"$\frac{…nnnnnnnn" in [text.get_text() for text in figure.axes[0].texts]
