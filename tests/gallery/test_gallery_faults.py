"""What must hold when writers are killed or meet each other, and when people are forgotten."""

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.gallery import table
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter, NewTracklets

D = 8
KILLS = 15

WRITER = """
import os
import numpy as np
from reseen.gallery import table
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import NewTracklets

table.FRAGMENTS_BEFORE_UPKEEP, table.EXACT_UP_TO = 3, 40
acknowledged = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
gallery = Gallery.open(place, create=True)
for number in range(first, last, 20):
    ids = [f"t{number + more:06d}" for more in range(20)]
    features = np.repeat(np.arange(number, number + 20, dtype=np.float32)[:, None], 8, axis=1)
    films, times = ["film"] * 20, [0.0] * 20
    given = NewTracklets(ids, films, films, times, times, [1] * 20)
    gallery.add_embedded(given, {"net": features})
    os.write(acknowledged, "".join(id + "\\n" for id in ids).encode())
    gallery.optimise()
"""


@pytest.fixture
def start_writer(forkserver):
    """Start a process that adds tracklets first to last and writes down what was acknowledged."""

    def start(gallery, journal, first, last):
        given = {"place": str(gallery), "journal": str(journal), "first": first, "last": last}
        process = forkserver.Process(target=exec, args=(WRITER, given))
        process.start()
        return process

    return start


@dataclass(frozen=True)
class Given(NewTracklets):
    """Tracklets with embeddings of one model."""

    features: Any = None


def put(gallery, given, model="net", **options):
    return gallery.add_embedded(given, {model: given.features}, **options)


def embedded(count, seed=0, **columns):
    numbers = np.random.default_rng(seed)
    facts = {
        "ids": [f"t{number:05d}" for number in range(count)],
        "cameras": ["north" if number % 2 else "south" for number in range(count)],
        "sources": ["film"] * count,
        "starts": [float(number) for number in range(count)],
        "ends": [number + 0.5 for number in range(count)],
        "frames": [30] * count,
        "features": numbers.normal(size=(count, D)).astype(np.float32),
        "thumbnails": [numbers.bytes(300) for _ in range(count)],
    }
    return Given(**(facts | columns))


@pytest.fixture
def traces(traces):
    """Names of the files in which bytes of a tracklet's embedding or thumbnail lie."""
    return lambda folder, given, number: traces(
        folder, [given.features[number].tobytes(), given.thumbnails[number]]
    )


# Killed and meeting writers


def test_whatever_was_acknowledged_survives_kills_and_nothing_is_there_twice(
    folder, tmp_path, start_writer
):
    journal, chance = tmp_path / "acknowledged", random.Random(0)
    journal.touch()
    for _ in range(KILLS):
        begun = len(journal.read_text().splitlines())
        writer = start_writer(folder, journal, begun, begun + 100_000)
        while len(journal.read_text().splitlines()) <= begun:
            assert writer.exitcode is None
            writer.join(0.01)
        writer.join(chance.uniform(0, 0.15))
        writer.kill()
        writer.join()
    acknowledged = journal.read_text().splitlines()
    gallery = Gallery.open(folder)
    entries = gallery.entries(model="net")
    times = Counter(entry.id for entry in entries)
    assert set(acknowledged) <= set(times)
    assert set(times.values()) == {1}
    for id in random.Random(1).sample(acknowledged, 20):
        (nearest,) = gallery.alike(gallery.query(id, "net"), 0.5)
        assert nearest.entry.id == id


def test_processes_that_add_the_same_tracklets_at_once_add_them_once(
    folder, tmp_path, start_writer
):
    writers = [start_writer(folder, tmp_path / "acknowledged", 0, 400) for _ in range(3)]
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    for model in (None, "net"):
        entries = Gallery.open(folder).entries(model=model)
        assert sorted(entry.id for entry in entries) == [f"t{number:06d}" for number in range(400)]


