"""A gallery that the release before wrote (gallery-1.tar.xz) goes on in this one.

It holds six tracklets of random numbers, embedded by "net", five with stripes and thumbnails, three
of them by "stripes" as well, three labels on two pairs, a calibration and a retention period.
"""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.gallery import upgrade as upgrading
from reseen.gallery.gallery import Gallery
from reseen.gallery.log import read_lines
from reseen.gallery.upgrade import upgrade

OLD = Path(__file__).with_name("gallery-1.tar.xz")


@pytest.fixture
def old(tmp_path):
    with tarfile.open(OLD) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.11.4 on
        archive.extractall(tmp_path)
    return tmp_path / "gallery"


def check(gallery):
    """Everything as it was filled in, from the numbers that it was filled with."""
    random = np.random.default_rng(0)
    stripes = random.random((5, 128), np.float32)
    net = random.normal(size=(5, 128)).astype("f4")
    assert gallery.models() == ["net", "stripes"]
    for number in range(5):
        id = f"hall-{number:06d}"
        entry = gallery.entry(id)
        start = 1.7e9 + 60 * number if number else None
        assert (entry.camera, entry.start) == ("hall" if number % 2 else "yard's", start)
        assert entry.end == (None if start is None else start + 5)
        assert (entry.source, entry.frames) == (f"films/{number}.mp4", 10 + number)
        assert entry.keep_until == 4e9
        assert 1.79e9 < entry.added < 1.8e9
        query = gallery.query(id, "net")
        np.testing.assert_array_equal(query.embedding, net[number])
        np.testing.assert_array_equal(query.beside["stripes"], stripes[number])
        assert gallery.thumbnails([id]) == {id: f"thumbnail {number}".encode()}
    assert gallery.entry("bare").keep_until is None
    np.testing.assert_array_equal(gallery.query("bare", "net").embedding, 2 * net[0])
    assert gallery.query("bare", "net").beside == {}
    assert gallery.count() == 6
    assert [(label.query, label.match, label.same) for label in gallery.labels.all()] == [
        ("hall-000002", "hall-000003", False),
        ("hall-000001", "hall-000000", False),
    ]
    assert gallery.settings.retention_days == 36500
    calibration = gallery.settings.calibration("net")
    assert (calibration.slope, calibration.rates[0].probability) == (2.0, 0.9)
    assert calibration.held_out.brier_of_prior == 0.2


def test_nothing_is_lost(old):
    with pytest.raises(ReseenError, match="convert it with reseen gallery upgrade"):
        Gallery.open(old)
    assert upgrade(old) == 6
    check(Gallery.open(old))
    tables = {f"{name}.lance" for name in ("tracklets", "embeddings_net", "embeddings_stripes")}
    tables |= {f"{name}.lance" for name in ("labels", "settings")}
    assert {path.name for path in old.iterdir()} == {*tables, "lock", "log.jsonl"}
    assert '"what": "retention"' in (old / "log.jsonl").read_text().splitlines()[0]


@pytest.mark.parametrize("place", ["_copy_rows", "_labels", "_take_place"])
def test_it_can_be_killed_and_started_again(old, monkeypatch, place):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(upgrading, place, die)
    with pytest.raises(KeyboardInterrupt):
        upgrade(old)
    monkeypatch.undo()
    assert upgrade(old) == 6
    check(Gallery.open(old))


def test_it_can_be_killed_between_two_tables(old, monkeypatch):
    rename = Path.rename

    def die(path, target):
        if path.name == "labels.lance":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        upgrade(old)
    monkeypatch.undo()
    assert upgrade(old) == 6
    check(Gallery.open(old))


def test_tonights_add_knows_who_was_there_before(old, make_tracklet):
    from dataclasses import replace

    from reseen.data.colour_histogram import ColourHistogram

    upgrade(old)
    gallery = Gallery.open(old)
    start = 1.7e9 + 60
    seen = make_tracklet("hall-000001", 1, "hall", start, frames=11)
    seen = replace(seen, end=start + 5)
    added = gallery.add([seen, replace(seen, id="somebody else")], [ColourHistogram()])
    assert (added.added, added.present) == (1, 1)


def test_the_log_names_nobody_any_more(old, monkeypatch):
    told = [
        {"what": "search", "where": {}, "query": "hall-000001", "k": 20},
        {"what": "forget", "where": {"ids": ["hall-000099", "hall-000001"]}},
        {"what": "forgotten", "where": {}, "count": 1, "ids": ["hall-000099"]},
    ]
    with (old / "log.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in told)
    monkeypatch.setattr(upgrading.Path, "rename", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        upgrade(old)
    monkeypatch.undo()
    upgrade(old)
    digest = Gallery.open(old).settings.digest
    retained, search, forget, forgotten, _ = read_lines(old / "log.jsonl")
    assert retained["days"] == 36500
    assert search == told[0] | {"query": digest("hall-000001")}
    assert forget["where"]["ids"] == [digest("hall-000099"), digest("hall-000001")]
    assert forgotten == told[2] | {"ids": [digest("hall-000099")]}


def test_what_needs_no_conversion_is_left_alone(tmp_path, old):
    upgrade(old)
    for place in (old, tmp_path / "nothing"):
        with pytest.raises(ReseenError, match=r"needs no conversion|there is no gallery"):
            upgrade(place)
    shutil.rmtree(old / "tracklets.lance")
    with pytest.raises(ReseenError, match="needs no conversion"):
        upgrade(old)


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "[1]", "{", '{"retention_days": "a"}'])
def test_damaged_settings_are_named_and_nothing_is_lost(old, text):
    (old / "settings.json").write_text(text)
    with pytest.raises(ReseenError, match=r"settings\.json (is damaged|cannot be read as JSON)"):
        upgrade(old)
    (old / "settings.json").write_text("{}")
    upgrade(old)
    assert Gallery.open(old).models()
