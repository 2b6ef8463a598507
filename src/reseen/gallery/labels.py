"""What people said about pairs of tracklets: the same person or not, kept to train with."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow

from reseen.gallery.table import Database, schema_of

NAME = "labels"


@dataclass(frozen=True, slots=True)
class Label:
    """A human's word on two tracklets.

    Attributes:
        query, match: ids of the tracklets.
        same: whether they show the same person.
        time: when this was said, in seconds since 1970.
    """

    query: str
    match: str
    same: bool
    time: float


class Labels:
    """The labels of a gallery, in a table of its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, query: str, match: str, *, same: bool) -> None:
        """Keep a label; a later one on the same two tracklets replaces it."""
        self.put([Label(query, match, same, time.time())])

    def put(self, labels: Iterable[Label]) -> None:
        """Keep labels that were given before."""
        self._put(map(asdict, labels))

    def remove(self, query: str, match: str) -> None:
        """Take the label on two tracklets back.

        Its row stays, so that whoever forgets one of the two finds all that is kept of it.
        """
        both = {query, match}
        known = [label for label in self.all() if {label.query, label.match} == both]
        self._put([{**asdict(label), "same": None} for label in known])

    def _put(self, labels: Iterable[dict[str, Any]]) -> None:
        rows = [
            {"pair": json.dumps(sorted((label["query"], label["match"]))), **label}
            for label in labels
        ]
        if rows:
            text = pyarrow.string()
            columns = {"query": text, "match": text, "same": pyarrow.bool_()}
            schema = schema_of("pair", **columns, time=pyarrow.float64())
            self._database.make(NAME, schema).put(rows, replace=True)

    def all(self) -> list[Label]:
        """The last label of every two tracklets, in the order of time."""
        table = self._database.find(NAME)
        if table is None:
            return []
        rows = table.read(["query", "match", "same", "time"], order_by=["time"])
        return [Label(**row) for row in rows.to_pylist() if row["same"] is not None]
