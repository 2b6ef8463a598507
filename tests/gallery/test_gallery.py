import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reseen.cli import run
from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.gallery import table
from reseen.gallery.gallery import TRACKLET_SCHEMA, Gallery, notes_of
from reseen.gallery.records import Filter, NewTracklets, Query
from reseen.gallery.thumbnail import head_bottom, pixelate, read_thumbnail

D = 16
CAMERAS = ("north", "south", "east")


@dataclass(frozen=True)
class Given(NewTracklets):
    """Tracklets with embeddings of one model."""

    features: Any = None


def put(gallery, given, model="net", **options):
    return gallery.add_embedded(given, {model: given.features}, **options)


def embedded(count, seed=0, first=0, dimensions=D, **columns):
    """Tracklets with random features: camera by turns, seen for 5 s every 10 s."""
    random = np.random.default_rng((seed, first))
    numbers = range(first, first + count)
    facts = {
        "ids": [f"t{number:05d}" for number in numbers],
        "cameras": [CAMERAS[number % 3] for number in numbers],
        "sources": ["film"] * count,
        "starts": [10.0 * number for number in numbers],
        "ends": [10.0 * number + 5 for number in numbers],
        "frames": [30] * count,
        "features": random.normal(size=(count, dimensions)).astype(np.float32),
        "thumbnails": [random.bytes(400) for _ in numbers],
    }
    return Given(**(facts | columns))


@pytest.fixture
def filled(gallery):
    put(gallery, embedded(60), "net")
    return gallery


def query_of(features, model="net"):
    return Query(model, np.float32(features), "pictures")


# Adding and listing


def test_added_tracklets_are_listed_by_time_with_everything_known_of_them(gallery):
    assert put(gallery, embedded(3), "net") == 3
    listed = gallery.entries(model="net")
    assert [entry.id for entry in listed] == ["t00000", "t00001", "t00002"]
    second = listed[1]
    assert (second.camera, second.start, second.end) == ("south", 10.0, 15.0)
    assert (second.source, second.frames, second.crops) == ("film", 30, None)
    assert abs(second.added - time.time()) < 60
    assert second.keep_until is None


def test_adding_again_changes_nothing(filled):
    assert put(filled, embedded(60), "net") == 0
    assert put(filled, embedded(20, first=50), "net") == 10
    assert filled.count(model="net") == 70


def test_one_tracklet_may_have_a_feature_of_every_model(filled):
    assert put(filled, embedded(5, seed=1), "other-net") == 5
    assert filled.models() == ["net", "other-net"]
    assert filled.count(model="other-net") == 5
    assert filled.count() == 60


def test_entries_come_in_pages(filled):
    everything = [entry.id for entry in filled.entries(model="net")]
    pages = [filled.entries(model="net", limit=25, offset=offset) for offset in (0, 25, 50, 75)]
    assert [len(page) for page in pages] == [25, 25, 10, 0]
    assert [entry.id for page in pages for entry in page] == everything


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Filter(camera="north"), {0, 3, 6, 9}),
        (Filter(not_camera="north"), {1, 2, 4, 5, 7, 8}),
        (Filter(ids=("t00004", "t00007", "absent")), {4, 7}),
        (Filter(start=35.0, end=62.0), {3, 4, 5, 6}),
        (Filter(start=35.1), {4, 5, 6, 7, 8, 9}),
        (Filter(end=9.9), {0}),
        (Filter(camera="south", start=40, end=70), {4, 7}),
    ],
)
def test_filters_choose_by_camera_and_overlapping_time(gallery, where, expected):
    put(gallery, embedded(10), "net")
    assert {int(entry.id[1:]) for entry in gallery.entries(where, "net")} == expected
    assert gallery.count(where, "net") == len(expected)


def test_tracklets_of_unknown_time_are_left_out_of_a_time_and_listed_otherwise(gallery):
    put(gallery, embedded(2, starts=[None, 0.0], ends=[None, 5.0]), "net")
    assert {entry.id for entry in gallery.entries(model="net")} == {"t00000", "t00001"}
    assert [entry.id for entry in gallery.entries(Filter(start=0), "net")] == ["t00001"]
    assert gallery.entries(Filter(camera="north"), "net")[0].start is None


