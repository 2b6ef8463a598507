"""Who is new and who was there before: told by content and place, never by a name."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pyarrow
import pytest

from reseen.data.colour_histogram import ColourHistogram
from reseen.data.tracked import tracklets_in
from reseen.errors import ReseenError
from reseen.gallery.extractors import open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.intake import content_digest
from reseen.gallery.records import Filter


@pytest.fixture
def gallery(tmp_path):
    return Gallery.open(tmp_path / "gallery", create=True)


def add(gallery, tracklets, **options):
    added = gallery.add(tracklets, [ColourHistogram()], **options)
    return added.added, added.present, added.forgotten


def moved(tracklet, folder):
    """The same crops in another folder."""
    folder.mkdir(parents=True)
    paths = tuple(folder / path.name for path in tracklet.paths)
    for old, new in zip(tracklet.paths, paths, strict=True):
        shutil.copy(old, new)
    return replace(tracklet, paths=paths, source=str(folder))


def test_equal_names_of_two_sites_are_two_people(tmp_path, make_tracklet, gallery):
    for site, first in (("north", 1), ("south", 3)):
        for person in (1, 2):
            place = tmp_path / site / "people" / f"{person:04}" / "cam1"
            moved(make_tracklet(f"{site}{person}", first + person), place)
        assert add(gallery, tracklets_in(tmp_path / site / "people")) == (2, 0, 0)
    ids = [entry.id for entry in gallery.entries()]
    assert len(set(ids)) == 4
    assert ids[0] == "people/0001/cam1"
    assert ids[1].startswith("people/0001/cam1~")
    assert gallery.count(model="stripes") == 4


def test_a_run_embeds_what_is_added(make_tracklet, gallery, finished_run):
    tracklets = [make_tracklet(f"t{person}", person) for person in (1, 2)]
    run = open_extractor(str(finished_run[0].path))
    assert gallery.add(tracklets, [run, ColourHistogram()]).added == 2
    assert gallery.add(tracklets, [run, ColourHistogram()]).present == 2
    for one, expected in zip(
        tracklets, run.embed([each.pictures for each in tracklets]), strict=True
    ):
        np.testing.assert_array_equal(gallery.query(one.id, run.model_id).embedding, expected)


def test_two_recordings_of_one_name_are_both_taken(make_tracklet, gallery):
    first = make_tracklet("cam-cam-000001", 1, "cam")
    second = make_tracklet("cam-cam-000001", 2, "cam")
    added = gallery.add([first], [ColourHistogram()])
    assert (added.added, added.renamed) == (1, {})
    added = gallery.add([second], [ColourHistogram()])
    assert added.added == 1
    assert added.renamed == {first.id: f"{first.id}~{content_digest(second)[:12]}"}
    assert add(gallery, [first, second]) == (0, 2, 0)


def test_equal_names_in_one_batch_are_both_taken(make_tracklet, gallery):
    both = [make_tracklet("cam1", 1), make_tracklet("cam1", 2)]
    assert add(gallery, both) == (2, 0, 0)
    assert add(gallery, both) == (0, 2, 0)


def test_equal_content_was_there_before_whatever_it_is_called(tmp_path, make_tracklet, gallery):
    tracklet = make_tracklet("walker", 1)
    assert add(gallery, [tracklet]) == (1, 0, 0)
    copy = moved(tracklet, tmp_path / "copy")
    assert add(gallery, [replace(copy, id="another name")]) == (0, 1, 0)


@pytest.mark.parametrize("place", [{"camera": "south"}, {"start": 500.0, "end": 502.0}])
def test_equal_content_in_another_place_is_new(make_tracklet, gallery, place):
    tracklet = make_tracklet("empty", 1)
    assert add(gallery, [tracklet]) == (1, 0, 0)
    assert add(gallery, [replace(tracklet, **place)]) == (1, 0, 0)
    assert len(gallery.forget(Filter(end=600.0))) == 2


def test_a_model_added_later_embeds_who_is_there(make_tracklet, gallery):
    class Means:
        model_id, dimensions, note = "means", 3, ""

        def embed(self, tracklets):
            return np.array([np.mean([p.mean((0, 1)) for p in t], 0) for t in tracklets], "f4")

    tracklets = [make_tracklet("a", 1), make_tracklet("b", 2)]
    assert add(gallery, tracklets[:1]) == (1, 0, 0)
    added = gallery.add(tracklets, [Means(), ColourHistogram()])
    assert (added.added, added.present) == (2, 0)
    assert gallery.stats().models == {"means": 2, "stripes": 2}
    assert gallery.count() == 2


def test_who_lost_a_name_to_another_process_gets_a_longer_one(make_tracklet, gallery, monkeypatch):
    first, second = make_tracklet("x", 1), make_tracklet("x", 2)
    # The second process looked before the first one's tracklet was there.
    other = Gallery.open(gallery.uri, create=True)
    monkeypatch.setattr(other, "columns", lambda *_: pyarrow.table({"id": []}))
    assert add(gallery, [first]) == (1, 0, 0)
    assert add(other, [second]) == (1, 0, 0)
    own = ColourHistogram().embed([second.pictures])[0]
    found = {entry.id: gallery.query(entry.id, "stripes") for entry in gallery.entries()}
    assert len(found) == 2
    np.testing.assert_array_equal(found[f"x~{content_digest(second)[:12]}"].embedding, own)


def test_who_was_added_by_another_process_meanwhile_was_there(make_tracklet, gallery, monkeypatch):
    tracklets = [make_tracklet("a", 1), make_tracklet("b", 2)]
    other = Gallery.open(gallery.uri, create=True)
    monkeypatch.setattr(other, "columns", lambda *_: pyarrow.table({"id": []}))
    assert add(gallery, tracklets[:1]) == (1, 0, 0)
    assert add(other, tracklets) == (1, 1, 0)


def test_what_was_forgotten_is_not_taken_in_again_tonight(make_tracklet, gallery):
    tracklets = [make_tracklet("a", 1), make_tracklet("b", 2)]
    add(gallery, tracklets)
    gallery.forget(Filter(ids=("a",)))
    assert add(gallery, [replace(tracklets[0], id="elsewhere"), tracklets[1]]) == (0, 1, 1)
    assert add(gallery, tracklets, forgotten_too=True) == (1, 1, 0)


def test_a_broken_picture_leaves_out_its_tracklet_by_name(make_tracklet, gallery):
    good, broken = make_tracklet("good", 1), make_tracklet("broken", 2)
    broken.paths[1].write_bytes(broken.paths[1].read_bytes()[:50])
    added = gallery.add([broken, good], [ColourHistogram()])
    assert [entry.id for entry in gallery.entries()] == ["good"]
    assert len(added.left_out) == 1
    assert added.left_out[0].startswith("broken left out: ")
    assert str(broken.paths[1]) in added.left_out[0]


@pytest.mark.parametrize("field", ["id", "camera", "source"])
def test_a_name_that_is_no_text_leaves_out_its_tracklet(make_tracklet, gallery, field):
    latin = os.fsdecode("café".encode("latin-1"))  # as Python tells names that are not UTF-8
    odd = replace(make_tracklet("odd", 1), **{field: latin})
    added = gallery.add([odd, make_tracklet("good", 2)], [ColourHistogram()])
    assert [entry.id for entry in gallery.entries()] == ["good"]
    assert "this name is not UTF-8" in added.left_out[0]


def test_a_pipe_among_the_pictures_leaves_out_its_tracklet(make_tracklet, gallery):
    odd = make_tracklet("odd", 1)
    odd.paths[1].unlink()
    os.mkfifo(odd.paths[1])  # to read it would take for ever
    added = gallery.add([odd, make_tracklet("good", 2)], [ColourHistogram()])
    assert [entry.id for entry in gallery.entries()] == ["good"]
    (line,) = added.left_out
    assert line.startswith(f"odd left out: cannot read {odd.paths[1]}: it is a device or a pipe")


def test_a_lock_that_cannot_be_held_is_one_line(gallery, tmp_path):
    (tmp_path / "gallery" / "lock").unlink()
    (tmp_path / "gallery" / "lock").mkdir()
    with pytest.raises(ReseenError, match=r"cannot write .*lock: Is a directory"):
        gallery.settings.set_retention_days(3)