def test_two_open_galleries_see_each_others_changes(folder, gallery):
    put(gallery, embedded(4), "net")
    other = Gallery.open(folder)
    put(gallery, embedded(1, seed=1, ids=["later"]), "net")
    assert other.entry("later").id == "later"
    version = other.version
    gallery.forget(Filter(ids=("later", "t00000")))
    assert other.version != version
    assert [entry.id for entry in other.entries(model="net")] == ["t00001", "t00002", "t00003"]
    assert {m.entry.id for m in other.search(other.query("t00001", "net"))} == {"t00002", "t00003"}


def test_a_full_disk_is_told_and_what_was_added_stays(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    code = f"""
import sys
import subprocess
subprocess.run({mount!r}, check=True)
import numpy as np
from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import NewTracklets
gallery, added = Gallery.open({str(place)!r} + "/gallery", create=True), 0
try:
    for start in range(0, 100_000, 500):
        n, features = 500, np.random.default_rng(start).normal(size=(500, 64)).astype("f4")
        ids = [str(start + i) for i in range(n)]
        facts = ["c"] * n, ["s"] * n, [0.0] * n, [1.0] * n, [1] * n
        added += gallery.add_embedded(NewTracklets(ids, *facts), {{"net": features}})
except ReseenError as error:
    print(error, "|", added, Gallery.open({str(place)!r} + "/gallery").count(model="net"))
"""
    own_disk = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*own_disk, *mount]).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    run = subprocess.run([*own_disk, sys.executable, "-c", code], capture_output=True, text=True)
    said, _, counts = run.stdout.partition("|")
    assert said.startswith("no space left on the disk for the gallery"), run.stderr
    added, present = map(int, counts.split())
    assert added == present > 0


@pytest.mark.parametrize("name", [table.TRACKLETS, "embeddings_net"])
def test_a_table_whose_making_was_cut_short_is_made_again(tmp_path, name):
    """The disk was full, or the process killed, before its first version."""
    place = tmp_path / "gallery"
    Gallery.open(place, create=True)
    (place / f"{name}.lance" / "_versions").mkdir(parents=True)
    (place / f"{name}.lance" / "_versions" / ".tmp_1").touch()
    gallery = Gallery.open(place, create=True)
    assert (gallery.count(), gallery.models()) == (0, [])
    put(gallery, embedded(5), "net")
    assert Gallery.open(place).count(model="net") == 5


# Forgetting


@pytest.mark.parametrize("indexed", [False, True])
def test_what_is_forgotten_is_gone_from_disk_and_the_rest_stays(
    folder, gallery, monkeypatch, indexed, traces
):
    if indexed:
        monkeypatch.setattr(table, "EXACT_UP_TO", 300)
    given = embedded(400)
    put(gallery, given, "net")
    gallery.optimise()
    put(gallery, embedded(3, ids=["a", "b", "c"], seed=9), "net")
    assert traces(folder, given, 7)  # so that finding none below says something
    both = Filter(ids=("t00007", "t00008"))
    assert gallery.forget(both, at_once=True) == ["t00007", "t00008"]
    assert traces(folder, given, 7) == traces(folder, given, 8) == []
    assert traces(folder, given, 9)
    assert gallery.count(model="net") == 401
    assert (gallery.database.existing("embeddings_net").indexed_rows() > 0) == indexed
    features = np.delete(given.features, [7, 8], axis=0)
    nearest = gallery.search(gallery.query("t00100", "net"), 1, Filter(ids=tuple(given.ids)))
    away = np.sort(np.linalg.norm(features - given.features[100], axis=1))
    assert nearest[0].distance == pytest.approx(away[1], rel=1e-5)


def test_forgetting_by_camera_time_and_likeness(gallery):
    put(gallery, embedded(40), "net")
    put(gallery, embedded(40, seed=5), "other")
    assert gallery.forget(Filter(camera="north", end=9.9)) == [f"t{i:05d}" for i in (1, 3, 5, 7, 9)]
    assert gallery.count(model="net") == gallery.count(model="other") == 35
    alike = gallery.alike(gallery.query("t00020", "net"), 2.0)
    ids = tuple(match.entry.id for match in alike)
    assert "t00020" in ids
    assert gallery.forget(Filter(ids=ids)) == sorted(ids)
    assert gallery.count(model="other") == 35 - len(ids)
    assert gallery.forget(Filter(camera="nowhere")) == []


