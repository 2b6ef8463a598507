"""The newest picture of a camera, with cameras that are made up."""

import threading

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.service import newest as module
from reseen.service.newest import Newest
from reseen.tracking.video import CAMERA_TIMEOUT
from tests.service import blocks
from tests.tracking import motion_jpeg


class Capture:
    """A capture that gives grey pictures, each when it is asked for, then fails for good."""

    def __init__(self, levels: list[int]) -> None:
        self._levels, self._level = iter(levels), 0

    def grab(self) -> bool:
        self._level = next(self._levels, -1)
        return self._level >= 0

    def retrieve(self):
        return True, np.full((4, 4, 3), self._level, np.uint8)

    def release(self) -> None: ...


class Answers(list[Capture]):
    def __init__(self) -> None:
        super().__init__()
        self.asked_in_vain = threading.Event()


@pytest.fixture
def cameras(monkeypatch):
    """What answers one after the other; then nothing does."""
    answers = Answers()

    def opened(address):
        if not answers:
            answers.asked_in_vain.set()
            raise ReseenError("does not answer")
        return answers.pop(0), False

    monkeypatch.setattr(module, "opened", opened)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.002)
    return answers


def level(frame) -> int | None:
    return None if frame is None else int(frame.picture[0, 0, 0])


def test_only_the_newest_picture_waits_and_the_others_count_as_skipped(cameras):
    cameras.append(Capture([10, 20, 30, 40, 50]))
    newest = Newest("rtsp://hall", fps=1e6)
    assert cameras.asked_in_vain.wait(10)
    assert level(newest.take(10)) == 50
    assert newest.skipped == 4
    assert newest.error
    newest.close()


def test_pictures_beyond_those_wanted_do_not_count_as_skipped(cameras):
    """All five come within a second, of which one is wanted."""
    cameras.append(Capture([10, 20, 30, 40, 50]))
    newest = Newest("rtsp://hall", fps=1e-3)
    assert cameras.asked_in_vain.wait(10)
    assert level(newest.take(10)) == 10
    assert newest.skipped == 0
    newest.close()


def test_lost_it_is_tried_again_and_answers_again(cameras):
    cameras.append(Capture([10]))
    newest = Newest("rtsp://hall", fps=1e6)
    assert level(newest.take(10)) == 10
    assert cameras.asked_in_vain.wait(10)
    cameras.append(Capture([20]))
    assert level(newest.take(10)) == 20
    assert newest.reconnects == 1
    newest.close()


def test_what_waited_in_the_decoder_of_a_camera_that_is_cut_off_is_no_new_picture(
    cameras, monkeypatch
):
    """OpenCV waits in vain, and then gives it as if it had just come."""
    now = [100.0]

    class CutOff(Capture):
        def grab(self) -> bool:
            whole = super().grab()
            now[0] += 0.2 if self._level == 10 else CAMERA_TIMEOUT / 1000
            return whole

    monkeypatch.setattr(module.threading.Thread, "start", lambda _: None)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    cameras.append(CutOff([10, 20, 30]))
    newest = Newest("rtsp://hall", fps=5)
    with pytest.raises(ReseenError, match="sends no pictures any more"):
        newest._read_until_lost()
    assert level(newest.take(0)) == 10
    assert newest.seen == pytest.approx(100.2)
    assert now[0] == pytest.approx(110.2)  # noticed after the first wait


def test_who_never_answers_is_asked_again_and_again(cameras):
    newest = Newest("rtsp://hall", fps=5)
    assert newest.take(0.01) is None
    cameras.append(Capture([30]))
    assert level(newest.take(10)) == 30
    assert newest.reconnects == 0
    newest.close()


def test_a_real_camera_is_lost_and_comes_back(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    with motion_jpeg.serving() as url:
        newest = Newest(url, fps=1e6)
        while newest.reconnects < 2:
            frame = newest.take(20)
            assert min(abs(level(frame) - sent) for sent in motion_jpeg.LEVELS) <= 1
        newest.close()
        newest._thread.join(20)
    assert not newest.alive


def test_a_recording_plays_once_at_its_own_pace(tmp_path, monkeypatch):
    """40 pictures at 10 a second: 3.9 s pass between the first and the last."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    newest = Newest.__new__(Newest)
    monkeypatch.setattr(module.threading.Thread, "start", lambda _: None)
    newest.__init__(str(blocks.film(tmp_path / "v.avi")), fps=100)
    monkeypatch.setattr(
        newest._closed, "wait", lambda seconds: now.__setitem__(0, now[0] + max(seconds, 0))
    )
    newest._run()
    assert newest.ended
    assert newest.take(10).index == blocks.FRAMES - 1
    assert newest.skipped == blocks.FRAMES - 1
    assert now[0] == pytest.approx(103.9, abs=0.11)
