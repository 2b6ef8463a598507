"""The LanceDB table below a gallery: rows go in once, are found, and leave the disk for good."""

import fcntl
import math
import os
import random
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import lancedb
import numpy as np
import pyarrow
from lancedb.expr import Expr
from lancedb.index import Bitmap, BTree, IvfSq
from numpy.typing import NDArray

from reseen.errors import ReseenError

NAME = "tracklets"
FORMAT_KEY, FORMAT = b"reseen.gallery", b"1"
KEY = "key"
PRIMARY_KEY = {b"lance-schema:unenforced-primary-key": b"true"}
"""Without this mark, two processes that insert the same key at once would both succeed."""

EXACT_UP_TO = 10_000
"""So many rows are compared one by one; only among more does an index over the features pay."""

FEWEST_IN_PARTITION = 500
FEWEST_PROBED, PROBED_SHARE = 30, 0.19
"""How many partitions an index has and how many of them a search looks into, so that it misses less
than one in a hundred of the nearest: measured with benchmarks/bench_gallery.py."""

FEATURE_INDEX = "features"
BITMAP_COLUMNS, BTREE_COLUMNS = ("camera", "model"), ("id", "start_time")
FRAGMENTS_BEFORE_UPKEEP = 64
FRAGMENT_BITS = 32
"""Lance numbers a row by its fragment and, in this many lower bits, its place in there."""

OLD_VERSIONS_KEPT = timedelta(minutes=10)
COMMIT_ATTEMPTS, READ_ATTEMPTS = 20, 5
NO_SPACE = ("No space left", "os error 28", "os error 27")
CONFLICT = ("onflict", "oncurrent", "lease retry")

Feature = NDArray[np.float32]
Result = TypeVar("Result")


def schema_of(dimensions: int, stripe_dimensions: int) -> pyarrow.Schema:
    """The columns of a gallery whose features are `dimensions` numbers long.

    What is filtered by has a column of its own. `entry` repeats it with all else that is shown,
    as JSON: to read the rows that a search found costs as much time as there are columns.
    """
    text, seconds = pyarrow.string(), pyarrow.float64()
    fields = [
        pyarrow.field(KEY, text, nullable=False, metadata=PRIMARY_KEY),
        pyarrow.field("id", text, nullable=False),
        pyarrow.field("model", text, nullable=False),
        pyarrow.field("camera", text, nullable=False),
        pyarrow.field("start_time", seconds),
        pyarrow.field("end_time", seconds),
        pyarrow.field("added", seconds, nullable=False),
        pyarrow.field("keep_until", seconds),
        pyarrow.field("entry", text, nullable=False),
        pyarrow.field("thumbnail", pyarrow.binary()),
        pyarrow.field("feature", pyarrow.list_(pyarrow.float32(), dimensions), nullable=False),
        pyarrow.field("stripes", pyarrow.list_(pyarrow.float32(), stripe_dimensions)),
    ]
    return pyarrow.schema(fields, metadata={FORMAT_KEY: FORMAT})


