"""Whoever sees to it that cameras are watched: what it does with processes that end."""

import os
import signal
from multiprocessing.connection import Connection

import pytest

from reseen.cli import run
from reseen.data.colour_histogram import ColourHistogram
from reseen.gallery import table
from reseen.gallery.gallery import Gallery
from reseen.service import watch as module
from reseen.service.cameras import Camera, Cameras
from reseen.service.state import last_picture, read_state
from reseen.service.watch import Watched
from reseen.service.watching import Report
from tests.service import blocks

CAMERA = Camera("hall", "rtsp://eye:secret@10.0.0.7/live")


class Process:
    """A process that ends when it is told how."""

    def __init__(self, reports: Connection) -> None:
        self.exitcode, self.reports = None, Connection(os.dup(reports.fileno()))

    def end(self, code: int) -> None:
        self.exitcode = code
        self.reports.close()

    def join(self, _: float = 0) -> None: ...

    def kill(self) -> None:
        self.end(-signal.SIGKILL)


@pytest.fixture
def processes(monkeypatch) -> list[Process]:
    """All that were started, one after the other."""
    begun: list[Process] = []

    def started(_work, reports, *_given):
        begun.append(Process(reports))
        return begun[-1]

    monkeypatch.setattr(module, "started", started)
    return begun


@pytest.fixture
def hall(tmp_path) -> Watched:
    return Watched(CAMERA, Cameras(str(tmp_path), (CAMERA,)), tmp_path)


def test_counts_go_on_over_processes_and_secrets_are_shown_to_nobody(hall, processes, tmp_path):
    hall.tend(100.0)
    processes[0].reports.send(
        Report(
            state="running",
            last_frame=5.0,
            frames=10,
            skipped=1,
            people=2,
            picture=b"jpeg",
        )
    )
    hall.tend(101.0)
    processes[0].end(-signal.SIGSEGV)
    hall.tend(102.0)
    assert (hall.state.state, hall.state.restarts) == ("failed", 1)
    assert hall.state.error == "its process was ended by signal 11"
    assert last_picture(tmp_path, "hall") == b"jpeg"
    hall.tend(102.5)
    assert len(processes) == 1
    hall.tend(104.0)
    processes[1].reports.send(
        Report(state="running", last_frame=6.0, frames=7, reconnects=3, people=1)
    )
    hall.tend(105.0)
    state = hall.state
    assert (state.state, state.error, state.last_frame) == ("running", None, 6.0)
    assert (state.frames, state.skipped, state.reconnects, state.people) == (17, 1, 3, 3)
    assert sum(people for _, people in state.people_per_hour) == 3
    hall.write()
    assert read_state(tmp_path, "hall") == state
    assert "secret" not in (tmp_path / "cameras" / "hall.json").read_text()
    hall.end()
    assert last_picture(tmp_path, "hall") is None


def test_pauses_between_restarts_double_up_to_a_minute_and_begin_anew_after_a_good_run(
    hall, processes
):
    now, pauses = 1000.0, []
    for lasted in (0.5,) * 8 + (61.0, 0.5):
        hall.tend(now)
        now += lasted
        processes[-1].end(1)
        hall.tend(now)
        before, count = now, len(processes)
        while len(processes) == count:
            now += 0.5
            hall.tend(now)
        pauses.append(now - before)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 1, 2]


def test_a_process_that_reports_nothing_is_killed_and_started_again(hall, processes):
    hall.tend(0.0)
    hall.tend(299.0)
    assert processes[0].exitcode is None
    hall.tend(301.0)
    hall.tend(302.0)
    assert hall.state.error == "its process was ended by signal 9"


def test_a_recording_that_is_over_is_not_started_again(hall, processes):
    hall.tend(0.0)
    processes[0].reports.send(Report(state="ended"))
    processes[0].end(0)
    hall.tend(1.0)
    hall.tend(100.0)
    assert (len(processes), hall.wanted, hall.state.state) == (1, False, "ended")


def test_upkeep_merges_what_cameras_added_a_little_at_a_time(
    tmp_path, make_tracklet, monkeypatch, caplog
):
    monkeypatch.setattr(table, "FRAGMENTS_BEFORE_UPKEEP", 1)
    gallery = Gallery.open(tmp_path, create=True)
    for number in range(3):
        some = [make_tracklet(f"t{number}", number, start=100.0 * number)]
        gallery.add(some, [ColourHistogram()], optimise=False)
    tracklets = gallery.database.existing(table.TRACKLETS)
    assert len(tracklets.fragments(None)) == 3
    module.keep_up(Cameras(str(tmp_path), (CAMERA,), model="stripes"))
    assert len(tracklets.fragments(None)) == 1
    assert gallery.count() == 3
    module.keep_up(Cameras(str(tmp_path), (CAMERA,), model="nobody"))
    assert "could not be seen to: nobody is neither an ONNX file" in caplog.text


def test_cameras_are_watched_from_the_command_line(tmp_path, quick_workers, capsys):
    blocks.film(tmp_path / "door.avi", rate=100)
    (tmp_path / "cameras.toml").write_text(
        f"""
gallery = "people"
detector = "tests.service.blocks:find"
model = "stripes"
min_length = 1
[[camera]]
name = "door"
source = "{tmp_path}/door.avi"
fps = 100
"""
    )
    assert run(["watch", str(tmp_path / "cameras.toml")]) == 0
    gallery = Gallery.open(tmp_path / "people")
    # However slow the machine is: some picture is always seen, and red is on all of them.
    assert {entry.camera for entry in gallery.entries()} == {"door"}
    state = read_state(tmp_path / "people", "door")
    assert (state.state, state.restarts) == ("ended", 0)
    assert 1 <= state.frames + state.skipped <= blocks.FRAMES
    assert state.people >= 1
    told = capsys.readouterr().err
    assert "note: people are embedded by stripes" in told
    assert "camera door: ended" in told
