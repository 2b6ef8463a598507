"""Whole pictures of a gallery: none shows anybody who is forgotten."""

import numpy as np
import pytest

from reseen.data.colour_histogram import ColourHistogram
from reseen.data.pictures import encode_jpeg
from reseen.data.tracklet import Moment, Tracklet
from reseen.gallery.frames import Frames
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter

BOX = (0.25, 0.25, 0.5, 0.75)
STRIPES = [ColourHistogram()]


def tracklet(name, start, source="film", pictures=(True, True, True)):
    """Five seconds from a start, with a whole picture at the first, third and fifth second."""
    crop = np.full((64, 32, 3), sum(map(ord, name)) % 200, np.uint8)
    moments = [
        Moment(start + 2.0 * number, BOX, f"<{name} {number}>".encode() if kept else b"")
        for number, kept in enumerate(pictures)
    ]
    crops = (encode_jpeg(crop, 90),)
    return Tracklet(name, "hall", start, start + 4.0, source, (), crops, tuple(moments))


def kept(gallery, id):
    return [moment.picture.decode()[1:-1] for moment in gallery.frames.kept(id)]


def test_what_is_kept_comes_back_in_time_order(gallery):
    added = tracklet("ada", 3.0, pictures=(True, False, True))
    gallery.add([added], STRIPES)
    first, _, last = added.moments
    assert gallery.frames.kept("ada") == [first, last]
    assert [each.seconds for each in gallery.frames.places("ada")] == [3.0, 5.0, 7.0]
    assert {each.box for each in gallery.frames.places("ada")} == {BOX}
    assert gallery.frames.kept("ben") == gallery.frames.places("ben") == []


@pytest.mark.parametrize(
    ("start", "source", "left"),
    [
        (0.0, "film", []),
        (2.0, "film", ["ada 0"]),  # ada is pictured at 0, 2 and 4, ben here from 2 to 6
        (4.0, "film", ["ada 0", "ada 1"]),
        (4.5, "film", ["ada 0", "ada 1", "ada 2"]),
        (0.0, "another film", ["ada 0", "ada 1", "ada 2"]),
    ],
)
def test_pictures_go_with_everybody_who_may_be_on_them(gallery, traces, start, source, left):
    gallery.add([tracklet("ada", 0.0), tracklet("ben", start, source)], STRIPES)
    gallery.forget(Filter(("ben",)), at_once=True)
    assert kept(gallery, "ada") == left
    assert kept(gallery, "ben") == gallery.frames.places("ben") == []
    gone = {"ada 0", "ada 1", "ada 2"} - {*left}
    assert traces(gallery.notes, [f"<{each}>".encode() for each in (*gone, "ben 0", "ben 2")]) == []


def test_who_was_forgotten_before_is_on_no_picture_that_comes_later(gallery, traces):
    gallery.add([tracklet("ben", 2.0)], STRIPES)
    gallery.forget(Filter(("ben",)), at_once=True)
    added = gallery.add([tracklet("ada", 0.0), tracklet("ben", 2.0)], STRIPES)
    assert (added.added, added.forgotten) == (1, 1)
    assert kept(gallery, "ada") == ["ada 0"]
    gallery.forgetting.wipe()
    assert traces(gallery.notes, [b"<ada 1>", b"<ada 2>", b"<ben 0>"]) == []


def test_nothing_comes_after_a_forgetting_of_who_is_being_added(gallery, traces, monkeypatch):
    """Another process forgets between two commits of an adding: the later ones are taken back."""
    keep, another = Frames.keep, Gallery.open(gallery.uri, create=True)

    def late(*given):
        another.forget(Filter(("ada",)))
        keep(*given)

    gallery.add([tracklet("eve", 100.0)], STRIPES)
    with monkeypatch.context() as patch:
        patch.setattr(Frames, "keep", late)
        gallery.add([tracklet("ada", 0.0), tracklet("ben", 50.0)], STRIPES)
    gallery.forgetting.wipe()
    assert kept(gallery, "ada") == gallery.frames.places("ada") == []
    assert gallery.ids("stripes") == {"ben", "eve"}
    # What is committed later of others may show them as well.
    assert kept(gallery, "ben") == []
    assert kept(gallery, "eve") == ["eve 0", "eve 1", "eve 2"]
    gone = [f"<{one} {number}>".encode() for one in ("ada", "ben") for number in range(3)]
    assert traces(gallery.notes, gone) == []


def test_many_places_are_thinned_evenly(gallery):
    moments = tuple(Moment(float(number), BOX) for number in range(100))
    added = tracklet("ada", 0.0)
    gallery.add([Tracklet("ada", "hall", 0.0, 99.0, "film", (), added.contents, moments)], STRIPES)
    assert [each.seconds for each in gallery.frames.places("ada")] == [
        4.0 * n for n in range(25)
    ] + [99.0]


def test_a_picture_at_somebodys_very_end_shows_them_however_the_times_were_rounded(gallery):
    """The times of pictures and of tracklets are sums, but not of the same numbers."""
    begun = 1_795_716_668.630928
    moments = tuple(Moment(second, BOX, b"<both>") for second in (0.1, 1.1))
    gallery.frames.keep(["one"], ["hall.mp4"], [begun], [moments])
    for end, count in ((np.nextafter(begun + 1, 0), 2), (begun + 0.9, 1)):
        assert len(gallery.frames.showing([("hall.mp4", begun - 5, end)])) == count
