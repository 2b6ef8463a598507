"""Adapting a gallery to its cameras: two cameras whose colours differ, and nobody labelled."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.data.frame_vectors import open_network
from reseen.data.tracklet import BenchmarkTracklet
from reseen.errors import ReseenError
from reseen.evaluation.adaptation import CameraMeans
from reseen.gallery.adapting import (
    Adaptation,
    AdaptedExtractor,
    adapt,
    calibrate_anew,
    convert,
    embed_benchmark,
    keep_up,
    latest,
)
from reseen.gallery.calibration import calibrate_on_labels
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


def test_nothing_is_learned_from_what_is_no_person(filled, lite0):
    gallery, later = filled
    gallery.add(later, [lite0])
    for place in range(11):
        gallery.labels.add(f"north/{place}", f"south/{place}", same=True)
    gallery.rejected.add(["south/3"], {})
    made = adapt(gallery, lite0)
    assert (made.tracklets, made.labelled) == (2 * PEOPLE + 3, 10)
    south = [id for id in gallery.ids(lite0.model_id) if id.startswith("south")]
    vectors = [gallery.query(id, lite0.model_id).embedding for id in south]
    np.testing.assert_allclose(made.means.own["south"], np.mean(vectors, axis=0), rtol=1e-5)
    assert len(gallery.labelled_pairs(lite0.model_id).same) == 10
    assert len(gallery.query("south/3", made.model).embedding)  # it may be taken back
    gallery.rejected.drop(["south/3"])
    assert len(gallery.labelled_pairs(lite0.model_id).same) == 11


def test_a_second_version_is_taken_instead_of_the_first(filled, lite0):
    gallery, _ = filled
    adapt(gallery, lite0)
    assert adapt(gallery, lite0).model.endswith(".adapted-2")
    assert gallery.model().endswith(".adapted-2")


def test_nobody_searches_in_half_a_version(filled, lite0, monkeypatch):
    gallery, _ = filled
    whole = adapt(gallery, lite0).model
    ids = [entry.id for entry in gallery.entries()]
    real, killed = gallery.add_embeddings, KeyboardInterrupt("killed")

    def half(model, rows, embeddings):
        real(model, rows[:3], np.ones_like(embeddings[:3]))
        raise killed

    monkeypatch.setattr(gallery, "add_embeddings", half)
    with pytest.raises(KeyboardInterrupt):
        adapt(gallery, lite0)
    again = Gallery.open(gallery.uri)
    assert again.model() == whole
    assert latest(again, lite0.model_id).model == whole

    made = adapt(again, lite0)
    assert (made.model, again.model()) == (whole[:-1] + "2", made.model)
    for id in ids:  # nothing of the half one is left
        np.testing.assert_allclose(
            again.query(id, made.model).embedding, again.query(id, whole).embedding, atol=1e-5
        )


def test_who_adapts_while_another_does_is_told(filled, lite0, holding):
    gallery, _ = filled
    holding(gallery.notes / "adapting")
    with pytest.raises(ReseenError, match=r"adapting is being filled by process \d+"):
        adapt(gallery, lite0)


def test_adding_learns_once_and_anew_when_the_gallery_has_doubled(filled, lite0):
    gallery, later = filled
    first = keep_up(gallery, lite0)
    assert (first.model, first.tracklets) == (f"{lite0.model_id}.adapted-1", 2 * PEOPLE)
    gallery.add(later, [lite0])
    assert keep_up(gallery, lite0).model == first.model
    assert gallery.count(model=first.model) == 2 * PEOPLE + len(later)
    replace(first, tracklets=PEOPLE).save(gallery)
    assert keep_up(gallery, lite0).model.endswith(".adapted-2")


def test_a_network_that_knows_people_is_adapted_only_when_asked(mosaics, extractor):
    assert keep_up(mosaics, extractor) is None
    assert mosaics.model() == extractor.model_id


@pytest.mark.parametrize("extractor", ["tuned-lite0-0123456789ab"], indirect=True)
def test_a_fine_tuned_lite0_is_adapted_as_lite0_is(mosaics, extractor):
    assert keep_up(mosaics, extractor).whitening is not None


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
    with pytest.raises(ReseenError, match=r"needs 40 tracklets of 2 cameras, .* has 1 of 1 by"):
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


class Mosaic(NetworkExtractor):
    """The colours of four by two fields stand for a network's vector, which takes no time."""

    model_id, dimensions, note = "mosaic", 24, ""

    def __init__(self):
        self.vectors = lambda pictures: np.array(
            [
                cv2.resize(each, (2, 4), interpolation=cv2.INTER_AREA).ravel() / 255
                for each in pictures
            ]
        )


