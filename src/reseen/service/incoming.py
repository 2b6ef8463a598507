"""One video on its way into a gallery: decoded and followed, its people cut out in memory."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reseen.data.pictures import Picture, encode_jpeg
from reseen.data.tracked import TRACKLETS_FILE, UNFINISHED
from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import locked, writing
from reseen.gallery.gallery import Gallery
from reseen.gallery.intake import content_digest
from reseen.gallery.thumbnail import hidden
from reseen.parallel import ahead
from reseen.progress import progress
from reseen.service.names import Video
from reseen.times import is_dated, show
from reseen.tracking.cutting import MIN_LENGTH, Cutter, Growing
from reseen.tracking.detections import Boxes, Detector, checked
from reseen.tracking.track import TrackletFolder, TrackReport, followed, prefix_of
from reseen.tracking.video import Counts, Frame, expected_frames, frames_from

MOST_CROPS = 1_024
"""Crops of a person that wait in memory; of who stays longer, every second one is let go."""

AHEAD = 4
"""Frames that are read and searched while people of earlier ones are followed and embedded."""

ENDS = 1 << 20
"""Bytes at each end of a file by which its content is known: there lie the tables of all frames."""

WHOLE_WIDTH, WHOLE_QUALITY = 480, 80
"""Pixels of the width of whole pictures that are kept, few enough to know hardly any face by; and
their JPEG quality."""


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


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept of people beside what they are found by.

    Attributes:
        crops: folder in which every video gets a folder such as `track` writes; None for no crops.
        frames: whether the gallery keeps three small whole pictures of each tracklet.
        pixelate_heads: whether thumbnails and whole pictures hide heads.
    """

    crops: Path | None = None
    frames: bool = False
    pixelate_heads: bool = True

    def cutter(self, min_length: int, counts: Counts) -> Cutter:
        """What cuts people out, and makes whole pictures where these are kept."""

        def whole(picture: Picture, boxes: Boxes) -> bytes:
            heads = boxes if self.pixelate_heads else boxes[:0]
            return encode_jpeg(hidden(picture, heads, WHOLE_WIDTH), WHOLE_QUALITY)

        return Cutter(min_length, counts, most=MOST_CROPS, whole=whole if self.frames else None)


