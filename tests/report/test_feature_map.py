import numpy as np
import pytest
from scipy.spatial.distance import pdist

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.report.plots import colours, map_figure, png, principal_components


def embeddings(persons, cameras):
    features = np.random.default_rng(0).normal(size=(len(persons), 6)).astype(np.float32)
    names = tuple(map(str, range(len(persons))))
    return Embeddings(features, np.array(persons), np.array(cameras), names)


def test_a_map_of_features_in_a_plane_keeps_all_distances():
    random = np.random.default_rng(1)
    plane = np.linalg.qr(random.normal(size=(10, 2)))[0]
    features = (random.normal(size=(30, 2)) @ plane.T + random.normal(size=10)).astype(np.float32)
    points, shares = principal_components(features)
    np.testing.assert_allclose(pdist(points), pdist(features), rtol=1e-4)
    assert shares.sum() == pytest.approx(1)


def test_components_are_those_of_the_covariance_matrix():
    features = np.random.default_rng(2).normal(size=(50, 8)).astype(np.float32) * np.arange(1, 9)
    points, shares = principal_components(features)
    variances = np.linalg.eigvalsh(np.cov(features.T))[::-1]
    np.testing.assert_allclose(np.cov(points.T), np.diag(variances[:2]), atol=1e-6 * variances[0])
    np.testing.assert_allclose(shares, variances[:2] / variances.sum())


def test_turning_all_features_around_turns_the_map_around():
    """The direction follows from the weights, not from the sign that the solver chose."""
    features = np.random.default_rng(3).normal(size=(20, 5)).astype(np.float32)
    points, _ = principal_components(features)
    np.testing.assert_allclose(principal_components(-features)[0], -points, atol=1e-6)


def test_equal_features_make_one_point():
    points, shares = principal_components(np.ones((4, 3), np.float32))
    assert not points.any()
    assert not shares.any()


def test_a_person_has_one_colour_a_camera_one_marker_and_junk_is_grey():
    (axes,) = map_figure(embeddings([1, 1, 2, 2, -1, 0], [1, 2, 1, 2, 1, 1])).axes
    markers = [line for line in axes.lines if line.get_marker() not in ("None", ".")]
    looks = [(tuple(line.get_color()), line.get_marker()) for line in markers]
    assert len(looks) == 4
    assert len({colour for colour, _ in looks}) == 2
    assert len({marker for _, marker in looks}) == 2
    assert looks[0][0] == looks[1][0]
    assert looks[0][1] == looks[2][1]
    (grey,) = [line for line in axes.lines if line.get_marker() == "."]
    assert len(grey.get_xdata()) == 2
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["camera 1", "camera 2"]


def test_colours_of_many_people_stay_inside_what_a_screen_shows_and_differ():
    many = colours(30)
    assert many.shape == (30, 3)
    assert ((many >= 0) & (many <= 1)).all()
    assert len(np.unique(many.round(3), axis=0)) == 30


def test_three_points_make_a_map_and_two_make_none():
    assert png(map_figure(embeddings([1, 1, 2], [1, 2, 1]))).startswith(b"\x89PNG")
    with pytest.raises(ReseenError, match="three tracklets or more, not 2"):
        map_figure(embeddings([1, 2], [1, 1]))
