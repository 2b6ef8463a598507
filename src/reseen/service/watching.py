"""The process that watches one live camera: its people on their way into a gallery, and reports."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for

import cv2

from reseen.data.colour_histogram import ColourHistogram
from reseen.data.pictures import Picture, encode_jpeg
from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError, many
from reseen.gallery.adapting import Adaptation, convert, latest
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter
from reseen.gallery.thumbnail import hidden
from reseen.gallery.upkeep import extractor_of
from reseen.service.cameras import Camera, Cameras
from reseen.service.incoming import Keeping, in_memory
from reseen.service.newest import Newest
from reseen.service.state import Doing, Word
from reseen.tracking.detections import Boxes, Detector, checked
from reseen.tracking.detectors import best_detector, open_detector
from reseen.tracking.track import prefix_of
from reseen.tracking.tracker import PATIENCE, Tracker
from reseen.tracking.video import FIRST_PAUSE, LONGEST_PAUSE, Counts, Frame, without_password

LONGEST_STAY = 30.0
"""Seconds after which the tracklet of somebody who stays ends, and another one begins."""

ADDS_BEFORE_MERGING = 64
"""Each makes files of its own, and the more there are, the longer the next one takes."""

SHOWN_WIDTH, QUALITY = 320, 80
"""Pixels of the width of a camera's last picture, too few to know a face by that no detector found;
and its JPEG quality."""

STALLED = 8.0
"""Seconds without a picture after which a camera counts as stalled, so that all know within 10."""

HANGS = 30.0
"""Seconds in which a call that reads a camera must come back, longer than OpenCV's own limits."""

CACHE = 16 << 20
"""Bytes that each process may keep of the gallery: it adds, and never searches."""

BETWEEN_REPORTS, BETWEEN_PICTURES = 1.0, 5.0


class Live:
    """Follows the people of a live camera, and adds those who have left it, or stay for long.

    Attributes:
        waiting: tracklets that are to be added.
        people: how many were added; who stays counts once.
        frames: in how many people were looked for.
    """

    def __init__(
        self,
        gallery: Gallery,
        camera: str,
        source: str,
        detector: Detector,
        extractors: Sequence[Extractor],
        *,
        min_length: int,
        keeping: Keeping = Keeping(),
    ) -> None:
        """Begin with nobody; arguments as for `ingest`."""
        self.waiting = list[Tracklet]()
        self.people = self.frames = 0
        self._gallery, self._camera, self._source = gallery, camera, source
        self._detector, self._extractors = detector, extractors
        self._heads = keeping.pixelate_heads
        self._tracker, self._cutter = Tracker(), keeping.cutter(min_length, Counts())
        self._prefix = prefix_of(source, camera, datetime.now(UTC))
        self._new, self._adds, self._counted = 0, 0, set[int]()
        self._adapted: dict[str, Adaptation | None] = {}
        self._last: tuple[Picture, Boxes] | None = None

    def see(self, frame: Frame) -> None:
        """Follow people into the next picture, whose time is that of the monotonic clock."""
        found = checked(self._detector(frame.picture))
        self._last = frame.picture, found.boxes
        people = self._tracker.update(frame.seconds, found, frame.picture)
        self._cutter.add(frame, people, found)
        stay = self._cutter.begun_before(frame.seconds - LONGEST_STAY)
        self._end_all_but(self._tracker.people - stay)
        self.frames += 1

    def end_all(self) -> None:
        """Take it that nobody is in the picture any more."""
        self._end_all_but(set())

    def add(self) -> None:
        """Add those who wait to the gallery; where that fails, they wait on."""
        if not self.waiting:
            return
        gallery, heads = self._gallery, self._heads
        first = min(each.start or 0.0 for each in self.waiting)
        gallery.add(
            self.waiting, self._extractors, pixelate_heads=heads, since=first, optimise=False
        )
        for model in {each.model_id for each in self._extractors}:
            # Searches take the adapted embeddings, where there are some.
            self._adapted[model] = latest(gallery, model, self._adapted.get(model))
            if adaptation := self._adapted[model]:
                convert(gallery, adaptation, Filter(camera=self._camera, start=first))
        self.waiting, self.people, self._new = [], self.people + self._new, 0
        self._adds += 1
        if self._adds % ADDS_BEFORE_MERGING == 0:
            gallery.optimise()

    def picture(self) -> bytes | None:
        """The last picture as a JPEG, small and with heads hidden; None before there was one."""
        return (
            None if self._last is None else encode_jpeg(hidden(*self._last, SHOWN_WIDTH), QUALITY)
        )

    def _end_all_but(self, people: Set[int]) -> None:
        gone, _ = self._cutter.end_all_but(people)
        # Frames have monotonic times; the clock that people read may have been set meanwhile.
        offset = time.time() - time.monotonic()
        place = self._prefix, self._camera, offset, self._source
        for each in gone:
            shown = {one.seconds: one for one in each.shown.values()}.values()
            moments = tuple(replace(one, seconds=one.seconds + offset) for one in shown)
            self.waiting.append(replace(in_memory(each, *place), moments=moments))
        numbers = {each.person for each in gone}
        self._new += len(numbers - self._counted)
        self._counted = (self._counted | numbers) & self._tracker.people


class Report(Doing, frozen=True):
    """How the process of a camera is doing; counts are since its beginning.

    Attributes:
        picture: the last picture, heads hidden, as a JPEG; None where an earlier one still does.
    """

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
        _send(reports, Report(state="failed", error=str(error)))
    except Exception as error:
        _send(reports, Report(state="failed", error=f"{type(error).__name__}: {error}"))
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
        keeping=Keeping(frames=cameras.keep_frames, pixelate_heads=not cameras.heads),
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
                    lost = f"{many(len(self._live.waiting), 'tracklet')} could not be added"
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
        report = Report(
            state=state,
            error=error,
            last_frame=None if newest.seen is None else time.time() - (now - newest.seen),
            frames=live.frames,
            skipped=newest.skipped,
            reconnects=newest.reconnects,
            people=live.people,
            picture=picture,
        )
        _send(self._reports, report)