@pytest.fixture
def extractor(request):
    made = Mosaic()
    made.model_id = getattr(request, "param", made.model_id)
    return made


@pytest.fixture
def mosaics(tmp_path, make_tracklet, extractor):
    """Twenty people, each in a light and in a dark camera."""
    gallery = Gallery.open(tmp_path / "gallery", create=True)
    lights = {"north": 1.0, "south": 0.6}
    gallery.add(
        (
            make_tracklet(f"{camera}/{person}", person, camera, frames=2, light=light)
            for person in range(PEOPLE)
            for camera, light in lights.items()
        ),
        [extractor],
    )
    return gallery


def test_a_network_that_knows_people_is_whitened_for_labels_or_guesses_only(mosaics, extractor):
    assert adapt(mosaics, extractor).whitening is None
    assert adapt(mosaics, extractor, self_train=True).whitening is not None
    label(mosaics, range(10))
    assert adapt(mosaics, extractor).whitening is not None


def label(gallery, people):
    for person in people:
        gallery.labels.add(f"north/{person}", f"south/{person}", same=True)


def test_labels_join_without_being_asked_for(mosaics, extractor):
    gallery = mosaics
    plain = adapt(gallery, extractor)
    label(gallery, range(9))
    assert adapt(gallery, extractor).labelled == 0  # too few to say anything
    label(gallery, range(9, 12))
    joined = adapt(gallery, extractor)
    assert joined.labelled == latest(gallery, extractor.model_id).labelled == 12

    def apart(made):
        vectors = gallery_vectors(gallery, made.model)
        own = [np.linalg.norm(vectors[f"north/{i}"] - vectors[f"south/{i}"]) for i in range(12)]
        other = [np.linalg.norm(vectors[f"north/{i}"] - vectors["south/19"]) for i in range(12)]
        return np.mean(own) / np.mean(other)

    assert apart(joined) < apart(plain)


def gallery_vectors(gallery, model):
    return {entry.id: gallery.query(entry.id, model).embedding for entry in gallery.entries()}


def test_adding_learns_anew_when_labels_have_doubled(mosaics, extractor):
    gallery = mosaics
    first = adapt(gallery, extractor)
    label(gallery, range(10))
    second = keep_up(gallery, extractor)
    assert (first.model[-1], second.model[-1], second.labelled) == ("1", "2", 10)
    label(gallery, range(19))
    assert keep_up(gallery, extractor).model == second.model
    label(gallery, range(20))
    assert keep_up(gallery, extractor).labelled == 20


def test_a_calibration_belongs_to_its_version_and_comes_again_from_labels(mosaics, extractor):
    gallery = mosaics
    first = adapt(gallery, extractor)
    assert calibrate_anew(gallery, first) == ""
    label(gallery, range(PEOPLE))
    for person in range(PEOPLE):
        other = f"south/{(person + 7) % PEOPLE}"
        gallery.labels.add(f"north/{person}", other, same=False)
    fitted = calibrate_on_labels(gallery.labelled_pairs(first.model), first.model)
    gallery.settings.keep_calibration(fitted)
    second = adapt(gallery, extractor)
    assert gallery.settings.calibration(second.model) is None
    assert "calibrated on the gallery's labels" in calibrate_anew(gallery, second)
    expected = calibrate_on_labels(gallery.labelled_pairs(second.model), second.model)
    assert gallery.settings.calibration(second.model) == expected
    third = adapt(gallery, extractor)
    for person in range(PEOPLE):
        gallery.labels.remove(f"north/{person}", f"south/{person}")
    assert "see reseen calibrate" in calibrate_anew(gallery, third)


def test_calibrating_looks_at_a_data_set_as_the_gallery_does_at_its_cameras(
    mosaics, extractor, tmp_path
):
    """The gallery's own people, as a data set, come out as they lie in the gallery."""
    gallery = mosaics
    made = adapt(gallery, extractor)
    entries = gallery.entries()
    tracklets = [
        BenchmarkTracklet(
            entry.id,
            1 + int(entry.id.split("/")[1]),
            1 + (entry.camera == "south"),
            Path(entry.crops),
            tuple(sorted(file.name for file in Path(entry.crops).iterdir())),
        )
        for entry in entries
    ]
    found = embed_benchmark(tracklets, AdaptedExtractor(extractor, made))
    vectors = gallery_vectors(gallery, made.model)
    expected = np.array([vectors[entry.id] for entry in entries])
    np.testing.assert_allclose(found.features, expected, atol=1e-3)
