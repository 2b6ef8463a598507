"""From video files into a gallery in one pass: decoded, followed, embedded and added."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import islice
from typing import Any

from reseen.gallery.extractors import Extractor, open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Added
from reseen.gallery.registers import TakenIn
from reseen.parallel import Spread
from reseen.progress import log, print_notes, progress
from reseen.service.incoming import Incoming, Keeping, Settings
from reseen.service.names import Video
from reseen.tracking.detections import Detector
from reseen.tracking.detectors import best_detector, open_detector
from reseen.tracking.track import TrackReport

SHARD_VIDEOS, SHARD_BYTES = 32, 64 << 20
"""What is taken in together, and what a kill costs at most, where no single video is larger."""

Model = tuple[str, str | None]
"""The name and style of what makes embeddings, as `open_extractor` takes them."""


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
        lying: those in which most people are wider than high.
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
    lying: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Added | TrackReport, **more: Any) -> "Ingested":
        """What is told of tracklets or of a video, and more."""
        names = {each.name for each in fields(cls)} & {each.name for each in fields(told)}
        return cls(**{name: getattr(told, name) for name in names} | more)

    def plus(self, more: "Ingested") -> "Ingested":
        """Both together."""
        names = [each.name for each in fields(self)]
        return Ingested(*(getattr(self, name) + getattr(more, name) for name in names))


def ingest(
    gallery: Gallery,
    videos: Sequence[Video],
    extractors: Sequence[Extractor],
    settings: Settings = Settings(),
    keeping: Keeping = Keeping(),
) -> Ingested:
    """Take the people of videos into a gallery; no crop touches the disk unless it is to be kept.

    It may be killed at any moment and called again: videos that are in the gallery are passed
    over, and of those that were under way nothing is there twice, since tracklets are told by
    their content. A video that cannot be read is kept as a failure, tried again next time, and
    ends nothing.

    Raises:
        ReseenError: the detector cannot be opened, a time of day is asked for of a recording
            without one, or what is found cannot be written.
    """
    intake = _Intake(gallery, extractors, _detector_for_each(settings, say=True), settings, keeping)
    labels = (f"{number} of {len(videos)}" for number in range(1, len(videos) + 1))
    incoming = [intake.begin(*each) for each in zip(videos, labels, strict=True)]
    total, rest = Ingested(), iter(incoming)
    for shard in shards(videos):
        total = total.plus(intake.take(list(islice(rest, len(shard)))))
        gallery.optimise()
    return total


def ingest_shared(
    gallery: Gallery,
    videos: Sequence[Video],
    models: Sequence[Model],
    settings: Settings,
    spread: Spread,
    keeping: Keeping = Keeping(),
) -> Ingested:
    """The same by many processes, which share the videos among them.

    A video that ends every process that reads it becomes a failure, as one that cannot be read.

    Args:
        gallery: the gallery; every process opens it anew.
        videos: the recordings, at places where every process finds them.
        models: what makes the embeddings, as `open_extractor` takes it.
        settings, keeping: as for `ingest`.
        spread: calls a function for every shard, such as `unordered` does.
    """
    if settings.detector is None:
        print_notes(best_detector()[1])
    total, left = Ingested(), list(shards(videos))
    with progress("taking in", len(videos), "videos") as advance:
        while left:
            fatal = list[tuple[Any, ...]]()
            tasks = [(each, gallery.uri, models, settings, keeping) for each in left]
            for done in spread(_ingest_shard, tasks, died=fatal.append):
                total = total.plus(done)
                advance(done.videos + done.before + done.failed)
                gallery.optimise()  # by one process, while the others work
            # Which of a shard it was shows when each is taken by itself.
            left = [[video] for shard, *_ in fatal if len(shard) > 1 for video in shard]
            for video in (shard[0] for shard, *_ in fatal if len(shard) == 1):
                _leave_out(gallery, video, f"{video.path} ends every process that reads it")
                total = total.plus(Ingested(failed=1))
                advance(1)
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
    videos: Sequence[Video],
    uri: str,
    models: Sequence[Model],
    settings: Settings,
    keeping: Keeping,
) -> Ingested:
    """In one of many processes."""
    intake = _opened(uri, tuple(models), settings, keeping)
    return intake.take(list(map(intake.begin, videos)))


@cache
def _opened(uri: str, models: tuple[Model, ...], settings: Settings, keeping: Keeping) -> "_Intake":
    """What a process opens once for all its shards."""
    extractors = [open_extractor(*model) for model in models]
    gallery = Gallery.open(uri, create=True)
    return _Intake(gallery, extractors, _detector_for_each(settings), settings, keeping)


def _detector_for_each(settings: Settings, say: bool = False) -> Callable[[], Detector]:
    """What gives the detector for the next video: another one where it remembers the video."""
    best, about = best_detector()
    if say and settings.detector is None:
        print_notes(about)
    name, style = settings.detector or best, settings.detector_input
    detector = open_detector(name, style)
    return (lambda: open_detector(name, style)) if hasattr(detector, "replay") else lambda: detector


def _leave_out(gallery: Gallery, video: Video, why: str) -> None:
    log.warning(f"left out: {why}")
    gallery.videos.fail(str(video.path), video.camera, why)


@dataclass(frozen=True)
class _Intake:
    """What videos are taken in with."""

    gallery: Gallery
    extractors: Sequence[Extractor]
    detector: Callable[[], Detector]
    settings: Settings
    keeping: Keeping

    def begin(self, video: Video, label: str = "") -> Incoming:
        """A video of which nothing was read yet; `label` is what its progress is called."""
        models = [each.model_id for each in self.extractors]
        return Incoming(self.gallery, video, models, self.settings, self.keeping, label)

    def take(self, videos: Sequence[Incoming]) -> Ingested:
        """Take in some videos together; the last commit says that all of each of them is there."""
        gallery, heads = self.gallery, self.keeping.pixelate_heads
        new = {key: each for each in videos if (key := each.key())}
        for known in gallery.videos.of(new):
            del new[known.id]
        tracklets = (one for each in new.values() for one in each.tracklets(self.detector()))
        added = gallery.add(tracklets, self.extractors, pixelate_heads=heads, optimise=False)
        finished = {key: each.report for key, each in new.items() if each.report}
        gallery.videos.finish(
            [
                TakenIn(key, one.source, one.camera, one.tracklets, one.frames, time.time())
                for key, one in finished.items()
            ]
        )
        failed = [each for each in videos if each.error]
        for each in failed:
            _leave_out(gallery, each.video, each.error)
        before = len(videos) - len(finished) - len(failed)
        total = Ingested.of(added, before=before, failed=len(failed))
        for one in finished.values():
            late, lying = (one.source,) * one.cut_off, (one.source,) * one.lying
            total = total.plus(Ingested.of(one, videos=1, cut_off=late, lying=lying))
        return total
