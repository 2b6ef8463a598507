"""The gallery: tracklets with their embeddings, to be added, listed, searched and forgotten."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unicodedata import category
from urllib.parse import quote

import numpy as np
import pyarrow
from lancedb.expr import Expr, col
from platformdirs import user_state_path

from reseen.data.colour_histogram import STRIPES
from reseen.data.tracklet import Tracklet
from reseen.errors import ConflictError, ReseenError
from reseen.files import CheckResult, writing
from reseen.gallery import intake
from reseen.gallery.calibration import Pairs
from reseen.gallery.exports import NAME as EXPORTS
from reseen.gallery.exports import Exports
from reseen.gallery.extractors import Extractor
from reseen.gallery.forgetting import FORGOT, WAITING, Forgetting
from reseen.gallery.frames import FRAMES, PLACES, Frames
from reseen.gallery.integrity import check_database, keep_digests
from reseen.gallery.log import LOG_FILE, append_line
from reseen.gallery.records import (
    EVERYTHING,
    Added,
    Entry,
    Filter,
    Match,
    Matrix,
    NewTracklets,
    Query,
    Stats,
)
from reseen.gallery.registers import REJECTED, VIDEOS, Label, Labels, Members, Rejected, Videos
from reseen.gallery.settings import NAME as SETTINGS
from reseen.gallery.settings import Settings, Tokens, base_of, checked_model, version_of
from reseen.gallery.table import (
    EMBEDDINGS,
    TRACKLETS,
    VECTOR,
    Database,
    Table,
    conditions,
    schema_of,
)
from reseen.progress import Advance
from reseen.times import DATED_FROM

UNFINISHED = "unfinished"
"""The setting that names the model whose embeddings are being filled."""

CANDIDATES = 2
"""Tracklets compared in full for each one that is asked for: an index knows vectors roughly."""

TEXT, SECONDS, WHOLE = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
PLACED = {"camera": TEXT, "start_time": SECONDS, "end_time": SECONDS}
PLACED_SCHEMA = schema_of("id", **PLACED)
TRACKLET_SCHEMA = schema_of(
    "id",
    **PLACED,
    source=TEXT,
    crops=TEXT,
    frames=WHOLE,
    added=SECONDS,
    keep_until=SECONDS,
    digest=TEXT,
    thumbnail=pyarrow.binary(),
)
ENTRY_COLUMNS = [
    name for name in TRACKLET_SCHEMA.names if name not in ("digest", "thumbnail")
]  # in the order of the fields of Entry


class Gallery:
    """Tracklets of many cameras in one LanceDB database.

    Attributes:
        uri: the folder, or the URL in an object store.
        notes: the folder on this machine for log, lock and the states of cameras.
        settings: what all who use it agree on: retention and calibrations.
        tokens: who may look at its pages, and who may manage it.
        labels: what people said about pairs.
        members: which tracklet belongs to which identity.
        videos: which videos are in it, and which could not be taken in.
        rejected: which tracklets show no person, as a human said; no search finds them.
        exports: which files were written about its tracklets.
        frames: where people were in whole pictures, and such pictures.
        database: its tables.
        forgetting: what was forgotten in it, and will be.
        writable: whether more than reading is possible; where not, nothing is logged either.
    """

    def __init__(self, uri: str, notes: Path, cache: int | None = None) -> None:
        self.uri, self.notes = uri, notes
        self.database = Database(uri, notes, cache)
        self.settings, self.labels = Settings(self.database, self.logged), Labels(self.database)
        self._tracklets = self.database.table(TRACKLETS, TRACKLET_SCHEMA)
        self.forgetting = Forgetting(self.database, self.settings, self.logged)
        self.members, self.rejected = Members(self.database), Rejected(self.database)
        self.videos = Videos(self.database)
        self.exports = Exports(self.database)
        self.frames = Frames(self.database)
        self.writable = self.database.writable
        self.tokens = Tokens(self.settings, self.logged)

    @classmethod
    def open(
        cls,
        place: str | Path,
        *,
        create: bool = False,
        notes: Path | None = None,
        cache: int | None = None,
    ) -> "Gallery":
        """Open a gallery, forget what is beyond its time and wipe what has waited for long enough.

        Args:
            place: a folder, or an object store's URL such as s3://bucket/gallery.
            create: make it when it is not there.
            notes: the folder for log and lock. None takes the gallery's own folder, and for an
                object store one of the user's on this machine, the same for every command.
            cache: bytes that LanceDB may hold of tables and as many of indices, for processes that
                add for months and seldom read; None for its own bounds, 1 and 6 GiB.

        Raises:
            ReseenError: there is no gallery, it is damaged or of another format.
        """
        uri = str(place)
        if any(category(sign) == "Cc" for sign in uri):
            raise ReseenError(f"no gallery can be at {uri!r}: its name holds control characters")
        stored = "://" in uri
        if not stored and uri.startswith("s3:"):
            raise ReseenError(f"no gallery can be at {uri!r}; give a folder or s3://BUCKET/PREFIX")
        folder = notes or (notes_of(uri) if stored else Path(uri))
        if create or stored:
            _make_private(folder)
        elif not folder.is_dir():
            raise ReseenError(f"there is no gallery at {folder}; add tracklets to make one")
        gallery = cls(uri, folder, cache)
        filled = gallery._tracklets.is_there or gallery.videos.failures.count()
        if not filled and not create:
            raise ReseenError(f"there is no gallery at {uri}; add tracklets to make one")
        if gallery.writable:
            gallery.settings.digest("")  # makes the salt
            gallery.forgetting.finish()
            gallery.forgetting.expire()
            gallery.forgetting.wipe_when_due()
        return gallery

    # Filling

    def add(
        self,
        tracklets: Iterable[Tracklet],
        extractors: Sequence[Extractor],
        *,
        pixelate_heads: bool = True,
        keep_until: float | None = None,
        forgotten_too: bool = False,
        since: float | None = None,
        optimise: bool = True,
        advance: Advance = lambda _: None,
    ) -> Added:
        """Embed tracklets and add those that are not there yet, a few at a time.

        Who is there is told by the content of the crops, camera and time, never by a name. It may
        be killed at any moment and started again: what was added stays, nothing is added twice,
        and several processes may add at once.

        Args:
            pixelate_heads: whether the stored thumbnails hide heads.
            keep_until: when to forget them, in seconds since 1970.
            forgotten_too: take in again what was forgotten.
            since: from when on the tracklets were seen, in seconds since 1970; None for now. Where
                somebody was forgotten since, no whole picture of theirs is kept.
            optimise: merge files and index; False where the caller does so after the last of many.
            advance: told of every tracklet that is done.

        Raises:
            ReseenError: the embeddings do not fit the gallery, or the disk is full.
        """
        since = time.time() if since is None else since
        known = self.forgetting.known if not forgotten_too else lambda _: set()
        taken = intake.Intake(extractors, self.columns, known, pixelate_heads)
        added, rest = 0, iter(tracklets)
        while batch := list(islice(rest, intake.BATCH)):
            for ready, embeddings in taken.embedded(batch):
                new = self.add_embedded(ready, embeddings, keep_until=keep_until)
                added += new
                taken.present += len(ready.ids) - new  # another process was faster
                self.forgetting.hide_since(since, ready.ids)
            # Pictures on which they may be, too, do not come back.
            self.forgetting.hide([(one.source, one.start, one.end) for one in taken.forgotten])
            advance(len(batch))
        for film, ids in taken.filmed.items():
            if film.is_file():
                self.exports.keep(film, ids)
        if optimise:
            self.optimise()
        return Added(added, taken.present, taken.kept_out, tuple(taken.left_out), taken.renamed)

    def add_embedded(
        self,
        tracklets: NewTracklets,
        embeddings: Mapping[str, Matrix],
        *,
        keep_until: float | Sequence[float | None] | None = None,
        added: Sequence[float] | None = None,
    ) -> int:
        """Add tracklets whose embeddings (M, D) by model are ready; returns how many are new.

        When this returns they are there, whatever happens to the process. Call `optimise` after
        the last of many.

        Args:
            embeddings: (M, D) float32, finite, by model.
            keep_until: when to forget all, or each, in seconds since 1970.
            added: when each was added, in seconds since 1970; None for now.
        """
        if not tracklets.ids:
            return 0
        id, times = Counter(tracklets.ids).most_common(1)[0]
        if times > 1:
            raise ReseenError(f"{times} of the tracklets to add have the id {id}")
        tables = {model: self._table_for(model, each) for model, each in embeddings.items()}
        before = self.forgetting.version
        # The tracklets first: when this is cut short, `add` sees which embeddings are missing.
        new, rows = self._insert(tracklets, keep_until, added)
        if tracklets.moments is not None:
            ids = rows["id"].to_pylist()
            self.frames.keep(ids, tracklets.sources, tracklets.starts, tracklets.moments)
        counts = [table.put(_with(rows, embeddings[model])) for model, table in tables.items()]
        if self.forgetting.version != before:  # somebody may have been forgotten meanwhile
            gone = {*tracklets.ids} - self.find(tracklets.ids).keys()
            self.forgetting.drop(sorted(gone))
        return max(new, *counts)

    def add_embeddings(self, model: str, rows: pyarrow.Table, embeddings: Matrix) -> None:
        """Add a model's embeddings (M, D) of M tracklets that are there, with ids and places."""
        found, ids = self._table_for(model, embeddings), rows["id"].to_pylist()
        found.put(_with(rows, embeddings))
        if gone := {*ids} - self.find(ids).keys():  # forgotten meanwhile
            found.delete(col("id").isin(sorted(gone)))

    @contextmanager
    def unseen(self, model: str) -> Iterator[None]:
        """Fill the embeddings of a model that nobody searches by before they are whole.

        What a process that was killed at it left of them goes first.
        """
        self.settings.set(UNFINISHED, model)
        self.database.drop(EMBEDDINGS + model)
        yield
        self.settings.set(UNFINISHED, None)

    def _insert(
        self,
        tracklets: NewTracklets,
        keep_until: float | Sequence[float | None] | None,
        added: Sequence[float] | None,
    ) -> tuple[int, pyarrow.Table]:
        """Insert into the table of tracklets; returns how many are new, and the rows of all.

        Where another process has just given one's id to other crops, it gets a longer one.
        """
        count = len(tracklets.ids)
        ids, none = list(tracklets.ids), [None] * count
        columns: dict[str, Sequence[Any]] = {
            "id": ids,
            "camera": tracklets.cameras,
            "start_time": tracklets.starts,
            "end_time": tracklets.ends,
            "source": tracklets.sources,
            "crops": tracklets.crops or none,
            "frames": tracklets.frames,
            "added": added or [time.time()] * count,
            "keep_until": keep_until if isinstance(keep_until, Sequence) else [keep_until] * count,
            "digest": tracklets.digests or none,
            "thumbnail": tracklets.thumbnails or none,
        }
        rows = pyarrow.Table.from_pydict(columns, schema=TRACKLET_SCHEMA)
        new = self._tracklets.put(rows)
        if new == count or tracklets.digests is None:
            return new, rows
        found = self._tracklets.read(["id", "digest"], col("id").isin(ids)).to_pylist()
        owners = {row["id"]: row["digest"] for row in found}
        for place, (id, digest) in enumerate(zip(ids, tracklets.digests, strict=True)):
            if owners.get(id) not in (digest, None):
                ids[place] = intake.longer_id(id, digest)
        rows = pyarrow.Table.from_pydict(columns, schema=TRACKLET_SCHEMA)
        return new + self._tracklets.put(rows), rows

    def _table_for(self, model: str, embeddings: Matrix) -> Table:
        """The table of a model, after a check that the embeddings fit it."""
        if not np.isfinite(embeddings).all():
            raise ReseenError(f"{model} makes embeddings that are not finite; train it again")
        numbers = embeddings.shape[1]
        schema = schema_of("id", **PLACED, **{VECTOR: pyarrow.list_(pyarrow.float32(), numbers)})
        found = self.database.table(EMBEDDINGS + checked_model(model), schema)
        if numbers != found.dimensions:
            raise ReseenError(
                f"the gallery {self.uri} holds embeddings of {found.dimensions} numbers by {model} "
                f"but now it makes {numbers}; it is another model, and needs another name"
            )
        return found

    def optimise(self) -> None:
        """Merge files and index what is searched by, when enough has been added."""
        for name in self.database.names():
            filled = (TRACKLETS, VIDEOS, EXPORTS, PLACES, FRAMES, SETTINGS)
            if name in filled or name.startswith(EMBEDDINGS):
                self.database.existing(name).optimise()
        keep_digests(self.database)

    # Looking

    def models(self) -> list[str]:
        """Ids of the models whose embeddings are in the gallery, but one that is being filled."""
        hidden = f"{EMBEDDINGS}{self.settings.get(UNFINISHED, str)}"
        every = [name for name in self.database.names() if name.startswith(EMBEDDINGS)]
        every = [name for name in every if name != hidden]
        names = [name for name in every if self.database.existing(name).count()]
        return [name.removeprefix(EMBEDDINGS) for name in names]

    def model(self, name: str | None = None) -> str:
        """The model to search with: the one named, or the only one beside the colour histogram.

        Of one that was adapted to the gallery, the newest adaptation is taken.
        """
        present = self.models()
        if not present:
            raise ConflictError(f"the gallery {self.uri} is empty; add tracklets to it first")
        if name is not None and name not in present:
            raise ConflictError(
                f"the gallery {self.uri} has no embeddings of the model {name}; there are "
                f"those of {', '.join(present)}; add its tracklets again with that model"
            )
        newest = {base_of(model): model for model in sorted(present, key=version_of)}
        trained = [model for base, model in newest.items() if base != STRIPES] or present
        if name is None and len(trained) > 1:
            raise ReseenError(
                f"the gallery {self.uri} has embeddings of {', '.join(present)}; name the model"
            )
        return name or trained[0]

    def require(self, where: Filter) -> None:
        """Check that the cameras and tracklets that a filter names exist."""
        for camera in (where.camera, where.not_camera):
            if camera is not None and not self.count(Filter(camera=camera)):
                cameras = sorted(self.stats().cameras)
                listed = ", ".join(cameras[:20]) + (", …" if len(cameras) > 20 else "")
                raise ReseenError(f"there is no camera {camera}; there are {listed or 'none'}")
        if where.ids:
            present = {entry.id for entry in self.find(where.ids).values()}
            for id in where.ids:
                if id not in present:
                    raise self._unknown(id)

    def entries(
        self,
        where: Filter = EVERYTHING,
        model: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Entry]:
        """The tracklets by time and id, a page of them when `limit` is set.

        A model's are only those that have its embedding.
        """
        names, order = ENTRY_COLUMNS if model is None else ["id"], ("start_time", "id")
        rows = self._table(model).read(names, conditions(where), order, limit, offset)
        if model is None:
            return _entries(rows)
        ids = rows["id"].to_pylist()
        found = self.find(ids)
        return [found[id] for id in ids if id in found]

    def count(self, where: Filter = EVERYTHING, model: str | None = None) -> int:
        """How many tracklets there are, or how many that have a model's embedding."""
        return self._table(model).count(conditions(where))

    def entry(self, id: str) -> Entry:
        """One tracklet."""
        found = self.find([id])
        if id not in found:
            raise self._unknown(id)
        return found[id]

    def find(self, ids: Sequence[str]) -> dict[str, Entry]:
        """Those of some tracklets that are in the gallery, by id."""
        if not ids:
            return {}
        rows = self._tracklets.read(ENTRY_COLUMNS, conditions(Filter(ids=tuple(ids))))
        return {entry.id: entry for entry in _entries(rows)}

    def thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """JPEG strips of 8 pictures side by side, of those tracklets that have one."""
        if not ids:
            return {}
        rows = self._tracklets.read(["id", "thumbnail"], conditions(Filter(ids=tuple(ids))))
        strips = zip(rows["id"].to_pylist(), rows["thumbnail"].to_pylist(), strict=True)
        return {id: strip for id, strip in strips if strip is not None}

    @property
    def version(self) -> tuple[int, ...]:
        """Something else after every change of what `stats` counts, by whatever process."""
        names = [TRACKLETS, REJECTED, SETTINGS, WAITING]
        names += [EMBEDDINGS + model for model in self.models()]
        return tuple(self.database.table(name).version for name in names)

    def stats(self) -> Stats:
        """Count what the gallery holds."""
        seen = self.columns(list(PLACED))
        cameras = Counter(seen["camera"].to_pylist())
        every = np.stack([seen[name].to_numpy() for name in ("start_time", "end_time")])
        dated = every >= DATED_FROM
        known = every[dated if dated.any() else ~np.isnan(every)]
        return Stats(
            tracklets=cameras.total(),
            models={model: self.count(model=model) for model in self.models()},
            cameras=dict(sorted(cameras.items())),
            start=float(known.min()) if known.size else None,
            end=float(known.max()) if known.size else None,
            undated=int((~dated[0]).sum()) if dated.any() else 0,
            rejected=self.rejected.count(),
            size=sum(self.database.existing(name).size for name in self.database.names()),
            retention_days=self.settings.retention_days,
            calibrated=tuple(each.model for each in self.settings.calibrations()),
            waiting=self.forgetting.waiting(),
        )

    # Searching

    def query(self, id: str, model: str) -> Query:
        """Search for one of the gallery's tracklets.

        Raises:
            ReseenError: it is not in the gallery, or has no embedding of this model.
        """
        where, vectors = conditions(Filter(ids=(id,))), dict[str, Matrix]()
        for each in self.models():
            rows = self._table(each).read([VECTOR], where, limit=1)
            vectors |= {each: matrix(rows[VECTOR])[0]} if len(rows) else {}
        if model not in vectors:
            self.entry(id)
            raise ReseenError(f"the tracklet {id} has no embedding of the model {model}")
        return Query(model, vectors.pop(model), id, vectors, known=True)

    def search(self, query: Query, k: int = 20, where: Filter = EVERYTHING) -> list[Match]:
        """The k nearest tracklets, nearest first, the query itself left out.

        Where up to 10,000 tracklets pass the filter this is exact. Of more, an index proposes
        candidates and the full vectors order them; `benchmarks/bench_gallery.py` measures how
        many it misses.
        """
        if k < 1:
            raise ReseenError(f"k must be 1 or more, not {k}")
        rows = self._candidates(query, k, where)
        if not len(rows):
            self.model(query.model)  # all of its tracklets may be forgotten
        found = self._matches(query, rows, k + 1)
        matches = [match for match in found if match.entry.id != query.name][:k]
        self.logged("search", where, query, k=k, found=len(matches))
        return matches

    def nearest(self, query: Query, k: int) -> list[str]:
        """The ids alone, for the program's own needs: nobody searches, nothing is logged."""
        rows = self._candidates(query, k, EVERYTHING)
        order = np.argsort(_distances(query.embedding, rows), kind="stable")[: k + 1]
        return [id for id in rows["id"].take(order).to_pylist() if id != query.name][:k]

    def _candidates(self, query: Query, k: int, where: Filter) -> pyarrow.Table:
        """More than the k nearest; room for the query itself, too: to filter it out is slower."""
        count = CANDIDATES * (k + 1)
        return self._comparable(query).nearest(query.embedding, count, self.of_people(where))

    def alike(self, query: Query, distance: float, where: Filter = EVERYTHING) -> list[Match]:
        """Every tracklet up to a distance, nearest first: exact, and slower than a search."""
        self.logged("alike", where, query, distance=distance)
        near = [
            batch.filter(pyarrow.array(_distances(query.embedding, batch) <= distance))
            for batch in self._comparable(query).batches(
                ["id", VECTOR], conditions(self.of_people(where))
            )
        ]
        return self._matches(query, pyarrow.Table.from_batches(near)) if near else []

    def _comparable(self, query: Query) -> Table:
        compared = self._table(query.model)
        if not compared.is_there:
            self.model(query.model)  # says which models there are
            raise ReseenError(f"the gallery {self.uri} is empty; add tracklets to it first")
        if len(query.embedding) != compared.dimensions:
            raise ReseenError(
                f"the query has {len(query.embedding)} numbers but the embeddings by {query.model} "
                f"in the gallery {self.uri} have {compared.dimensions}"
            )
        return compared

    def _matches(self, query: Query, rows: pyarrow.Table, most: int | None = None) -> list[Match]:
        """The nearest of rows with ids and vectors, nearest first."""
        every = _distances(query.embedding, rows)
        order = np.argsort(every, kind="stable")[:most]
        ids, distances = rows["id"].take(order).to_pylist(), every[order]
        entries, beside = self.find(ids), {id: dict[str, float]() for id in ids}
        for model, vector in query.beside.items():
            if self._table(model).is_there and ids:
                near = self._table(model).read(["id", VECTOR], conditions(Filter(ids=tuple(ids))))
                for id, other in zip(near["id"].to_pylist(), _distances(vector, near), strict=True):
                    beside[id][model] = float(other)
        calibration = self.settings.calibration(query.model)
        probabilities: list[float | None] = [None] * len(ids)
        if calibration is not None:
            probabilities = calibration.probabilities(distances).tolist()
        return [
            Match(entries[id], distance, beside[id], probability)
            for id, distance, probability in zip(
                ids, distances.tolist(), probabilities, strict=True
            )
            if id in entries  # forgotten meanwhile
        ]

    # Forgetting

    def forget(self, where: Filter, *, at_once: bool = False) -> list[str]:
        """Remove tracklets: nobody finds them when this returns.

        Their bytes are wiped from the disk within ten minutes, in one pass for all that was
        forgotten, by whoever has the gallery open or opens it; in a small gallery, where this
        costs nothing, here. Labels on them go, too. Of the crops only a salted digest stays, so
        that `add` does not take them in again.

        Args:
            at_once: wipe the bytes before this returns.

        Returns:
            Ids of the removed tracklets.

        Raises:
            ReseenError: `where` would mean everything.
        """
        condition = conditions(where)
        if condition is None:
            raise ReseenError("say which tracklets to forget; to forget all, delete the gallery")
        self.database.require_writable()
        self.logged("forget", where)
        # Before they are looked for: who adds a picture afterwards finds this.
        self.settings.set(FORGOT, time.time())
        ids = self.forgetting.forget(condition)
        if at_once:
            self.forgetting.wipe()
        return ids

    # Below

    def check(self) -> CheckResult:
        """Read all of it, and compare every file with its digest."""
        return check_database(self.database)

    def columns(
        self, names: Sequence[str], where: Filter | Expr = EVERYTHING, model: str | None = None
    ) -> pyarrow.Table:
        """Some of what is known of tracklets, or a model's embeddings, of many of them."""
        condition = conditions(where) if isinstance(where, Filter) else where
        return self._table(model).read(names, condition)

    def ids(self, model: str) -> set[str]:
        """The tracklets that have an embedding by a model and are not rejected."""
        return {*self.columns(["id"], self.of_people(), model)["id"].to_pylist()}

    def embeddings(self, model: str, where: Filter = EVERYTHING) -> pyarrow.Table:
        """Ids, cameras, times and vectors by a model; without the rejected."""
        return self.columns(["id", *PLACED, VECTOR], self.of_people(where), self.model(model))

    def _table(self, model: str | None) -> Table:
        """The table of a model's embeddings, or of the tracklets."""
        return self._tracklets if model is None else self.database.table(EMBEDDINGS + model)

    def of_people(self, where: Filter = EVERYTHING) -> Filter:
        """The same without what was rejected, unless it names its tracklets."""
        return where if where.ids else replace(where, not_ids=self.rejected.ids())

    def labels_on_people(self) -> list[Label]:
        """The labels to learn from: none on what was rejected, which they outlive if taken back."""
        rejected = set(self.rejected.ids())
        return [each for each in self.labels.all() if not {each.query, each.match} & rejected]

    def labelled_pairs(self, model: str) -> Pairs:
        """Distances of the pairs that people have labelled, where both have an embedding."""
        labels = self.labels_on_people()
        ids = {id for label in labels for id in (label.query, label.match)}
        rows = self.embeddings(model, Filter(ids=tuple(ids) or ("",)))
        vectors = dict(zip(rows["id"].to_pylist(), matrix(rows[VECTOR]), strict=True))
        known = [label for label in labels if {label.query, label.match} <= vectors.keys()]
        gaps = [np.linalg.norm(vectors[each.query] - vectors[each.match]) for each in known]
        return Pairs(np.array(gaps, np.float64), np.array([each.same for each in known], np.bool_))

    def _unknown(self, id: str) -> ReseenError:
        some = [entry.id for entry in self.entries(limit=3)]
        there = f"there are {self.count():,}, such as {', '.join(some)}" if some else "it is empty"
        return ReseenError(f"the gallery {self.uri} has no tracklet {id}; {there}")

    def logged(
        self, what: str, where: Filter = EVERYTHING, query: Query | None = None, **facts: Any
    ) -> None:
        """Append to the log what is about to be done or was done.

        Tracklets stand there as digests of their ids: who holds an id finds it, and nothing of a
        forgotten one stays.
        """
        if not self.writable:
            return
        chosen = {name: value for name, value in asdict(where).items() if value not in (None, ())}
        if "ids" in chosen:
            chosen["ids"] = [self.settings.digest(id) for id in chosen["ids"]]
        if query is not None:
            name = self.settings.digest(query.name) if query.known else query.name
            if not query.known and Path(query.name).is_dir():  # `track` calls it as the tracklet
                name = self.settings.digest(Path(query.name).resolve().name)
            facts = {"model": query.model, "query": name, **facts}
        append_line(self.notes / LOG_FILE, {"what": what, "where": chosen, **facts})