def test_recordings_with_and_without_a_date_are_told_apart(gallery):
    date = 1.7e9
    starts, ends = [None, 60.0, date, date + 60], [None, 65.0, date + 5, date + 65]
    put(gallery, embedded(4, starts=starts, ends=ends), "net")

    def found(**bounds):
        return {int(entry.id[1:]) for entry in gallery.entries(Filter(**bounds), "net")}

    assert found(end=date + 30) == {2}
    assert found(start=date + 30) == {3}
    assert found(start=30.0) == found(end=70.0) == {1}
    assert found(start=30.0, end=date) == set()
    stats = gallery.stats()
    assert (stats.start, stats.end, stats.undated) == (date, date + 65, 2)
    gallery.forget(Filter(start=date))
    assert (gallery.stats().start, gallery.stats().end, gallery.stats().undated) == (60.0, 65.0, 0)


@pytest.mark.parametrize(
    "name",
    ["it's", "' OR 1=1 --", 'a"b', "back\\slash", "Bahnhof Süd 北口 🚉", "%", "a/b c", "`x`"],
)
def test_any_text_may_be_an_id_and_a_camera(gallery, name):
    put(gallery, embedded(2, ids=[name, "other"], cameras=[name, "other"]), "net")
    assert [entry.id for entry in gallery.entries(Filter(ids=(name,)), "net")] == [name]
    assert [entry.camera for entry in gallery.entries(Filter(camera=name), "net")] == [name]
    assert gallery.search(gallery.query(name, "net"))[0].entry.id == "other"
    assert gallery.forget(Filter(ids=(name,))) == [name]
    assert [entry.id for entry in gallery.entries(model="net")] == ["other"]


def test_stats_count_models_cameras_and_times(filled):
    put(filled, embedded(3, seed=1), "other")
    stats = filled.stats()
    assert stats.models == {"net": 60, "other": 3}
    assert (stats.tracklets, stats.cameras) == (60, {"east": 20, "north": 20, "south": 20})
    assert (stats.start, stats.end) == (0.0, 595.0)
    assert stats.size > 60 * (400 + 4 * D)
    assert stats.retention_days is None


def test_an_empty_gallery_has_nothing_to_list_or_count(gallery):
    assert gallery.models() == []
    assert gallery.entries(model="net") == []
    assert gallery.stats().models == {}
    assert gallery.thumbnails(["t00000"]) == {}


def test_pictures_are_embedded_and_added_once(gallery, make_tracklet):
    tracklets = [make_tracklet(f"person-{person}", person) for person in range(3)]
    done = []
    first = gallery.add(tracklets, [ColourHistogram()], advance=done.append)
    assert (first.added, first.present, first.left_out) == (3, 0, ())
    assert sum(done) == 3
    second = gallery.add([*tracklets, make_tracklet("person-3", 3)], [ColourHistogram()])
    assert (second.added, second.present) == (1, 3)
    assert gallery.count(model="stripes") == 4


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            embedded(2, dimensions=D + 1),
            f"embeddings of {D} numbers by net but now it makes {D + 1}",
        ),
        (embedded(2, ids=["same", "same"]), "2 of the tracklets to add have the id same"),
        (embedded(1, features=np.full((1, D), np.nan, np.float32)), "not finite"),
    ],
)
def test_features_that_do_not_fit_are_refused(filled, wrong, says):
    with pytest.raises(ReseenError, match=says):
        put(filled, wrong, "net")
    assert filled.count(model="net") == 60


def test_a_model_id_that_is_no_file_name_is_refused(gallery):
    with pytest.raises(ReseenError, match="cannot be a model's id"):
        put(gallery, embedded(1), "../net")


def test_embeddings_may_come_without_pictures(gallery):
    put(gallery, embedded(3, thumbnails=None))
    put(gallery, embedded(1, first=3))
    assert list(gallery.thumbnails(["t00000", "t00003"])) == ["t00003"]


def test_models_of_any_length_share_a_gallery(filled):
    put(filled, embedded(5, seed=1, dimensions=3 * D), "longer")
    assert [len(filled.query("t00003", model).embedding) for model in ("net", "longer")] == [D, 48]
    assert filled.stats().models == {"longer": 5, "net": 60}


