"""The people of a live camera: when they are added, and what becomes of those who stay."""

import time

import cv2
import numpy as np
import pytest

from reseen.data.colour_histogram import ColourHistogram
from reseen.data.pictures import decode_picture
from reseen.errors import ReseenError
from reseen.evaluation.adaptation import CameraMeans
from reseen.gallery.adapting import Adaptation, convert
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter
from reseen.gallery.thumbnail import hidden
from reseen.service import watching as module
from reseen.service.incoming import Keeping
from reseen.service.watching import SHOWN_WIDTH, Live
from reseen.tracking.detections import Detections
from reseen.tracking.video import Frame
from tests.service.blocks import GREEN, RED, find

FPS = 5


def scene(*blocks: tuple[tuple[int, int, int], int]) -> np.ndarray:
    """A picture with blocks of a colour at a place from the left."""
    picture = np.full((240, 320, 3), 128, np.uint8)
    for colour, left in blocks:
        top = 20 if colour == RED else 130
        picture[top : top + 80, left : left + 30] = colour
    return picture


@pytest.fixture
def gallery(tmp_path) -> Gallery:
    return Gallery.open(tmp_path / "gallery", create=True)


@pytest.fixture
def live(gallery) -> Live:
    return Live(gallery, "hall", "rtsp://hall", find, [ColourHistogram()], min_length=4)


def show(live: Live, pictures: list[np.ndarray], begun: float) -> float:
    """Let a camera see pictures; returns when the next one would come."""
    for index, picture in enumerate(pictures):
        live.see(Frame(index, begun + index / FPS, picture))
        live.add()
    return begun + len(pictures) / FPS


def to_and_fro(index: int) -> int:
    """A place that changes by a few pixels from picture to picture."""
    return 20 + 4 * abs(index % 20 - 10)


def test_who_has_left_is_searchable_two_seconds_later(gallery, live):
    """The tracker waits 2 s for somebody to come back; then there is nothing to wait for."""
    now = time.monotonic()
    walk = [scene((RED, 10 + 10 * index)) for index in range(10)]
    now = show(live, walk + [scene()] * 10, now)
    assert gallery.count() == 0
    show(live, [scene(), scene()], now)
    (entry,) = gallery.entries()
    assert (entry.camera, entry.source, entry.frames) == ("hall", "rtsp://hall", 10)
    assert entry.end - entry.start == pytest.approx(9 / FPS)
    assert abs(entry.start - time.time()) < 60
    assert gallery.models() == ["stripes"]
    assert live.people == 1


