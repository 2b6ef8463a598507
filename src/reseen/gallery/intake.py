"""Taking tracklets into a gallery: who is there already, what each is called, what it comes to."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from lancedb.expr import col

from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.gallery.extractors import Extractor, Matrix
from reseen.gallery.records import Added, NewTracklets
from reseen.gallery.thumbnail import make_thumbnail
from reseen.progress import Advance

if TYPE_CHECKING:
    from reseen.gallery.gallery import Gallery

BATCH = 64
"""Tracklets embedded between two commits: the most that a kill can cost."""

Place = tuple[str | None, str, float | None, float | None]
"""What tells a tracklet from all others: content of its crops, camera, start and end."""


@dataclass(frozen=True)
class _Taken:
    """A tracklet about to be added, under its id in the gallery."""

    id: str
    digest: str
    tracklet: Tracklet
    thumbnail: bytes
    embeddings: dict[str, Matrix]


@dataclass
class _Counts:
    added: int = 0
    present: int = 0
    forgotten: int = 0
    left_out: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def add(
    gallery: "Gallery",
    tracklets: Iterable[Tracklet],
    extractors: Sequence[Extractor],
    *,
    pixelate_heads: bool,
    keep_until: float | None,
    forgotten_too: bool,
    advance: Advance,
) -> Added:
    """Embed tracklets and add those that are not there yet; arguments as `Gallery.add`'s."""
    counts, rest = _Counts(), iter(tracklets)
    while batch := list(islice(rest, BATCH)):
        taken = list[_Taken]()
        for tracklet, id, digest, missing in _missing(
            gallery, batch, extractors, forgotten_too, counts
        ):
            try:
                pictures = tracklet.pictures
                embeddings = {each.model_id: each.embed([pictures])[0] for each in missing}
                thumbnail = make_thumbnail(pictures, pixelate_heads=pixelate_heads)
                taken.append(_Taken(id, digest, tracklet, thumbnail, embeddings))
            except ReseenError as error:
                counts.left_out.append(f"{tracklet.id} left out: {error}")
        _commit(gallery, taken, keep_until, counts)
        advance(len(batch))
    return Added(
        counts.added, counts.present, counts.forgotten, tuple(counts.left_out), counts.renamed
    )


def content_digest(tracklet: Tracklet) -> str:
    """SHA-256 of the crops' files, each with its length, in time order.

    Raises:
        ReseenError: one cannot be read.
    """
    digest = hashlib.sha256()
    for path in tracklet.paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ReseenError(f"{path} cannot be read: {error.strerror}") from error
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def _missing(
    gallery: "Gallery",
    batch: Sequence[Tracklet],
    extractors: Sequence[Extractor],
    forgotten_too: bool,
    counts: _Counts,
) -> list[tuple[Tracklet, str, str, list[Extractor]]]:
    """Who lacks something: the tracklet, its id in the gallery, its digest, and what is missing."""
    digests: dict[Tracklet, str] = {}
    for tracklet in batch:
        try:
            digests[tracklet] = content_digest(tracklet)
        except ReseenError as error:
            counts.left_out.append(f"{tracklet.id} left out: {error}")
    known = _known(gallery, digests)
    taken_ids = {row["id"] for row in known}
    places = {_place(row["digest"], row): row["id"] for row in known if row["digest"]}
    # What was added before there were digests is known by its name, place and length.
    undigested = {(*_place(row["id"], row), row["frames"]): row["id"] for row in known}
    embedded = _embedded(gallery, sorted(taken_ids), extractors)
    forgotten = set() if forgotten_too else gallery.is_forgotten(list(set(digests.values())))
    found = []
    for tracklet, digest in digests.items():
        seen = (tracklet.camera, tracklet.start, tracklet.end)
        old = places.get((digest, *seen)) or undigested.get(
            (tracklet.id, *seen, len(tracklet.paths))
        )
        if old is None and digest in forgotten:
            counts.forgotten += 1
            continue
        id = old or (longer_id(tracklet.id, digest) if tracklet.id in taken_ids else tracklet.id)
        missing = [each for each in extractors if id not in embedded[each.model_id]]
        if old is not None and not missing:
            counts.present += 1
            continue
        if id != tracklet.id and old is None:
            counts.renamed[tracklet.id] = id
        taken_ids.add(id)
        places[(digest, *seen)] = id
        for each in extractors:
            embedded[each.model_id].add(id)
        found.append((tracklet, id, digest, missing))
    return found


def _known(gallery: "Gallery", digests: dict[Tracklet, str]) -> list[dict[str, Any]]:
    """The gallery's tracklets of the same content or name."""
    ids = [tracklet.id for tracklet in digests]
    longer = [longer_id(tracklet.id, digest) for tracklet, digest in digests.items()]
    which = col("digest").isin(list(digests.values())) | col("id").isin(ids + longer)
    names = ["id", "digest", "camera", "start_time", "end_time", "frames"]
    return gallery.rows(names, which) if digests else []


def _embedded(
    gallery: "Gallery", ids: Sequence[str], extractors: Sequence[Extractor]
) -> dict[str, set[str]]:
    """Which of the tracklets have an embedding already, by model."""
    found = defaultdict[str, set[str]](set)
    for each in extractors if ids else ():
        rows = gallery.rows(["id"], col("id").isin(list(ids)), each.model_id)
        found[each.model_id] = {row["id"] for row in rows}
    return found


def _place(what: str, row: dict[str, Any]) -> Place:
    return what, row["camera"], row["start_time"], row["end_time"]


def longer_id(id: str, digest: str) -> str:
    """What a tracklet is called where other crops have its name."""
    return f"{id}~{digest[:12]}"


def _commit(
    gallery: "Gallery", taken: Sequence[_Taken], keep_until: float | None, counts: _Counts
) -> None:
    """Add what was embedded, by the same extractors at once."""
    by_models = defaultdict[tuple[str, ...], list[_Taken]](list)
    for each in taken:
        by_models[tuple(each.embeddings)].append(each)
    for models, group in by_models.items():
        embeddings = {
            model: np.array([each.embeddings[model] for each in group], np.float32)
            for model in models
        }
        counts.added += gallery.add_embedded(_columns(group), embeddings, keep_until=keep_until)


def _columns(group: Sequence[_Taken]) -> NewTracklets:
    tracklets = [each.tracklet for each in group]
    return NewTracklets(
        ids=[each.id for each in group],
        cameras=[tracklet.camera for tracklet in tracklets],
        sources=[tracklet.source for tracklet in tracklets],
        starts=[tracklet.start for tracklet in tracklets],
        ends=[tracklet.end for tracklet in tracklets],
        frames=[len(tracklet.paths) for tracklet in tracklets],
        thumbnails=[each.thumbnail for each in group],
        crops=[str(tracklet.paths[0].parent.resolve()) for tracklet in tracklets],
        digests=[each.digest for each in group],
    )