def test_the_colour_histogram_is_searched_with_only_where_it_is_alone(filled):
    assert filled.model() == "net"
    put(filled, embedded(5), "stripes")
    assert filled.model() == "net"
    assert filled.model("stripes") == "stripes"


# Searching


@pytest.mark.parametrize(
    "where",
    [
        Filter(),
        Filter(camera="south"),
        Filter(not_camera="south"),
        Filter(camera="east", start=100, end=400),
    ],
)
def test_a_search_finds_what_comparing_everything_finds(filled, where):
    every = embedded(60)
    asked = np.random.default_rng(5).normal(size=D).astype(np.float32)
    matches = filled.search(query_of(asked), 7, where)
    distances = np.sqrt(((every.features.astype(np.float64) - asked) ** 2).sum(axis=1))
    chosen = {entry.id for entry in filled.entries(where, "net")}
    order = [every.ids[place] for place in distances.argsort() if every.ids[place] in chosen]
    assert [match.entry.id for match in matches] == order[:7]
    np.testing.assert_allclose(
        [match.distance for match in matches],
        sorted(distances[[every.ids.index(id) for id in order[:7]]]),
        rtol=1e-5,
    )


def test_a_tracklet_does_not_find_itself(filled):
    matches = filled.search(filled.query("t00007", "net"), 60)
    assert len(matches) == 59
    assert "t00007" not in {match.entry.id for match in matches}


def test_the_distances_of_other_models_stand_beside(filled):
    colours = embedded(60, seed=9, dimensions=5)
    put(filled, colours, "stripes")
    (match,) = filled.search(filled.query("t00007", "net"), 1)
    apart = colours.features[7] - colours.features[int(match.entry.id[1:])]
    assert match.beside == {"stripes": pytest.approx(np.linalg.norm(apart), rel=1e-5)}
    (without,) = filled.search(query_of(np.zeros(D)), 1)
    assert without.beside == {}


def test_features_of_two_models_never_meet(filled):
    feature = embedded(60).features[3]
    put(filled, embedded(1, ids=["twin"], features=feature[None]), "other")
    assert "twin" not in {m.entry.id for m in filled.search(query_of(feature), 61)}
    assert [m.entry.id for m in filled.search(query_of(feature, "other"), 61)] == ["twin"]
    alike = filled.alike(query_of(feature), 1e9)
    assert "twin" not in {match.entry.id for match in alike}
    with pytest.raises(ReseenError, match="has embeddings of net, other; name the model"):
        filled.model()


def test_an_absent_model_is_told_apart_from_an_empty_result(filled):
    with pytest.raises(ReseenError, match="no embeddings of the model resnet; there are"):
        filled.search(query_of(np.zeros(D), "resnet"))
    with pytest.raises(ReseenError, match="no embeddings of the model resnet; there are"):
        filled.model("resnet")
    assert filled.search(query_of(np.zeros(D)), where=Filter(camera="nowhere")) == []
    assert filled.model() == "net"


def test_a_query_of_another_length_is_refused(filled):
    with pytest.raises(ReseenError, match=f"the query has 3 numbers .* have {D}"):
        filled.search(query_of(np.zeros(3)))


def test_an_unknown_tracklet_is_named(filled):
    for ask in (lambda id: filled.query(id, "net"), filled.entry):
        with pytest.raises(ReseenError, match="has no tracklet t99999; there are 60, such as t000"):
            ask("t99999")


def test_alike_finds_everything_up_to_the_distance(filled):
    features = embedded(60).features.astype(np.float64)
    asked = filled.query("t00007", "net")
    distances = np.linalg.norm(features - features[7], axis=1)
    limit = np.sort(distances)[20] + 1e-4
    found = filled.alike(asked, limit)
    assert {match.entry.id for match in found} == {f"t{i:05d}" for i in distances.argsort()[:21]}
    assert [match.distance for match in found] == sorted(match.distance for match in found)


