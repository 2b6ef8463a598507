"""Watching live cameras, a process each, which are started again whatever happens to them."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from pathlib import Path

from msgspec.structs import replace

from reseen.errors import ReseenError
from reseen.files import locked
from reseen.gallery.forgetting import CAMERAS
from reseen.gallery.gallery import Gallery
from reseen.gallery.upkeep import extractor_of, tend
from reseen.parallel import script_hidden
from reseen.progress import log, print_notes
from reseen.service.cameras import Camera, Cameras
from reseen.service.health import answering
from reseen.service.state import (
    CameraState,
    Word,
    picture_file,
    read_state,
    with_more,
    write_state,
)
from reseen.service.watching import Report, watch_camera
from reseen.tracking.detectors import best_detector, open_detector
from reseen.tracking.video import FIRST_PAUSE, LONGEST_PAUSE, without_password

SILENT = 300.0
"""Seconds without a report after which a process hangs; to wait for the gallery may take some."""

COUNTS = "frames", "skipped", "reconnects", "people"
"""What reports count from the beginning of a process."""

TURN, BETWEEN_WRITES, BETWEEN_UPKEEPS = 1.0, 5.0, 600.0

END_WITHIN = 7.0
"""Seconds in which the processes must end, so that all of it ends within 10."""


def watch(cameras: Cameras, health: str | None = None) -> None:
    """Watch cameras until interrupted; of recordings, until all are over.

    Each camera has a process, which adds to the gallery by itself. Here is only seen to it that
    they live, and told how they are. What was added stays, whichever of them is killed.

    Args:
        health: HOST:PORT at which /healthz and /metrics are answered; None for nowhere.

    Raises:
        ReseenError: the gallery, the detector or the model cannot be opened, or something else
            watches cameras for this gallery.
    """
    gallery = Gallery.open(cameras.gallery, create=True)
    open_detector(cameras.detector or best_detector()[0], cameras.detector_input)
    extractor = extractor_of(gallery, cameras.model, cameras.style)
    print_notes(f"people are embedded by {extractor.model_id}", *filter(None, [extractor.note]))
    if cameras.detector is None:
        print_notes(best_detector()[1])
    with locked(gallery.notes / CAMERAS):
        watched = [Watched(camera, cameras, gallery.notes) for camera in cameras.each]
        upkeep = Upkeep(cameras)
        with answering(health, lambda: [each.state for each in watched]):
            try:
                while any(each.wanted for each in watched):
                    wait_for([each.reports for each in watched if each.reports is not None], TURN)
                    for each in watched:
                        each.tend(time.monotonic())
                    upkeep.tend(time.monotonic())
            finally:
                end(watched, upkeep)


class Watched:
    """A camera, and the process that watches it.

    Attributes:
        state: how the camera is doing.
        process: watches it; None between two.
        reports: where it tells how it is doing.
        wanted: whether it is to be watched on.
    """

    def __init__(self, camera: Camera, cameras: Cameras, folder: Path) -> None:
        earlier = None
        with suppress(ReseenError):  # what is damaged only told of the last day
            earlier = read_state(folder, camera.name)
        self.state = CameraState(
            name=camera.name,
            source=without_password(camera.address),
            state="connecting",
            since=time.time(),
            people_per_hour=() if earlier is None else earlier.people_per_hour,
        )
        self.process: BaseProcess | None = None
        self.reports: Connection | None = None
        self.wanted = True
        self._camera, self._cameras, self._folder = camera, cameras, folder
        self._before, self._picture = Report(state="connecting"), b""
        self._begun = self._heard = self._due = self._written = 0.0
        self._pause = FIRST_PAUSE

    def tend(self, now: float) -> None:
        """Hear what the process tells; start one where there is none, kill it where it hangs."""
        if self.process is None:
            if self.wanted and now >= self._due:
                self._start(now)
        elif not self.hear():
            self._over(now)
        elif now - self._heard > SILENT:
            self.process.kill()
        if now - self._written > BETWEEN_WRITES:
            self.write()

    def hear(self) -> bool:
        """Take in what was reported; returns whether the process may report more."""
        assert self.reports is not None
        try:
            while self.reports.poll():
                self._take(self.reports.recv())
        except (EOFError, OSError):
            return False
        return True

    def write(self) -> None:
        """Write how the camera is doing; on a full disk, that is of no weight."""
        self._written = time.monotonic()
        with suppress(ReseenError):
            write_state(self._folder, self.state, self._picture)

    def end(self) -> None:
        """Say that it is not watched any more, and remove its last picture."""
        if self.process is not None:
            self.hear()
        self._become("ended", self.state.error)
        picture_file(self._folder, self.state.name).unlink(missing_ok=True)
        self._picture = b""
        self.write()

    def _start(self, now: float) -> None:
        self.reports, sent = multiprocessing.get_context("spawn").Pipe(duplex=False)
        self.process = started(watch_camera, sent, self._camera, self._cameras)
        sent.close()
        self._before, self._begun, self._heard = Report(state="connecting"), now, now

    def _take(self, report: Report) -> None:
        self._heard = time.monotonic()
        more = {name: getattr(report, name) - getattr(self._before, name) for name in COUNTS}
        state = self.state
        self.state = replace(
            state,
            last_frame=report.last_frame or state.last_frame,
            people_per_hour=with_more(state.people_per_hour, more["people"], time.time()),
            **{name: getattr(state, name) + count for name, count in more.items()},
        )
        self._before, self._picture = report, report.picture or self._picture
        self._become(report.state, report.error)

    def _over(self, now: float) -> None:
        """The process has ended: well, or to be followed by another after a pause."""
        assert self.process is not None
        self.process.join(TURN)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        self.process = self.reports = None
        self.wanted = code != 0
        if not self.wanted:
            return
        error = f"its process was ended by signal {-code}" if code < 0 else self.state.error
        self._become("failed", error or "its process has ended; see above")
        self.state = replace(self.state, restarts=self.state.restarts + 1)
        lasted = now - self._begun > LONGEST_PAUSE
        self._pause = FIRST_PAUSE if lasted else min(2 * self._pause, LONGEST_PAUSE)
        self._due = now + self._pause

    def _become(self, word: Word, error: str | None) -> None:
        state = self.state
        since = state.since if word == state.state else time.time()
        if (word, error) != (state.state, state.error):
            log.warning(f"camera {state.name}: {word}" + (f": {error}" if error else ""))
            self._written = 0.0
        self.state = replace(state, state=word, since=since, error=error)


class Upkeep:
    """Sees to the gallery from time to time, in a process: its memory is the system's again."""

    def __init__(self, cameras: Cameras) -> None:
        self.process: BaseProcess | None = None
        self._cameras, self._due = cameras, time.monotonic() + BETWEEN_UPKEEPS

    def tend(self, now: float) -> None:
        """Start it when it is time again and the one before is over."""
        if now < self._due or (self.process is not None and self.process.is_alive()):
            return
        self._due = now + BETWEEN_UPKEEPS
        self.process = started(keep_up, self._cameras)


def keep_up(cameras: Cameras) -> None:
    """Merge, forget, adapt and group in the gallery that cameras fill."""
    try:
        gallery = Gallery.open(cameras.gallery, create=True)
        tend(gallery, extractor_of(gallery, cameras.model, cameras.style))
    except ReseenError as error:  # the next one may do better
        log.warning(f"the gallery could not be seen to: {error}")


def started(work: Callable[..., None], *given: object) -> BaseProcess:
    """A process that has begun to work; Ctrl-C is not for it."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=given)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which it inherits
    try:
        with script_hidden():
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def end(watched: Sequence[Watched], upkeep: Upkeep) -> None:
    """End all processes, by force those that take too long, and write how it ended."""
    processes = [*(each.process for each in watched), upkeep.process]
    running = [process for process in processes if process is not None]
    for process in running:
        process.terminate()
    last = time.monotonic() + END_WITHIN
    for process in running:
        process.join(max(last - time.monotonic(), 0))
        if process.exitcode is None:
            log.warning("a process did not end in time and was killed")
            process.kill()
    for each in watched:
        each.end()
