"""Forgetting: gone from every search at once, and from the disk with all that goes with it."""

import json
import os
import shutil
import time

import numpy as np
import pytest

from reseen.cli import run
from reseen.data.colour_histogram import ColourHistogram
from reseen.data.tracked import load_tracks
from reseen.errors import ReseenError
from reseen.gallery import forgetting, table
from reseen.gallery.exports import delete_crops
from reseen.gallery.forgetting import WIPE_WITHIN
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter, NewTracklets
from reseen.service.state import CameraState, last_picture, read_state, write_state
from reseen.times import booted

D = 16


def fill(gallery, count=60, vectors=None):
    """Tracklets with random embeddings and thumbnails; returns what must be found of each."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(count, D)).astype("f4") if vectors is None else vectors
    strips = [random.bytes(200) for _ in range(count)]
    ids = [f"hall-walker-{number:05d}" for number in range(count)]
    same, times = ["film"] * count, [0.0] * count
    given = NewTracklets(ids, same, same, times, times, [1] * count, strips, None, ids)
    gallery.add_embedded(given, {"net": vectors, "other": vectors[:, :5]})
    return [
        (id.encode(), vector.tobytes(), strip)
        for id, vector, strip in zip(ids, vectors, strips, strict=True)
    ]


@pytest.fixture
def large(monkeypatch):
    """Some dozens of tracklets count as many, and get an index."""
    monkeypatch.setattr(table, "EXACT_UP_TO", 40)


def test_in_a_large_gallery_it_is_seen_at_once_and_wiped_in_one_pass(
    folder, gallery, large, traces
):
    secrets = fill(gallery)
    gallery.optimise()
    asked = gallery.query("hall-walker-00009", "net")
    for number in (7, 8):
        gallery.forget(Filter(ids=(f"hall-walker-{number:05d}",)))
        assert f"hall-walker-{number:05d}" not in {
            entry.id for entry in [*gallery.entries(), *gallery.entries(model="other")]
        }
    assert len(gallery.search(asked, 60)) == gallery.count() - 1 == gallery.count(model="net") - 1
    waits = gallery.stats().waiting
    assert waits.tracklets == 2
    assert time.time() - 60 < waits.since < time.time()
    assert traces(folder, secrets[7])
    gallery.forgetting.wipe_when_due(waits.since + WIPE_WITHIN - 1)
    assert gallery.forgetting.waiting() == waits
    gallery.forgetting.wipe_when_due(waits.since + WIPE_WITHIN + 1)
    assert gallery.forgetting.waiting() is None
    assert traces(folder, secrets[7]) == traces(folder, secrets[8]) == []
    assert traces(folder, secrets[9])
    assert len(gallery.search(asked, 60)) == 57
    assert gallery.database.existing("embeddings_net").indexed_rows() == 58


def test_the_index_keeps_no_copy_in_fewer_bits(folder, gallery, large, traces):
    """An index stores each number as a byte; the largest and the least one by turns stand out."""
    vectors = np.random.default_rng(1).uniform(-1, 1, (200, D)).astype("f4")
    vectors[17] = np.tile([3, -3], D // 2)
    fill(gallery, 200, vectors)
    gallery.optimise()
    copies = [b"\xff\x00" * (D // 2)]
    assert traces(folder, copies)
    gallery.forget(Filter(ids=("hall-walker-00017",)), at_once=True)
    assert traces(folder, copies) == []


def test_it_can_be_killed_between_two_tables(folder, gallery, large, monkeypatch, traces):
    secrets, delete, calls = fill(gallery), table.Table.delete, []

    def die(self, where):
        calls.append(where)
        if len(calls) == 2:
            raise KeyboardInterrupt
        delete(self, where)

    monkeypatch.setattr(table.Table, "delete", die)
    with pytest.raises(KeyboardInterrupt):
        gallery.forget(Filter(ids=("hall-walker-00007",)))
    monkeypatch.undo()
    monkeypatch.setattr(table, "EXACT_UP_TO", 40)
    again = Gallery.open(folder)
    assert again.count(model="net") == again.count(model="other") == 59
    assert again.forgetting.waiting().tracklets == 1
    again.forgetting.wipe()
    assert traces(folder, secrets[7]) == []


def test_a_wipe_can_be_killed_anywhere(folder, gallery, large, monkeypatch, traces):
    secrets, wipe = fill(gallery), table.Table.wipe
    for last in range(1, 5):
        gallery.forget(Filter(ids=(f"hall-walker-{last:05d}",)))
        calls = []

        def die(self, fragments, last=last, calls=calls):
            calls.append(self)
            if len(calls) == last:
                raise KeyboardInterrupt
            wipe(self, fragments)

        with monkeypatch.context() as patch:
            patch.setattr(table.Table, "wipe", die)
            with pytest.raises(KeyboardInterrupt):
                gallery.forgetting.wipe()
        again = Gallery.open(folder)
        again.forgetting.wipe()
        assert again.forgetting.waiting() is None
        assert traces(folder, secrets[last]) == []
    assert again.count() == 56


def test_labels_and_their_ids_are_gone_from_every_byte(folder, gallery, traces):
    secrets = fill(gallery)
    gallery.search(gallery.query("hall-walker-00001", "net"), 3)
    gallery.labels.add("hall-walker-00001", "hall-walker-00002", same=True)
    gallery.labels.add("hall-walker-00003", "hall-walker-00004", same=False)
    gallery.forget(Filter(ids=("hall-walker-00001",)))
    (label,) = gallery.labels.all()
    assert (label.query, label.match) == ("hall-walker-00003", "hall-walker-00004")
    assert traces(folder, secrets[1]) == []


def test_the_last_pictures_of_cameras_go_too(folder, gallery):
    """They may show whoever was forgotten; a camera that runs makes a new one."""
    fill(gallery, 2)
    write_state(
        gallery.notes, CameraState(name="hall", source="x", state="running", since=1.0), b"j"
    )
    gallery.forget(Filter(ids=("hall-walker-00001", "nobody")))
    assert last_picture(gallery.notes, "hall") is None
    assert read_state(gallery.notes, "hall").state == "running"
    write_state(gallery.notes, read_state(gallery.notes, "hall"), b"j")
    gallery.forget(Filter(ids=("nobody",)))
    assert last_picture(gallery.notes, "hall") == b"j"


def test_the_log_knows_a_tracklet_by_whoever_holds_its_id(folder, gallery):
    fill(gallery)
    gallery.search(gallery.query("hall-walker-00001", "net"), 3)
    digest = gallery.settings.digest("hall-walker-00001")
    assert digest in (folder / "log.jsonl").read_text()
    other = Gallery.open(folder.with_name("other"), create=True)
    assert other.settings.digest("hall-walker-00001") != digest


# Retention


@pytest.mark.parametrize(
    ("seen", "gone"), [(-40, True), (-20, False), (None, False)], ids=["long", "lately", "unknown"]
)
def test_retention_counts_from_when_the_person_was_seen(gallery, seen, gone):
    end = None if seen is None else time.time() + seen * 86_400
    given = NewTracklets(["x"], ["c"], ["s"], [end], [end], [1])
    gallery.add_embedded(given, {"net": np.ones((1, D), "f4")})
    gallery.settings.set_retention_days(30)
    assert gallery.forgetting.expire() == (["x"] if gone else [])


@pytest.fixture
def clock(monkeypatch):
    """Set the clock to so many days from now."""
    now = time.time()
    return lambda days: monkeypatch.setattr(time, "time", lambda: now + 86_400 * days)


def test_a_clock_that_leaps_ahead_forgets_nobody_until_somebody_says_it_is_right(
    folder, gallery, clock, reseen
):
    fill(gallery, 1)
    gallery.settings.set_retention_days(100)
    gallery.settings.set_log_days(100)
    lines = (folder / "log.jsonl").read_text()
    for days in (730, 731):  # what is done meanwhile does not make it right
        clock(days)
        fill(Gallery.open(folder), 2)
        code, _, said = reseen("gallery", "stats", folder)
        assert code == 0
        assert "nothing was forgotten though its time is over" in said
        assert f"reseen gallery keep {folder} 100" in said
    assert lines in (folder / "log.jsonl").read_text()
    clock(0)
    assert "nothing was forgotten" not in reseen("gallery", "stats", folder)[2]
    assert Gallery.open(folder).count() == 2
    clock(730)
    assert "1 forgotten now" in reseen("gallery", "keep", folder, 100)[1]
    assert "nothing was forgotten" not in reseen("gallery", "stats", folder)[2]
    assert lines not in (folder / "log.jsonl").read_text()


def test_to_keep_the_log_for_days_does_not_say_that_the_clock_is_right(
    folder, gallery, clock, reseen
):
    fill(gallery, 1)
    gallery.settings.set_retention_days(100)
    clock(730)
    assert reseen("gallery", "keep-log", folder, 3)[0] == 0
    assert Gallery.open(folder).count() == 1


def test_a_clock_that_is_set_ahead_while_the_machine_runs_is_not_believed(
    folder, gallery, clock, reseen
):
    fill(gallery, 1)
    gallery.forgetting.expire()  # the machine's start is known from now on
    gallery.settings.set_retention_days(20)
    clock(30)
    assert "nothing was forgotten" in reseen("gallery", "stats", folder)[2]
    assert Gallery.open(folder).count() == 1
    assert "1 forgotten now" in reseen("gallery", "keep", folder, 20)[1]
    fill(gallery, 1)
    clock(52)
    assert Gallery.open(folder).count() == 1
    assert "nothing was forgotten" in reseen("gallery", "stats", folder)[2]


@pytest.mark.skipif(booted() is None, reason="this system does not tell when it was started")
def test_when_a_machine_was_started_changes_with_the_clock_alone(clock):
    id, before = booted()
    clock(3)
    assert booted() == (id, pytest.approx(before + 3 * 86_400, abs=60))


def test_a_gallery_that_is_looked_at_in_between_forgets_by_itself(
    folder, gallery, clock, monkeypatch
):
    monkeypatch.setattr(forgetting, "booted", lambda: None)  # it was started anew in between
    fill(gallery, 1)
    gallery.settings.set_retention_days(100)
    for days, left in ((60, 1), (-20_000, 1), (120, 0)):  # a clock without a battery starts early
        clock(days)
        assert Gallery.open(folder).count() == left


def test_a_time_in_a_recording_is_no_date(gallery):
    given = NewTracklets(["x"], ["c"], ["s"], [3.0], [5.0], [1])
    gallery.add_embedded(given, {"net": np.ones((1, D), "f4")})
    gallery.settings.set_retention_days(30)
    assert gallery.forgetting.expire() == []
    assert gallery.forgetting.expire(time.time() + 31 * 86_400) == ["x"]


# What lies elsewhere


@pytest.fixture
def tracks(tmp_path, make_tracklet):
    """A folder as `track` leaves it, of two people."""
    out = tmp_path / "hall"
    listed = []
    for number in (1, 2):
        id = f"hall-film-{number:06d}"
        shutil.copytree(make_tracklet(id, number).paths[0].parent, out / id)
        seconds = {"start_seconds": 1.0 * number, "end_seconds": 2.0 * number}
        listed.append({"id": id, "camera": "hall", "source": "film.mp4", "crops": 4, **seconds})
    lines = [f"{frame},{who},1,2,30,90,0.9,-1,-1,-1\n" for frame in range(1, 5) for who in (1, 2)]
    (out / "tracks.txt").write_text("".join(lines))
    (out / "tracklets.json").write_text(json.dumps({"start": None, "tracklets": listed}))
    return out


@pytest.fixture
def filmed(tmp_path, tracks):
    """A film that shows both, named as `track --preview` does."""
    film = tmp_path / "told" / "film.avi"
    film.parent.mkdir()
    (first, _), listed = load_tracks(tracks), json.loads((tracks / "tracklets.json").read_text())
    film.write_bytes(first.paths[0].read_bytes())
    every = [entry | {"film": str(film)} for entry in listed["tracklets"]]
    (tracks / "tracklets.json").write_text(json.dumps(listed | {"tracklets": every}))
    return film


def test_crops_boxes_and_the_list_of_track_lose_a_person_and_keep_the_other(tracks):
    assert delete_crops(tracks / "hall-film-000001")
    (left,) = load_tracks(tracks)
    assert left.id == "hall-film-000002"
    assert not (tracks / "hall-film-000001").exists()
    boxes = (tracks / "tracks.txt").read_text().splitlines()
    assert [line.split(",")[1] for line in boxes] == ["2"] * 4
    assert not delete_crops(tracks / "hall-film-000001")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tracklets.json", b"[]"),
        ("tracklets.json", b'{"tracklets": [["hall-film-000001"]]}'),
        ("tracklets.json", b'{"tracks": []}'),
        ("tracks.txt", b"1,1,1,2,30,90\n3"),
        ("tracks.txt", b"\n"),
        ("tracks.txt", b"1,\xff,1"),
    ],
)
def test_where_lists_and_boxes_are_damaged_nothing_is_deleted(tracks, file, content):
    (tracks / file).write_bytes(content)
    with pytest.raises(ReseenError, match=rf"{file} .*delete by hand what the folder holds"):
        delete_crops(tracks / "hall-film-000001")
    assert (tracks / "hall-film-000001").exists()


def test_crops_go_without_boxes_too(tracks):
    (tracks / "tracks.txt").unlink()
    assert delete_crops(tracks / "hall-film-000001")
    assert [each.id for each in load_tracks(tracks)] == ["hall-film-000002"]
    assert not (tracks / "hall-film-000001").exists()
    assert not (tracks / "tracks.txt").exists()


@pytest.mark.parametrize("damaged", ["tracklets.json", "tracks.txt"])
def test_crops_that_cannot_be_deleted_are_told_after_all_else(tmp_path, tracks, reseen, damaged):
    gallery, listed = tmp_path / "gallery", tmp_path / "l.json"
    reseen("gallery", "add", gallery, tracks)
    reseen("gallery", "list", gallery, "--json", listed)
    (tracks / damaged).write_bytes(b"\xff")
    code, told, said = reseen("gallery", "forget", gallery, "--camera", "hall", "--crops")
    assert (code, Gallery.open(gallery).count()) == (2, 0)
    assert not listed.exists()
    assert "2 tracklets forgotten" in told
    told_once = f"all of them are forgotten, but crops are left: {tracks / damaged} cannot be read"
    assert told_once in said
    assert "; /" not in said


def test_other_peoples_pictures_and_running_recordings_are_left_alone(tmp_path, tracks):
    (tmp_path / "mine").mkdir()
    assert not delete_crops(tmp_path / "mine")
    (tracks / "notes").mkdir()
    assert not delete_crops(tracks / "notes")
    (tracks / ".reseen-unfinished").touch()
    assert not delete_crops(tracks / "hall-film-000001")
    assert (tracks / "hall-film-000001").exists()


@pytest.fixture
def reseen(capsys):
    """Run a command; returns its exit code and what it printed, in one line each."""
    before = os.umask(0o022)

    def run_command(*arguments):
        code = run([str(argument) for argument in arguments])
        return code, *(" ".join(text.split()) for text in capsys.readouterr())

    yield run_command
    os.umask(before)


def test_no_byte_of_a_forgotten_person_is_left_under_anything_written(
    tmp_path, tracks, filmed, reseen, traces
):
    gallery = tmp_path / "gallery"
    assert reseen("gallery", "add", gallery, tracks)[0] == 0
    assert {path.stat().st_mode & 0o077 for path in [gallery, *gallery.rglob("*")]} == {0}
    first, _ = load_tracks(tracks)
    opened = Gallery.open(gallery)
    opened.labels.add(first.id, "hall-film-000002", same=False)
    secrets = [first.id.encode(), *(path.read_bytes() for path in first.paths)]
    secrets += [opened.thumbnails([first.id])[first.id]]
    secrets += [ColourHistogram().embed([first.pictures]).tobytes()]
    shutil.rmtree(tmp_path / "pictures")  # where the test drew them
    told = tmp_path / "told"
    asked = ("search", gallery, "hall-film-000002", "--json", told / "s.json")
    assert reseen(*asked, "--sheet", told / "s.png")[0] == 0
    assert reseen("gallery", "list", gallery, "--json", told / "l.json")[0] == 0
    assert reseen("gallery", "list", gallery, "--json", gallery / "l.json")[0] == 0
    assert {"s.json", "l.json", filmed.name} < set(traces(tmp_path, secrets))
    by_crops = ("search", gallery, "--crops", tracks / first.id, "--since", "2026-05-01")
    assert reseen(*by_crops, "--json", told / "c.json", "--sheet", told / "c.png")[0] == 0
    assert first.id.encode() not in (gallery / "log.jsonl").read_bytes()
    code, _, said = reseen("gallery", "forget", gallery, "--ids", "hall-film-000009")
    assert code == 2
    assert "has no tracklet hall-film-000009; there are 2, such as" in said
    done = reseen("gallery", "forget", gallery, "--ids", first.id, "--now", "--crops")
    assert "1 tracklet forgotten" in done[1]
    assert traces(tmp_path, secrets) == []
    assert not list((tmp_path / "told").iterdir())
    assert "0 added, 1 were there before" in reseen("gallery", "add", gallery, tracks)[1]


def test_a_film_is_listed_for_as_long_as_it_shows_somebody_forgotten(
    tmp_path, tracks, filmed, reseen
):
    gallery = tmp_path / "gallery"
    for _ in range(2):  # what is there already is registered too, and once
        assert reseen("gallery", "add", gallery, tracks, "--prefix", "site/")[0] == 0
    assert "tells of" not in reseen("gallery", "stats", gallery)[2]
    said = reseen("gallery", "forget", gallery, "--ids", "site/hall-film-000001")[2]
    assert said.count(f"{filmed} tells of the forgotten; delete it") == 1
    assert f"{filmed} tells" in reseen("gallery", "stats", gallery)[2]
    filmed.unlink()
    assert "tells of" not in reseen("gallery", "stats", gallery)[2]


def test_what_was_downloaded_is_told_once(tmp_path, tracks, reseen):
    gallery = tmp_path / "gallery"
    reseen("gallery", "add", gallery, tracks)
    Gallery.open(gallery).exports.downloaded("person.html", ["hall-film-000001"])
    assert "person.html" not in reseen("gallery", "stats", gallery)[2]
    Gallery.open(gallery).forget(Filter(ids=("hall-film-000001",)))  # as the page does
    assert "person.html, downloaded 20" in reseen("gallery", "stats", gallery)[2]
    assert "person.html" not in reseen("gallery", "stats", gallery)[2]


def test_crops_that_stay_are_listed(tmp_path, tracks, reseen):
    gallery = tmp_path / "gallery"
    reseen("gallery", "add", gallery, tracks)
    done = reseen("gallery", "forget", gallery, "--ids", "hall-film-000001")
    assert f"crops of the forgotten are left in {tracks / 'hall-film-000001'}" in done[2]
    _, out, said = reseen("gallery", "add", gallery, tracks)
    assert "0 added, 1 were there before" in out
    assert "1 left out because they were forgotten" in said


def test_files_about_the_forgotten_are_listed_until_they_are_gone(tmp_path, tracks, reseen, traces):
    gallery, told = tmp_path / "gallery", tmp_path / "told"
    reseen("gallery", "add", gallery, tracks)
    for name in ("one", "mine", "two"):
        reseen("search", gallery, "hall-film-000002", "--json", told / f"{name}.json")
    reseen("gallery", "list", gallery, "--json", gallery / "list.json")
    (told / "mine.json").write_text("of my own now")
    _, _, said = reseen("gallery", "forget", gallery, "--ids", "hall-film-000001")
    assert not (gallery / "list.json").exists()
    for name in ("one", "mine", "two"):
        assert f"{told / name}.json tells of the forgotten; delete it" in said
    (told / "two.json").unlink()
    said = reseen("gallery", "stats", gallery)[2]
    assert "one.json tells" in said
    assert "two.json" not in said
    assert traces(gallery, [b"hall-film-000001"]) == []
    said = reseen("gallery", "forget", gallery, "--ids", "hall-film-000002", "--crops")[2]
    assert "mine.json tells" in said
    assert [path.name for path in told.iterdir()] == ["mine.json"]


def test_the_tables_own_history_names_nobody(folder, gallery, traces):
    """LanceDB keeps the condition of a deletion, even of one that met no row."""
    (secret,) = fill(gallery, 1)
    other = NewTracklets(["x"], ["c"], ["s"], [3.0], [5.0], [1])
    gallery.add_embedded(other, {"third": np.ones((1, D), "f4")})
    gallery.forget(Filter(ids=("hall-walker-00000",)), at_once=True)
    assert traces(folder, secret) == []


def test_a_file_that_was_written_over_tells_nothing(tmp_path, folder, gallery, traces):
    fill(gallery)
    for content, ids in (("hall-walker-00001", ["hall-walker-00001"]), ("", [])):
        (tmp_path / "told.json").write_text(content)
        gallery.exports.keep(tmp_path / "told.json", ids)
    gallery.forget(Filter(ids=("hall-walker-00001",)))
    assert traces(folder, [b"hall-walker-00001"]) == []


# Galleries that may only be read


def test_a_gallery_that_may_only_be_read_is_searched_and_not_changed(folder, gallery, monkeypatch):
    fill(gallery)
    gallery.settings.set_retention_days(1e-9)  # which only who may write can keep to
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(table.os, "access", lambda *_: False)
    reader = Gallery.open(folder)
    assert not reader.writable
    assert len(reader.search(reader.query("hall-walker-00001", "net"), 5)) == 5
    assert len(reader.entries()) == reader.stats().tracklets == 60
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    changes = [
        lambda: reader.forget(Filter(camera="film")),
        lambda: reader.labels.add("hall-walker-00001", "hall-walker-00002", same=True),
        lambda: reader.settings.set_retention_days(None),
        lambda: fill(reader),
    ]
    for change in changes:
        with pytest.raises(ReseenError, match="may only be read"):
            change()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_camera_that_is_not_there_is_told_with_those_that_are(gallery):
    fill(gallery)
    with pytest.raises(ReseenError, match="there is no camera nocam; there are film"):
        gallery.require(Filter(camera="nocam"))
    with pytest.raises(ReseenError, match="there is no camera nocam; there are film"):
        gallery.require(Filter(not_camera="nocam"))
    with pytest.raises(ReseenError, match="has no tracklet nobody; there are 60, such as hall-w"):
        gallery.require(Filter(ids=("hall-walker-00001", "nobody")))
