"""The people of one live camera on their way into a gallery."""

import time
from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime

from reseen.data.pictures import Picture, encode_jpeg
from reseen.data.tracklet import Tracklet
from reseen.gallery.adapting import Adaptation, convert, latest
from reseen.gallery.extractors import Extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter
from reseen.gallery.thumbnail import hidden
from reseen.service.incoming import MOST_CROPS, in_memory, whole_picture
from reseen.tracking.cutting import Cutter
from reseen.tracking.detections import Boxes, Detector, checked
from reseen.tracking.tracker import Tracker
from reseen.tracking.video import Frame

LONGEST_STAY = 30.0
"""Seconds after which the tracklet of somebody who stays ends, and another one begins."""

ADDS_BEFORE_MERGING = 64
"""Each makes files of its own, and the more there are, the longer the next one takes."""

SHOWN_WIDTH, QUALITY = 320, 80
"""Pixels of the width of a camera's last picture, too few to know a face by that no detector found;
and its JPEG quality."""


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
        keep_frames: bool = False,
        pixelate_heads: bool = True,
    ) -> None:
        """Begin with nobody; arguments as for `ingest`, and those of `Keeping`."""
        self.waiting = list[Tracklet]()
        self.people = self.frames = 0
        self._gallery, self._camera, self._source = gallery, camera, source
        self._detector, self._extractors, self._heads = detector, extractors, pixelate_heads
        whole = self._whole if keep_frames else lambda _: b""
        self._tracker = Tracker()
        self._cutter = Cutter(min_length, most=MOST_CROPS, whole=whole)
        self._prefix = f"{camera}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        self._new, self._adds, self._counted = 0, 0, set[int]()
        self._adapted: dict[str, Adaptation | None] = {}
        self._last: tuple[Picture, Boxes] | None = None

    def see(self, frame: Frame) -> None:
        """Follow people into the next picture, whose time is that of the monotonic clock."""
        found = checked(self._detector(frame.picture))
        self._last = frame.picture, found.boxes
        people = self._tracker.update(frame.seconds, found, frame.picture)
        self._cutter.add(frame, people)
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
        gallery.add(self.waiting, self._extractors, pixelate_heads=heads, optimise=False)
        first = min(each.start or 0.0 for each in self.waiting)
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

    def _whole(self, frame: Frame) -> bytes:
        assert self._last is not None
        boxes = self._last[1]
        return whole_picture(frame.picture, boxes if self._heads else boxes[:0])

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
