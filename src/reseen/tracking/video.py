"""Pictures out of a video file, a folder of pictures or a camera, one at a time."""

import math
import os
import re
import struct
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np

from reseen.data.layout import entries, is_picture
from reseen.data.pictures import Picture, read_picture
from reseen.errors import ReseenError
from reseen.files import require_file
from reseen.progress import log

FAILURES_AT_END = 100
"""So many failed reads in a row are the end of a recording, unless it says that it has more."""

STEPS_AT_END = 3
"""A recording that ends so many frames before its time was cut off. Files that only say how long
they last, or whose frames come at changing rates, may lack fewer."""

FAILURES_WHEN_LOST = 5
"""So many failed reads in a row mean that a camera is gone."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a lost camera is tried again; each pause is twice the one before."""

CAMERA_TIMEOUT = 10_000
"""Milliseconds that a camera may take to answer."""

NO_ANSWER = "gives no pictures; check the address, user name, password and the net"

SECRET = re.compile(
    r"([^/?#&;=]*(?:pas|pwd|psw|pw|user|usr|login|auth|token|key|secret|sig)[^/?#&;=]*=)[^/?#&;]*",
    re.IGNORECASE,
)
"""A named value in a camera's address that nobody else should see."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One whole picture of a video.

    Attributes:
        index: its number, from 0; broken frames have a number too.
        seconds: time since the video's beginning, growing from frame to frame.
        picture: (H, W, 3) uint8, RGB.
    """

    index: int
    seconds: float
    picture: Picture


@dataclass(kw_only=True)
class Counts:
    """What happened while a video was read and people were cut out of it.

    Attributes:
        frames: frames that came out whole.
        broken_frames: frames that could not be read and were skipped.
        reconnects: how often a lost camera answered again.
        sizes: every (width, height) of the frames.
        cut_off: whether a recording ended before the time that it says it lasts.
        tracklets, crops: how many there are of people who are gone.
        boxes_dropped: boxes that lay outside the picture.
        too_short: people seen in too few frames to become a tracklet.
        still: what never stirred for long and was left out: posters, dummies, bare background.
        lying: whether most boxes are wider than high, as those of people seldom are.
    """

    frames: int = 0
    broken_frames: int = 0
    reconnects: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    cut_off: bool = False
    tracklets: int = 0
    crops: int = 0
    boxes_dropped: int = 0
    too_short: int = 0
    still: int = 0
    lying: bool = False


def is_url(source: str | Path) -> bool:
    """Tell a camera's address from a path."""
    return "://" in str(source)


def without_password(source: str | Path) -> str:
    """The source as it may be shown and stored.

    A camera's user name and password are left out, and the values of whatever is named like a
    secret in the rest of its address (`?usr=a&pwd=b`, `/user=a_password=b_channel=1`).
    """
    if not is_url(source):
        return str(source)
    return SECRET.sub(r"\1", re.sub(r"://[^/?#]*@", "://", str(source), count=1))


def with_password(url: str, password: str) -> str:
    """A camera's address with the password that it asks for."""
    protocol, _, rest = url.partition("://")
    host, further = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    user, _, host = host.rpartition("@")
    user = user.partition(":")[0]
    return f"{protocol}://{user}:{quote(password, safe='')}@{host}{further}"


def expected_frames(source: str | Path) -> int | None:
    """How many frames a source says it has; None for cameras and files that do not say."""
    if is_url(source):
        return None
    path = Path(source)
    if path.is_dir():
        return len(_picture_names(path))
    capture = _open_file(path)
    try:
        return _frame_count(capture)
    finally:
        capture.release()


def opened(source: str) -> tuple[Any, bool]:
    """Open a camera, a device such as /dev/video0, or a recording.

    Returns:
        An OpenCV capture, and whether this is a recording, which ends.

    Raises:
        ReseenError: it cannot be opened.
    """
    if not is_url(source) and not Path(source).is_char_device():
        return _open_file(Path(source)), True
    capture = _open_url(source) if is_url(source) else cv2.VideoCapture(source, cv2.CAP_V4L2)
    if not capture.isOpened():
        device = "gives no pictures; does another program use it?"
        why = NO_ANSWER if is_url(source) else device
        raise ReseenError(f"{without_password(source)} {why}")
    live = source.lower().startswith("rtsp")  # though some servers say how long they send
    return capture, not live and _frame_count(capture) is not None


