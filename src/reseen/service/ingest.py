"""From video files into a gallery in one pass: decoded, followed, embedded and added."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path

from reseen.data.pictures import encode_jpeg
from reseen.data.tracked import TRACKLETS_FILE, UNFINISHED, bodies
from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import locked, write_json, writing
from reseen.gallery.extractors import Extractor, open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.intake import content_digest
from reseen.gallery.thumbnail import hidden
from reseen.parallel import Spread
from reseen.progress import log, print_notes, progress
from reseen.service.names import Video
from reseen.times import is_dated, show
from reseen.tracking.cutting import MIN_LENGTH, Crop, Cutter, Growing
from reseen.tracking.detections import Detections, Detector, checked
from reseen.tracking.detectors import best_detector, open_detector
from reseen.tracking.track import Recording, TrackletFolder, TrackReport, counted, followed
from reseen.tracking.video import Counts, Frame, expected_frames, frames_from

MOST_CROPS = 1_024
"""Crops of a person that wait in memory; of who stays longer, every second one is let go."""

ENDS = 1 << 20
"""Bytes at each end of a file by which its content is known: there lie the tables of all frames."""

SHARD_VIDEOS, SHARD_BYTES = 32, 64 << 20
"""What is taken in together, and what a kill costs at most, where no single video is larger."""

WHOLE_WIDTH, WHOLE_QUALITY = 480, 80
"""Pixels of the width of whole pictures that are kept, few enough to know hardly any face by; and
their JPEG quality."""

Model = tuple[str, str | None]
"""The name and style of what makes embeddings, as `open_extractor` takes them."""


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

    def plus(self, more: "Ingested") -> "Ingested":
        """Both together."""
        names = [each.name for each in fields(self)]
        return Ingested(*(getattr(self, name) + getattr(more, name) for name in names))


def ingest(
    gallery: Gallery,
    videos: Sequence[Video],
    extractors: Sequence[Extractor],
    settings: Settings = Settings(),
    *,
    keep_crops: Path | None = None,
    keep_frames: bool = False,
    pixelate_heads: bool = True,
) -> Ingested:
    """Take the people of videos into a gallery; no crop touches the disk unless it is to be kept.

    It may be killed at any moment and called again: videos that are in the gallery are passed
    over, and of those that were under way nothing is there twice, since tracklets are told by
    their content. A video that cannot be read is kept as a failure, tried again next time, and
    ends nothing.

    Args:
        gallery: the gallery.
        videos: the recordings.
        extractors: make the embeddings.
        settings: how the videos are looked at.
        keep_crops: folder in which every video gets a folder such as `track` writes.
        keep_frames: whether the gallery keeps three small whole pictures of each tracklet.
        pixelate_heads: whether the stored thumbnails and whole pictures hide heads.

    Raises:
        ReseenError: the detector cannot be opened, a time of day is asked for of a recording
            without one, or what is found cannot be written.
    """
    if settings.detector is None:
        print_notes(best_detector()[1])
    detector = _detector_for_each(settings)
    keeping = keep_crops, keep_frames, pixelate_heads
    intakes = [_Intake(gallery, video, extractors, settings, *keeping) for video in videos]
    for number, intake in enumerate(intakes, 1):
        intake.label = f"{number} of {len(videos)}"
    total, rest = Ingested(), iter(intakes)
    for shard in shards(videos):
        some = list(islice(rest, len(shard)))
        total = total.plus(_take_in(gallery, some, extractors, detector, pixelate_heads))
        gallery.optimise()
    return total


def ingest_shared(
    gallery: Gallery,
    videos: Sequence[Video],
    models: Sequence[Model],
    settings: Settings,
    spread: Spread,
    *,
    keep_crops: Path | None = None,
    keep_frames: bool = False,
    pixelate_heads: bool = True,
) -> Ingested:
    """The same by many processes, which share the videos among them.

    Args:
        gallery: the gallery; every process opens it anew.
        videos: the recordings, at places where every process finds them.
        models: what makes the embeddings, as `open_extractor` takes it.
        settings: how the videos are looked at.
        spread: calls a function for every shard, such as `unordered` does.
        keep_crops, keep_frames, pixelate_heads: as for `ingest`.
    """
    if settings.detector is None:
        print_notes(best_detector()[1])
    many = list(shards(videos))
    keeping = keep_crops, keep_frames, pixelate_heads
    tasks = [(gallery.uri, each, models, settings, *keeping) for each in many]
    total = Ingested()
    with progress("taking in", len(videos), "videos") as advance:
        for done in spread(_ingest_shard, tasks):
            total = total.plus(done)
            advance(done.videos + done.before + done.failed)
            gallery.optimise()  # by one process, while the others work
    return total


def shards(videos: Sequence[Video]) -> Iterator[Sequence[Video]]:
    """Some videos at a time: what is written together, and what a kill costs at most."""
    shard, size = list[Video](), 0
    for video in videos:
        length = video.path.stat().st_size if video.path.is_file() else 0
        if shard and (len(shard) == SHARD_VIDEOS or size + length > SHARD_BYTES):
            yield shard
            shard, size = [], 0
        shard.append(video)
        size += length
    if shard:
        yield shard


def _ingest_shard(
    uri: str,
    videos: Sequence[Video],
    models: Sequence[Model],
    settings: Settings,
    keep_crops: Path | None,
    keep_frames: bool,
    pixelate_heads: bool,
) -> Ingested:
    """In one of many processes."""
    gallery, extractors, detector = _opened(uri, tuple(models), settings)
    keeping = keep_crops, keep_frames, pixelate_heads
    intakes = [_Intake(gallery, video, extractors, settings, *keeping) for video in videos]
    return _take_in(gallery, intakes, extractors, detector, pixelate_heads)


@cache
def _opened(
    uri: str, models: tuple[Model, ...], settings: Settings
) -> tuple[Gallery, list[Extractor], Callable[[], Detector]]:
    """What a process opens once for all its shards."""
    extractors = [open_extractor(*model) for model in models]
    return Gallery.open(uri, create=True), extractors, _detector_for_each(settings)


def _detector_for_each(settings: Settings) -> Callable[[], Detector]:
    """What gives the detector for the next video: another one where it remembers the video."""
    name, style = settings.detector or best_detector()[0], settings.detector_input
    detector = open_detector(name, style)
    return (lambda: open_detector(name, style)) if hasattr(detector, "replay") else lambda: detector


def _take_in(
    gallery: Gallery,
    intakes: Sequence["_Intake"],
    extractors: Sequence[Extractor],
    detector: Callable[[], Detector],
    pixelate_heads: bool,
) -> Ingested:
    """Take in some videos together; the last commit says that all of each of them is there."""
    new, total = dict[str, _Intake](), Ingested(before=len(intakes))

    def failed(intake: _Intake, error: UnreadableError) -> None:
        nonlocal total
        log.warning(f"left out: {error}")
        gallery.videos.fail(str(intake.video.path), intake.video.camera, str(error))
        total = total.plus(Ingested(before=-1, failed=1))

    for intake in intakes:
        try:
            new[intake.key()] = intake
        except UnreadableError as error:
            failed(intake, error)
    for known in gallery.videos.done(list(new)):
        del new[known]
    finished = dict[str, TrackReport]()

    def tracklets() -> Iterator[Tracklet]:
        nonlocal total
        for key, intake in new.items():
            try:
                yield from intake.tracklets(detector(), key)
            except UnreadableError as error:
                failed(intake, error)
            else:
                finished[key] = intake.report
                total = total.plus(intake.outcome)

    added = gallery.add(tracklets(), extractors, pixelate_heads=pixelate_heads, optimise=False)
    gallery.videos.finish(finished)
    return total.plus(
        Ingested(
            added=added.added,
            present=added.present,
            forgotten=added.forgotten,
            left_out=added.left_out,
        )
    )


class _Intake:
    """A video on its way into a gallery.

    Attributes:
        video: the video.
        label: what its progress is called.
        report: what became of it, when its tracklets are all there.
    """

    report: TrackReport

    def __init__(
        self,
        gallery: Gallery,
        video: Video,
        extractors: Sequence[Extractor],
        settings: Settings,
        keep_crops: Path | None,
        keep_frames: bool,
        pixelate_heads: bool,
    ) -> None:
        self.video, self.label = video, ""
        self._gallery, self._extractors, self._settings = gallery, extractors, settings
        self._keep_crops, self._pixelate_heads = keep_crops, pixelate_heads
        self._found = Detections.of([], [])
        self._first, self._last = map(self._in_recording, (settings.first, settings.last))
        self._counts, self._looked_at, self._ended = Counts(), 0, list[Growing]()
        whole = self._whole if keep_frames else lambda _: b""
        self._cutter = Cutter(settings.min_length, most=MOST_CROPS, whole=whole)

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

    def tracklets(self, detector: Detector, key: str) -> Iterator[Tracklet]:
        """Those who have left the picture, one after the other; at the end, the report.

        Raises:
            UnreadableError: the video cannot be read, or has changed meanwhile.
        """
        video, start = self.video, self.video.start
        begun = None if start is None else datetime.fromtimestamp(start, UTC)
        recording = Recording(video.path, video.camera, out=Path(), start=begun)
        keep = self._keep_crops
        out = None if keep is None else keep / f"{recording.prefix}-{key[:12]}"
        with nullcontext() if out is None else locked(out):
            folder = None if out is None else _begun_anew(out, recording.prefix, self._cutter)
            for gone in self._gone(detector):
                yield self._kept(gone, recording.prefix, folder)
            known = TrackReport(str(video.path), video.camera, out or Path())
            report = counted(known, self._counts, self._cutter, self._ended)
            if self.key() != key:
                raise UnreadableError(f"{video.path} changed while it was read; is it finished?")
            if folder is not None and out is not None:
                write_json(out / TRACKLETS_FILE, recording.document(report, folder.ended))
                folder.finish()
        self.report = replace(report, frames=self._looked_at)

    @property
    def outcome(self) -> Ingested:
        """The report's part of what is told of all."""
        report = self.report
        return Ingested(
            videos=1,
            before=-1,
            frames=report.frames,
            too_short=report.too_short,
            still=report.still,
            broken_frames=report.broken_frames,
            cut_off=(report.source,) if report.cut_off else (),
        )

    def _gone(self, detector: Detector) -> Iterator[Growing]:
        """Those who have left the picture."""

        def find(frame: Frame) -> Detections:
            self._found = found = checked(detector(frame.picture))
            return found

        scenes = followed(self._frames(), find)
        for frame, people, to_come in scenes:
            self._cutter.add(frame, people)
            yield from self._cutter.end_all_but(to_come)[0]
        yield from self._cutter.end_all_but(set())[0]

    def _frames(self) -> Iterator[Frame]:
        """The frames that are asked for."""
        path = self.video.path
        try:
            with progress(self.label, expected_frames(path), "frames") as advance:
                for frame in frames_from(path, self._counts):
                    if self._last is not None and frame.seconds > self._last:
                        return
                    advance(1)
                    early = self._first is not None and frame.seconds < self._first
                    if not early and frame.index % self._settings.every == 0:
                        self._looked_at += 1
                        yield frame
        except ReseenError as error:
            raise UnreadableError(str(error)) from error

    def _whole(self, frame: Frame) -> bytes:
        """A frame as it is kept: small, and with the heads of all who were found hidden."""
        boxes = self._found.boxes if self._pixelate_heads else self._found.boxes[:0]
        return encode_jpeg(hidden(frame.picture, boxes, WHOLE_WIDTH), WHOLE_QUALITY)

    def _kept(self, gone: Growing, prefix: str, folder: TrackletFolder | None) -> Tracklet:
        """Somebody who has left, with the crops in memory, or on disk where these are kept."""
        begun, source = self.video.start or 0.0, str(self.video.path)
        tracklet = in_memory(gone, prefix, self.video.camera, begun, source)
        places = {each.moment.seconds: each.moment for each in gone.waiting}
        places |= {each.seconds: each for each in gone.shown.values()}
        moments = tuple(places[seconds] for seconds in sorted(places))
        tracklet = replace(tracklet, moments=moments)
        self._ended.append(gone)
        # What was forgotten before this was killed must not come back to the disk.
        if folder is None or self._gallery.is_forgotten([content_digest(tracklet)]):
            gone.give()
            return tracklet
        frames = {crop.frame + 1 for crop in _bodies_of(gone)}
        paths = tuple(path for path in folder.write(gone) if int(path.stem) in frames)
        return replace(tracklet, paths=paths, contents=())


def in_memory(gone: Growing, prefix: str, camera: str, begun: float, source: str) -> Tracklet:
    """The tracklet of somebody who has left, with the crops in memory.

    Args:
        gone: whoever has left.
        prefix: what the tracklet's name begins with.
        camera: the camera's name.
        begun: when the recording began, in seconds since 1970; 0 where that is not known.
        source: the recording.
    """
    return Tracklet(
        id=gone.name(prefix),
        camera=camera,
        start=begun + gone.start_seconds,
        end=begun + gone.end_seconds,
        source=source,
        paths=(),
        contents=tuple(crop.jpeg for crop in _bodies_of(gone)),
    )


def _bodies_of(gone: Growing) -> list[Crop]:
    cut = set(gone.cut)
    return bodies(gone.waiting, lambda crop: crop.frame + 1 in cut)


def _begun_anew(out: Path, prefix: str, cutter: Cutter) -> TrackletFolder:
    """A video's folder of crops; what a run left there that was killed is removed."""
    with writing(out):
        if (out / TRACKLETS_FILE).exists():  # killed at the very last moment
            (out / UNFINISHED).touch()
            (out / TRACKLETS_FILE).unlink()
    return TrackletFolder(out, prefix, cutter)
