"""The newest picture of a camera: whoever is too slow misses pictures, and none wait."""

import threading
import time
from typing import Any

import cv2
import numpy as np

from reseen.errors import ReseenError
from reseen.tracking.video import (
    FAILURES_WHEN_LOST,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Frame,
    in_vain,
    opened,
)

EARLY = 0.25
"""A picture may come so much before its time, as a share of the time between two."""


class Newest:
    """Reads a camera in a thread of its own, again and again where it is lost.

    Attributes:
        skipped: pictures that nobody took in time.
        reconnects: how often a lost camera answered again.
        error: why no picture comes, in a line; None while some do.
        seen: when the newest picture came, by the monotonic clock; None before the first.
        ended: whether there is no more to come, since this was a recording.
        returned: when a call that reads the camera last came back, by the monotonic clock.
    """

    def __init__(self, address: str, fps: float) -> None:
        """Begin to read.

        Args:
            address: of the camera, or the path of a device or recording.
            fps: how many pictures are wanted in a second; others are passed over.
        """
        self.skipped = self.reconnects = 0
        self.error: str | None = None
        self.seen: float | None = None
        self.ended, self.returned = False, time.monotonic()
        self._address, self._step = address, 1 / fps
        self._due, self._read = 0.0, 0
        self._frame: Frame | None = None
        self._changed, self._closed = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def take(self, seconds: float) -> Frame | None:
        """The newest picture that was not taken yet; None if none comes in so many seconds.

        Its time is that of the monotonic clock.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self.ended, seconds)
            frame, self._frame = self._frame, None
            return frame

    def close(self) -> None:
        """Read no more."""
        self._closed.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set() and not self.ended:
            before = self._read
            try:
                self._read_until_lost()
            except ReseenError as error:
                self.error = str(error)
            self.returned = float("inf")  # nothing is being read now
            pause = FIRST_PAUSE if self._read > before else min(2 * pause, LONGEST_PAUSE)
            self._closed.wait(0 if self.ended else pause)

    def _read_until_lost(self) -> None:
        """Read until a recording is over; a camera that sends nothing any more is an error."""
        self.returned = time.monotonic()
        capture, is_recording = opened(self._address)
        self.reconnects += self._read > 0
        begun = self.returned = time.monotonic()
        failures = 0
        try:
            while not self._closed.is_set() and failures < FAILURES_WHEN_LOST:
                asked = time.monotonic()
                whole = capture.grab()
                now = self.returned = time.monotonic()
                if not is_recording and in_vain(now - asked):
                    break
                failures = 0 if whole else failures + 1
                if whole:
                    if is_recording:
                        self._closed.wait(begun + capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 - now)
                    self._keep(capture)
        finally:
            capture.release()
        if not is_recording:
            raise ReseenError("the camera sends no pictures any more")
        with self._changed:
            self.ended = True
            self._changed.notify()

    def _keep(self, capture: Any) -> None:
        """Unpack the picture that was just read, where one is wanted again."""
        now = time.monotonic()
        if now < self._due - EARLY * self._step:
            return
        self._due = max(self._due, now - self._step / 2) + self._step
        whole, picture = capture.retrieve()
        if not whole:
            return
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        with self._changed:
            self.skipped += self._frame is not None
            self._frame, self._read = Frame(self._read, now, rgb), self._read + 1
            self.seen, self.error = now, None
            self._changed.notify()
