"""Taking tracklets into a gallery: who is there already, what each is called, what it comes to."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow
from lancedb.expr import col

from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import read_file, require_unicode
from reseen.gallery.extractors import Extractor, Matrix
from reseen.gallery.records import NewTracklets
from reseen.gallery.thumbnail import make_thumbnail

Made = TypeVar("Made")
Ready = tuple[NewTracklets, dict[str, Matrix]]

BATCH = 64
"""Tracklets embedded between two commits: the most that a kill can cost."""


@dataclass(frozen=True)
class New:
    """A tracklet on its way, with its id in the gallery, its crops' digest and its thumbnail."""

    tracklet: Tracklet
    id: str
    digest: str = ""
    thumbnail: bytes = b""


def content_digest(tracklet: Tracklet) -> str:
    """SHA-256 of the crops' files, each with its length, in time order.

    Raises:
        ReseenError: one cannot be read.
    """
    digest = hashlib.sha256()
    for content in tracklet.contents or map(read_file, tracklet.paths):
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


class Intake:
    """Tracklets on their way into a gallery: what it holds of them already, and what it lacks.

    Args:
        columns: reads from the gallery, as `Gallery.columns` does.
        known: which of some digests were forgotten, and do not come back.

    Attributes:
        present: how many lacked nothing.
        forgotten: those of the last batch that were forgotten.
        kept_out: how many these were in all batches.
        left_out: a line for each that cannot be read.
        filmed: by the films that show them, ids of those that are there now or will be.
        renamed: ids given instead of ones that other tracklets have, by these.
    """

    def __init__(
        self,
        extractors: Sequence[Extractor],
        columns: Callable[..., pyarrow.Table],
        known: Callable[[Collection[str]], Set[str]],
        pixelate_heads: bool,
    ) -> None:
        self._extractors, self._columns, self._known = tuple(extractors), columns, known
        self._pixelate_heads = pixelate_heads
        self.present, self.kept_out = 0, 0
        self.forgotten, self.left_out = list[Tracklet](), list[str]()
        self.filmed = defaultdict[Path, list[str]](list)
        self.renamed: dict[str, str] = {}

    def embedded(self, batch: Iterable[Tracklet]) -> Iterator[Ready]:
        """Those that lack embeddings, ready to be added, with these by model.

        An extractor gets all at once, which is faster; one by one only where a picture is broken.
        """
        for extractors, group in self._lacking(batch).items():
            read = self._each(group, self._drawn)
            try:
                ready = [_ready(extractors, *read)]
            except ReseenError:
                ready = self._each(read, partial(_ready, extractors))
            yield from ready

    def _each(self, group: Iterable[New], make: Callable[[New], Made]) -> list[Made]:
        """What is made of each that can be read; a line for each of the others."""
        made = []
        for new in group:
            try:
                made.append(make(new))
            except ReseenError as error:
                self.left_out.append(f"{new.tracklet.id} left out: {error}")
        return made

    def _drawn(self, new: New) -> New:
        strip = make_thumbnail(new.tracklet.pictures, pixelate_heads=self._pixelate_heads)
        return replace(new, thumbnail=strip)

    def _lacking(self, batch: Iterable[Tracklet]) -> dict[tuple[Extractor, ...], list[New]]:
        """Those of a batch that lack embeddings, by the extractors that make these."""
        given = self._each((New(each, each.id) for each in batch), _digested)
        ids = [id for new in given for id in (new.id, longer_id(new.id, new.digest))]
        digests = [new.digest for new in given]
        names = ["id", "digest", "camera", "start_time", "end_time", "frames"]
        which = col("digest").isin(digests) | col("id").isin(ids)
        found = self._columns(names, which).to_pylist() if given else []
        self._ids = {row["id"] for row in found}
        self._places: dict[tuple[object, ...], str] = {}
        for row in found:
            place = row["camera"], row["start_time"], row["end_time"]
            # What was added before there were digests is known by its name and length.
            what = (row["digest"],) if row["digest"] else (row["id"], row["frames"])
            self._places[(*what, *place)] = row["id"]
        self._embedded = defaultdict[str, set[str]](set)
        for model in (each.model_id for each in self._extractors if found):
            rows = self._columns(["id"], col("id").isin(list(self._ids)), model)
            self._embedded[model] = {*rows["id"].to_pylist()}
        self.forgotten, forgotten = [], self._known(digests)
        lacking = defaultdict[tuple[Extractor, ...], list[New]](list)
        for new in given:
            self._sort(new, new.digest in forgotten, lacking)
        self.kept_out += len(self.forgotten)
        return lacking

    def _sort(
        self, new: New, forgotten: bool, lacking: dict[tuple[Extractor, ...], list[New]]
    ) -> None:
        tracklet = new.tracklet
        place = tracklet.camera, tracklet.start, tracklet.end
        older = (tracklet.id, len(tracklet.pictures), *place)
        id = self._places.get((new.digest, *place)) or self._places.get(older)
        if id is None and forgotten:
            self.forgotten.append(tracklet)
            return
        made = self._embedded
        missing = tuple(each for each in self._extractors if id not in made[each.model_id])
        id = self._take(new) if id is None else id
        if tracklet.film is not None:
            self.filmed[tracklet.film].append(id)
        if missing:
            lacking[missing].append(replace(new, id=id))
        else:
            self.present += 1

    def _take(self, new: New) -> str:
        """Give a new tracklet its own id, or a longer one where another tracklet has that."""
        id, tracklet = new.id, new.tracklet
        if id in self._ids:
            id = self.renamed[tracklet.id] = longer_id(id, new.digest)
        self._ids.add(id)
        self._places[(new.digest, tracklet.camera, tracklet.start, tracklet.end)] = id
        for each in self._extractors:
            self._embedded[each.model_id].add(id)
        return id


def _digested(new: New) -> New:
    require_unicode(new.id, new.tracklet.camera, new.tracklet.source)
    return replace(new, digest=content_digest(new.tracklet))


def longer_id(id: str, digest: str) -> str:
    """What a tracklet is called where other crops have its name."""
    return f"{id}~{digest[:12]}"


def _ready(extractors: Sequence[Extractor], *group: New) -> Ready:
    tracklets = [each.tracklet for each in group]
    pictures = [tracklet.pictures for tracklet in tracklets]
    columns = NewTracklets(
        ids=[each.id for each in group],
        cameras=[tracklet.camera for tracklet in tracklets],
        sources=[tracklet.source for tracklet in tracklets],
        starts=[tracklet.start for tracklet in tracklets],
        ends=[tracklet.end for tracklet in tracklets],
        frames=[len(tracklet.pictures) for tracklet in tracklets],
        thumbnails=[each.thumbnail for each in group],
        crops=[
            str(tracklet.paths[0].parent.resolve()) if tracklet.paths else None
            for tracklet in tracklets
        ],
        digests=[each.digest for each in group],
        moments=[tracklet.moments for tracklet in tracklets],
    )
    return columns, {each.model_id: each.embed(pictures) for each in extractors}
