"""From raw video to tracklets, on drawn videos whose people are known."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.cli import run
from reseen.cli import tracking as cli
from reseen.data.pictures import Picture
from reseen.data.tracked import boxes_of, load_tracks, tracklets_in
from reseen.errors import ReseenError
from reseen.tracking import track as track_module
from reseen.tracking import video
from reseen.tracking.detections import Detections
from reseen.tracking.detectors import DETECTORS, journalled
from reseen.tracking.hog import HogDetector
from reseen.tracking.track import track
from tests.service.blocks import GREEN, RED
from tests.service.blocks import find as find_blocks

FPS = 10.0
FRAMES = 40


def places(index: int) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Upper left corners: red walks right all the time; green, further down, is there from frame
    10 to 29 and walks left."""
    here = {RED: (10 + 4 * index, 20)}
    if 10 <= index < 30:
        here[GREEN] = (260 - 4 * index, 130)
    return here


def draw(index: int) -> Picture:
    """Blocks 30 wide and 80 high on grey."""
    picture = np.full((240, 320, 3), 128, np.uint8)
    for colour, (x, y) in places(index).items():
        picture[y : y + 80, x : x + 30] = colour
    return picture


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "walk past.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (320, 240))
    for index in range(FRAMES):
        writer.write(cv2.cvtColor(draw(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_people_become_tracklets(walk, tmp_path):
    report = track(walk, "door", tmp_path / "out", detector=find_blocks)
    assert (report.tracklets, report.crops, report.frames) == (2, 60, 40)
    assert (report.expected_frames, report.broken_frames, report.too_short) == (40, 0, 0)
    assert report.sizes == ((320, 240),)
    red, green = load_tracks(tmp_path / "out")
    assert red.id == "door-walk_past-000001"
    assert (red.camera, red.source) == ("door", str(walk))
    assert [path.name for path in red.paths] == [f"{number:06d}.jpg" for number in range(1, 41)]
    assert [path.name for path in green.paths] == [f"{number:06d}.jpg" for number in range(11, 31)]
    assert (red.start, red.end) == pytest.approx((0.0, 3.9))
    assert (green.start, green.end) == pytest.approx((1.0, 2.9))
    for tracklet, colour in ((red, RED), (green, GREEN)):
        for file in tracklet.paths:
            crop = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
            assert (
                np.abs(crop[crop.shape[0] // 2, crop.shape[1] // 2].astype(int) - colour).max() < 60
            )


def test_the_boxes_are_mot_text(walk, tmp_path):
    track(walk, "door", tmp_path / "out", detector=find_blocks)
    lines = np.loadtxt(tmp_path / "out" / "tracks.txt", delimiter=",")
    assert lines.shape == (60, 10)
    for frame, number, left, top, width, height, score, *rest in lines:
        x, y = places(int(frame) - 1)[{1: RED, 2: GREEN}[int(number)]]
        assert abs(left - x) < 4
        assert (top, width, height) == pytest.approx((y, 30, 80), abs=3)
        assert (score, rest) == (pytest.approx(0.9), [-1, -1, -1])


def test_what_was_written_can_be_read_as_boxes_again(walk, tmp_path):
    track(walk, "door", tmp_path / "first", detector=find_blocks)
    boxes = tmp_path / "first" / "tracks.txt"
    report = track(walk, "door", tmp_path / "again", boxes=boxes)
    assert (report.tracklets, report.crops) == (2, 60)
    assert (tmp_path / "again" / "tracks.txt").read_text() == boxes.read_text()


def test_ids_of_another_tool_are_kept(walk, tmp_path):
    boxes = tmp_path / "mot.txt"
    # Person 70 jumps about and person 3 is there in the first eight frames; 4 lies outside.
    lines = [f"{number},70,{(97 * number) % 250},20,30,80,1" for number in range(1, 41)]
    lines += [f"{number},3,100,100,30,80,1" for number in range(1, 9)]
    lines += [f"{number},4,1000,100,30,80,1" for number in range(1, 9)]
    boxes.write_text("\n".join(lines))
    report = track(walk, "door", tmp_path / "out", boxes=boxes)
    assert report.boxes_dropped == 8
    assert {one.id: len(one.paths) for one in load_tracks(tmp_path / "out")} == {
        "door-walk_past-000070": 40,
        "door-walk_past-000003": 8,
    }


def test_boxes_without_ids_are_followed(walk, tmp_path):
    boxes = [
        {"frame": index + 1, "bbox": [x, y, 30, 80], "score": 0.8}
        for index in range(FRAMES)
        for x, y in places(index).values()
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    track(walk, "door", tmp_path / "out", boxes=tmp_path / "boxes.json")
    assert [len(one.paths) for one in load_tracks(tmp_path / "out")] == [40, 20]


def test_times_are_comparable_when_the_start_is_known(walk, tmp_path):
    start = datetime(2024, 5, 1, 14, 0, 0, tzinfo=timezone(timedelta(hours=2)))
    track(walk, "door", tmp_path / "out", detector=find_blocks, start=start)
    red, green = load_tracks(tmp_path / "out")
    noon = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC).timestamp()
    assert (red.start, green.start) == pytest.approx((noon, noon + 1))
    assert red.id == "door-20240501T120000Z-000001"


def test_a_short_visit_is_left_out(walk, tmp_path):
    report = track(walk, "door", tmp_path / "out", detector=find_blocks, min_length=21)
    assert (report.tracklets, report.too_short) == (1, 1)


def test_a_folder_of_pictures_needs_no_video(tmp_path):
    (tmp_path / "frames").mkdir()
    for index in range(12):
        picture = cv2.cvtColor(draw(index), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), picture)
    (tmp_path / "frames" / "5.png").write_bytes(b"broken")
    report = track(tmp_path / "frames", "door", tmp_path / "out", detector=find_blocks, fps=4)
    (red,) = load_tracks(tmp_path / "out")
    assert (report.frames, report.broken_frames) == (11, 1)
    assert (red.start, red.end, len(red.paths)) == (0, 11 / 4, 11)


def test_nobody_is_a_result_too(walk, tmp_path):
    report = track(walk, "door", tmp_path / "out", detector=lambda _: Detections.of([], []))
    assert (report.tracklets, report.crops) == (0, 0)
    assert load_tracks(tmp_path / "out") == []


def test_a_video_without_anybody_says_so(tmp_path, caplog):
    (tmp_path / "frames").mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), np.full((90, 120, 3), 128, np.uint8))
    cli.track(str(tmp_path / "frames"), camera="door", out=tmp_path / "out")
    assert "nobody was found: is anybody in sight" in caplog.text


@pytest.mark.parametrize(("order", "said"), [([0, 1, 2, 3], False), ([1, 0, 3, 2], True)])
def test_a_detector_that_gives_y_before_x_is_doubted(walk, tmp_path, caplog, order, said):
    def find(picture: Picture) -> Detections:
        found = find_blocks(picture)
        return Detections(found.boxes[:, order], found.scores)

    cli.track(str(walk), camera="door", out=tmp_path / "out", detector=find)
    assert ("most people are wider than high" in caplog.text) == said


# Interruptions


def test_what_the_command_writes_is_for_its_owner_only(walk, tmp_path, monkeypatch):
    lines = [f"{frame},1,10,3,9,20,1" for frame in range(1, 20)]
    (tmp_path / "boxes.txt").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    words = "--camera door --out new/out --boxes boxes.txt --json new/it.json --log new.log"
    assert run(["track", str(walk), *words.split(), "--preview", "new/film.avi"]) == 0
    os.umask(before)
    written = [tmp_path / "new.log", *(tmp_path / "new").rglob("*"), tmp_path / "new"]
    assert len(written) > 20
    assert {oct(path.stat().st_mode & 0o077) for path in written} == {"0o0"}
    shown = load_tracks(tmp_path / "new/out")
    assert {each.film for each in shown} == {tmp_path.resolve() / "new/film.avi"}


def test_a_failed_run_is_not_taken_for_whole_and_can_be_repeated(walk, tmp_path):
    def fails(picture: Picture) -> Detections:
        fails.calls += 1
        if fails.calls > 20:
            raise RuntimeError("detector fell over")
        return find_blocks(picture)

    fails.calls = 0
    with pytest.raises(RuntimeError):
        track(walk, "door", tmp_path / "out", detector=fails)
    assert list(tmp_path.glob("out/*/*.jpg"))  # it had written
    with pytest.raises(ReseenError, match="holds no finished tracklets"):
        load_tracks(tmp_path / "out")
    track(walk, "door", tmp_path / "out", detector=find_blocks)
    assert [len(one.paths) for one in load_tracks(tmp_path / "out")] == [40, 20]
    with pytest.raises(ReseenError, match="is not empty"):
        track(walk, "door", tmp_path / "out", detector=find_blocks)


HANGING_RUN = """
import signal, sys
from pathlib import Path
from reseen.tracking.detections import Detections
from reseen.tracking.detectors import DETECTORS
from reseen.tracking.hog import HogDetector
from reseen.tracking.track import track
calls = []
def hang(picture):
    calls.append(picture.shape)
    if len(calls) == 20:
        print("ready", flush=True)
        signal.pause()
    return Detections.of([[10, 10, 60, 110]], [0.9])
track(Path(sys.argv[1]), "door", Path(sys.argv[2]), detector=hang)
"""


def test_a_killed_run_is_not_taken_for_whole(walk, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", HANGING_RUN, str(walk), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "ready\n"
        running.kill()
    assert len(list(out.glob("*/*.jpg"))) == 19
    with pytest.raises(ReseenError, match="holds no finished tracklets"):
        load_tracks(out)
    track(walk, "door", out, detector=find_blocks)
    assert [len(one.paths) for one in load_tracks(out)] == [40, 20]


class LiveCapture:
    """A camera without end, at which somebody presses Ctrl-C after 15 frames."""

    def __init__(self):
        self.index = -1

    def isOpened(self) -> bool:
        return True

    def get(self, wanted: int) -> float:
        return -1.0

    def read(self):
        self.index += 1
        if self.index == 15:
            raise KeyboardInterrupt
        return True, cv2.cvtColor(draw(self.index), cv2.COLOR_RGB2BGR)

    def release(self) -> None:
        pass


def test_a_live_camera_is_read_until_it_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_open_url", lambda url: LiveCapture())
    before = datetime.now(UTC).timestamp()
    report = track("rtsp://me:secret@camera/1", "yard", tmp_path / "out", detector=find_blocks)
    assert (report.frames, report.expected_frames, report.tracklets) == (15, None, 1)
    (red,) = load_tracks(tmp_path / "out")
    assert before <= red.start <= red.end <= datetime.now(UTC).timestamp()
    assert "secret" not in (tmp_path / "out" / "tracklets.json").read_text()


def test_a_live_camera_lists_what_is_finished_meanwhile(tmp_path, monkeypatch):
    # The power fails after 6 s; green was gone after 3 s, red is still there.
    class Failing(LiveCapture):
        def read(self):
            if self.index == 60:
                raise RuntimeError("no power")
            self.index += 1
            return True, cv2.cvtColor(draw(self.index), cv2.COLOR_RGB2BGR)

    capture = Failing()
    by_clock = partial(video.frames_from, clock=lambda: max(capture.index, 0) / 10)
    monkeypatch.setattr(video, "_open_url", lambda url: capture)
    monkeypatch.setattr(track_module, "frames_from", by_clock)
    monkeypatch.setattr(track_module, "SECONDS_BETWEEN_LISTS", 0.5)
    with pytest.raises(RuntimeError):
        track("rtsp://camera/1", "yard", tmp_path / "out", detector=find_blocks)
    (green,) = load_tracks(tmp_path / "out")
    assert [path.name for path in green.paths] == [f"{number:06d}.jpg" for number in range(11, 31)]


def live(monkeypatch) -> None:
    """Every call is a new connection to the camera at which somebody presses Ctrl-C."""
    monkeypatch.setattr(video, "_open_url", lambda url: LiveCapture())


def test_a_live_camera_can_be_taken_up_again_into_its_folder(tmp_path, monkeypatch):
    live(monkeypatch)
    out, begun = tmp_path / "out", datetime(2024, 5, 1, 12, tzinfo=UTC)
    for hours in (0, 2, 2):  # the last two even in the same second
        later = begun + timedelta(hours=hours)
        track("rtsp://camera/1", "yard", out, detector=find_blocks, start=later)
    first, second, third = load_tracks(out)
    assert [one.id for one in (first, second, third)] == [
        "yard-20240501T120000Z-000001",
        "yard-20240501T140000Z-000001",
        "yard-20240501T140001Z-000001",
    ]
    assert second.start - first.start == pytest.approx(7200, abs=1)
    assert all(path.exists() for one in (first, second, third) for path in one.paths)
    assert boxes_of(out, second.id) == out / "tracks-20240501T140000Z.txt"
    assert boxes_of(out, second.id).read_text().startswith("1,1,")
    with pytest.raises(ReseenError, match="holds another camera's tracklets"):
        track("rtsp://camera/2", "yard", out, detector=find_blocks)
    with pytest.raises(ReseenError, match="is not empty"):
        track(tmp_path / "frames.avi", "yard", out, boxes=write_boxes(tmp_path))


def write_boxes(folder: Path) -> Path:
    """Boxes beside a video of one frame, frames.avi."""
    writer = cv2.VideoWriter(
        str(folder / "frames.avi"), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (320, 240)
    )
    writer.write(draw(0))
    writer.release()
    (folder / "boxes.txt").write_text("1,1,10,20,30,80\n")
    return folder / "boxes.txt"


def test_a_live_camera_that_saw_nobody_can_be_taken_up_again(tmp_path, monkeypatch):
    live(monkeypatch)
    for detector, people in ((lambda _: Detections.of([], []), 0), (find_blocks, 1)):
        track("rtsp://camera/1", "yard", tmp_path / "out", detector=detector)
        assert len(load_tracks(tmp_path / "out")) == people


def test_what_a_live_camera_had_not_listed_makes_room(tmp_path, monkeypatch):
    live(monkeypatch)
    out = tmp_path / "out"
    track("rtsp://camera/1", "yard", out, detector=find_blocks)
    (out / "yard-20200101T000000Z-000007").mkdir()  # of somebody in sight when the power failed
    track("rtsp://camera/1", "yard", out, detector=find_blocks)
    assert len(load_tracks(out)) == 2
    assert not (out / "yard-20200101T000000Z-000007").exists()


def counting(detector, stop_at: int | None = None):
    """The built-in detector, which counts its calls and may be stopped."""

    class Counting(type(detector)):
        calls = 0

        def __call__(self, picture: Picture) -> Detections:
            Counting.calls += 1
            if Counting.calls == stop_at:
                raise KeyboardInterrupt
            return super().__call__(picture)

    return Counting


@pytest.mark.parametrize("torn", [b"", b"[7, [[1.5, 2", b"[1]\n[2]\n", b"\n"])
def test_a_stopped_run_goes_on_to_the_same_end(shared_data, tmp_path, monkeypatch, torn):
    frames = tmp_path / "frames"
    frames.mkdir()
    for frame in video.frames_from(shared_data / "one-by-one-person-detection.mp4"):
        if frame.index == 110:
            break
        if frame.index >= 50 and frame.index % 2:
            picture = cv2.cvtColor(frame.picture, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(frames / f"{frame.index}.jpg"), picture)
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    track(frames, "hall", tmp_path / "whole", fps=5, start=noon, min_length=3)
    out, journal = tmp_path / "out", tmp_path / "out" / ".reseen-unfinished"
    stopped, going_on = counting(HogDetector(), 21), counting(HogDetector())
    monkeypatch.setitem(DETECTORS, "hog", stopped)
    with pytest.raises(KeyboardInterrupt):
        track(frames, "hall", out, fps=5, start=noon, min_length=3)
    journal.write_bytes(journal.read_bytes() + torn)
    monkeypatch.setitem(DETECTORS, "hog", going_on)
    track(frames, "hall", out, fps=5, start=noon, min_length=3)
    assert going_on.calls == 30 - 20
    files = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert len(files) > 10
    assert files == {
        path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.*")
    }
    for file in files - {Path("tracklets.json")}:
        assert (out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'[3, [["a"]], [1]]\n',
        b"7\n",
        b"[3, [1%0400d], []]\n" % 0,
    ],
)
def test_a_journal_counts_up_to_its_first_damaged_line(tmp_path, damage):
    journal, settings, searched = tmp_path / "journal", {"detector": ["ours"]}, []

    def detect(picture):
        searched.append(int(picture[0, 0, 0]))
        return Detections.of([[1, 2, 30, 60]], [0.5])

    def search():
        searched.clear()
        find = journalled(detect, journal, settings)
        for index in range(3):
            find(video.Frame(index, 0.0, np.full((1, 1, 3), index, np.uint8)))

    journal.touch()
    search()
    assert searched == [0, 1, 2]
    head, *lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(head + lines[0] + damage + lines[1] + lines[2])
    search()
    assert searched == [1, 2]
    assert journal.read_bytes() == head + b"".join(lines)


def test_what_was_found_with_other_settings_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "frames").mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), draw(index))
    stopped, anew = counting(HogDetector(), 3), counting(HogDetector())
    monkeypatch.setitem(DETECTORS, "hog", stopped)
    with pytest.raises(KeyboardInterrupt):
        track(tmp_path / "frames", "hall", tmp_path / "out", fps=5)
    monkeypatch.setitem(DETECTORS, "hog", anew)
    track(tmp_path / "frames", "hall", tmp_path / "out", fps=6)
    assert anew.calls == 3