def frames_from(
    source: str | Path,
    counts: Counts | None = None,
    *,
    fps: float = 25.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """Read a video frame by frame, in constant memory.

    A broken frame is skipped and counted, a cut-off file ends with what it holds, a lost camera
    is tried again with growing pauses for as long as the caller asks for frames. Should the size
    change on the way, a recording's frames are scaled to the first one's; pictures keep theirs.

    Args:
        source: a video file, a folder of pictures (in natural order of their names), or the URL
            of a camera or of a video (rtsp, http).
        counts: filled while reading.
        fps: frames per second of a source that has no times of its own.
        sleep, clock: how to wait and tell the time.

    Yields:
        The frames in order. A camera's seconds are those since its first frame by the clock.

    Raises:
        ReseenError: there is no such source, or no picture can be read from it.
    """
    counts = Counts() if counts is None else counts
    if is_url(source):
        frames = _camera(str(source), counts, fps, sleep, clock)
    elif Path(source).is_dir():
        frames = _folder(Path(source), counts, fps)
    else:
        capture = _open_file(Path(source))
        frames = _recording(capture, counts, fps, _mirror(Path(source), capture))
    for frame in frames:
        height, width = frame.picture.shape[:2]
        counts.frames += 1
        counts.sizes = tuple(sorted({*counts.sizes, (width, height)}))
        yield frame
    if not counts.frames:
        raise ReseenError(f"{without_password(source)} holds no frame that can be read")


def frames_about(path: Path, seconds: float) -> Generator[Frame]:
    """The frames of a recording from about a moment on: the first may be somewhat before it.

    What lies before is not decoded, so that frames' numbers do not count. Times are as those of
    `frames_from`.

    Yields:
        The frames, up to the recording's end.

    Raises:
        ReseenError: the file is not there, or cannot be read.
    """
    capture = _open_file(path)
    shown = _mirror(path, capture)
    capture.set(cv2.CAP_PROP_POS_MSEC, max(seconds, 0) * 1000)
    yield from _recording(capture, Counts(), 25.0, shown)


def _picture_names(folder: Path) -> list[str]:
    names = [name for name in entries(folder)[1] if is_picture(name)]
    if not names:
        raise ReseenError(f"{folder} holds no pictures; give a video file or a folder of pictures")
    return names


def _folder(folder: Path, counts: Counts, fps: float) -> Iterator[Frame]:
    for index, name in enumerate(_picture_names(folder)):
        try:
            picture = read_picture(folder / name)
        except ReseenError:
            counts.broken_frames += 1
        else:
            yield Frame(index, index / fps, picture)


def _quiet() -> None:
    """Keep warnings of FFmpeg and OpenCV from tearing the progress bar; faults are counted here."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def _open_file(path: Path) -> Any:
    require_file(path)
    if not path.exists():
        raise ReseenError(f"{path} does not exist; give a video file, a folder or a camera's URL")
    if path.stat().st_size == 0:
        raise ReseenError(f"{path} is empty; is the copy finished?")
    if not os.access(path, os.R_OK):
        raise ReseenError(f"{path} may not be read; check its permissions")
    _quiet()
    # As an absolute path, because what comes before a colon would be taken for a protocol.
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise ReseenError(f"{path} is not a video that can be read, or its beginning is damaged")
    return capture


def _open_url(url: str) -> Any:
    _quiet()
    waits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
    timeouts = [number for wait in waits for number in (wait, CAMERA_TIMEOUT)]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)


def in_vain(waited: float) -> bool:
    """Whether a camera was waited for until OpenCV gave up, after so many seconds.

    What it gives then is no new picture: it had been in the decoder.
    """
    return waited >= CAMERA_TIMEOUT / 1000


def _frame_count(capture: Any) -> int | None:
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if math.isfinite(count) and count > 0 else None


def _pictures(
    capture: Any, failures_at_end: int, clock: Callable[[], float] = lambda: 0.0
) -> Iterator[tuple[int, Picture]]:
    """Yield (failed reads just before, RGB picture) until reading fails for good.

    That is after so many failures in a row, or as many as there are frames said to be to come; by
    the clock of who reads a camera, also when one was waited for in vain.
    """
    expected, failures, read = _frame_count(capture) or 0, 0, 0
    while failures < max(failures_at_end, expected - read):
        asked = clock()
        whole, picture = capture.read()
        if in_vain(clock() - asked):
            return
        if not whole:
            failures += 1
            continue
        yield failures, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        read, failures = read + failures + 1, 0


def _recording(
    capture: Any, counts: Counts, fps: float, shown: Callable[[Picture], Picture] = lambda one: one
) -> Iterator[Frame]:
    """Read a recording to its end; a failed read with frames after it was a broken frame."""
    own_fps = capture.get(cv2.CAP_PROP_FPS)
    step = 1 / own_fps if math.isfinite(own_fps) and 0 < own_fps <= 1000 else 1 / fps
    expected = _frame_count(capture)
    index, seconds = 0, -step
    try:
        for failures, picture in _pictures(capture, FAILURES_AT_END):
            counts.broken_frames += failures
            index += failures
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            seconds = stamp if stamp > seconds else seconds + step * (1 + failures)
            yield Frame(index, max(seconds, 0.0), shown(picture))
            index += 1
    finally:
        capture.release()
    missing = 0 if expected is None else min(expected - index, expected - seconds / step - 1)
    counts.cut_off = missing > STEPS_AT_END


def _mirror(path: Path, capture: Any) -> Callable[[Picture], Picture]:
    """How to show pictures of a QuickTime or MP4 file whose display matrix mirrors.

    OpenCV only knows turns, and would take a mirror for one. All other files are right as read.
    """
    mirrored = (one for one in _display_matrices(path) if one[0] * one[3] < one[1] * one[2])
    matrix = next(mirrored, None)
    if matrix is None:
        return lambda picture: picture
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    a, b, c, d = matrix

    def show(picture: Picture) -> Picture:
        turned = picture if a else picture.transpose(1, 0, 2)
        turned = turned if b + d > 0 else turned[::-1]
        return np.ascontiguousarray(turned if a + c > 0 else turned[:, ::-1])

    return show


def _display_matrices(path: Path) -> Iterator[tuple[float, float, float, float]]:
    """The upper left of each picture track's matrix: x' = a x + c y, y' = b x + d y."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8 and head[4:] != b"moov":
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(file.read(8), "big") - 8 if size == 1 else size
            if size < 8 or not head[4:].isalnum():
                return
            file.seek(size - 8, os.SEEK_CUR)
        film = file.read(max(int.from_bytes(head[:4], "big"), 0)) if len(head) == 8 else b""
    for found in re.finditer(b"tkhd", film):
        start = found.end() + (52 if film[found.end() : found.end() + 1] == b"\1" else 40)
        if len(film) >= start + 44:
            a, b, _, c, d, *_, width, _ = struct.unpack(">11i", film[start : start + 44])
            if width:
                yield a, b, c, d


def _camera(
    url: str, counts: Counts, fps: float, sleep: Callable[[float], None], clock: Callable[[], float]
) -> Iterator[Frame]:
    """Read a live camera without end; a URL that says how many frames it has is a recording."""
    capture = _open_url(url)
    if not capture.isOpened():
        raise ReseenError(f"{without_password(url)} {NO_ANSWER}")
    if _frame_count(capture) is not None:
        yield from _recording(capture, counts, fps)
        return
    index, pause, started = 0, FIRST_PAUSE, clock()
    while True:
        try:
            for failures, picture in _pictures(capture, FAILURES_WHEN_LOST, clock):
                counts.broken_frames += failures
                index += failures
                yield Frame(index, clock() - started, picture)
                index += 1
                pause = FIRST_PAUSE
        finally:
            capture.release()
        if pause == FIRST_PAUSE:
            log.warning(f"{without_password(url)} sends no pictures any more; it is tried again")
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        capture = _open_url(url)
        counts.reconnects += capture.isOpened()