def test_forgetting_everything_by_mistake_is_refused(gallery):
    put(gallery, embedded(3), "net")
    with pytest.raises(ReseenError, match="say which tracklets to forget"):
        gallery.forget(Filter())
    assert gallery.count(model="net") == 3


def test_what_a_killed_writer_left_behind_goes_too(folder, gallery, traces):
    given = embedded(30)
    put(gallery, given, "net")
    for name in ("tracklets", "embeddings_net"):
        (data,) = (folder / f"{name}.lance" / "data").iterdir()
        shutil.copy(data, data.with_name("ffff" + data.name[4:]))
    gallery.forget(Filter(ids=("t00003",)))
    assert traces(folder, given, 3) == []
    assert traces(folder, given, 4)


def test_a_wipe_that_was_killed_is_finished_by_the_next_one_who_opens(
    folder, gallery, monkeypatch, traces
):
    given = embedded(30)
    put(gallery, given, "net")

    def die(self, fragments):
        raise KeyboardInterrupt

    monkeypatch.setattr(table.Table, "wipe", die)
    with pytest.raises(KeyboardInterrupt):
        gallery.forget(Filter(ids=("t00003",)))
    monkeypatch.undo()
    assert traces(folder, given, 3)
    again = Gallery.open(folder)
    assert traces(folder, given, 3) == []
    assert again.count(model="net") == 29
    assert again.forgetting.waiting() is None


def test_labels_on_forgotten_tracklets_go_and_others_stay(gallery):
    put(gallery, embedded(5), "net")
    gallery.labels.add("t00001", "t00002", same=True)
    gallery.labels.add("t00003", "t00004", same=False)
    gallery.forget(Filter(ids=("t00002",)))
    (label,) = gallery.labels.all()
    assert (label.query, label.match, label.same) == ("t00003", "t00004", False)


# Retention


def test_tracklets_are_forgotten_on_their_own_date(folder, gallery):
    now = time.time()
    put(gallery, embedded(2), "net", keep_until=now + 100)
    put(gallery, embedded(1, ids=["kept"]), "net")
    assert gallery.forgetting.expire(now + 99) == []
    assert gallery.forgetting.expire(now + 101) == ["t00000", "t00001"]
    assert [entry.id for entry in gallery.entries(model="net")] == ["kept"]


def test_the_galleries_retention_period_is_kept_by_whoever_opens_it(folder, gallery, traces):
    given = embedded(3)
    put(gallery, given, "net")
    gallery.settings.set_retention_days(30)
    assert Gallery.open(folder).count(model="net") == 3
    now = time.time()
    assert gallery.forgetting.expire(now + 29.9 * 86_400) == []
    gallery.settings.set_retention_days(1e-9)
    assert Gallery.open(folder).count(model="net") == 0
    assert traces(folder, given, 1) == []
    assert gallery.stats().retention_days == 1e-9


@pytest.mark.parametrize("days", [0, -3, float("nan")])
def test_a_retention_period_must_be_positive(gallery, days):
    with pytest.raises(ReseenError, match="more than 0 days"):
        gallery.settings.set_retention_days(days)
    assert gallery.settings.retention_days is None


def test_a_store_that_is_gone_is_told_alike_at_every_try_and_is_no_damage(tmp_path):
    """As LanceDB 0.40 says it when a request of a table that is open fails."""
    database = table.Database(str(tmp_path), tmp_path)
    database.uri = "s3://bucket/gallery"
    told = set()
    for milliseconds in (669, 578):
        said = (
            "lance error: LanceError(IO): Generic S3 error: Error performing GET "
            f"http://store/bucket in {milliseconds}ms, after 3 retries, max_retries: 3, "
            "retry_timeout: 180s  - HTTP error: error sending request"
        )
        with pytest.raises(ReseenError) as error, database.explained("read"):
            raise RuntimeError(said)
        told.add(str(error.value))
    assert told == {
        "the gallery s3://bucket/gallery cannot be read: the store does not answer; what was "
        "acknowledged is safe, start again later"
    }