def test_an_interrupted_folder_says_that_tracking_was_stopped(walk, tmp_path):
    def stopped(picture: Picture) -> Detections:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track(walk, "door", tmp_path / "out", detector=stopped)
    with pytest.raises(ReseenError, match="was stopped and goes on when the same"):
        tracklets_in(tmp_path / "out")


def test_a_file_that_is_stopped_is_not_finished(walk, tmp_path):
    def stopped(picture: Picture) -> Detections:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track(walk, "door", tmp_path / "out", detector=stopped)
    with pytest.raises(ReseenError, match="holds no finished tracklets"):
        load_tracks(tmp_path / "out")


# What is not used


def test_bodies_cut_by_the_pictures_edge_are_left_out_of_the_tracklet(tmp_path):
    # Red walks in from the left: in the first six of twelve frames part of her is outside.
    (tmp_path / "frames").mkdir()
    boxes = []
    for index in range(12):
        cv2.imwrite(str(tmp_path / "frames" / f"{index:02d}.png"), draw(0))
        boxes.append(f"{index + 1},1,{5 * index - 27},20,30,80")
    (tmp_path / "boxes.txt").write_text("\n".join(boxes))
    out = tmp_path / "out"
    track(tmp_path / "frames", "door", out, boxes=tmp_path / "boxes.txt")
    (red,) = load_tracks(out)
    assert [path.name for path in red.paths] == [f"{number:06d}.jpg" for number in range(7, 13)]
    assert len(list((out / red.id).iterdir())) == 11  # one box had too little in the picture