@pytest.fixture
def indexed(gallery, monkeypatch):
    """4,000 tracklets under an index, and 50 that were added since."""
    monkeypatch.setattr(table, "EXACT_UP_TO", 500)
    put(gallery, embedded(4_000), "net")
    gallery.optimise()
    assert gallery.database.existing("embeddings_net").indexed_rows() == 4_000
    put(gallery, embedded(50, first=4_000), "net")
    return gallery


def test_an_indexed_search_misses_few_and_sees_what_was_added_since(indexed):
    features = np.vstack([embedded(4_000).features, embedded(50, first=4_000).features])
    shares = []
    for place in [*np.random.default_rng(1).integers(0, 4_000, 20), *range(4_000, 4_010)]:
        camera = CAMERAS[(place + 1) % 3]
        found = indexed.search(indexed.query(f"t{place:05d}", "net"), 20, Filter(camera=camera))
        distances = np.linalg.norm(features - features[place], axis=1)
        right = [i for i in distances.argsort() if CAMERAS[i % 3] == camera][:20]
        shares.append(len({m.entry.id for m in found} & {f"t{i:05d}" for i in right}) / 20)
        first = int(found[0].entry.id[1:])
        assert found[0].distance == pytest.approx(distances[first], rel=1e-5)
    assert np.mean(shares) >= 0.99


def test_a_filter_that_few_pass_is_searched_exactly(indexed, monkeypatch):
    monkeypatch.setattr(table, "FEWEST_PROBED", 1)  # where the index finds next to nothing
    where = Filter(start=500.0, end=800.0)
    found = indexed.search(indexed.query("t03000", "net"), 50, where)
    assert {match.entry.id for match in found} == {f"t{number:05d}" for number in range(50, 81)}


# Probabilities


def test_there_is_no_probability_without_this_models_calibration(filled, make_calibration):
    filled.settings.keep_calibration(make_calibration("other", intercept=6.0, slope=1.0))
    assert filled.search(filled.query("t00001", "net"), 1)[0].probability is None
    filled.settings.keep_calibration(make_calibration("net", intercept=6.0, slope=1.0))
    (match,) = filled.search(filled.query("t00001", "net"), 1)
    assert match.probability == pytest.approx(1 / (1 + np.exp(match.distance - 6.0)))


# Decent by default


def test_every_search_and_deletion_is_logged(filled):
    filled.search(filled.query("t00001", "net"), 3, Filter(camera="north", start=5.0))
    filled.forget(Filter(ids=("t00002",)))
    lines = (Path(filled.uri) / "log.jsonl").read_text().splitlines()
    search, forget, forgotten = map(json.loads, lines)
    assert search.pop("time") == pytest.approx(time.time(), abs=60)
    assert search == {
        "what": "search",
        "where": {"camera": "north", "start": 5.0},
        "model": "net",
        "query": filled.settings.digest("t00001"),
        "k": 3,
        "found": 3,
    }
    assert (forget["what"], forget["where"]) == (
        "forget",
        {"ids": [filled.settings.digest("t00002")]},
    )
    assert (forgotten["what"], forgotten["count"]) == ("forgotten", 1)


def test_stored_heads_are_pixelated_unless_switched_off(gallery, make_tracklet):
    hidden, shown = (
        make_tracklet("hidden", 1, "south", frames=1),
        make_tracklet("shown", 1, frames=1),
    )
    gallery.add([hidden], [ColourHistogram()])
    gallery.add([shown], [ColourHistogram()], pixelate_heads=False)
    strips = {
        id: read_thumbnail(jpeg)[:, :48].astype(int)
        for id, jpeg in gallery.thumbnails(["hidden", "shown"]).items()
    }
    plain = strips["shown"].astype(np.uint8)
    (crop,) = shown.pictures
    shown_and_hidden = pixelate(plain, head_bottom(crop)).astype(int)
    head, body = slice(0, 18), slice(48, 96)
    assert np.abs(strips["hidden"][head] - shown_and_hidden[head]).mean() < 4
    assert np.abs(strips["hidden"][head] - strips["shown"][head]).mean() > 8
    assert np.abs(strips["hidden"][body] - strips["shown"][body]).mean() < 1


# Opening


