"""Videos into a gallery in one pass: the same as in two, whatever happens on the way."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from reseen import parallel
from reseen.cli import run
from reseen.data.colour_histogram import ColourHistogram
from reseen.data.pictures import decode_picture
from reseen.data.tracked import tracklets_in
from reseen.errors import ReseenError
from reseen.gallery import table
from reseen.gallery.exports import delete_crops
from reseen.gallery.forgetting import Forgetting
from reseen.gallery.gallery import Gallery, matrix
from reseen.gallery.records import Filter
from reseen.gallery.table import VECTOR
from reseen.parallel import unordered
from reseen.service import incoming
from reseen.service import ingest as module
from reseen.service.incoming import Keeping, Settings
from reseen.service.ingest import ingest, ingest_shared
from reseen.service.names import Video
from reseen.tracking.track import track
from tests.service import blocks

BLOCKS = Settings(detector="tests.service.blocks:find")
STRIPES = [ColourHistogram()]
NOON = 1_777_636_800.0


@pytest.fixture
def videos(tmp_path) -> list[Video]:
    """Two cameras' recordings, the second with a date."""
    hall, door = (
        blocks.film(tmp_path / "v" / "hall.avi"),
        blocks.film(tmp_path / "v" / "door.avi", 9),
    )
    return [Video(hall, "hall"), Video(door, "door", NOON)]


def held(gallery: Gallery) -> dict[str, tuple]:
    """All that a gallery holds of each tracklet but when it was added."""
    ids = [entry.id for entry in gallery.entries()]
    strips = gallery.thumbnails(ids)
    rows = gallery.embeddings("stripes")
    every = zip(rows["id"].to_pylist(), matrix(rows[VECTOR]), strict=True)
    vectors = {id: vector.tobytes() for id, vector in every}
    assert len(ids) == len(set(ids)) == len(vectors)
    return {
        entry.id: (replace(entry, added=0.0), strips[entry.id], vectors[entry.id])
        for entry in gallery.entries()
    }


def test_one_pass_gives_what_two_give(videos, tmp_path):
    gallery = Gallery.open(tmp_path / "one", create=True)
    done = ingest(gallery, videos, STRIPES, BLOCKS)
    assert (done.videos, done.frames, done.added, done.present) == (2, 80, 4, 0)
    assert not list(tmp_path.rglob("*.jpg"))

    other = Gallery.open(tmp_path / "two", create=True)
    for number, video in enumerate(videos):
        out = tmp_path / f"tracked{number}"
        start = None if video.start is None else datetime.fromtimestamp(NOON, UTC)
        track(video.path, video.camera, out, detector=blocks.find, start=start)
        other.add(tracklets_in(out), STRIPES)
        # What came in one way is known when it comes the other way.
        assert gallery.add(tracklets_in(out), STRIPES).present == 2
    one, two = held(gallery), held(other)
    assert {id: (replace(row[0], crops=None), *row[1:]) for id, row in two.items()} == one
    assert sorted(one) == [
        "door-20260501T120000Z-000001",
        "door-20260501T120000Z-000002",
        "hall-hall-000001",
        "hall-hall-000002",
    ]
    assert ingest(gallery, videos, STRIPES, BLOCKS).before == 2


KILLED = """
import os, signal
from pathlib import Path
from reseen.data.colour_histogram import ColourHistogram
from reseen.gallery.gallery import Gallery
from reseen.gallery.table import Table
from reseen.service import ingest as ingesting
from reseen.service.incoming import Keeping, Settings
from reseen.service.ingest import ingest
from reseen.service.names import Video

ingesting.SHARD_VIDEOS = shard
gallery = Gallery.open(place, create=True)
insert, left = Table.insert, [inserts]

def counted(*given):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return insert(*given)

Table.insert = counted
videos = [Video(Path(path), Path(path).stem) for path in paths]
ingest(gallery, videos, [ColourHistogram()], Settings(detector), Keeping(Path(keep)))
"""


