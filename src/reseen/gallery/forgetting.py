"""Forgetting: gone from every search at once, from the disk in one pass for all that waits."""

import fcntl
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import pyarrow
from lancedb.expr import Expr, col

from reseen.gallery import table as tables
from reseen.gallery.exports import NAME as EXPORTS
from reseen.gallery.exports import Exports
from reseen.gallery.frames import FRAMES, PLACES, Frames
from reseen.gallery.records import Waiting
from reseen.gallery.registers import LABELS, MEMBERS, REJECTED
from reseen.gallery.settings import Settings
from reseen.gallery.table import EMBEDDINGS, TRACKLETS, Database, Table, schema_of, unpacked

WIPE_WITHIN = 600.0
"""Seconds after which the bytes of what was forgotten are wiped."""

REPLACED = {MEMBERS, LABELS, EXPORTS, REJECTED}
"""Tables whose rows come and go: older versions may tell of tracklets that this one omits."""

FORGOTTEN, WAITING = "forgotten", "waiting"
WHAT_WAITS = "list of what waits"
WAITING_SCHEMA = schema_of(
    "key",
    since=pyarrow.float64(),
    tracklets=pyarrow.int64(),
    ids=pyarrow.string(),
    fragments=pyarrow.string(),
)


class Forgetting:
    """What is forgotten in a gallery's database, and what of it is still on the disk.

    A row of the table `waiting` stands for tracklets that were forgotten together. It holds their
    ids until they are deleted from all tables, and where their bytes lie until these are wiped.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._forgotten = database.table(FORGOTTEN, schema_of("digest"))
        self._waiting = database.table(WAITING, WAITING_SCHEMA)

    @property
    def version(self) -> int:
        """Another number after every forgetting, by whatever process."""
        return self._waiting.version if self._waiting.is_there else 0

    def waiting(self) -> Waiting | None:
        """What is forgotten and not wiped from the disk yet."""
        rows = self._waiting.read(["since", "tracklets"]).to_pylist()
        if not rows:
            return None
        return Waiting(sum(row["tracklets"] for row in rows), min(row["since"] for row in rows))

    def wipe_when_due(self, now: float) -> bool:
        """Wipe what has waited for ten minutes, or at once where there is little to rewrite.

        Returns:
            Whether anything was wiped.
        """
        waits = self.waiting()
        if waits is None:
            return False
        large = any(table.count() > tables.EXACT_UP_TO for _, table, _ in self._holding([]))
        due = not large or waits.since + WIPE_WITHIN <= now
        if due:
            self.wipe()
        return due

    def wipe(self) -> None:
        """Wipe the bytes of all that was forgotten from the disk.

        When this returns, no file of the gallery holds embeddings, thumbnails, labels or ids of
        forgotten tracklets, older versions of the tables included. When the process dies in
        between, the next one begins anew.
        """
        if not self._waiting.count():
            return
        with self._database.locked(fcntl.LOCK_EX):
            rows = self._waiting.read(["key", "fragments"]).to_pylist()
            touched: dict[str, set[int]] = {}
            for row in rows:
                waiting = unpacked(row["fragments"], dict[str, list[int]], WHAT_WAITS)
                for name, fragments in waiting.items():
                    touched.setdefault(name, set()).update(fragments)
            for name, numbers in touched.items():
                self._database.existing(name).wipe(sorted(numbers))
            every = col("key").isin([row["key"] for row in rows])
            self._waiting.wipe(self._waiting.fragments(every))  # the ids, until all was deleted
            self._waiting.delete(every)

    def forget(self, condition: Expr) -> list[str]:
        """Delete tracklets from every table, and the labels on them; returns their ids.

        A salted digest of their crops stays. Their bytes wait to be wiped.
        """
        names = ["id", "digest", "source", "start_time", "end_time"]
        found = self._database.existing(TRACKLETS).read(names, condition)
        ids: list[str] = found["id"].to_pylist()
        if not ids:
            return []
        # Equal crops may have been seen in two places.
        kept = {self._settings.digest(each) for each in found["digest"].to_pylist() if each}
        self._forgotten.put([{"digest": each} for each in kept])
        # They may be on pictures that were kept of others.
        self.drop([*ids, *Frames(self._database).showing(found.to_pylist())], len(ids))
        return ids

    def hide(self, seen: Sequence[Mapping[str, Any]]) -> None:
        """Drop the kept pictures on which somebody may be; `seen` as for `Frames.showing`."""
        keys = Frames(self._database).showing(seen)
        if keys:
            self.drop(keys, 0)

    def drop(self, ids: list[str], tracklets: int) -> None:
        """Delete all of some tracklets, and pictures by their keys; so many of them are shown."""
        self._waiting.make()
        with self._database.locked(fcntl.LOCK_SH):
            touched = {
                # Where rows are replaced, those before lie dead in any of the others.
                name: fragments
                for name, each, which in self._holding(ids)
                if (fragments := each.fragments(None if name in REPLACED else which))
                or name in REPLACED
            }
            row = {"key": uuid4().hex, "since": time.time(), "tracklets": tracklets}
            row |= {"fragments": json.dumps(touched)}
            Exports(self._database).leave(ids)
            self._waiting.put([row | {"ids": json.dumps(ids)}])
            self._finish(row, ids)

    def _finish(self, row: dict[str, Any], ids: list[str]) -> None:
        for _, holding, which in self._holding(ids):
            if holding.count(which):  # else its log of changes would be all that names them
                holding.delete(which)
        self._waiting.put([row | {"ids": None}], replace=True)

    def finish(self) -> None:
        """Delete what a killed process was about to."""
        for row in self._waiting.read(WAITING_SCHEMA.names).to_pylist():
            if row["ids"] is not None:
                with self._database.locked(fcntl.LOCK_SH):
                    self._finish(row, unpacked(row["ids"], list[str], WHAT_WAITS))

    def _holding(self, ids: Sequence[str]) -> list[tuple[str, Table, Expr]]:
        """The tables that hold tracklets, and which of their rows; first what is shown."""
        chosen = list(ids)
        which = col("id").isin(chosen)
        rows = dict.fromkeys((MEMBERS, EXPORTS, PLACES, REJECTED), which) | {
            FRAMES: which | col("key").isin(chosen),
            LABELS: col("query").isin(chosen) | col("match").isin(chosen),
        }
        there = [name for name in self._database.names() if name in rows]
        models = [name for name in self._database.names() if name.startswith(EMBEDDINGS)]
        every = (TRACKLETS, *models, *there)
        return [(name, self._database.existing(name), rows.get(name, which)) for name in every]

    def known(self, digests: Sequence[str]) -> set[str]:
        """Those of the crops' digests that were forgotten."""
        if not digests:
            return set()
        salted = {self._settings.digest(each): each for each in digests}
        found = self._forgotten.read(["digest"], col("digest").isin(list(salted)))
        return {salted[each] for each in found["digest"].to_pylist()}
