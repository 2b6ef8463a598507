"""From video files into a gallery in one pass: decoded, followed, embedded and added."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reseen.data.tracked import TRACKLETS_FILE, UNFINISHED, bodies
from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import locked, write_json, writing
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.intake import content_digest
from reseen.gallery.records import Added
from reseen.progress import Advance, log, print_notes, progress
from reseen.service.names import Video
from reseen.times import is_dated, show
from reseen.tracking.cutting import MIN_LENGTH, Cutter, Growing
from reseen.tracking.detections import Detector, checked
from reseen.tracking.detectors import best_detector, open_detector
from reseen.tracking.track import Recording, TrackletFolder, TrackReport, counted, followed
from reseen.tracking.video import Counts, Frame, expected_frames, frames_from

MOST_CROPS = 1_024
"""Crops of a person that wait in memory; of who stays longer, every second one is let go."""

ENDS = 1 << 20
"""Bytes at each end of a file by which its content is known: there lie the tables of all frames."""


class UnreadableError(ReseenError):
    """A video that cannot be read: one of many, which the others need not wait for."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How videos are looked at.

    Attributes:
        detector, detector_input: as for `track`. Where None chose, what is loaded later finds no
            video again.
        first, last: seconds of a recording between which it is looked at, or since 1970; None for
            all of it.
        every: look at every so manieth frame.
        min_length: who is seen in fewer frames is left out.
    """

    detector: str | None = None
    detector_input: str | None = None
    first: float | None = None
    last: float | None = None
    every: int = 1
    min_length: int = MIN_LENGTH


@dataclass(frozen=True)
class Ingested:
    """What became of some videos.

    Attributes:
        videos: how many were taken in.
        before: how many were in the gallery before, from beginning to end.
        failed: how many cannot be read; the gallery's table of failures says why.
        frames: in how many people were looked for.
        added, present, forgotten, left_out: what became of the tracklets, as in `Added`.
        too_short, still: who became no tracklet, as in `TrackReport`.
        broken_frames: frames that could not be read and were skipped.
        cut_off: videos that ended before their time.
    """

    videos: int = 0
    before: int = 0
    failed: int = 0
    frames: int = 0
    added: int = 0
    present: int = 0
    forgotten: int = 0
    left_out: tuple[str, ...] = ()
    too_short: int = 0
    still: int = 0
    broken_frames: int = 0
    cut_off: tuple[str, ...] = ()

    def plus(self, added: Added, report: TrackReport) -> "Ingested":
        """With one video more."""
        return replace(
            self,
            videos=self.videos + 1,
            frames=self.frames + report.frames,
            added=self.added + added.added,
            present=self.present + added.present,
            forgotten=self.forgotten + added.forgotten,
            left_out=self.left_out + added.left_out,
            too_short=self.too_short + report.too_short,
            still=self.still + report.still,
            broken_frames=self.broken_frames + report.broken_frames,
            cut_off=self.cut_off + ((report.source,) if report.cut_off else ()),
        )


def ingest(
    gallery: Gallery,
    videos: Sequence[Video],
    extractors: Sequence[Extractor],
    settings: Settings = Settings(),
    *,
    keep_crops: Path | None = None,
    pixelate_heads: bool = True,
) -> Ingested:
    """Take the people of videos into a gallery; no crop touches the disk unless it is to be kept.

    It may be killed at any moment and called again: videos that are in the gallery are passed
    over, and of the one that was under way nothing is there twice, since tracklets are told by
    their content. A video that cannot be read is kept as a failure, tried again next time, and
    ends nothing.

    Args:
        gallery: the gallery.
        videos: the recordings.
        extractors: make the embeddings.
        settings: how the videos are looked at.
        keep_crops: folder in which every video gets a folder such as `track` writes.
        pixelate_heads: whether the stored thumbnails hide heads.

    Raises:
        ReseenError: the detector cannot be opened, a time of day is asked for of a recording
            without one, or what is found cannot be written.
    """
    name = settings.detector
    if name is None:
        name, about = best_detector()
        print_notes(about)
    detector = open_detector(name, settings.detector_input)
    intakes = [_Intake(gallery, video, extractors, settings) for video in videos]
    total = Ingested()
    for number, intake in enumerate(intakes, 1):
        what = f"{number} of {len(videos)}"
        if hasattr(detector, "replay"):  # it remembers the video
            detector = open_detector(name, settings.detector_input)
        try:
            key = intake.key()
            if gallery.videos.done([key]):
                total = replace(total, before=total.before + 1)
                continue
            with progress(what, intake.expected_frames(), "frames") as advance:
                found = intake.run(detector, key, keep_crops, pixelate_heads, advance)
            total = total.plus(*found)
        except UnreadableError as error:
            log.warning(f"left out: {error}")
            gallery.videos.fail(str(intake.video.path), intake.video.camera, str(error))
            total = replace(total, failed=total.failed + 1)
    return total


class _Intake:
    """A video on its way into a gallery.

    Attributes:
        video: the video.
    """

    def __init__(
        self, gallery: Gallery, video: Video, extractors: Sequence[Extractor], settings: Settings
    ) -> None:
        self.video = video
        self._gallery, self._extractors, self._settings = gallery, extractors, settings
        self._first, self._last = map(self._in_recording, (settings.first, settings.last))
        self._counts, self._looked_at, self._ended = Counts(), 0, list[Growing]()
        self._cutter = Cutter(settings.min_length, most=MOST_CROPS)

    def _in_recording(self, time: float | None) -> float | None:
        if time is None or not is_dated(time):
            return time
        if self.video.start is None:
            raise ReseenError(
                f"{self.video.path} has no date, so nothing of it is at {show(time)}; say when it "
                "began, or ask for a time in the recording, 0:02:05"
            )
        return time - self.video.start

    def key(self) -> str:
        """What the file's size and its ends, and all that is asked of it, come down to."""
        asked = {"video": [self.video.camera, self.video.start], **asdict(self._settings)}
        asked["models"] = [each.model_id for each in self._extractors]
        digest = hashlib.sha256(json.dumps(asked).encode())
        if not self.video.path.is_file():  # a pipe would be waited for
            raise UnreadableError(f"{self.video.path} is not a file that is there")
        try:
            size = self.video.path.stat().st_size
            with self.video.path.open("rb") as file:
                digest.update(size.to_bytes(8, "big") + file.read(ENDS))
                file.seek(max(size - ENDS, 0))
                digest.update(file.read(ENDS))
        except OSError as error:
            raise UnreadableError(f"{self.video.path} cannot be read: {error.strerror}") from error
        return digest.hexdigest()

    def expected_frames(self) -> int | None:
        """How many frames the video says it has."""
        try:
            return expected_frames(self.video.path)
        except ReseenError as error:
            raise UnreadableError(str(error)) from error

    def run(
        self,
        detector: Detector,
        key: str,
        keep_crops: Path | None,
        pixelate_heads: bool,
        advance: Advance,
    ) -> tuple[Added, TrackReport]:
        """Take it in, and keep that it is all there."""
        video, start = self.video, self.video.start
        begun = None if start is None else datetime.fromtimestamp(start, UTC)
        recording = Recording(video.path, video.camera, out=Path(), start=begun)
        out = None if keep_crops is None else keep_crops / f"{recording.prefix}-{key[:12]}"
        with nullcontext() if out is None else locked(out):
            folder = None if out is None else _begun_anew(out, recording.prefix, self._cutter)
            added = self._gallery.add(
                self._tracklets(detector, advance, recording.prefix, folder),
                self._extractors,
                pixelate_heads=pixelate_heads,
            )
            known = TrackReport(str(video.path), video.camera, out or Path())
            report = counted(known, self._counts, self._cutter, self._ended)
            if self.key() != key:
                raise UnreadableError(f"{video.path} changed while it was read; is it finished?")
            if folder is not None and out is not None:
                write_json(out / TRACKLETS_FILE, recording.document(report, folder.ended))
                folder.finish()
        report = replace(report, frames=self._looked_at)
        self._gallery.videos.finish(key, report)
        return added, report

    def _tracklets(
        self, detector: Detector, advance: Advance, prefix: str, folder: TrackletFolder | None
    ) -> Iterator[Tracklet]:
        """Those who have left the picture, one after the other."""
        scenes = followed(self._frames(advance), lambda frame: checked(detector(frame.picture)))
        for frame, people, to_come in scenes:
            self._cutter.add(frame, people)
            for gone in self._cutter.end_all_but(to_come)[0]:
                yield self._kept(gone, prefix, folder)
        for gone in self._cutter.end_all_but(set())[0]:
            yield self._kept(gone, prefix, folder)

    def _frames(self, advance: Advance) -> Iterator[Frame]:
        """The frames that are asked for."""
        try:
            for frame in frames_from(self.video.path, self._counts):
                if self._last is not None and frame.seconds > self._last:
                    return
                advance(1)
                early = self._first is not None and frame.seconds < self._first
                if not early and frame.index % self._settings.every == 0:
                    self._looked_at += 1
                    yield frame
        except ReseenError as error:
            raise UnreadableError(str(error)) from error

    def _kept(self, gone: Growing, prefix: str, folder: TrackletFolder | None) -> Tracklet:
        """Somebody who has left, with the crops in memory, or on disk where these are kept."""
        begun, cut = self.video.start or 0.0, set(gone.cut)
        crops = bodies(gone.waiting, lambda crop: crop.frame + 1 in cut)
        tracklet = Tracklet(
            id=gone.name(prefix),
            camera=self.video.camera,
            start=begun + gone.start_seconds,
            end=begun + gone.end_seconds,
            source=str(self.video.path),
            paths=(),
            contents=tuple(crop.jpeg for crop in crops),
        )
        self._ended.append(gone)
        # What was forgotten before this was killed must not come back to the disk.
        if folder is None or self._gallery.is_forgotten([content_digest(tracklet)]):
            gone.give()
            return tracklet
        frames = {crop.frame + 1 for crop in crops}
        paths = tuple(path for path in folder.write(gone) if int(path.stem) in frames)
        return replace(tracklet, paths=paths, contents=())


def _begun_anew(out: Path, prefix: str, cutter: Cutter) -> TrackletFolder:
    """A video's folder of crops; what a run left there that was killed is removed."""
    with writing(out):
        if (out / TRACKLETS_FILE).exists():  # killed at the very last moment
            (out / UNFINISHED).touch()
            (out / TRACKLETS_FILE).unlink()
    return TrackletFolder(out, prefix, cutter)
