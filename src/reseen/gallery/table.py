"""The LanceDB tables below a gallery: rows go in once, are found, and leave the disk for good."""

import fcntl
import json
import math
import os
import random
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial, reduce
from operator import and_
from pathlib import Path
from typing import Any, TypeVar

import lancedb
import numpy as np
import pyarrow
from lancedb.expr import Expr, col
from lancedb.index import Bitmap, BTree, IvfSq
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.files import converted, writing
from reseen.gallery.records import Filter
from reseen.times import DATED_FROM, is_dated

FORMAT_KEY, FORMAT = b"reseen.gallery", b"2"
PRIMARY_KEY = {b"lance-schema:unenforced-primary-key": b"true"}
"""Without this mark, two processes that insert the same key at once would both succeed."""

TRACKLETS, EMBEDDINGS = "tracklets", "embeddings_"
"""The table of tracklets, and what the name of each model's table begins with."""

VECTOR = "vector"
BITMAP_COLUMNS, BTREE_COLUMNS = {"camera"}, {"id", "start_time", "digest"}

EXACT_UP_TO = 10_000
"""So many rows are compared one by one; only among more does an index over the vectors pay."""

FEWEST_IN_PARTITION = 500
FEWEST_PROBED, PROBED_SHARE = 30, 0.19
"""How many partitions an index has and how many of them a search looks into, so that it misses less
than one in a hundred of the nearest: measured with benchmarks/bench_gallery.py."""

FRAGMENTS_BEFORE_UPKEEP = 64
FRAGMENT_BITS = 32
"""Lance numbers a row by its fragment and, in this many lower bits, its place in there."""

