"""What a gallery keeps beside tracklets and embeddings: labels, rejections, members and videos."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import msgspec
import pyarrow
from lancedb.expr import Expr, col

from reseen.gallery.table import Database, schema_of

LABELS, REJECTED, MEMBERS, VIDEOS, FAILURES = "labels", "rejected", "members", "videos", "failures"
TEXT, SECONDS, WHOLE = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
LABELS_SCHEMA = schema_of("pair", query=TEXT, match=TEXT, same=pyarrow.bool_(), time=SECONDS)
REJECTED_SCHEMA = schema_of("id", identity=TEXT, time=SECONDS)
MEMBERS_SCHEMA = schema_of("id", identity=TEXT, probability=SECONDS)
VIDEOS_SCHEMA = schema_of(
    "id", source=TEXT, camera=TEXT, tracklets=WHOLE, frames=WHOLE, time=SECONDS
)
FAILURES_SCHEMA = schema_of("source", camera=TEXT, error=TEXT, time=SECONDS)

Kind = TypeVar("Kind")


class Register(Generic[Kind]):
    """Records of one kind in a table, whose columns are named as the records' fields.

    They come in the order of some of the columns, where these are named.
    """

    def __init__(
        self, database: Database, name: str, schema: pyarrow.Schema, kind: type[Kind], *order: str
    ) -> None:
        self._table, self._kind, self._order = database.table(name, schema), kind, order

    def put(self, records: Sequence[Kind]) -> None:
        """Keep records, in place of those that have their keys."""
        self._table.put(msgspec.to_builtins(records), replace=True)

    def all(self) -> list[Kind]:
        """Every record."""
        return self._read(None)

    def of(self, values: Iterable[Any], column: str | None = None) -> list[Kind]:
        """The records whose key, or another column, is among these values."""
        some = sorted(values)
        return self._read(self._among(some, column)) if some else []

    def drop(self, values: Iterable[Any], column: str | None = None) -> None:
        """Delete these records, where they are there."""
        which = self._among(sorted(values), column)
        if self._table.count(which):
            self._table.delete(which)

    def ids(self) -> tuple[str, ...]:
        """All keys."""
        return tuple(self._table.read([self._table.key])[self._table.key].to_pylist())

    def count(self) -> int:
        """How many records there are."""
        return self._table.count()

    @property
    def version(self) -> int:
        """Another number after every change."""
        return self._table.version

    def _among(self, values: Sequence[Any], column: str | None) -> Expr:
        return col(column or self._table.key).isin(list(values))

    def _read(self, where: Expr | None) -> list[Kind]:
        names = [field.name for field in fields(self._kind)]  # type: ignore[arg-type]
        rows = self._table.read(names, where, self._order).to_pylist()
        return [self._kind(**{name: row[name] for name in names}) for row in rows]


@dataclass(frozen=True, slots=True)
class Label:
    """A human's word on two tracklets.

    Attributes:
        same: whether they show the same person.
        time: when this was said, in seconds since 1970.
    """

    query: str
    match: str
    same: bool
    time: float


class Labels(Register[Label]):
    """What people said about pairs of tracklets, in the order of time, kept to train with."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, LABELS, LABELS_SCHEMA, Label, "time")

    def add(self, query: str, match: str, *, same: bool) -> None:
        """Keep a label; a later one on the same two tracklets replaces it."""
        self.put([Label(query, match, same, time.time())])

    def put(self, records: Sequence[Label]) -> None:
        """Keep labels that were given before."""
        self._put(msgspec.to_builtins(records))

    def remove(self, query: str, match: str) -> None:
        """Take the label on two tracklets back.

        Its row stays, so that whoever forgets one of the two finds all that is kept of it.
        """
        known = self.by_pair().get(frozenset((query, match)))
        self._put([msgspec.to_builtins(known) | {"same": None}] if known else [])

    def said(self, query: str, match: str) -> bool | None:
        """Whether two tracklets are labelled the same; None where nobody has said anything."""
        known = self.by_pair().get(frozenset((query, match)))
        return known.same if known else None

    def all(self) -> list[Label]:
        """The last label of every two tracklets."""
        return [each for each in super().all() if each.same is not None]

    def by_pair(self) -> dict[frozenset[str], Label]:
        """The same by the two tracklets."""
        return {frozenset((each.query, each.match)): each for each in self.all()}

    def _put(self, rows: Sequence[dict[str, Any]]) -> None:
        keyed = [{"pair": json.dumps(sorted((row["query"], row["match"]))), **row} for row in rows]
        self._table.put(keyed, replace=True)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A human's word that a tracklet shows no person, but a chair or a reflection.

    Attributes:
        identity: where it belonged, so that it can go back; None where it belonged nowhere.
        time: when this was said, in seconds since 1970; all that was rejected at once has one.
    """

    id: str
    identity: str | None
    time: float


class Rejected(Register[Rejection]):
    """The rejected tracklets of a gallery, which no search may find, in the order of time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, REJECTED, REJECTED_SCHEMA, Rejection, "time", "id")

    def add(self, ids: Iterable[str], homes: Mapping[str, str]) -> float:
        """Reject tracklets, each with where it belonged; returns the time this was said."""
        now = time.time()
        self._table.put([{"id": id, "identity": homes.get(id), "time": now} for id in ids])
        return now


@dataclass(frozen=True, slots=True)
class Member:
    """A tracklet as part of an identity.

    Attributes:
        identity: the identity's name, which stays as others come and go.
        probability: that it shows the same person as another of the identity's tracklets, on
            average over these; None for who is alone.
    """

    id: str
    identity: str
    probability: float | None


class Members(Register[Member]):
    """Which tracklet belongs to which identity: every tracklet that was looked at."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, MEMBERS, MEMBERS_SCHEMA, Member)

    def homes(self, identities: Iterable[str] | None = None) -> pyarrow.Table:
        """The members of all or some identities as columns, which is less than a list of them."""
        which = None if identities is None else col("identity").isin(sorted(identities))
        return self._table.read(MEMBERS_SCHEMA.names, which)

    def belonging_to(self, identities: Iterable[str]) -> list[Member]:
        """All who belong to these identities."""
        return self.of(identities, "identity")


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A video all of which was taken in; `frames` is in how many people were looked for.

    Attributes:
        id: what its content, and all that was asked of it, come down to.
        time: when that was done, in seconds since 1970.
    """

    id: str
    source: str
    camera: str
    tracklets: int
    frames: int
    time: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A video that could not be taken in; why not, in a line, and when, in seconds since 1970."""

    source: str
    camera: str
    error: str
    time: float


class Videos(Register[TakenIn]):
    """Which videos a gallery has taken in.

    Attributes:
        failures: those that it could not take in, in the order of time.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, VIDEOS, VIDEOS_SCHEMA, TakenIn)
        self.failures = Register(database, FAILURES, FAILURES_SCHEMA, Failure, "time")

    def finish(self, videos: Sequence[TakenIn]) -> None:
        """Keep that all of some videos is in the gallery; they are no failures any more."""
        self.put(videos)
        self.failures.drop(video.source for video in videos)

    def fail(self, source: str, camera: str, error: str) -> None:
        """Keep why a video could not be taken in."""
        self.failures.put([Failure(source, camera, error, time.time())])
