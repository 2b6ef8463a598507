"""What a gallery keeps beside tracklets and embeddings: labels, rejections, members and videos."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import pyarrow
from lancedb.expr import Expr, col

from reseen.gallery.table import Database, Table, schema_of

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

    def __init__(self, table: Table, kind: type[Kind], *order: str) -> None:
        self._table, self._kind, self._order = table, kind, order

    def put(self, records: Sequence[Kind]) -> None:
        """Keep records, in place of those that have their keys."""
        self._table.put(msgspec.to_builtins(records), replace=True)

    def all(self) -> list[Kind]:
        """Every record."""
        return self._read(None)

    def count(self) -> int:
        """How many records there are."""
        return self._table.count()

    @property
    def version(self) -> int:
        """Another number after every change."""
        return self._table.version

    def _read(self, where: Expr | None) -> list[Kind]:
        rows = self._table.read(self._table.schema.names, where, self._order)
        return [self._kind(**row) for row in rows.to_pylist()]


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


class Labels:
    """What people said about pairs of tracklets, kept to train with."""

    def __init__(self, database: Database) -> None:
        self._table = database.table(LABELS, LABELS_SCHEMA)

    def add(self, query: str, match: str, *, same: bool) -> None:
        """Keep a label; a later one on the same two tracklets replaces it."""
        self.put([Label(query, match, same, time.time())])

    def put(self, labels: Iterable[Label]) -> None:
        """Keep labels that were given before."""
        self._put(map(msgspec.to_builtins, labels))

    def remove(self, query: str, match: str) -> None:
        """Take the label on two tracklets back.

        Its row stays, so that whoever forgets one of the two finds all that is kept of it.
        """
        both = {query, match}
        known = [each for each in self.all() if {each.query, each.match} == both]
        self._put(msgspec.to_builtins(each) | {"same": None} for each in known)

    def said(self, query: str, match: str) -> bool | None:
        """Whether two tracklets are labelled the same; None where nobody has said anything."""
        both = {query, match}
        return next((each.same for each in self.all() if {each.query, each.match} == both), None)

    def _put(self, rows: Iterable[dict[str, Any]]) -> None:
        keyed = [{"pair": json.dumps(sorted((row["query"], row["match"]))), **row} for row in rows]
        self._table.put(keyed, replace=True)

    def all(self) -> list[Label]:
        """The last label of every two tracklets, in the order of time."""
        rows = self._table.read(["query", "match", "same", "time"], order_by=["time"]).to_pylist()
        return [Label(**row) for row in rows if row["same"] is not None]


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
    """The rejected tracklets of a gallery, in the order of time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.table(REJECTED, REJECTED_SCHEMA), Rejection, "time", "id")

    def add(self, ids: Iterable[str], homes: Mapping[str, str]) -> float:
        """Reject tracklets, each with where it belonged; returns the time this was said."""
        now = time.time()
        self._table.put([{"id": id, "identity": homes.get(id), "time": now} for id in ids])
        return now

    def take_back(self, ids: Sequence[str]) -> list[Rejection]:
        """Let them be people again; returns what was said of them."""
        found = self.of(ids)
        if found:
            self._table.delete(col("id").isin([each.id for each in found]))
        return found

    def of(self, ids: Sequence[str]) -> list[Rejection]:
        """What was said of those of these tracklets that are rejected."""
        return self._read(col("id").isin(list(ids))) if ids else []

    def at(self, time: float) -> list[Rejection]:
        """What was rejected at one time."""
        return self._read(col("time") == time)

    def ids(self) -> tuple[str, ...]:
        """The tracklets that no search may find."""
        return tuple(self._table.read(["id"])["id"].to_pylist())


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
        super().__init__(database.table(MEMBERS, MEMBERS_SCHEMA), Member)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop what is known of all other tracklets."""
        if gone := {member.id for member in self.all()} - {*ids}:
            self.drop(gone)

    def drop(self, ids: Iterable[str]) -> None:
        """Drop what is known of these tracklets."""
        self._table.delete(col("id").isin(sorted(ids)))

    def homes(self, identities: Iterable[str] | None = None) -> pyarrow.Table:
        """The members of all or some identities as columns, which is less than a list of them."""
        which = None if identities is None else col("identity").isin(sorted(identities))
        return self._table.read(MEMBERS_SCHEMA.names, which)

    def of(self, ids: Iterable[str]) -> list[Member]:
        """Those of these tracklets that were looked at."""
        return self._read(col("id").isin(sorted(ids)))

    def belonging_to(self, identities: Iterable[str]) -> list[Member]:
        """All who belong to these identities."""
        return self._read(col("identity").isin(sorted(identities)))


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


class Videos:
    """Which videos a gallery has taken in, and which it could not."""

    def __init__(self, database: Database) -> None:
        self._table = database.table(VIDEOS, VIDEOS_SCHEMA)
        failures = database.table(FAILURES, FAILURES_SCHEMA)
        self._failures, self._failed = Register(failures, Failure, "time"), failures

    def done(self, ids: Sequence[str]) -> set[str]:
        """Those of some videos that are in the gallery from their beginning to their end."""
        where = col("id").isin(list(ids))
        return {*self._table.read(["id"], where)["id"].to_pylist()} if ids else set()

    def finish(self, videos: Sequence[TakenIn]) -> None:
        """Keep that all of some videos is in the gallery; they are no failures any more."""
        self._table.put(msgspec.to_builtins(videos))
        same = col("source").isin([video.source for video in videos])
        if videos and self._failed.count(same):
            self._failed.delete(same)

    def fail(self, source: str, camera: str, error: str) -> None:
        """Keep why a video could not be taken in."""
        self._failures.put([Failure(source, camera, error, time.time())])

    def failures(self) -> list[Failure]:
        """The videos that could not be taken in, in the order of time."""
        return self._failures.all()
