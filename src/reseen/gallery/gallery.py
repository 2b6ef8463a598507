"""The gallery: tracklets with their features, to be added, listed, searched and forgotten."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from lancedb.expr import Expr, col

from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import cannot_write
from reseen.gallery.extractors import STRIPE_DIMENSIONS, Extractor, embed_tracklets
from reseen.gallery.notes import Notes, checked_model
from reseen.gallery.records import (
    EVERYTHING,
    Added,
    Embedded,
    Entry,
    Filter,
    Match,
    Matrix,
    Query,
    Stats,
)
from reseen.gallery.rows import conditions, matrix, to_entries, to_rows
from reseen.gallery.table import Table, schema_of
from reseen.progress import Advance
from reseen.times import DATED_FROM

BATCH = 64
"""Tracklets embedded between two commits: the most that a kill can cost."""

SECONDS_IN_DAY = 86_400.0

COMPARED_COLUMNS = ("entry", "stripes", "feature")
CANDIDATES = 2
"""Tracklets compared in full for each one that is asked for: an index knows features roughly."""

MOST_IDS_LOGGED = 1_000


class Gallery:
    """Tracklets of many cameras in one LanceDB table.

    Attributes:
        uri: the folder, or the URL in an object store.
        notes: log, marks, calibrations and retention period, which lie beside the table.
    """

    def __init__(self, uri: str, notes: Path) -> None:
        self.uri = uri
        self.notes = Notes(notes)
        self._table = Table(uri, notes)

    @classmethod
    def open(
        cls, place: str | Path, *, create: bool = False, notes: Path | None = None
    ) -> "Gallery":
        """Open a gallery, and forget what is beyond its time.

        Args:
            place: a folder, or an object store's URL such as s3://bucket/gallery.
            create: make it when it is not there.
            notes: the folder for log, marks, calibrations and settings. None takes the
                gallery's own folder; an object store needs one on this machine.

        Raises:
            ReseenError: there is no gallery, it is damaged or of another format.
        """
        uri = str(place)
        if notes is None and "://" in uri:
            raise ReseenError(f"{uri} is no folder; name one for its log, marks and settings")
        folder = Path(uri) if notes is None else notes
        if create:
            _make(folder)
        elif not folder.is_dir():
            raise ReseenError(f"there is no gallery at {folder}; add tracklets to make one")
        gallery = cls(uri, folder)
        if gallery._table.schema is None and not create:
            raise ReseenError(f"there is no gallery at {uri}; add tracklets to make one")
        gallery.expire()
        return gallery

    def add(
        self,
        tracklets: Iterable[Tracklet],
        extractor: Extractor,
        *,
        pixelate_heads: bool = True,
        keep_until: float | None = None,
        advance: Advance = lambda _: None,
    ) -> Added:
        """Embed tracklets and add those that are not there yet, a few at a time.

        It may be killed at any moment and started again: what was added stays, nothing is added
        twice, and several processes may add at once.

        Args:
            tracklets: the tracklets.
            extractor: makes their features.
            pixelate_heads: whether the stored thumbnails hide heads.
            keep_until: when to forget them, in seconds since 1970.
            advance: told of every tracklet that is done.

        Raises:
            ReseenError: an id is taken by a different tracklet, the features do not fit the
                gallery, or the disk is full.
        """
        added, present, left_out = 0, 0, list[str]()
        for batch in _batches(tracklets, BATCH):
            new = self._new(batch, extractor.model_id)
            embedded, unreadable = embed_tracklets(new, extractor, pixelate_heads=pixelate_heads)
            added += self.add_embedded(embedded, extractor.model_id, keep_until=keep_until)
            present += len(batch) - len(new)
            left_out += unreadable
            advance(len(batch))
        self.optimise()
        return Added(added, present, tuple(left_out))

    def add_embedded(
        self, embedded: Embedded, model: str, *, keep_until: float | None = None
    ) -> int:
        """Add tracklets whose features are ready, in one transaction; returns how many are new.

        When this returns they are there, whatever happens to the process. Call `optimise` after
        the last of many.

        Raises:
            ReseenError: the features do not fit the gallery, or the disk is full.
        """
        if not embedded.ids:
            return 0
        schema = self._schema_for(embedded, model)
        return self._table.insert(to_rows(embedded, model, keep_until, schema))

    def optimise(self) -> None:
        """Merge files and index the features, when enough has been added."""
        self._table.optimise()

    def models(self) -> list[str]:
        """Ids of the models whose features are in the gallery."""
        found: list[str] = []
        while True:
            others = None
            for model in found:
                another = col("model") != model
                others = another if others is None else others & another
            rows = self._table.read(["model"], others, limit=1)
            if not len(rows):
                return sorted(found)
            found += rows["model"].to_pylist()

    def model(self, name: str | None = None) -> str:
        """The model to search with: the one named, or the only one there is.

        Raises:
            ReseenError: there is no such model, or there are several, or the gallery is empty.
        """
        present = self.models()
        listed = ", ".join(present)
        if not present:
            raise ReseenError(f"the gallery {self.uri} is empty; add tracklets to it first")
        if name is not None and name not in present:
            raise ReseenError(
                f"the gallery {self.uri} has features of {listed} and none of {name}; "
                f"add its tracklets again with that model"
            )
        if name is None and len(present) > 1:
            raise ReseenError(f"the gallery {self.uri} has features of {listed}; name the model")
        return name or present[0]

    def entries(
        self, model: str, where: Filter = EVERYTHING, *, limit: int | None = None, offset: int = 0
    ) -> list[Entry]:
        """The tracklets of a model by time and id, a page of them when `limit` is set."""
        order = ("start_time", "id")
        return to_entries(
            self._table.read(["entry"], conditions(where, model), order, limit, offset), model
        )

    def count(self, model: str, where: Filter = EVERYTHING) -> int:
        """How many tracklets of a model there are."""
        return self._table.count(conditions(where, model))

    def entry(self, id: str, model: str) -> Entry:
        """One tracklet.

        Raises:
            ReseenError: it is not in the gallery.
        """
        found = self.entries(model, Filter(ids=(id,)))
        if not found:
            raise self._unknown(id, model)
        return found[0]

    def thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """JPEG strips of 8 pictures side by side, of those tracklets that have one."""
        if not ids:
            return {}
        rows = self._table.read(["id", "thumbnail"], conditions(Filter(ids=tuple(ids))))
        strips = zip(rows["id"].to_pylist(), rows["thumbnail"].to_pylist(), strict=True)
        return {id: strip for id, strip in strips if strip is not None}

    @property
    def version(self) -> int:
        """Another number after every change of the tracklets, by whatever process."""
        return self._table.version

    def stats(self) -> Stats:
        """Count what the gallery holds."""
        models, cameras, times = Counter[str](), Counter[str](), [np.empty((2, 0))]
        for batch in self._table.batches(["model", "camera", "start_time", "end_time"]):
            models.update(batch["model"].to_pylist())
            cameras.update(batch["camera"].to_pylist())
            times.append(
                np.stack([batch[name].to_numpy(False) for name in ("start_time", "end_time")])
            )
        every = np.concatenate(times, axis=1)  # NaN where not known
        dated = every >= DATED_FROM
        known = every[dated if dated.any() else ~np.isnan(every)]
        return Stats(
            models=dict(sorted(models.items())),
            cameras=dict(sorted(cameras.items())),
            start=float(known.min()) if known.size else None,
            end=float(known.max()) if known.size else None,
            undated=int((~dated[0]).sum()) if dated.any() else 0,
            size=self._table.size(),
            retention_days=self.notes.retention_days,
        )

    def query(self, id: str, model: str) -> Query:
        """Search for one of the gallery's tracklets.

        Raises:
            ReseenError: it is not in the gallery.
        """
        where = conditions(Filter(ids=(id,)), model)
        rows = self._table.read(["feature", "stripes"], where, limit=1)
        if not len(rows):
            raise self._unknown(id, model)
        stripes = rows["stripes"][0].as_py()
        drawn = None if stripes is None else np.array(stripes, dtype=np.float32)
        return Query(model, matrix(rows["feature"])[0], drawn, id)

    def search(self, query: Query, k: int = 20, where: Filter = EVERYTHING) -> list[Match]:
        """The k nearest tracklets, nearest first, the query itself left out.

        Where up to 10,000 tracklets pass the filter this is exact. Of more, an index proposes
        candidates and the full features order them; `benchmarks/bench_gallery.py` measures how
        many it misses.

        Raises:
            ReseenError: the gallery has no features of the query's model, or k is not positive.
        """
        self._require_comparable(query)
        if k < 1:
            raise ReseenError(f"k must be 1 or more, not {k}")
        condition = conditions(where, query.model)
        # One more than asked for leaves room for the query itself: to filter it out is slower.
        count = CANDIDATES * (k + 1)
        rows = self._table.candidates(query.feature, count, COMPARED_COLUMNS, condition)
        if not len(rows):
            self.model(query.model)
        found = self._matches(query, rows, k + 1)
        matches = [match for match in found if match.entry.id != query.name][:k]
        facts = {"model": query.model, "query": query.name, "k": k, "found": len(matches)}
        self.notes.log("search", where, **facts)
        return matches

    def alike(self, query: Query, distance: float, where: Filter = EVERYTHING) -> list[Match]:
        """Every tracklet up to a distance, nearest first: exact, and slower than a search.

        Raises:
            ReseenError: the gallery has no features of the query's model.
        """
        self._require_comparable(query)
        self.notes.log("alike", where, model=query.model, query=query.name, distance=distance)
        near = [
            batch.filter(pyarrow.array(_distances(query, batch) <= distance))
            for batch in self._table.batches(COMPARED_COLUMNS, conditions(where, query.model))
        ]
        return self._matches(query, pyarrow.Table.from_batches(near)) if near else []

    def forget(self, where: Filter) -> list[str]:
        """Remove tracklets of every model and wipe them from the disk, and marks on them.

        Returns:
            Ids of the removed tracklets. No file of the gallery then holds their features or
            thumbnails, older versions of the table included; only the log still names them.

        Raises:
            ReseenError: `where` would mean everything.
        """
        condition = conditions(where)
        if condition is None:
            raise ReseenError("say which tracklets to forget; to forget all, delete the gallery")
        self.notes.log("forget", where)
        return self._remove(condition)

    def expire(self, now: float | None = None) -> list[str]:
        """Forget what is beyond its own date or the gallery's retention period.

        Args:
            now: seconds since 1970; None takes the clock.

        Returns:
            Ids of the removed tracklets.
        """
        now = time.time() if now is None else now
        over = col("keep_until") < now
        if self.notes.retention_days is not None:
            over = over | (col("added") < now - self.notes.retention_days * SECONDS_IN_DAY)
        if not self._table.count(over):
            return []
        self.notes.log("expire", retention_days=self.notes.retention_days)
        return self._remove(over)

    def _remove(self, condition: Expr) -> list[str]:
        ids = self._table.remove(condition)
        self.notes.marks.forget(set(ids))
        self.notes.log("forgotten", count=len(ids), ids=ids[:MOST_IDS_LOGGED])
        return ids

    def _new(self, batch: Sequence[Tracklet], model: str) -> list[Tracklet]:
        """Those not in the gallery yet, after a check that the others are the same tracklets."""
        if self._table.schema is None:
            return list(batch)
        known = self.entries(model, Filter(ids=tuple(tracklet.id for tracklet in batch)))
        present = {entry.id: entry for entry in known}
        for tracklet in batch:
            entry = present.get(tracklet.id)
            if entry is not None and not _is_same(tracklet, entry):
                raise ReseenError(
                    f"the gallery {self.uri} has another tracklet {tracklet.id}, of "
                    f"{entry.source}; forget that one or rename the one of {tracklet.source}"
                )
        return [tracklet for tracklet in batch if tracklet.id not in present]

    def _schema_for(self, embedded: Embedded, model: str) -> pyarrow.Schema:
        """The table's columns, after a check that the features fit them."""
        checked_model(model)
        dimensions = embedded.features.shape[1]
        if not np.isfinite(embedded.features).all():
            raise ReseenError(f"{model} makes features that are not finite; train it again")
        id, times = Counter(embedded.ids).most_common(1)[0]
        if times > 1:
            raise ReseenError(f"{times} of the tracklets to add have the id {id}")
        if self._table.schema is None:
            self._table.create(schema_of(dimensions, STRIPE_DIMENSIONS))
        if dimensions != self._dimensions:
            raise ReseenError(
                f"the gallery {self.uri} holds features of {self._dimensions} numbers but {model} "
                f"makes {dimensions}; use another gallery for it"
            )
        return self._table.schema

    @property
    def _dimensions(self) -> int:
        schema = self._table.schema
        return 0 if schema is None else int(schema.field("feature").type.list_size)

    def _require_comparable(self, query: Query) -> None:
        if len(query.feature) != self._dimensions:
            self.model(query.model)
            raise ReseenError(
                f"the query has {len(query.feature)} numbers but the features in the gallery "
                f"{self.uri} have {self._dimensions}"
            )

    def _matches(self, query: Query, rows: pyarrow.Table, most: int | None = None) -> list[Match]:
        """The nearest of rows with the `COMPARED_COLUMNS`, nearest first."""
        every = _distances(query, rows)
        order = np.argsort(every, kind="stable")[:most]
        rows, distances = rows.take(order), every[order]
        calibration = self.notes.calibration(query.model)
        chances: Sequence[Any] = (
            [None] * len(rows) if calibration is None else calibration.chances(distances).tolist()
        )
        stripes = [_distance(query.stripes, other) for other in rows["stripes"].to_pylist()]
        facts = zip(
            to_entries(rows, query.model), distances.tolist(), stripes, chances, strict=True
        )
        return [Match(*fact) for fact in facts]

    def _unknown(self, id: str, model: str) -> ReseenError:
        return ReseenError(f"the gallery {self.uri} has no tracklet {id} of the model {model}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _batches(tracklets: Iterable[Tracklet], size: int) -> Iterator[list[Tracklet]]:
    rest = iter(tracklets)
    while batch := list(islice(rest, size)):
        yield batch


def _is_same(tracklet: Tracklet, entry: Entry) -> bool:
    given = (tracklet.camera, tracklet.start, tracklet.end, len(tracklet.paths))
    return given == (entry.camera, entry.start, entry.end, entry.frames)


def _distances(query: Query, rows: Any) -> Matrix:
    return np.asarray(np.linalg.norm(matrix(rows["feature"]) - query.feature, axis=1))


def _distance(one: Matrix | None, other: Sequence[float] | None) -> float | None:
    if one is None or other is None:
        return None
    return float(np.linalg.norm(one - np.array(other, dtype=np.float32)))
