"""Taking tracklets into a gallery: who is there already, what each is called, what it comes to."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lancedb.expr import col

from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import read_file, require_unicode
from reseen.gallery.extractors import Extractor, Matrix
from reseen.gallery.records import NewTracklets
from reseen.gallery.thumbnail import make_thumbnail

BATCH = 64
"""Tracklets embedded between two commits: the most that a kill can cost."""


@dataclass(frozen=True)
class New:
    """A tracklet that lacks an embedding, with its id in the gallery and its crops' digest."""

    tracklet: Tracklet
    id: str
    digest: str
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


def digests_of(batch: Sequence[Tracklet]) -> tuple[dict[Tracklet, str], list[str]]:
    """The digests of tracklets, and a line for each that cannot be read."""
    digests: dict[Tracklet, str] = {}
    unreadable = []
    for tracklet in batch:
        try:
            require_unicode(tracklet.id, tracklet.camera, tracklet.source)
            digests[tracklet] = content_digest(tracklet)
        except ReseenError as error:
            unreadable.append(f"{tracklet.id} left out: {error}")
    return digests, unreadable


class Known:
    """What a gallery holds already of some tracklets, and what it lacks.

    Attributes:
        lacking: those that lack embeddings, by the extractors that make these.
        present: how many lack nothing.
        forgotten: those that were forgotten, and do not come back.
        filmed: by the films that show them, ids of those that are there now or will be.
        renamed: ids given instead of ones that other tracklets have, by these.
    """

    def __init__(
        self,
        digests: Mapping[Tracklet, str],
        forgotten: Set[str],
        extractors: Sequence[Extractor],
        rows: Callable[..., list[dict[str, Any]]],
    ) -> None:
        """Look tracklets up; `rows` reads from a gallery, as `Gallery.rows` does."""
        ids = [tracklet.id for tracklet in digests]
        longer = [longer_id(tracklet.id, digest) for tracklet, digest in digests.items()]
        which = col("digest").isin(list(digests.values())) | col("id").isin(ids + longer)
        names = ["id", "digest", "camera", "start_time", "end_time", "frames"]
        found = rows(names, which) if digests else []
        self.lacking = defaultdict[tuple[Extractor, ...], list[New]](list)
        self.present, self.forgotten = 0, list[Tracklet]()
        self.filmed = defaultdict[Path, list[str]](list)
        self.renamed: dict[str, str] = {}
        self._extractors = tuple(extractors)
        self._ids = {row["id"] for row in found}
        self._places: dict[tuple[object, ...], str] = {}
        for row in found:
            place = row["camera"], row["start_time"], row["end_time"]
            # What was added before there were digests is known by its name and length.
            what = (row["digest"],) if row["digest"] else (row["id"], row["frames"])
            self._places[(*what, *place)] = row["id"]
        which = col("id").isin(list(self._ids))
        self._embedded = {
            each.model_id: {row["id"] for row in rows(["id"], which, each.model_id)}
            for each in extractors
            if found
        }
        for tracklet, digest in digests.items():
            self._sort(tracklet, digest, digest in forgotten)

    def _sort(self, tracklet: Tracklet, digest: str, forgotten: bool) -> None:
        id = self._id_of(tracklet, digest)
        if id is None and forgotten:
            self.forgotten.append(tracklet)
            return
        missing = tuple(
            each for each in self._extractors if id not in self._embedded.get(each.model_id, ())
        )
        id = self._take(tracklet, digest) if id is None else id
        if tracklet.film is not None:
            self.filmed[tracklet.film].append(id)
        if missing:
            self.lacking[missing].append(New(tracklet, id, digest))
        else:
            self.present += 1

    def _id_of(self, tracklet: Tracklet, digest: str) -> str | None:
        """The id of the same content from the same place; None where it is new."""
        place = tracklet.camera, tracklet.start, tracklet.end
        older = (tracklet.id, len(tracklet.pictures), *place)
        return self._places.get((digest, *place)) or self._places.get(older)

    def _take(self, tracklet: Tracklet, digest: str) -> str:
        """Give a new tracklet its own id, or a longer one where another tracklet has that."""
        id = tracklet.id
        if id in self._ids:
            id = longer_id(tracklet.id, digest)
            self.renamed[tracklet.id] = id
        self._ids.add(id)
        self._places[(digest, tracklet.camera, tracklet.start, tracklet.end)] = id
        for each in self._extractors:
            self._embedded.setdefault(each.model_id, set()).add(id)
        return id


def longer_id(id: str, digest: str) -> str:
    """What a tracklet is called where other crops have its name."""
    return f"{id}~{digest[:12]}"


def embedded(
    group: Sequence[New], extractors: Sequence[Extractor], pixelate_heads: bool
) -> tuple[list[New], dict[str, Matrix], list[str]]:
    """Those that can be read with their thumbnails, embeddings, and a line for each of the others.

    An extractor gets all at once, which is faster; one by one only where a picture is broken.
    """
    read, wrong = list[New](), list[str]()
    for new in group:
        try:
            strip = make_thumbnail(new.tracklet.pictures, pixelate_heads=pixelate_heads)
            read.append(replace(new, thumbnail=strip))
        except ReseenError as error:
            wrong.append(f"{new.tracklet.id} left out: {error}")
    try:
        return read, _vectors(read, extractors), wrong
    except ReseenError:
        whole = list[tuple[New, dict[str, Matrix]]]()
    for new in read:
        try:
            whole.append((new, _vectors([new], extractors)))
        except ReseenError as error:
            wrong.append(f"{new.tracklet.id} left out: {error}")
    names = [each.model_id for each in extractors if whole]
    embeddings = {name: np.concatenate([found[name] for _, found in whole]) for name in names}
    return [new for new, _ in whole], embeddings, wrong


def _vectors(group: Sequence[New], extractors: Sequence[Extractor]) -> dict[str, Matrix]:
    pictures = [new.tracklet.pictures for new in group]
    return {each.model_id: each.embed(pictures) for each in extractors}


def columns(group: Sequence[New]) -> NewTracklets:
    """Tracklets as a gallery's table has them."""
    tracklets = [each.tracklet for each in group]
    return NewTracklets(
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