@pytest.mark.parametrize(
    ("shard", "inserts"), [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 6), (2, 0), (2, 2), (2, 3)]
)
def test_killed_before_any_commit_it_goes_on_to_the_same_end(
    videos, tmp_path, forkserver, shard, inserts
):
    """Each shard has four: tracklets, places, embeddings, and the rows that say it is all there."""
    videos = [replace(video, start=None) for video in videos]
    for name, stops in (("killed", True), ("whole", False)):
        place, keep = tmp_path / name, tmp_path / f"{name} crops"
        if stops:
            told = {"place": str(place), "keep": keep, "inserts": inserts, "shard": shard}
            told |= {"detector": BLOCKS.detector, "paths": [str(each.path) for each in videos]}
            process = forkserver.Process(target=exec, args=(KILLED, told))
            process.start()
            process.join()
            assert process.exitcode == -9
            assert Gallery.open(place).count() == 2 * shard * ((inserts + 3) // 4)
        done = ingest(Gallery.open(place, create=True), videos, STRIPES, BLOCKS, Keeping(keep))
        assert done.before == (inserts // 4 if stops else 0)
    killed, whole = (held(Gallery.open(tmp_path / name)) for name in ("killed", "whole"))
    assert sorted(killed) == sorted(whole)
    for id, (entry, *rest) in whole.items():
        assert [Path(entry.crops).name, *rest] == [id, *killed[id][1:]]
    files = [
        {
            str(path.relative_to(tmp_path / f"{name} crops")): sha256(path.read_bytes()).digest()
            for path in (tmp_path / f"{name} crops").rglob("*.jpg")
        }
        for name in ("killed", "whole")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 120


def test_kept_crops_go_when_their_tracklet_is_forgotten(videos, tmp_path):
    gallery = Gallery.open(tmp_path / "g", create=True)
    ingest(gallery, videos, STRIPES, BLOCKS, Keeping(tmp_path / "crops"))
    (red,) = (entry for entry in gallery.entries(Filter(camera="hall")) if entry.frames == 40)
    gallery.forget(Filter((red.id,)))
    assert delete_crops(Path(red.crops))
    assert not Path(red.crops).exists()
    (folder,) = (tmp_path / "crops").glob("hall-*")
    assert [tracklet.id for tracklet in tracklets_in(folder)] == ["hall-hall-000002"]
    assert {line.split(",")[1] for line in (folder / "tracks.txt").read_text().splitlines()} == {
        "2"
    }


def test_kept_frames_show_where_somebody_was(videos, tmp_path):
    """The red block is found in 40 frames; its box is told at places evenly spaced over them."""
    gallery = Gallery.open(tmp_path / "g", create=True)
    ingest(gallery, videos, STRIPES, BLOCKS, Keeping(frames=True))
    (red,) = (entry for entry in gallery.entries(Filter(camera="door")) if entry.frames == 40)
    kept, places = gallery.frames.kept(red.id), gallery.frames.places(red.id)
    assert 2 <= len(kept) <= 3
    assert kept[0].seconds == places[0].seconds == pytest.approx(red.start - NOON)
    assert kept[-1].seconds == pytest.approx(red.end - NOON)
    assert len(places) == 21
    for moment in kept:
        picture = decode_picture(moment.picture, "a kept frame")
        height, width = picture.shape[:2]
        left, top, right, bottom = np.array(moment.box) * (width, height, width, height)
        inside = picture[round(top) + 5 : round(bottom) - 5, round(left) + 5 : round(right) - 5]
        colour = inside[len(inside) // 2 :].reshape(-1, 3).mean(axis=0)  # the head is a mosaic
        np.testing.assert_allclose(colour, blocks.RED, atol=30)


@pytest.mark.parametrize("killed", [False, True])
def test_no_byte_of_the_forgotten_is_left_of_crops_and_frames(
    videos, tmp_path, monkeypatch, traces, killed
):
    """Frames on which the forgotten one may be are gone, whosesoever they were."""
    gallery = Gallery.open(tmp_path / "g", create=True)
    ingest(gallery, videos, STRIPES, BLOCKS, Keeping(tmp_path / "crops", frames=True))
    entries = gallery.entries(Filter(camera="hall"))
    (red,), (green,) = (
        [entry for entry in entries if (entry.frames == 40) == long] for long in (True, False)
    )
    frames = {id: gallery.frames.kept(id) for id in (red.id, green.id)}
    together = [one for one in frames[green.id] if red.start <= one.seconds <= red.end]
    assert together, "both are in the picture at some time"
    secrets = [one.picture for one in (*frames[red.id], *together)]
    secrets += [gallery.thumbnails([red.id])[red.id], red.id.encode()]
    secrets += [path.read_bytes() for path in Path(red.crops).glob("*.jpg")]
    gone = {each.resolve() for each in Path(red.crops).glob("*.jpg")}
    assert len({name for name in traces(tmp_path, secrets)}) > len(gone)
    if killed:  # after it is known what goes, before anything has gone
        with monkeypatch.context() as patch:
            patch.setattr(Forgetting, "_finish", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                gallery.forget(Filter((red.id,)))
        gallery = Gallery.open(tmp_path / "g")
        gallery.forgetting.wipe()
        assert delete_crops(Path(red.crops))
    else:
        assert run(["gallery", "forget", gallery.uri, "--ids", red.id, "--crops", "--now"]) == 0
    assert traces(tmp_path, secrets) == []
    left = Gallery.open(tmp_path / "g").frames
    assert left.kept(green.id) == [one for one in frames[green.id] if one not in together]
    assert left.places(red.id) == []
    assert len(left.kept(gallery.entries(Filter(camera="door"))[0].id)) >= 2


def test_what_was_forgotten_before_it_goes_on_comes_back_nowhere(videos, tmp_path, monkeypatch):
    gallery = Gallery.open(tmp_path / "g", create=True)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gallery.videos, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(gallery, videos[:1], STRIPES, BLOCKS, Keeping(tmp_path / "crops"))
    gallery.forget(Filter(("hall-hall-000001",)))
    done = ingest(gallery, videos[:1], STRIPES, BLOCKS, Keeping(tmp_path / "crops"))
    assert (done.forgotten, done.present) == (1, 1)
    kept = {path.parent.name for path in (tmp_path / "crops").rglob("*.jpg")}
    assert kept == {"hall-hall-000002"}


@pytest.mark.parametrize("moment", ["while it is read", "before its pictures are committed"])
def test_no_whole_picture_is_kept_that_was_taken_before_somebody_was_forgotten(
    videos, tmp_path, monkeypatch, moment
):
    """Whoever it was may be on it, and is known no more when it is committed."""
    gallery = Gallery.open(tmp_path / "g", create=True)
    ingest(gallery, videos[1:], STRIPES, BLOCKS, Keeping(frames=True))
    somebody, other = gallery.entries()

    def forgetting(work):
        def forgets_first(*given):
            gallery.forget(Filter((somebody.id,)))
            return work(*given)

        return forgets_first

    with monkeypatch.context() as patch:
        if moment == "while it is read":
            patch.setattr(incoming, "frames_from", forgetting(incoming.frames_from))
        else:
            patch.setattr(gallery.frames, "keep", forgetting(gallery.frames.keep))
        assert ingest(gallery, videos[:1], STRIPES, BLOCKS, Keeping(frames=True)).added == 2
    left = {each.id: gallery.frames.kept(each.id) for each in gallery.entries()}
    assert {id for id, pictures in left.items() if pictures} <= {other.id}
    assert len(left) == 3
    assert all(gallery.frames.places(id) for id in left)
    later = replace(videos[0], camera="yard")
    ingest(gallery, [later], STRIPES, BLOCKS, Keeping(frames=True))
    assert all(gallery.frames.kept(one.id) for one in gallery.entries(Filter(camera="yard")))


def test_a_broken_video_ends_nothing_and_is_tried_again(videos, tmp_path):
    gallery = Gallery.open(tmp_path / "g", create=True)
    broken, missing, pipe = (
        tmp_path / "v" / name for name in ("broken.avi", "missing.avi", "pipe")
    )
    broken.write_bytes(b"RIFF" + bytes(500))
    os.mkfifo(pipe)
    every = [*(Video(path, "yard") for path in (broken, missing, pipe)), *videos]
    done = ingest(gallery, every, STRIPES, BLOCKS)
    assert (done.videos, done.failed, done.added) == (2, 3, 4)
    failures = {Path(each.source).name: each for each in gallery.videos.failures.all()}
    assert sorted(failures) == ["broken.avi", "missing.avi", "pipe"]
    assert "not a video" in failures["broken.avi"].error
    assert "not a file that is there" in failures["missing.avi"].error
    assert failures["pipe"].camera == "yard"

    blocks.film(broken, 17)
    done = ingest(gallery, every, STRIPES, BLOCKS)
    assert (done.videos, done.before, done.failed, done.added) == (1, 2, 2, 2)
    left = {Path(each.source).name for each in gallery.videos.failures.all()}
    assert left == {"missing.avi", "pipe"}


def test_many_videos_are_few_files(videos, tmp_path, monkeypatch):
    """The list of videos is merged and indexed like all else that grows."""
    monkeypatch.setattr(table, "FRAGMENTS_BEFORE_UPKEEP", 2)
    monkeypatch.setattr(table, "EXACT_UP_TO", 4)
    monkeypatch.setattr(module, "SHARD_VIDEOS", 1)
    gallery = Gallery.open(tmp_path / "g", create=True)
    every = [replace(videos[0], start=NOON + 60 * minute) for minute in range(8)]
    assert ingest(gallery, every, STRIPES, replace(BLOCKS, last=1.0)).videos == 8
    assert ingest(gallery, every, STRIPES, replace(BLOCKS, last=1.0)).before == 8
    rows = list((tmp_path / "g" / "videos.lance" / "data").glob("*.lance"))
    assert gallery.database.existing("videos").count() == 8
    live = gallery.database.existing("videos")._table.stats()["fragment_stats"]
    assert live["num_fragments"] < 8 <= len(rows)  # older versions are kept for ten minutes


@pytest.mark.parametrize(
    ("most", "size", "expected"),
    [(3, 100, [3, 2]), (9, 2, [2, 2, 1]), (9, 0, [1] * 5), (1, 100, [1] * 5), (9, 9, [5])],
)
def test_a_shard_is_so_many_videos_or_so_many_bytes(tmp_path, monkeypatch, most, size, expected):
    monkeypatch.setattr(module, "SHARD_VIDEOS", most)
    monkeypatch.setattr(module, "SHARD_BYTES", size)
    paths = [tmp_path / f"{number}.avi" for number in range(5)]
    for path in paths:
        path.write_bytes(b"x")
    videos = [Video(path, "hall") for path in paths]
    found = list(module.shards(videos))
    assert [len(shard) for shard in found] == expected
    assert [video for shard in found for video in shard] == videos
    assert list(module.shards([])) == []


def test_many_processes_give_what_one_gives(videos, tmp_path, monkeypatch, quick_workers):
    monkeypatch.setattr(module, "SHARD_VIDEOS", 1)
    broken = Video(tmp_path / "missing.avi", "yard")
    every, models = [*videos, broken, videos[0]], [("stripes", None)]
    galleries = [Gallery.open(tmp_path / name, create=True) for name in ("one", "many")]
    one = ingest(galleries[0], every, STRIPES, BLOCKS)
    spread = partial(unordered, processes=2)
    many = ingest_shared(galleries[1], every, models, BLOCKS, spread)
    assert held(galleries[0]) == held(galleries[1])
    assert (many.added, many.failed, many.frames >= 80) == (one.added, one.failed, True)
    again = ingest_shared(galleries[1], every, models, BLOCKS, spread)
    assert (again.videos, again.before, again.failed, again.added) == (0, 3, 1, 0)


def test_a_video_that_ends_whatever_reads_it_becomes_a_failure(
    videos, tmp_path, monkeypatch, quick_workers
):
    """It lies in the middle of a shard, the rest of which is taken in."""
    monkeypatch.setattr(parallel, "TRIES", 1)
    poison = Video(blocks.film(tmp_path / "v" / "poison.avi", blocks.POISON), "yard")
    galleries = [Gallery.open(tmp_path / name, create=True) for name in ("one", "many")]
    ingest(galleries[0], videos, STRIPES, BLOCKS)
    spread = partial(unordered, processes=1)
    shard = [videos[0], poison, videos[1]]
    settings = replace(BLOCKS, detector="tests.service.blocks:find_or_die")
    done = ingest_shared(galleries[1], shard, [("stripes", None)], settings, spread)
    assert held(galleries[0]) == held(galleries[1])
    assert (done.videos, done.failed) == (2, 1)
    (failure,) = galleries[1].videos.failures.all()
    assert (failure.source, failure.camera) == (str(poison.path), "yard")
    assert "ends every process that reads it" in failure.error


def test_a_video_that_grows_while_it_is_read_is_not_taken_for_whole(videos, tmp_path, monkeypatch):
    gallery = Gallery.open(tmp_path / "g", create=True)
    path, find = videos[0].path, blocks.find

    def growing(picture):
        with path.open("ab") as file:
            file.write(b"more")
        return find(picture)

    monkeypatch.setattr(blocks, "find", growing)
    assert ingest(gallery, videos[:1], STRIPES, BLOCKS).failed == 1
    assert "changed while it was read" in gallery.videos.failures.all()[0].error
    monkeypatch.undo()
    done = ingest(gallery, videos[:1], STRIPES, BLOCKS)
    assert (done.videos, done.added, done.present) == (1, 0, 2)
    assert gallery.videos.failures.all() == []


@pytest.mark.parametrize(
    ("first", "last", "every", "frames", "times"),
    [
        (None, None, 2, 20, [(0.0, 3.8), (1.0, 2.8)]),
        (0.95, None, 1, 30, [(1.0, 2.9), (1.0, 3.9)]),
        (None, 1.95, 1, 20, [(0.0, 1.9), (1.0, 1.9)]),
        (1.45, 2.55, 1, 11, [(1.5, 2.5), (1.5, 2.5)]),
    ],
)
def test_only_the_frames_asked_for_are_looked_at(
    videos, tmp_path, first, last, every, frames, times
):
    gallery = Gallery.open(tmp_path / "g", create=True)
    asked = replace(BLOCKS, first=first, last=last, every=every)
    done = ingest(gallery, videos[:1], STRIPES, asked)
    assert gallery.videos.of([]) == []
    found = sorted((entry.start, entry.end) for entry in gallery.entries())
    np.testing.assert_allclose(found, times, atol=0.01)
    assert (done.videos, done.frames) == (1, frames)
    # The same video, asked for something else, is another task.
    assert ingest(gallery, videos[:1], STRIPES, replace(asked, min_length=50)).before == 0


def test_a_date_needs_a_recording_that_has_one(videos, tmp_path):
    gallery = Gallery.open(tmp_path / "g", create=True)
    asked = replace(BLOCKS, first=NOON + 1.45)
    with pytest.raises(ReseenError, match=r"hall.avi has no date"):
        ingest(gallery, videos, STRIPES, asked)
    ingest(gallery, videos[1:], STRIPES, asked)
    starts = [entry.start for entry in gallery.entries()]
    np.testing.assert_allclose(starts, [NOON + 1.5] * 2, atol=0.01)


def test_who_stays_for_long_costs_bounded_memory(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(incoming, "MOST_CROPS", 25)
    gallery = Gallery.open(tmp_path / "g", create=True)
    ingest(gallery, videos[:1], STRIPES, BLOCKS, Keeping(tmp_path / "crops"))
    assert sorted(entry.frames for entry in gallery.entries()) == [20, 20]  # 40 halved, and 20
    (folder,) = (tmp_path / "crops").iterdir()
    assert gallery.add(tracklets_in(folder), STRIPES).present == 2


# The command


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("hall_20260501T120000Z", "door_20260501T130000Z", "holiday"):
        blocks.film(tmp_path / f"{name}.avi", len(name))
    return tmp_path


def told(capsys, *words: object) -> tuple[int, str, str]:
    code = run([str(word) for word in words])
    return code, *capsys.readouterr()


def test_the_command_says_what_it_understood(here, capsys):
    files = sorted(here.glob("*.avi"))
    words = ["ingest", *files, "--gallery", "g", "--model", "stripes"]
    words += ["--detector", BLOCKS.detector, "--camera-from", "{camera}_{start}.avi"]
    code, out, err = told(capsys, *words)
    assert (code, out) == (0, "g: 2 videos, 80 frames, 4 tracklets added\n")
    assert "cameras and their videos: door (1), hall (1)" in err
    assert "1 do not fit {camera}_{start}.avi and are left out: holiday.avi" in err
    assert "people are embedded by stripes" in err
    assert (here / "g").stat().st_mode & 0o777 == 0o700
    assert len(Gallery.open("g").entries(Filter(camera="door", start=NOON + 3600))) == 2


def test_videos_may_be_listed_in_a_file(here, capsys):
    listed = "\ufeffhall_20260501T120000Z.avi\r\n\r\n# the hall\r\n"
    (here / "videos.txt").write_text(listed)
    words = ["ingest", "--gallery", "g", "--model", "stripes", "--detector", BLOCKS.detector]
    words += ["--camera", "hall", "--files-from"]
    assert told(capsys, *words, "videos.txt")[1].startswith("g: 1 video, 40 frames")
    code, out, err = told(capsys, *words, "videos.txt")
    assert (code, out) == (0, "g: 0 videos, 0 frames, 0 tracklets added\n")
    assert "videos that were in the gallery before: 1" in err
    (here / "videos.txt").write_text("\n")
    assert told(capsys, *words, "videos.txt")[::2] == (
        2,
        "reseen: name videos, or a file that lists them, --files-from FILE\n",
    )
    assert "nowhere.txt does not exist" in told(capsys, *words, "nowhere.txt")[2]


def test_the_best_detector_is_taken_and_what_is_loaded_later_finds_nobody_twice(
    videos, tmp_path, monkeypatch, caplog
):
    asked = []

    def opened(name, _):
        asked.append(name)
        return blocks.find

    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path))
    monkeypatch.setattr(module, "open_detector", opened)
    gallery = Gallery.open(tmp_path / "g", create=True)
    assert ingest(gallery, videos, STRIPES).added == 4
    assert "reseen models get yolox-nano brings" in caplog.text
    (tmp_path / "yolox-nano.onnx").touch()
    assert ingest(gallery, videos, STRIPES).before == 2
    assert "people are found by yolox-nano" in caplog.text
    assert asked == ["hog", "yolox-nano"]


def test_the_command_lists_failures(here, capsys):
    (here / "empty.avi").touch()
    words = ["ingest", "empty.avi", "--gallery", "g", "--camera", "hall", "--model", "stripes"]
    code, out, err = told(capsys, *words, "--keep-crops", "crops")
    assert (code, out) == (1, "g: 0 videos, 0 frames, 0 tracklets added\n")
    assert "left out: " in err
    assert "is empty; is the copy finished?" in err
    code, out, _ = told(capsys, "gallery", "failures", "g")
    assert code == 0
    assert "empty.avi" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the camera"),
        (["--camera", "a", "--camera-from", "{camera}.avi"], "not both"),
        (["--camera", "a b"], "cannot name a camera"),
        (["--camera-from", "{camera}.mkv"], "no file's name fits {camera}.mkv: holiday.avi"),
        (["--camera", "a", "--start", "0:05"], "--start 0:00:05.0 is no date"),
        (["--camera-from", "{camera}.avi", "--start", "2026-05-01"], "--start is one recording's"),
        (["--camera", "a", "--from", "0:05", "--to", "0:01"], "is before --from"),
        (["--camera", "a", "--from", "2026-05-01 12:00"], "has no date"),
        (["--camera", "a", "--detector", "nobody"], "no detector is called nobody"),
        (["--camera", "a", "--every", "0"], "1 or more"),
    ],
)
def test_mistakes_are_one_line(here, capsys, words, said):
    words = ["ingest", "holiday.avi", "--gallery", "g", "--model", "stripes", *words]
    code, out, err = told(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