def test_who_is_always_cut_is_still_shown(tmp_path):
    (tmp_path / "frames").mkdir()
    for index in range(9):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), draw(0))
    boxes = [f"{index + 1},1,100,180,30,80" for index in range(9)]
    (tmp_path / "boxes.txt").write_text("\n".join(boxes))
    track(tmp_path / "frames", "door", tmp_path / "out", boxes=tmp_path / "boxes.txt")
    assert len(load_tracks(tmp_path / "out")[0].paths) == 9


@pytest.mark.parametrize(
    ("stirs", "seconds", "kept"), [(False, 8, False), (True, 8, True), (False, 3, True)]
)
def test_what_never_stirs_for_long_is_no_person(tmp_path, stirs, seconds, kept):
    (tmp_path / "frames").mkdir()
    for index in range(2 * seconds):
        picture = draw(0)
        picture[30:60, 15:35] = 40 * (index % 4) if stirs else 0
        cv2.imwrite(str(tmp_path / "frames" / f"{index:02d}.png"), picture[..., ::-1])
    report = track(
        tmp_path / "frames", "door", tmp_path / "out", detector=find_blocks, fps=2, min_length=4
    )
    assert (report.tracklets, report.still) == ((1, 0) if kept else (0, 1))
    assert len(list((tmp_path / "out").glob("door-*"))) == kept
    assert bool((tmp_path / "out" / "tracks.txt").read_text()) == kept


