"""Adapting a gallery to its cameras: two cameras whose colours differ, and nobody labelled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reseen.data.frame_vectors import open_network
from reseen.errors import ReseenError
from reseen.evaluation.adaptation import CameraMeans
from reseen.gallery.adapting import Adaptation, AdaptedExtractor, adapt, convert, keep_up, latest
from reseen.gallery.extractors import NetworkExtractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter

PEOPLE = 20


@pytest.fixture(scope="module")
def lite0():
    return NetworkExtractor(open_network("lite0"))


@pytest.fixture
def filled(tmp_path, make_tracklet, lite0):
    """Twenty people, each in a light and in a dark camera, and the tracklets of two more."""
    gallery = Gallery.open(tmp_path / "gallery", create=True)
    lights = {"north": 1.0, "south": 0.1}
    seen = [
        make_tracklet(f"{camera}/{person}", person, camera, frames=2, light=light)
        for person in range(PEOPLE + 2)
        for camera, light in lights.items()
    ]
    gallery.add(seen[: 2 * PEOPLE], [lite0])
    return gallery, seen[2 * PEOPLE :]


def found_again(gallery, model):
    """Share of the people in the north whose nearest in the south is the same."""
    right = 0
    for person in range(PEOPLE):
        query = gallery.query(f"north/{person}", model)
        (match,) = gallery.search(query, 1, Filter(camera="south"))
        right += match.entry.id == f"south/{person}"
    return right / PEOPLE


def test_each_step_is_what_its_name_says(filled, lite0):
    gallery, _ = filled
    made = adapt(gallery, lite0)
    assert made.model == f"{lite0.model_id}.adapted-1"
    assert gallery.model() == made.model
    ids = [entry.id for entry in gallery.entries()]
    raw = np.array([gallery.query(id, lite0.model_id).embedding for id in ids], np.float64)
    cameras = np.array([id.split("/")[0] for id in ids])
    for camera in set(cameras):
        raw[cameras == camera] -= raw[cameras == camera].mean(axis=0)
    expected = (raw - made.whitening.mean) @ made.whitening.matrix
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    adapted = np.array([gallery.query(id, made.model).embedding for id in ids])
    np.testing.assert_allclose(adapted, expected, atol=1e-4)


def test_more_people_are_found_again(filled, lite0):
    gallery, _ = filled
    before = found_again(gallery, lite0.model_id)
    assert found_again(gallery, adapt(gallery, lite0).model) > before


def test_what_comes_later_is_converted_as_what_was_there(filled, lite0):
    gallery, later = filled
    made = adapt(gallery, lite0)
    gallery.add(later, [lite0])
    kept = latest(gallery, lite0.model_id)
    assert convert(gallery, kept) == len(later)
    assert convert(gallery, kept) == 0
    vectors = np.stack([gallery.query(each.id, lite0.model_id).embedding for each in later])
    expected = made.apply(vectors, [each.camera for each in later])
    found = np.stack([gallery.query(each.id, made.model).embedding for each in later])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_second_version_is_taken_instead_of_the_first(filled, lite0):
    gallery, _ = filled
    adapt(gallery, lite0)
    assert adapt(gallery, lite0).model.endswith(".adapted-2")
    assert gallery.model().endswith(".adapted-2")


def test_adding_learns_once_and_anew_when_the_gallery_has_doubled(filled, lite0):
    gallery, later = filled
    first = keep_up(gallery, lite0)
    assert (first.model, first.tracklets) == (f"{lite0.model_id}.adapted-1", 2 * PEOPLE)
    gallery.add(later, [lite0])
    assert keep_up(gallery, lite0).model == first.model
    assert gallery.count(model=first.model) == 2 * PEOPLE + len(later)
    replace(first, tracklets=PEOPLE).save(gallery)
    assert keep_up(gallery, lite0).model.endswith(".adapted-2")


def test_a_network_that_knows_people_is_adapted_only_when_asked(filled, lite0, monkeypatch):
    gallery, _ = filled
    monkeypatch.setattr("reseen.gallery.adapting.LITE0", "another")
    assert keep_up(gallery, lite0) is None
    assert gallery.model() == lite0.model_id


def test_without_the_crops_the_cameras_means_remain(filled, lite0):
    gallery, _ = filled
    for entry in gallery.entries():
        for file in Path(entry.crops).iterdir():
            file.unlink()
    made = adapt(gallery, lite0)
    assert made.whitening is None
    assert set(made.means.own) == {"north", "south"}


def test_what_is_forgotten_is_forgotten_adapted_too(filled, lite0):
    gallery, _ = filled
    made = adapt(gallery, lite0)
    gallery.forget(Filter(ids=("north/3",)))
    assert gallery.count(model=made.model) == 2 * PEOPLE - 1


def test_too_few_tracklets_are_said_to_be_too_few(tmp_path, make_tracklet, lite0):
    gallery = Gallery.open(tmp_path / "gallery", create=True)
    gallery.add([make_tracklet("one", 1)], [lite0])
    with pytest.raises(ReseenError, match=r"1 tracklets of 1 cameras .* nothing to adapt to"):
        adapt(gallery, lite0)
    assert gallery.models() == [lite0.model_id]


def test_pictures_of_an_unknown_camera_lose_the_overall_mean(lite0, draw_person):
    pictures = [draw_person(3)]
    overall = np.random.default_rng(0).normal(0, 0.01, lite0.dimensions)
    adapted = AdaptedExtractor(lite0, Adaptation("m.adapted-1", CameraMeans(overall, {}), None, 1))
    expected = lite0.embed([pictures])[0] - overall
    np.testing.assert_allclose(
        adapted.embed([pictures])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


def test_self_training_is_kept_and_kept_up(filled, lite0):
    gallery, _ = filled
    trained = adapt(gallery, lite0, self_train=True)
    kept = latest(gallery, lite0.model_id)
    assert kept.self_trained
    replace(trained, tracklets=1).save(gallery)
    anew = keep_up(gallery, lite0)
    assert anew.model == f"{lite0.model_id}.adapted-2"
    assert anew.self_trained
    np.testing.assert_allclose(anew.whitening.matrix, trained.whitening.matrix)