class Table:
    """One LanceDB table in a folder or an object store.

    Args:
        uri: the folder, or the object store's URL.
        notes: a folder on this machine for the lock and the note of an unfinished wipe.

    Attributes:
        schema: the table's columns; None before anything was added.

    Raises:
        ReseenError: the table is of another format or damaged.
    """

    def __init__(self, uri: str, notes: Path) -> None:
        self.uri = uri
        self._notes = notes
        self._counted_version, self._counted = 0, dict[str, tuple[int, int]]()
        with self._explained("opened"):
            self._database = lancedb.connect(uri, read_consistency_interval=timedelta(0))
            self._table, self.schema = self._found()
        if self._unfinished.exists():
            self._finish_wipe()

    def _found(self) -> tuple[Any, pyarrow.Schema | None]:
        if NAME not in self._database.list_tables().tables:
            return None, None
        table = self._database.open_table(NAME)
        schema = table.schema
        found = (schema.metadata or {}).get(FORMAT_KEY, b"unknown")
        if found != FORMAT:
            raise ReseenError(
                f"the gallery {self.uri} has the format {found.decode(errors='replace')} but this "
                f"version of reseen reads {FORMAT.decode()}; fill a new gallery"
            )
        return table, schema

    @property
    def version(self) -> int:
        """Another number after every change, by whatever process; 0 before the first."""
        if self._table is None:
            return 0
        with self._explained("read"):
            return int(self._table.version)

    def create(self, schema: pyarrow.Schema) -> None:
        """Make the table unless another process just did."""
        with self._explained("written"), self._locked(fcntl.LOCK_EX):
            self._database.create_table(NAME, schema=schema, exist_ok=True)
            self._table, self.schema = self._found()

    def insert(self, rows: pyarrow.Table) -> int:
        """Insert the rows whose key is not there yet, in one transaction; returns their number.

        When this returns, the rows are there; when the process dies before, all or none are.
        """
        with self._explained("written"), self._locked(fcntl.LOCK_SH):
            merge = self._table.merge_insert([KEY]).when_not_matched_insert_all()
            # "null" lets rows without stripes pass; all other features were checked before.
            done = _retried(lambda: merge.execute(rows, on_bad_vectors="null"))
            return int(done.num_inserted_rows)

    def count(self, where: Expr | None = None) -> int:
        """How many rows there are, or how many of them are `where`."""
        if self._table is None:
            return 0
        sql = None if where is None else where.to_sql()
        with self._explained("read"):
            return int(_reread(lambda: self._table.count_rows(sql)))

    def size(self) -> int:
        """Bytes on disk."""
        if self._table is None:
            return 0
        with self._explained("read"):
            return int(self._table.stats()["total_bytes"])

    def read(
        self,
        names: Sequence[str],
        where: Expr | None = None,
        order_by: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> pyarrow.Table:
        """Some columns, and those ordered by, of some rows."""
        if self._table is None:
            return schema_of(1, 1).empty_table().select(list(names))
        with self._explained("read"):
            query = self._query([*names, *order_by], where)
            if order_by:
                query = query.order_by([{"column_name": name} for name in order_by])
            return _reread(query.limit(limit).offset(offset).to_arrow)

    def batches(
        self, names: Sequence[str], where: Expr | None = None
    ) -> Iterator[pyarrow.RecordBatch]:
        """Some columns of some rows, batch after batch, in bounded memory."""
        if self._table is None:
            return
        with self._explained("read"), self._locked(fcntl.LOCK_SH):
            yield from self._query(names, where).limit(None).to_batches()

    def candidates(
        self, feature: Feature, count: int, names: Sequence[str], where: Expr | None
    ) -> pyarrow.Table:
        """Some columns of the rows that are nearest to a feature, or that an index takes for them.

        Few rows are compared one by one: among them, the index would miss more than it saves.
        """
        searched, rows = self._counts(where)
        few = searched <= EXACT_UP_TO
        probed = FEWEST_PROBED + round(PROBED_SHARE * _partitions(rows))
        with self._explained("searched"):
            query = self._table.search(feature, vector_column_name="feature", query_type="vector")
            query = query if where is None else query.where(where)
            query = query.bypass_vector_index() if few else query.nprobes(probed)
            query = query.distance_type("l2").limit(count).select([*names, "_distance"])
            # Unlike to_arrow, this does not ask for the table's schema.
            return _reread(lambda: query.to_batches().read_all())

    def _counts(self, where: Expr | None) -> tuple[int, int]:
        """How many rows are `where`, and how many there are.

        They are remembered until the table changes: most searches filter by the same few things,
        and counting takes as long as a tenth of a search.
        """
        version, what = self.version, "" if where is None else where.to_sql()
        known = self._counted if self._counted_version == version else {}
        counts = known.get(what) or (self.count(where), self.count())
        self._counted_version, self._counted = version, known | {what: counts}
        return counts

    def remove(self, where: Expr) -> list[str]:
        """Delete rows and wipe their bytes from the disk; returns their tracklets' ids.

        The fragments that held them are written anew without them, the indices rebuilt and all
        older versions of the table deleted. When the process dies in between, the next one
        that opens the table finishes this. In an object store, files that a killed writer left
        behind stay for a week: nobody can tell there whether it still writes.
        """
        if self._table is None:
            return []
        with self._explained("cleaned"), self._locked(fcntl.LOCK_EX):
            doomed = self._query(["id"], where).with_row_id(True).limit(None).to_arrow()
            fragments = np.unique(doomed["_rowid"].to_numpy() >> FRAGMENT_BITS)
            if len(doomed):
                self._unfinished.touch()
                _retried(lambda: self._table.delete(where))
                self._wipe(fragments)
            return sorted(set(doomed["id"].to_pylist()))

    def optimise(self) -> None:
        """Merge small files and bring the indices up to date, when enough has been added."""
        if self._table is not None and self._neglected():
            with self._explained("optimised"), self._locked(fcntl.LOCK_EX):
                self._table.optimize(cleanup_older_than=OLD_VERSIONS_KEPT)
                if self._indexed_rows() * 2 < self.count():
                    self._build_indices()

    def _neglected(self) -> bool:
        with self._explained("read"):
            small = self._table.stats()["fragment_stats"]["num_small_fragments"]
            not_indexed = self.count() - self._indexed_rows()
        return small > FRAGMENTS_BEFORE_UPKEEP or not_indexed > EXACT_UP_TO

    def _indexed_rows(self) -> int:
        indices = [index for index in self._table.list_indices() if index.name == FEATURE_INDEX]
        return indices[0].num_indexed_rows or 0 if indices else 0

    def _build_indices(self) -> None:
        rows = self.count()
        if rows <= EXACT_UP_TO:
            return
        partitions = IvfSq(distance_type="l2", num_partitions=_partitions(rows))
        kinds = dict.fromkeys(BITMAP_COLUMNS, Bitmap()) | dict.fromkeys(BTREE_COLUMNS, BTree())
        for name, kind in kinds.items():
            self._table.create_index(name, config=kind)
        self._table.create_index("feature", config=partitions, name=FEATURE_INDEX)

    def _wipe(self, fragments: NDArray[np.uint64]) -> None:
        for fragment in fragments:
            self._rewrite(int(fragment))
        for index in self._table.list_indices():
            self._table.drop_index(index.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of what is wanted here
            self._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=self._on_disk)
        self._unfinished.unlink(missing_ok=True)
        self._build_indices()

    def _rewrite(self, fragment: int) -> None:
        """Copy the fragment's remaining rows to a new one: compaction may spare a few dead rows."""
        first, end = fragment << FRAGMENT_BITS, (fragment + 1) << FRAGMENT_BITS
        where = f"_rowid >= {first} AND _rowid < {end}"
        _retried(lambda: self._table.update(where=where, values_sql={"camera": "camera"}))

    def _finish_wipe(self) -> None:
        with self._explained("cleaned"), self._locked(fcntl.LOCK_EX):
            if self._unfinished.exists():
                rows = self._query([KEY]).with_row_id(True).limit(None).to_arrow()
                self._wipe(np.unique(rows["_rowid"].to_numpy() >> FRAGMENT_BITS))

    def _query(self, names: Sequence[str], where: Expr | None = None) -> Any:
        query = self._table.search().select(list(names))
        return query if where is None else query.where(where)

    @property
    def _on_disk(self) -> bool:
        return "://" not in self.uri

    @property
    def _unfinished(self) -> Path:
        return self._notes / "wipe-unfinished"

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold the gallery's lock: writers share it, what deletes files has it alone."""
        lock = os.open(self._notes / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, kind)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
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
            raise ReseenError(
                f"the gallery {self.uri} cannot be {done}: {_first_line(text)}; if its files are "
                "damaged, restore them from a copy or fill a new gallery"
            ) from error


def _partitions(rows: int) -> int:
    """Parts of an index: the more, the less is compared in each, and the more must be looked up."""
    return max(round(min(rows / FEWEST_IN_PARTITION, 2 * math.sqrt(rows))), 1)


def _retried(commit: Callable[[], Result]) -> Result:
    """Try again, after a growing random pause, what lost against another process's commit."""
    for attempt in range(COMMIT_ATTEMPTS):
        try:
            return commit()
        except (RuntimeError, OSError) as error:
            lost = any(sign in str(error) for sign in CONFLICT)
            if not lost or attempt == COMMIT_ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))
    raise AssertionError("unreachable")


def _reread(read: Callable[[], Result]) -> Result:
    """Read again what another process wiped between finding its files and reading them."""
    for _ in range(READ_ATTEMPTS - 1):
        try:
            return read()
        except (RuntimeError, OSError, ValueError) as error:
            if "Not found" not in str(error):
                raise
    return read()


def _first_line(text: str) -> str:
    """The first line of one of LanceDB's errors, without its place in LanceDB's source."""
    return re.split(r", \S+\.rs:\d+", text.partition("\n")[0])[0] or "unknown error"