def notes_of(uri: str) -> Path:
    """Where this machine keeps log and lock of a gallery in an object store."""
    return user_state_path("reseen") / "galleries" / quote(uri, safe="")


def _make_private(folder: Path) -> None:
    """Make the gallery's folder, for its owner's eyes only."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(folder.iterdir()) and os.access(folder, os.W_OK):
            folder.chmod(0o700)


def _entries(rows: pyarrow.Table) -> list[Entry]:
    return [Entry(*row.values()) for row in rows.select(ENTRY_COLUMNS).to_pylist()]


def matrix(column: Any) -> Matrix:
    """(M, D) float32 from a column of M lists of D numbers."""
    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    values: Matrix = array.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(array), array.type.list_size)


def _with(rows: pyarrow.Table, embeddings: Matrix) -> pyarrow.Table:
    """The ids and places of tracklets, with their embeddings (M, D) as the last column."""
    values = pyarrow.array(np.ascontiguousarray(embeddings, dtype=np.float32).ravel())
    vectors = pyarrow.FixedSizeListArray.from_arrays(values, embeddings.shape[1])
    return rows.select(PLACED_SCHEMA.names).append_column(VECTOR, vectors)


def _distances(vector: Matrix, rows: Any) -> Matrix:
    return np.asarray(np.linalg.norm(matrix(rows[VECTOR]) - vector, axis=1))