def test_who_stays_is_added_again_and_again_and_counts_once(gallery, live, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_STAY", 2.0)
    stay = [scene((RED, to_and_fro(index))) for index in range(6 * FPS)]
    now = show(live, stay, time.monotonic())
    spans = [entry.end - entry.start for entry in gallery.entries()]
    assert spans == pytest.approx([2, 2], abs=2 / FPS)
    live.end_all()
    live.add()
    first, second, third = gallery.entries()
    assert first.end < second.start < second.end < third.start
    assert sum(entry.frames for entry in (first, second, third)) == len(stay)
    assert live.people == 1
    show(live, [scene((GREEN, 10 + 10 * index)) for index in range(10)], now + 5)
    live.end_all()
    live.add()
    assert live.people == 2


def test_what_many_adds_leave_is_merged(gallery, live, monkeypatch):
    monkeypatch.setattr(module, "ADDS_BEFORE_MERGING", 2)
    merged = []
    monkeypatch.setattr(Gallery, "optimise", lambda _: merged.append(gallery.count()))
    now = time.monotonic()
    for _ in range(4):
        now = 10 + show(live, [scene((RED, 10 + 10 * index)) for index in range(10)], now)
        live.end_all()
        live.add()
    assert merged == [2, 4]


def test_who_cannot_be_added_waits(gallery, live, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Gallery, "add", lambda *_, **__: (_ for _ in ()).throw(ReseenError("full")))
        walk = [scene((RED, 10 + 10 * index)) for index in range(10)]
        for index, picture in enumerate(walk):
            live.see(Frame(index, index / FPS, picture))
        live.end_all()
        for _ in range(2):
            with pytest.raises(ReseenError, match="full"):
                live.add()
    assert (gallery.count(), live.people) == (0, 0)
    live.add()
    live.add()
    assert (gallery.count(), live.people) == (1, 1)


def test_searches_by_adapted_embeddings_find_who_has_just_left(gallery, live):
    now = show(live, [scene((RED, 10 + 10 * index)) for index in range(10)], time.monotonic())
    live.end_all()
    live.add()
    nothing = CameraMeans(np.zeros(ColourHistogram().dimensions), {})
    adaptation = Adaptation("stripes.adapted-1", nothing, None, 1)
    adaptation.save(gallery)
    assert convert(gallery, adaptation) == 1
    show(live, [scene((GREEN, 10 + 10 * index)) for index in range(10)], now + 5)
    live.end_all()
    live.add()
    first, second = gallery.entries(model="stripes.adapted-1")
    query = gallery.query(first.id, "stripes.adapted-1")
    assert [match.entry.id for match in gallery.search(query)] == [second.id]


def test_a_clock_that_is_set_back_changes_no_length(gallery, live, monkeypatch):
    """The clock of the wall jumps an hour back while somebody is in the picture."""
    begun, wall = time.monotonic(), time.time()
    walk = [scene((RED, 10 + 10 * index)) for index in range(10)]
    show(live, walk, begun)
    monkeypatch.setattr(time, "time", lambda: wall - 3600)
    live.end_all()
    live.add()
    (entry,) = gallery.entries()
    assert entry.end - entry.start == pytest.approx(9 / FPS)
    assert entry.start == pytest.approx(wall - 3600, abs=60)


def test_whole_pictures_are_kept_if_asked_for_and_no_byte_of_them_is_left_of_the_forgotten(
    gallery, tmp_path, traces
):
    """Green comes later than red: what was kept of red before, it is not on."""
    keep = {"min_length": 4, "keeping": Keeping(frames=True)}
    live = Live(gallery, "hall", "rtsp://hall", find, [ColourHistogram()], **keep)
    walk = [scene((RED, 10 + 10 * index)) for index in range(5)]
    walk += [scene((RED, 60 + 10 * index), (GREEN, 200 - 10 * index)) for index in range(10)]
    show(live, walk, time.monotonic())
    live.end_all()
    live.add()
    red, green = sorted(gallery.entries(), key=lambda entry: -entry.frames)
    kept = {entry.id: gallery.frames.kept(entry.id) for entry in (red, green)}
    for entry in (red, green):
        seconds = [moment.seconds for moment in kept[entry.id]]
        assert len(seconds) in (2, 3)
        assert seconds[:: len(seconds) - 1] == pytest.approx([entry.start, entry.end])
    before = [each for each in kept[red.id] if each.seconds < green.start - 0.1]
    shared = [each.picture for some in kept.values() for each in some if each not in before]
    picture = decode_picture(before[0].picture, "a kept picture")
    assert picture.shape == (240, 320, 3)
    assert np.abs(picture[90, 25].astype(int) - RED).max() < 40
    assert traces(tmp_path, shared)
    gallery.forget(Filter((green.id,)), at_once=True)
    assert traces(tmp_path, [*shared, green.id.encode()]) == []
    assert gallery.frames.kept(red.id) == before


def test_what_was_seen_before_somebody_was_forgotten_is_kept_without_pictures(gallery):
    """Of an hour ago; since then, somebody was forgotten who may be on it."""
    keep = {"min_length": 4, "keeping": Keeping(frames=True)}
    live = Live(gallery, "hall", "rtsp://hall", find, [ColourHistogram()], **keep)
    walk = [scene((RED, 10 + 10 * index)) for index in range(8)]
    show(live, walk, time.monotonic() - 7_200)
    live.end_all()
    live.add()
    (before,) = gallery.entries()
    assert gallery.frames.kept(before.id)
    walk = [scene((GREEN, 10 + 10 * index)) for index in range(8)]
    show(live, walk, time.monotonic() - 3_600)
    live.end_all()
    gallery.forget(Filter((before.id,)))
    live.add()
    (green,) = gallery.entries()
    assert gallery.frames.kept(green.id) == []
    assert gallery.frames.places(green.id)


def test_no_whole_picture_is_kept_unless_asked_for(gallery, live):
    show(live, [scene((RED, 10 + 10 * index)) for index in range(10)], time.monotonic())
    live.end_all()
    live.add()
    (entry,) = gallery.entries()
    assert gallery.frames.kept(entry.id) == []


def test_the_last_picture_is_small_and_heads_are_mosaics():
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    body = (200, 100, 300, 400)
    shown = hidden(noise, Detections.of([body], [0.9]).boxes, SHOWN_WIDTH)
    small = cv2.resize(noise, (320, 240))
    assert shown.shape == (240, 320, 3)
    changed = (shown != small).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (columns[0], columns[-1], rows[0]) == (100, 149, 50)
    assert 0.1 * 150 < rows[-1] - 50 < 0.7 * 150
    head = shown[50 : rows[-1] + 1, 100:150]
    assert len(np.unique(head.reshape(-1, 3), axis=0)) <= 4 * 20  # of some thousand colours