def test_boxes_beyond_the_videos_end_are_counted(walk, tmp_path):
    lines = [f"{number},1,100,20,30,80" for number in range(31, 46)]
    (tmp_path / "boxes.txt").write_text("\n".join(lines))
    report = track(walk, "door", tmp_path / "out", boxes=tmp_path / "boxes.txt")
    assert (report.crops, report.boxes_left_out) == (10, {"beyond the video's end": 5})


# Mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"camera": "../door"}, "'../door' cannot name a camera"),
        ({"camera": ""}, "'' cannot name a camera"),
        ({"camera": ".hidden"}, "cannot name a camera"),
        ({"fps": 0.0}, "0.0 frames per second are not possible"),
        ({"fps": float("nan")}, "nan frames per second are not possible"),
        ({"min_length": 0}, "a tracklet of 0 frames is not possible"),
        ({"detector": "yolo"}, "no detector is called yolo"),
        ({"source": "missing.mp4"}, "missing.mp4 does not exist"),
        ({"boxes": Path("missing.txt")}, "missing.txt does not exist"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(walk, tmp_path, settings, message):
    arguments = {"source": walk, "camera": "door", "out": tmp_path / "out", **settings}
    with pytest.raises(ReseenError, match=message):
        track(**arguments)
    assert not (tmp_path / "out").exists()


def test_a_detector_that_gives_something_else_is_named(walk, tmp_path):
    with pytest.raises(ReseenError, match="the detector gave list; it must give Detections"):
        track(walk, "door", tmp_path / "out", detector=lambda picture: [])


def test_missing_crops_are_noticed(walk, tmp_path):
    track(walk, "door", tmp_path / "out", detector=find_blocks)
    (tmp_path / "out" / "door-walk_past-000002" / "000015.jpg").unlink()
    with pytest.raises(ReseenError, match="000002 holds 19 of 20 crops"):
        load_tracks(tmp_path / "out")


ENTRY = {
    "id": "a-000001", "camera": "a", "source": "film", "crops": 0, "start_seconds": 0.0,
    "end_seconds": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"start": "noon", "tracklets": []}',
        "[1]",
        '{"start": null, "tracklets": [{}]}',
        '{"start": null, "tracklets": {"id": 1}}',
        *(
            json.dumps({"start": None, "tracklets": [ENTRY | changed]})
            for changed in (
                {"camera": ["a"]},
                {"id": "../elsewhere"},
                {"id": ".."},
                {"crops": "many"},
                {"start_seconds": None},
                {"source": {}},
            )
        ),
    ],
)
def test_a_damaged_list_is_noticed(tmp_path, text):
    (tmp_path / "tracklets.json").write_text(text)
    with pytest.raises(ReseenError, match=r"tracklets\.json is damaged"):
        load_tracks(tmp_path)


