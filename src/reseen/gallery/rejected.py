"""What a human holds to be no person at all, such as a chair or a reflection: a label on one."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pyarrow
from lancedb.expr import Expr, col

from reseen.gallery.table import Database, schema_of

NAME = "rejected"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A human's word that a tracklet shows no person.

    Attributes:
        id: the tracklet.
        identity: where it belonged, so that it can go back; None where it belonged nowhere.
        time: when this was said, in seconds since 1970; all that was rejected at once has one.
    """

    id: str
    identity: str | None
    time: float


class Rejected:
    """The rejected tracklets of a gallery, in a table of its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, ids: Iterable[str], homes: dict[str, str]) -> float:
        """Reject tracklets, each with where it belonged; returns the time this was said."""
        now = time.time()
        schema = schema_of("id", identity=pyarrow.string(), time=pyarrow.float64())
        rows = [asdict(Rejection(id, homes.get(id), now)) for id in ids]
        self._database.make(NAME, schema).put(rows)
        return now

    def take_back(self, ids: Sequence[str]) -> list[Rejection]:
        """Let them be people again; returns what was said of them."""
        found = self.of(ids)
        if found:
            self._database.existing(NAME).delete(col("id").isin([each.id for each in found]))
        return found

    def all(self) -> list[Rejection]:
        """Everything rejected, in the order of time."""
        return self._read(None)

    def of(self, ids: Sequence[str]) -> list[Rejection]:
        """What was said of those of these tracklets that are rejected."""
        return self._read(col("id").isin(list(ids))) if ids else []

    def at(self, time: float) -> list[Rejection]:
        """What was rejected at one time."""
        return self._read(col("time") == time)

    def ids(self) -> tuple[str, ...]:
        """The tracklets that no search may find."""
        table = self._database.find(NAME)
        return () if table is None else tuple(table.read(["id"])["id"].to_pylist())

    def _read(self, where: Expr | None) -> list[Rejection]:
        table = self._database.find(NAME)
        if table is None:
            return []
        rows = table.read(["id", "identity", "time"], where, order_by=["time", "id"])
        return [Rejection(**row) for row in rows.to_pylist()]