def test_a_gallery_that_is_not_there_is_not_made_by_reading(tmp_path):
    for place in (tmp_path / "nothing", tmp_path):
        with pytest.raises(ReseenError, match="there is no gallery at"):
            Gallery.open(place)
    assert list(tmp_path.iterdir()) == [] or not (tmp_path / "nothing").exists()


def test_no_gallery_is_made_where_lancedb_could_not_open_it(tmp_path):
    with pytest.raises(ReseenError, match=r"no gallery can be at .*a\\nb': its name holds control"):
        Gallery.open(tmp_path / "a\nb", create=True)
    assert not list(tmp_path.iterdir())


def test_an_object_store_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "NO_PROXY": "127.0.0.1",
        "OBJECT_STORE_CLIENT_MAX_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ReseenError, match=r"^the gallery s3://b/g cannot be \w+: the store does not"
    ):
        Gallery.open("s3://b/g")
    notes = notes_of("s3://b/g")
    assert notes.parent.parent.parent == tmp_path  # the log has one place on this machine
    assert notes.stat().st_mode & 0o777 == 0o700


def test_a_url_works_like_a_folder(tmp_path):
    url, notes = f"file://{tmp_path / 'table'}", tmp_path / "notes"
    gallery = Gallery.open(url, create=True, notes=notes)
    put(gallery, embedded(30), "net")
    again = Gallery.open(url, notes=notes)
    assert len(again.search(again.query("t00003", "net"), 5)) == 5
    assert again.forget(Filter(camera="north")) == [f"t{i:05d}" for i in range(0, 30, 3)]
    assert again.count(model="net") == 20
    assert (notes / "log.jsonl").exists()


def test_a_gallery_of_another_version_is_refused(folder, monkeypatch):
    metadata = {table.FORMAT_KEY: b"0"}
    monkeypatch.setattr(
        "reseen.gallery.gallery.TRACKLET_SCHEMA", TRACKLET_SCHEMA.with_metadata(metadata)
    )
    gallery = Gallery.open(folder, create=True)
    with pytest.raises(ReseenError):
        put(gallery, embedded(2), "net")
    with pytest.raises(ReseenError, match="has the format 0 but this version of reseen reads 2"):
        Gallery.open(gallery.uri)


def test_somebody_elses_table_is_refused(tmp_path):
    import lancedb

    lancedb.connect(str(tmp_path)).create_table("tracklets", [{"feature": [1.0, 2.0], "id": "x"}])
    with pytest.raises(ReseenError, match="has the format unknown"):
        Gallery.open(tmp_path)


def data_files(gallery, pattern):
    return sorted(path for path in Path(gallery.uri).rglob(pattern) if path.is_file())


@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "overwritten"])
@pytest.mark.parametrize("pattern", ["*.lance/data/*.lance", "*.manifest"])
def test_a_damaged_table_is_told_in_one_line(filled, harm, pattern):
    for path in data_files(filled, pattern):
        content = path.read_bytes()
        if harm == "missing":
            path.unlink()
        elif harm == "empty":
            path.write_bytes(b"")
        elif harm == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.write_bytes(b"\xff" * len(content))
    with pytest.raises(ReseenError, match="gallery") as caught:
        Gallery.open(filled.uri).search(query_of(np.zeros(D)))
    assert "\n" not in str(caught.value)


def test_what_a_killed_writer_left_is_named_and_deleted(tmp_path, capsys):
    gallery = Gallery.open(tmp_path / "g", create=True)
    for first in range(3):
        put(gallery, embedded(4, first=4 * first))
    before = [entry.id for entry in gallery.entries()]
    (written,) = {file.parent for file in (tmp_path / "g" / "tracklets.lance").glob("data/*")}
    orphan = written / "00000000-killed.lance"
    orphan.write_bytes(next(written.glob("*.lance")).read_bytes())
    assert run(["gallery", "sweep", str(tmp_path / "g")]) == 0
    listed, told = capsys.readouterr().out.splitlines()
    assert listed == str(orphan)
    assert told.endswith("g: deleted 1 file that killed writers left")
    assert not orphan.exists()
    assert [entry.id for entry in Gallery.open(tmp_path / "g").entries()] == before
    assert gallery.count(model="net") == len(before) == 12
    assert gallery.forgetting.sweep() == []