# The real video


def test_the_first_woman_of_the_real_video_is_one_tracklet(shared_data, tmp_path):
    # 12 seconds of it, as pictures: she comes in at 6.2 s and still stands there.
    frames = video.frames_from(shared_data / "one-by-one-person-detection.mp4")
    (tmp_path / "frames").mkdir()
    for frame in frames:
        if frame.index == 120:
            break
        if frame.index >= 40:
            picture = cv2.cvtColor(frame.picture, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(tmp_path / "frames" / f"{frame.index}.jpg"), picture)
    report = track(tmp_path / "frames", "hall", tmp_path / "out", fps=10)
    (woman,) = load_tracks(tmp_path / "out")
    assert len(woman.paths) >= 40
    assert 2.0 < woman.start < 4.0
    assert woman.end > 7.5
    assert report.frames == 80


def test_the_best_detector_that_is_here_is_taken_and_said(walk, tmp_path, monkeypatch):
    asked = []

    def opened(name, input_style):
        asked.append(name)
        return find_blocks

    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path))
    monkeypatch.setattr(track_module, "open_detector", opened)
    (without,) = track(walk, "hall", tmp_path / "without").notes
    for loaded in ("yolox-nano", "yolox-tiny", "osnet-x0-25"):
        (tmp_path / f"{loaded}.onnx").touch()
    (loaded,) = track(walk, "hall", tmp_path / "loaded").notes
    assert track(walk, "hall", tmp_path / "named", detector="hog").notes == ()
    assert asked == ["hog", "yolox-tiny", "hog"]
    assert "reseen models get yolox-nano" in without
    assert "yolox-tiny" in loaded