OLD_VERSIONS_KEPT = timedelta(minutes=10)
COMMIT_ATTEMPTS, READ_ATTEMPTS = 20, 5
NO_SPACE = ("No space left", "os error 28", "os error 27")
NO_ANSWER = "the store does not answer; what was acknowledged is safe, start again later"
STORE_TROUBLES = (
    ("NoSuchBucket", "there is no such bucket; make it first"),
    ("AWS credentials", "there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("AccessDenied", "the store refuses these keys"),
    ("InvalidAccessKeyId", "the store does not know these keys"),
    ("SignatureDoesNotMatch", "the secret key is wrong"),
    ("Failed to resolve region", "the bucket's region is not known; set AWS_REGION"),
    ("HttpError", NO_ANSWER),
    ("HTTP error: error sending request", NO_ANSWER),
    ("Status { status: 5", "the store fails; what was acknowledged is safe, start again later"),
)
"""What may be wrong with an object store, by a sign in the error, and what to do."""

REMEDY = "restore its files from a copy or fill a new gallery"
CAME_BETWEEN = ("conflict", "concurrent", "lease retry", "not found")

Vector = NDArray[np.float32]
Kind = TypeVar("Kind")
Result = TypeVar("Result")


def schema_of(key: str, **columns: pyarrow.DataType) -> pyarrow.Schema:
    """The columns of a table: its key, a text that no two rows share, and others."""
    first = pyarrow.field(key, pyarrow.string(), nullable=False, metadata=PRIMARY_KEY)
    others = [pyarrow.field(name, kind) for name, kind in columns.items()]
    return pyarrow.schema([first, *others], metadata={FORMAT_KEY: FORMAT})


def conditions(where: Filter) -> Expr | None:
    """What a row must fulfil; None where every row will do.

    These are objects, and stay objects until LanceDB evaluates them: its SQL text of a condition
    does not hold every text that a name may be (`Expr.to_sql` leaves a quote as it is after a
    backslash), so that a name could become a condition of its own.
    """
    found: list[Expr] = []
    if where.ids:
        found.append(col("id").isin(list(where.ids)))
    if where.not_ids:
        found.append(~col("id").isin(list(where.not_ids)))
    if where.camera is not None:
        found.append(col("camera") == where.camera)
    if where.not_camera is not None:
        found.append(col("camera") != where.not_camera)
    for bound in {where.start, where.end} - {None}:  # a date says nothing of undated recordings
        start = col("start_time")
        found.append(start >= DATED_FROM if is_dated(bound) else start < DATED_FROM)
    if where.start is not None:
        found.append(col("end_time") >= float(where.start))
    if where.end is not None:
        found.append(col("start_time") <= float(where.end))
    return reduce(and_, found) if found else None


class Database:
    """A gallery's tables in a folder or an object store.

    Args:
        uri: the folder, or the object store's URL.
        notes: a folder on this machine for the lock.
        cache: bytes that may be held of tables and as many of indices; None for LanceDB's bounds.

    Attributes:
        writable: whether the folder of notes may be written; all is only read otherwise.
        connection: LanceDB's own.
    """

    def __init__(self, uri: str, notes: Path, cache: int | None = None) -> None:
        self.uri, self.notes = uri, notes
        self.writable = os.access(notes, os.W_OK)
        self._tables: dict[str, Table] = {}
        with self.explained("opened"):
            self.connection = lancedb.connect(
                uri,
                read_consistency_interval=timedelta(0),
                session=lancedb.Session(cache, cache),
            )

    @property
    def on_disk(self) -> bool:
        """Whether it lies in a folder."""
        return "://" not in self.uri

    def names(self) -> list[str]:
        """Names of the tables that there are."""
        with self.explained("read"):
            names = sorted(self.connection.list_tables().tables)
        return [name for name in names if self._is_whole(name)]

    def _is_whole(self, name: str) -> bool:
        """Whether a table was made to the end; `make` goes on with one that was cut short."""
        if not self.on_disk:
            return True  # where a file appears whole or not at all
        versions = Path(self.uri) / f"{name}.lance" / "_versions"
        return versions.is_dir() and any(
            file.name.endswith(".manifest") for file in os.scandir(versions)
        )

    def table(self, name: str, schema: pyarrow.Schema | None = None) -> "Table":
        """A table, which may not be there yet; then nothing is in it.

        Args:
            schema: its columns, by which the first `put` makes it.
        """
        known = self._tables.get(name)
        if known is None or (schema is not None and not known.is_there):
            known = self._tables[name] = Table(self, name, schema)
        return known

    def existing(self, name: str) -> "Table":
        """A table that must be there."""
        found = self.table(name)
        if not found.is_there:
            raise ReseenError(f"the gallery {self.uri} is damaged: it has no {name}")
        return found

    def drop(self, name: str) -> None:
        """Delete a table with its files, where it is there."""
        if self.table(name).is_there:
            with self.locked(fcntl.LOCK_EX), self.explained("written"):
                self.connection.drop_table(name)
            del self._tables[name]

    def require_writable(self) -> None:
        """Refuse to write where it may only be read."""
        if not self.writable:
            raise ReseenError(f"the gallery {self.uri} may only be read; see who owns {self.notes}")

    @contextmanager
    def locked(self, kind: int) -> Iterator[None]:
        """Hold the gallery's lock: writers share it, what deletes files has it alone."""
        if not self.writable:
            yield  # who reads a gallery that is not theirs takes their chance
            return
        with writing(self.notes / "lock"):
            lock = os.open(self.notes / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, kind)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def explained(self, done: str) -> Iterator[None]:
        """Turn LanceDB's errors into a line that a user can act on."""
        try:
            yield
        except ReseenError:
            raise
        except Exception as error:  # a panic in its Rust code has a class of its own
            text = str(error)
            if any(sign in text for sign in NO_SPACE):
                raise ReseenError(
                    f"no space left on the disk for the gallery {self.uri}; what was "
                    "acknowledged is safe; free some and start again"
                ) from error
            # Its first line, without the place in LanceDB's source.
            first = re.split(r", \S+\.rs:\d+", text.partition("\n")[0])[0] or "unknown error"
            known = (what for sign, what in STORE_TROUBLES if sign in text and not self.on_disk)
            damaged = "if its files are damaged, restore them from a copy or fill a new gallery"
            what = next(known, None) or f"{first}; {damaged}"
            raise ReseenError(f"the gallery {self.uri} cannot be {done}: {what}") from error


class Table:
    """A table of a gallery's database, whose first column is its key; the first row makes it.

    Attributes:
        schema: its columns; before it is there, those that it will have.
    """

    def __init__(self, database: Database, name: str, schema: pyarrow.Schema | None) -> None:
        self._database, self._name = database, name
        self._table: Any = None
        self.schema = schema or pyarrow.schema([])
        self._counted: tuple[int, dict[Filter, tuple[int, int]]] = (0, {})

    @property
    def is_there(self) -> bool:
        """Whether it has been made, by whatever process."""
        if self._table is None and self._name in self._database.names():
            with self._database.explained("opened"):
                self._take(_again(lambda: self._database.connection.open_table(self._name)))
        return self._table is not None

    def make(self) -> None:
        """Make it where it is missing; the caller has no lock."""
        if self.is_there:
            return
        self._database.require_writable()
        make = self._database.connection.create_table
        with self._database.locked(fcntl.LOCK_EX), self._database.explained("written"):
            self._take(make(self._name, schema=self.schema, exist_ok=True))

    def _take(self, table: Any) -> None:
        found = (table.schema.metadata or {}).get(FORMAT_KEY, b"unknown")
        uri = self._database.uri
        if found == b"1":
            raise ReseenError(
                f"the gallery {uri} is of an earlier version of reseen; convert it with "
                f"reseen gallery upgrade"
            )
        if found != FORMAT:
            raise ReseenError(
                f"the gallery {uri} has the format {found.decode(errors='replace')} but "
                f"this version of reseen reads {FORMAT.decode()}; fill a new gallery"
            )
        self._table, self.schema = table, table.schema

    @property
    def key(self) -> str:
        """The name of the column by which rows are told apart."""
        return str(self.schema.names[0])

    @property
    def dimensions(self) -> int:
        """The length of its vectors."""
        return int(self.schema.field(VECTOR).type.list_size)

    @property
    def version(self) -> int:
        """Another number after every change, by whatever process."""
        with self._database.explained("read"):
            return int(self._table.version) if self.is_there else 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._database.explained("read"):
            return int(self._table.stats()["total_bytes"])

    def put(self, rows: Sequence[dict[str, Any]] | pyarrow.Table, *, replace: bool = False) -> int:
        """Insert the rows whose key is not there yet, in one transaction.

        When this returns, the rows are there; when the process dies before, all or none are.

        Args:
            rows: values by column, those left out are null; or a table.
            replace: write over rows that have the same key.

        Returns:
            How many were inserted.
        """
        if not len(rows):
            return 0
        if not isinstance(rows, pyarrow.Table):
            rows = pyarrow.Table.from_pylist(list(rows), schema=self.schema)
        self._database.require_writable()
        self.make()
        return self.insert(rows, replace)

    def insert(self, rows: pyarrow.Table, replace: bool) -> int:
        """What `put` does to a table that is there."""
        with self._database.locked(fcntl.LOCK_SH), self._database.explained("written"):
            merge = self._table.merge_insert([self.key]).when_not_matched_insert_all()
            # With an index over the keys, two processes that insert one at once both succeed.
            merge = merge.use_index(False)
            merge = merge.when_matched_update_all() if replace else merge
            return int(_again(lambda: merge.execute(rows), COMMIT_ATTEMPTS).num_inserted_rows)

    def count(self, where: Expr | None = None) -> int:
        """How many rows there are, or how many of them are `where`."""
        if not self.is_there:
            return 0
        with self._database.explained("read"):
            if where is None:
                return int(_again(self._table.count_rows))
            # count_rows takes a condition as SQL text only, which is not safe.
            query = self._query([], where).with_row_id(True).limit(None)
            return _again(lambda: sum(map(len, query.to_batches())))

    def read(
        self,
        names: Sequence[str],
        where: Expr | None = None,
        order_by: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> pyarrow.Table:
        """Some columns, and those ordered by, of some rows."""
        names = list(dict.fromkeys([*names, *order_by]))
        if not self.is_there:
            kinds = {field.name: field.type for field in self.schema}
            return pyarrow.table({name: pyarrow.array([], kinds.get(name)) for name in names})
        with self._database.explained("read"):
            query = self._query(names, where)
            if order_by:
                query = query.order_by([{"column_name": name} for name in order_by])
            return _again(query.limit(limit).offset(offset).to_arrow)

    def batches(
        self, names: Sequence[str], where: Expr | None = None
    ) -> Iterator[pyarrow.RecordBatch]:
        """Some columns of some rows, batch after batch, in bounded memory."""
        if not self.is_there:
            return
        with self._database.locked(fcntl.LOCK_SH), self._database.explained("read"):
            yield from self._query(names, where).limit(None).to_batches()

    def nearest(self, vector: Vector, count: int, where: Filter) -> pyarrow.Table:
        """Keys and vectors of rows nearest to a vector, or that an index takes for them.

        Few rows are compared one by one: among them, the index would miss more than it saves.
        """
        searched, rows = self._counts(where)
        probed = FEWEST_PROBED + round(PROBED_SHARE * _partitions(rows))
        condition = conditions(where)
        with self._database.explained("searched"):
            query = self._table.search(vector, vector_column_name=VECTOR, query_type="vector")
            query = query if condition is None else query.where(condition)
            few = searched <= EXACT_UP_TO
            query = query.bypass_vector_index() if few else query.nprobes(probed)
            query = query.distance_type("l2").limit(count).select([self.key, VECTOR, "_distance"])
            # Unlike to_arrow, this does not ask for the table's schema.
            return _again(lambda: query.to_batches().read_all())

    def _counts(self, where: Filter) -> tuple[int, int]:
        """How many rows are `where`, and how many there are.

        They are remembered until the table changes: most searches filter by the same few things,
        and counting takes as long as a tenth of a search.
        """
        version = self.version
        known = self._counted[1] if self._counted[0] == version else {}
        counts = known.get(where) or (self.count(conditions(where)), self.count())
        self._counted = version, known | {where: counts}
        return counts

    def fragments(self, where: Expr | None) -> list[int]:
        """The files in which rows lie, or all of them, by Lance's numbers."""
        with self._database.explained("read"):
            rows = _again(self._query([], where).with_row_id(True).limit(None).to_arrow)
            return [int(number) for number in np.unique(rows["_rowid"].to_numpy() >> FRAGMENT_BITS)]

    def delete(self, where: Expr) -> None:
        """Delete rows: nobody finds them from now on, but their bytes stay until `wipe`."""
        if self.is_there:
            with self._database.explained("cleaned"):
                _again(lambda: self._table.delete(where), COMMIT_ATTEMPTS)

    def wipe(self, fragments: Sequence[int]) -> None:
        """Wipe the bytes of deleted rows from the disk; the caller has the lock alone.

        The fragments that held them are written anew without them, the indices brought up to
        date and all older versions of the table deleted. In an object store, files that a killed
        writer left behind stay for a week: nobody can tell there whether it still writes.
        """
        with self._database.explained("cleaned"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of what is wanted here
            other = {self.schema.names[1]: self.schema.names[1]}
            for fragment in fragments:  # compaction may spare a few dead rows; an update does not
                first, end = fragment << FRAGMENT_BITS, (fragment + 1) << FRAGMENT_BITS
                rows = {"where": f"_rowid >= {first} AND _rowid < {end}", "values_sql": other}
                _again(partial(self._table.update, **rows), COMMIT_ATTEMPTS)
            self._table.delete("false")  # the last change may be a deletion, which names ids
            self._optimise_at_once()
            names = [index.name for index in self._table.list_indices()]
            every = [self._table.index_stats(name) for name in names]
            if any(each is not None and (each.num_indices or 1) > 1 for each in every):
                for name in names:  # only the last part of an index is written anew
                    self._table.drop_index(name)
                self._build_indices()
            self._optimise_at_once()  # now the files of the indices before can go

    def _optimise_at_once(self, *, orphans_too: bool = True) -> None:
        unverified = orphans_too and self._database.on_disk
        self._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=unverified)

    def sweep(self) -> list[Path]:
        """Delete what killed writers left in the table's folder; the caller has the lock alone."""
        folder = Path(self._database.uri) / f"{self._table.name}.lance"

        def files() -> set[Path]:
            return {path for path in folder.rglob("*") if path.is_file()}

        with self._database.explained("cleaned"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of what is wanted here
            for _ in range(2):  # the first merges files, the second removes those before
                self._optimise_at_once(orphans_too=False)
            before = files()
            self._optimise_at_once()
        return sorted(before - files())

    def optimise(self) -> None:
        """Merge small files and bring the indices up to date, when enough has been added."""
        with self._database.explained("optimised"):
            small = self._table.stats()["fragment_stats"]["num_small_fragments"]
            new = self.count() - self.indexed_rows()
            if small > FRAGMENTS_BEFORE_UPKEEP or new > EXACT_UP_TO:
                with self._database.locked(fcntl.LOCK_EX):
                    self._table.optimize(cleanup_older_than=OLD_VERSIONS_KEPT)
                    if self.indexed_rows() * 2 < self.count():
                        self._build_indices()

    def indexed_rows(self) -> int:
        """How many rows its main index knows: that over the vectors, else that over the keys."""
        main = VECTOR if VECTOR in self.schema.names else self.key
        indices = [index for index in self._table.list_indices() if index.name == main]
        return indices[0].num_indexed_rows or 0 if indices else 0

    def _build_indices(self) -> None:
        rows = self.count()
        if rows <= EXACT_UP_TO:
            return
        for name in self.schema.names:
            if name in BITMAP_COLUMNS:
                self._table.create_index(name, config=Bitmap(), name=name)
            elif name in BTREE_COLUMNS:
                self._table.create_index(name, config=BTree(), name=name)
            elif name == VECTOR:
                parts = IvfSq(distance_type="l2", num_partitions=_partitions(rows))
                self._table.create_index(name, config=parts, name=name)

    def _query(self, names: Sequence[str], where: Expr | None = None) -> Any:
        query = self._table.search().select(list(names))
        return query if where is None else query.where(where)


def unpacked(text: str, kind: type[Kind], what: str) -> Kind:
    """What a JSON text in a table says, which is of a kind."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ReseenError(f"the gallery's {what} is damaged; {REMEDY}") from error
    return converted(found, kind, f"the gallery's {what}", REMEDY)


def _partitions(rows: int) -> int:
    """Parts of an index: the more, the less is compared in each, and the more must be looked up."""
    return max(round(min(rows / FEWEST_IN_PARTITION, 2 * math.sqrt(rows))), 1)


def _again(work: Callable[[], Result], attempts: int = READ_ATTEMPTS) -> Result:
    """Do it again, after a growing random pause, where another process came in between.

    That one was making what is read, or wiped it after it was found, or committed a change first.
    """
    for attempt in range(1, attempts):
        try:
            return work()
        except (RuntimeError, OSError, ValueError) as error:
            if not any(sign in str(error).lower() for sign in CAME_BETWEEN):
                raise
            time.sleep(random.uniform(0, 0.05 * attempt))
    return work()
