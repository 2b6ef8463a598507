"""Which tracklet belongs to which identity, in a table of the gallery's database."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pyarrow
from lancedb.expr import Expr, col

from reseen.gallery.table import Database, schema_of

NAME = "members"


@dataclass(frozen=True, slots=True)
class Member:
    """A tracklet as part of an identity.

    Attributes:
        id: the tracklet.
        identity: the identity's name, which stays as others come and go.
        probability: that it shows the same person as another of the identity's tracklets, on
            average over these; None for who is alone.
    """

    id: str
    identity: str
    probability: float | None


class Members:
    """The members of a gallery's identities."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, members: Sequence[Member]) -> None:
        """Keep where these tracklets belong, in place of what was known of them."""
        columns = {"identity": pyarrow.string(), "probability": pyarrow.float64()}
        table = self._database.make(NAME, schema_of("id", **columns))
        table.put([asdict(member) for member in members], replace=True)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop what is known of all other tracklets."""
        if gone := {member.id for member in self.all()} - {*ids}:
            self.drop(gone)

    def drop(self, ids: Iterable[str]) -> None:
        """Drop what is known of these tracklets."""
        table = self._database.find(NAME)
        if table is not None:
            table.delete(col("id").isin(sorted(ids)))

    def all(self) -> list[Member]:
        """Every tracklet that was looked at."""
        return self._read(None)

    def homes(self) -> pyarrow.Table:
        """Each tracklet's id and identity as two columns, which is less than a list of members."""
        columns = ["id", "identity"]
        table = self._database.find(NAME)
        if table is None:
            return pyarrow.table([[], []], pyarrow.schema([(c, pyarrow.string()) for c in columns]))
        return table.read(columns)

    def count(self) -> int:
        """How many tracklets were looked at."""
        table = self._database.find(NAME)
        return 0 if table is None else table.count()

    @property
    def version(self) -> int:
        """Another number after every change."""
        table = self._database.find(NAME)
        return 0 if table is None else table.version

    def of(self, ids: Iterable[str]) -> list[Member]:
        """Those of these tracklets that were looked at."""
        return self._read(col("id").isin(sorted(ids)))

    def belonging_to(self, identities: Iterable[str]) -> list[Member]:
        """All who belong to these identities."""
        return self._read(col("identity").isin(sorted(identities)))

    def _read(self, where: Expr | None) -> list[Member]:
        table = self._database.find(NAME)
        if table is None:
            return []
        rows = table.read(["id", "identity", "probability"], where)
        return [Member(**row) for row in rows.to_pylist()]
