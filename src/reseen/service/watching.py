"""The process that watches one live camera, and what it reports to the one that started it."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for

import cv2

from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.gallery.upkeep import extractor_of
from reseen.service.cameras import Camera, Cameras
from reseen.service.live import Live
from reseen.service.newest import Newest
from reseen.service.state import Word
from reseen.tracking.detectors import best_detector, open_detector
from reseen.tracking.tracker import PATIENCE
from reseen.tracking.video import FIRST_PAUSE, LONGEST_PAUSE, without_password

STALLED = 8.0
"""Seconds without a picture after which a camera counts as stalled, so that all know within 10."""

HANGS = 30.0
"""Seconds in which a call that reads a camera must come back, longer than OpenCV's own limits."""

CACHE = 16 << 20
"""Bytes that each process may keep of the gallery: it adds, and never searches."""

BETWEEN_REPORTS, BETWEEN_PICTURES = 1.0, 5.0


@dataclass(frozen=True)
class Report:
    """How the process of a camera is doing; counts are since its beginning.

    Attributes:
        state, error, last_frame, frames, skipped, reconnects, people: as in `CameraState`.
        picture: the last picture, heads hidden, as a JPEG; None where an earlier one still does.
    """

    state: Word
    error: str | None = None
    last_frame: float | None = None
    frames: int = 0
    skipped: int = 0
    reconnects: int = 0
    people: int = 0
    picture: bytes | None = None


def watch_camera(reports: Connection, camera: Camera, cameras: Cameras) -> None:
    """Watch a camera until SIGTERM, the end of a recording, or that of the process that started it.

    What is under way then is finished and added.

    Args:
        reports: how things are is sent there, once a second or more seldom.
        cameras: how to look at it, and the gallery.
    """
    stop, code = threading.Event(), 1
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    cv2.setNumThreads(1)  # each camera has a process
    try:
        _Watch(reports, camera, _live(camera, cameras), stop).run()
        code = 0
    except ReseenError as error:
        _send(reports, Report("failed", str(error)))
    except Exception as error:
        _send(reports, Report("failed", f"{type(error).__name__}: {error}"))
        traceback.print_exc()
    finally:
        # Not by way of the interpreter's end, where a thread that still reads a camera may crash.
        sys.stderr.flush()
        os._exit(code)


def _live(camera: Camera, cameras: Cameras) -> Live:
    gallery = Gallery.open(cameras.gallery, create=True, cache=CACHE)
    extractor = extractor_of(gallery, cameras.model, cameras.style)
    extractors = {each.model_id: each for each in (extractor, ColourHistogram())}
    return Live(
        gallery,
        camera.name,
        without_password(camera.address),
        open_detector(cameras.detector or best_detector()[0], cameras.detector_input),
        list(extractors.values()),
        min_length=cameras.min_length,
        keep_frames=cameras.keep_frames,
        pixelate_heads=not cameras.heads,
    )


def _stop_with_parent(stop: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    stop.set()


def _send(reports: Connection, report: Report) -> None:
    with suppress(OSError):  # nobody listens any more
        reports.send(report)


class _Watch:
    """One camera from its first picture to its last."""

    def __init__(
        self, reports: Connection, camera: Camera, live: Live, stop: threading.Event
    ) -> None:
        self._reports, self._live, self._stop = reports, live, stop
        self._newest = Newest(camera.address, camera.fps)
        self._word: tuple[Word, str | None] | None = None
        self._told = self._shown = 0.0

    def run(self) -> None:
        """Watch until told to stop, or there is no more to come."""
        while not self._stop.is_set():
            frame = self._newest.take(BETWEEN_REPORTS)
            if frame is not None:
                self._live.see(frame)
            elif self._newest.ended:
                break
            elif self._quiet_for(PATIENCE):
                self._live.end_all()
            self._add()
            self._report(*self._state())
        self._newest.close()
        self._live.end_all()
        self._add()
        self._report("ended", None)

    def _quiet_for(self, seconds: float) -> bool:
        return self._newest.seen is None or time.monotonic() - self._newest.seen > seconds

    def _state(self) -> tuple[Word, str | None]:
        newest = self._newest
        if (not newest.alive and not newest.ended) or time.monotonic() - newest.returned > HANGS:
            raise ReseenError("whatever reads the camera hangs or has died")
        if not self._quiet_for(STALLED):
            return "running", None
        if newest.seen is not None:
            return "stalled", newest.error or f"no picture for {STALLED:.0f} seconds"
        return ("failed" if newest.error else "connecting"), newest.error

    def _add(self) -> None:
        """Add those who have left; as long as that fails, nobody else is looked for."""
        pause = FIRST_PAUSE
        while self._live.waiting:
            try:
                self._live.add()
            except ReseenError as error:
                self._report("failed", str(error))
                if self._stop.wait(pause):
                    lost = f"{len(self._live.waiting)} tracklets could not be added"
                    raise ReseenError(f"{lost}: {error}") from error
                pause = min(2 * pause, LONGEST_PAUSE)

    def _report(self, state: Word, error: str | None) -> None:
        """Tell how things are, where that has changed or was told some time ago."""
        now = time.monotonic()
        if (state, error) == self._word and now - self._told < BETWEEN_REPORTS:
            return
        self._word, self._told = (state, error), now
        picture = None
        if now - self._shown > BETWEEN_PICTURES:
            picture, self._shown = self._live.picture(), now
        newest, live = self._newest, self._live
        last = None if newest.seen is None else time.time() - (now - newest.seen)
        counts = (live.frames, newest.skipped, newest.reconnects, live.people)
        _send(self._reports, Report(state, error, last, *counts, picture))
