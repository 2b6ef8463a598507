"""A bit that flips in any file of a gallery is found, and what is sound is not complained of."""

import json

import pytest

from reseen.cli import run
from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.gallery.adapting import Adaptation
from reseen.gallery.gallery import Gallery
from reseen.gallery.integrity import HINT
from reseen.gallery.records import Filter


@pytest.fixture
def place(tmp_path, make_tracklet):
    gallery = Gallery.open(tmp_path / "gallery", create=True)
    gallery.add([make_tracklet(f"t{number}", number) for number in range(3)], [ColourHistogram()])
    gallery.labels.add("t0", "t1", same=True)
    return tmp_path / "gallery"


def test_a_sound_gallery_is_told_by_its_counts(place, capsys):
    assert run(["check", "gallery", str(place)]) == 0
    told = capsys.readouterr().out
    assert "embeddings_stripes" in told
    found = Gallery.open(place).check()
    assert {fact.name: fact.found for fact in found.facts}["tracklets"] == 3
    assert found.notes[0].endswith("have no digest yet; the next add keeps it"), "the label's"
    Gallery.open(place).optimise()
    assert not Gallery.open(place).check().notes


def test_no_flipped_bit_goes_unnoticed(place):
    Gallery.open(place).optimise()
    files = [path for path in place.glob("*.lance/**/*") if path.is_file() and path.name != HINT]
    assert len(files) > 10
    for file in files:
        sound = file.read_bytes()
        if not sound:
            continue
        damaged = bytearray(sound)
        damaged[len(sound) // 2] ^= 1
        file.write_bytes(damaged)
        try:
            problems = " ".join(Gallery.open(place).check().problems)
        except ReseenError as error:
            problems = str(error)
        assert file.name in problems or "cannot be" in problems, file
        file.write_bytes(sound)
    assert Gallery.open(place).check().ok


def test_a_setting_that_is_no_json_is_named(place):
    gallery = Gallery.open(place)
    gallery.settings._table.put([{"name": "clock", "value": "1e["}], replace=True)
    for read in (lambda: Gallery.open(place), lambda: gallery.settings.all("clock", float)):
        with pytest.raises(ReseenError, match="the gallery's setting clock is damaged; restore"):
            read()


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("retention_days", [1], lambda gallery: gallery.settings.retention_days),
        ("log_days", "x", lambda gallery: gallery.settings.log_days),
        ("salt", {"a": 1}, lambda gallery: gallery.settings.digest("text")),
        ("calibration net", [1], lambda gallery: gallery.settings.calibration("net")),
        ("token bob", {"name": 3}, lambda gallery: gallery.tokens.all()),
        ("adaptation net", {"x": 1}, lambda gallery: Adaptation.load(gallery, "net")),
    ],
)
def test_a_setting_of_another_kind_is_named(place, name, value, read):
    gallery = Gallery.open(place)
    gallery.settings.set(name, value)
    with pytest.raises(ReseenError, match=f"the gallery's setting {name} is damaged: .*; restore"):
        read(Gallery.open(place))


@pytest.mark.parametrize(("fragments", "ids"), [("[1]", None), ('{"a": 3}', None), ("{}", "3")])
def test_what_waits_to_be_wiped_is_named_where_it_is_damaged(place, fragments, ids):
    gallery = Gallery.open(place)
    waiting = gallery.forgetting._waiting
    row = {"key": "k", "since": 0.0, "tracklets": 1, "fragments": fragments, "ids": ids}
    waiting.put([row])
    with pytest.raises(
        ReseenError, match=r"the gallery's list of what waits is damaged: .*; restore"
    ):
        Gallery.open(place).forgetting.wipe()


def test_digests_go_with_the_files_of_what_is_forgotten(place):
    gallery = Gallery.open(place)
    gallery.forget(Filter(ids=("t0",)))
    gallery.forgetting.wipe()
    kept = json.loads((place / "digests.json").read_text())
    assert set(kept) <= {path.relative_to(place).as_posix() for path in place.rglob("*")}


def test_a_thumbnail_that_is_no_picture_is_named(place):
    gallery = Gallery.open(place)
    table = gallery.database.existing("tracklets")
    rows = table.read(table.schema.names).to_pylist()
    table.put([rows[0] | {"thumbnail": b"no picture"}], replace=True)
    gallery.optimise()
    (problem,) = Gallery.open(place).check().problems
    assert problem == f"the thumbnail of {rows[0]['id']} cannot be read"
