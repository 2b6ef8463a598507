"""From raw video to tracklets: people found, followed and cut out."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reseen.data.tracked import TRACKLETS_FILE
from reseen.errors import ReseenError
from reseen.files import write_json
from reseen.progress import progress
from reseen.tracking.crops import Piece, TrackletFolder
from reseen.tracking.detections import Detector
from reseen.tracking.mot import read_boxes
from reseen.tracking.people import Follow, follow_boxes, follow_detector
from reseen.tracking.video import (
    Counts,
    Frame,
    expected_frames,
    frames_from,
    is_url,
    without_password,
)

SECONDS_BETWEEN_LISTS = 60.0
"""A live camera has no end to wait for, so its finished tracklets are listed this often."""

MIN_LENGTH = 8
"""Frames in which a person must be seen to become a tracklet: half a clip of the paper."""


@dataclass(frozen=True, slots=True)
class TrackReport:
    """What became of a video.

    Attributes:
        source, camera: the video and the name of its view.
        out: the folder with the tracklets.
        tracklets, crops: how many were written.
        frames: frames read.
        expected_frames: how many the source says it has; None when it does not say.
        broken_frames: frames that could not be read and were skipped.
        reconnects: how often a lost camera answered again.
        sizes: every (width, height) of the frames.
        boxes_dropped: boxes that lay outside the picture.
        boxes_ignored: boxes of a given file that are no people or are marked not to count.
        too_short: people seen in too few frames to become a tracklet.
    """

    source: str
    camera: str
    out: Path
    tracklets: int = 0
    crops: int = 0
    frames: int = 0
    expected_frames: int | None = None
    broken_frames: int = 0
    reconnects: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    boxes_dropped: int = 0
    boxes_ignored: int = 0
    too_short: int = 0


def track(
    source: str | Path,
    camera: str,
    out: Path,
    *,
    detector: str | Detector = "hog",
    boxes: Path | None = None,
    start: datetime | None = None,
    fps: float = 25.0,
    min_length: int = MIN_LENGTH,
) -> TrackReport:
    """Find, follow and cut out the people in a video.

    Writes `OUT/<tracklet id>/<frame>.jpg`, the boxes as MOT text in `OUT/tracks.txt`, and, at the
    very end, `OUT/tracklets.json`. Frames are numbered from 1 there. Memory is constant.

    A live camera is read until the program is interrupted (Ctrl-C), which ends it properly. Its
    finished tracklets are listed once a minute, so that a gallery can take them in meanwhile and
    nothing of what is listed is lost with the power.

    Args:
        source: a video file, a folder of pictures, or the URL of a camera or video.
        camera: a name for the view, of letters, digits, ".", "_" and "-".
        out: an empty or new folder.
        detector: a name for `open_detector`, or a function from a picture to `Detections`.
        boxes: a MOT text or JSON file with the people's boxes, instead of a detector. Where the
            boxes have ids, people are not followed anew.
        start: when the recording began, so that times can be compared between cameras; local
            time unless it says otherwise. A live camera starts now.
        fps: frames per second of a source that has no times of its own.
        min_length: who is seen in fewer frames is left out.

    Raises:
        ReseenError: bad input, or the folder cannot be written.
    """
    _check(camera, fps, min_length)
    given = None if boxes is None else read_boxes(boxes)
    follow = follow_detector(detector) if given is None else follow_boxes(given)
    known = TrackReport(
        source=without_password(source),
        camera=camera,
        out=out,
        expected_frames=expected_frames(source),
        boxes_ignored=0 if given is None else given.ignored,
    )
    begun = _begin_time(source, start)
    keep_numbers = given is not None and given.people is not None
    folder = TrackletFolder(out, _prefix(source, camera, begun), min_length, keep_numbers)
    counts = Counts()

    def write_list() -> TrackReport:
        report = _counted(known, counts, folder)
        _write(report, folder, begun)
        return report

    live = write_list if is_url(source) else None
    _cut_out(frames_from(source, counts, fps=fps), known.expected_frames, follow, folder, live)
    report = write_list()
    folder.finish()
    return report


def _counted(known: TrackReport, counts: Counts, folder: TrackletFolder) -> TrackReport:
    return replace(
        known,
        tracklets=len(folder.ended),
        crops=sum(piece.crops for piece in folder.ended),
        frames=counts.read,
        broken_frames=counts.broken,
        reconnects=counts.reconnects,
        sizes=tuple(sorted((width, height) for height, width in counts.sizes)),
        boxes_dropped=folder.dropped,
        too_short=folder.too_short,
    )


def _check(camera: str, fps: float, min_length: int) -> None:
    if not re.fullmatch(r"\w[\w.-]*", camera):
        raise ReseenError(f"{camera!r} cannot name a camera; use letters, digits, '.', '_' and '-'")
    if not 0 < fps < math.inf:
        raise ReseenError(f"{fps} frames per second are not possible; give a number above 0")
    if min_length < 1:
        raise ReseenError(f"a tracklet of {min_length} frames is not possible; give 1 or more")


def _begin_time(source: str | Path, start: datetime | None) -> datetime | None:
    if start is not None:
        return start.astimezone(UTC)
    return datetime.now(UTC) if is_url(source) else None


def _prefix(source: str | Path, camera: str, begun: datetime | None) -> str:
    """What sets the tracklets of this recording apart from others of the same camera."""
    name = Path(source).resolve().stem if begun is None else begun.strftime("%Y%m%dT%H%M%SZ")
    return f"{camera}-{re.sub(r'[^0-9A-Za-z_.]+', '_', name)}"


def _cut_out(
    frames: Iterator[Frame],
    expected: int | None,
    follow: Follow,
    folder: TrackletFolder,
    live: Callable[[], object] | None,
) -> None:
    """Follow people through all frames.

    Args:
        live: lists what is finished of a live camera, which may be interrupted; None for others.
    """
    listed = 0.0
    with progress("tracking", expected, "frames") as advance:
        try:
            for frame in frames:
                people, to_come = follow(frame)
                folder.add(frame, people)
                folder.end_all_but(to_come)
                if live and frame.seconds - listed >= SECONDS_BETWEEN_LISTS:
                    live()
                    listed = frame.seconds
                advance(1)
        except KeyboardInterrupt:
            if not live:
                raise
    folder.end_all_but(set())


def _write(report: TrackReport, folder: TrackletFolder, begun: datetime | None) -> None:
    document = {
        "source": report.source,
        "camera": report.camera,
        "start": None if begun is None else begun.isoformat(),
        "counts": {**asdict(report), "out": str(report.out)},
        "tracklets": [_entry(report, folder.name(piece), piece) for piece in folder.ended],
    }
    write_json(report.out / TRACKLETS_FILE, document)


def _entry(report: TrackReport, name: str, piece: Piece) -> dict[str, Any]:
    return {
        "id": name,
        "camera": report.camera,
        "source": report.source,
        "start_seconds": piece.start_seconds,
        "end_seconds": piece.end_seconds,
        "first_frame": piece.first_frame + 1,
        "last_frame": piece.last_frame + 1,
        "crops": piece.crops,
    }