class Incoming:
    """A video on its way into a gallery.

    Attributes:
        video: the video.
        report: what became of it; None before its tracklets are all there.
        error: why it cannot be read; empty where nothing is wrong.
    """

    def __init__(
        self,
        gallery: Gallery,
        video: Video,
        models: Sequence[str],
        settings: Settings,
        keeping: Keeping,
        label: str = "",
    ) -> None:
        """Begin with nothing read.

        Args:
            models: ids of what makes embeddings.
            label: what its progress is called.

        Raises:
            ReseenError: a time of day is asked for of a recording without one.
        """
        self.video, self._models, self._label = video, models, label
        self.report: TrackReport | None = None
        self.error, self._key = "", ""
        self._gallery, self._settings, self._keeping = gallery, settings, keeping
        self._first, self._last = map(self._in_recording, (settings.first, settings.last))
        self._told, self._looked_at = TrackReport(str(video.path), video.camera, Path()), 0
        self._cutter = keeping.cutter(settings.min_length, self._told)

    def _in_recording(self, moment: float | None) -> float | None:
        if moment is None or not is_dated(moment):
            return moment
        if self.video.start is None:
            raise ReseenError(
                f"{self.video.path} has no date, so nothing of it is at {show(moment)}; say when "
                "it began, or ask for a time in the recording, 0:02:05"
            )
        return moment - self.video.start

    def key(self) -> str:
        """What the file's ends and all that is asked of it come down to; empty after an error."""
        try:
            self._key = self._digest()
        except UnreadableError as error:
            self.error = str(error)
        return self._key

    def tracklets(self, detector: Detector) -> Iterator[Tracklet]:
        """Those who have left the picture, one after the other; at the end, the report.

        A video that cannot be read, or has changed since its key was asked for, is an error.
        """
        try:
            yield from self._tracklets(detector)
        except UnreadableError as error:
            self.error = str(error)

    def _digest(self) -> str:
        path, asked = self.video.path, asdict(self._settings) | {"models": self._models}
        asked = {"video": [self.video.camera, self.video.start], **asked}
        digest = hashlib.sha256(json.dumps(asked).encode())
        if not path.is_file():  # a pipe would be waited for
            raise UnreadableError(f"{path} is not a file that is there")
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                digest.update(size.to_bytes(8, "big") + file.read(ENDS))
                file.seek(max(size - ENDS, 0))
                digest.update(file.read(ENDS))
        except OSError as error:
            raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
        return digest.hexdigest()

    def _tracklets(self, detector: Detector) -> Iterator[Tracklet]:
        video, start, keep = self.video, self.video.start, self._keeping.crops
        begun = None if start is None else datetime.fromtimestamp(start, UTC)
        prefix = prefix_of(video.path, video.camera, begun)
        out = None if keep is None else keep / f"{prefix}-{self._key[:12]}"
        self._told.out = out or Path()
        with nullcontext() if out is None else locked(out):
            folder = None if out is None else self._folder(out, begun)
            for gone in self._gone(detector):
                yield self._kept(gone, prefix, folder)
            if self._digest() != self._key:
                raise UnreadableError(f"{video.path} changed while it was read; is it finished?")
            if folder is not None:
                folder.write_list(self._told)
                folder.finish()
        self.report = replace(self._told, frames=self._looked_at)

    def _folder(self, out: Path, begun: datetime | None) -> TrackletFolder:
        """A folder for crops; what a run left there that was killed is removed."""
        with writing(out):
            if (out / TRACKLETS_FILE).exists():  # killed at the very last moment
                (out / UNFINISHED).touch()
                (out / TRACKLETS_FILE).unlink()
        return TrackletFolder(out, self.video.path, self.video.camera, self._cutter, begun)

    def _gone(self, detector: Detector) -> Iterator[Growing]:
        """Those who have left the picture."""
        searched = ((each, checked(detector(each.picture))) for each in self._frames())
        for frame, people, to_come, found in followed(ahead(searched, AHEAD)):
            self._cutter.add(frame, people, found)
            yield from self._cutter.end_all_but(to_come)[0]
        yield from self._cutter.end_all_but(set())[0]

    def _frames(self) -> Iterator[Frame]:
        """The frames that are asked for."""
        path = self.video.path
        try:
            with progress(self._label, expected_frames(path), "frames") as advance:
                for frame in frames_from(path, self._told):
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
        begun, source = self.video.start or 0.0, str(self.video.path)
        tracklet = in_memory(gone, prefix, self.video.camera, begun, source)
        tracklet = replace(tracklet, moments=gone.moments)
        # What was forgotten before this was killed must not come back to the disk.
        if folder is None or self._gallery.forgetting.known([content_digest(tracklet)]):
            gone.give()
            return tracklet
        frames = {crop.frame + 1 for crop in gone.bodies}
        paths = tuple(path for path in folder.write(gone) if int(path.stem) in frames)
        return replace(tracklet, paths=paths, contents=())


def in_memory(gone: Growing, prefix: str, camera: str, begun: float, source: str) -> Tracklet:
    """The tracklet of somebody who has left, with the crops in memory.

    Args:
        prefix: what the tracklet's name begins with.
        begun: when the recording began, in seconds since 1970; 0 where that is not known.
    """
    return Tracklet(
        id=gone.name(prefix),
        camera=camera,
        start=begun + gone.start_seconds,
        end=begun + gone.end_seconds,
        source=source,
        paths=(),
        contents=tuple(crop.jpeg for crop in gone.bodies),
    )
