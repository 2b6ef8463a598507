"""Forgetting: gone from every search at once, from the disk in one pass for all that waits."""

import fcntl
import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow
from lancedb.expr import Expr, col

from reseen.errors import ReseenError
from reseen.gallery import table as tables
from reseen.gallery.exports import NAME as EXPORTS
from reseen.gallery.exports import Exports
from reseen.gallery.frames import FRAMES, PLACES, Frames, Seen
from reseen.gallery.integrity import keep_digests
from reseen.gallery.log import LOG_FILE, drop_lines
from reseen.gallery.records import Waiting
from reseen.gallery.registers import LABELS, MEMBERS, REJECTED
from reseen.gallery.settings import Settings
from reseen.gallery.table import EMBEDDINGS, TRACKLETS, Database, Table, schema_of, unpacked
from reseen.times import DATED_FROM, booted, show

SECONDS_IN_DAY = 86_400.0
CLOCK, BOOT = "clock", "boot"
"""The settings that say when it was last looked for what is beyond its time, and after which start
of the machine."""

LEAP, LEAP_WHILE_RUNNING = 90 * SECONDS_IN_DAY, SECONDS_IN_DAY
"""How much later a clock is not believed without a human's word: nobody may have looked for months,
but a machine that has not been started anew since tells how much later it is."""

FORGOT = "forgot"
"""The setting that says when somebody was last forgotten on a human's word."""

CAMERAS = "cameras"
"""Folder beside the log in which live cameras keep how they are doing, and their last pictures."""

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
    """What is forgotten in a gallery's database, when, and what of it is still on the disk.

    A row of the table `waiting` stands for tracklets that were forgotten together. It holds their
    ids until they are deleted from all tables, and where their bytes lie until these are wiped.

    Attributes:
        doubt: why nothing was forgotten whose time is over, and how to go on; None where it was.
    """

    def __init__(self, database: Database, settings: Settings, logged: Callable[..., None]) -> None:
        self._database, self._settings, self._logged = database, settings, logged
        self._tracklets = database.table(TRACKLETS)
        self._frames, self._exports = Frames(database), Exports(database)
        self._forgotten = database.table(FORGOTTEN, schema_of("digest"))
        self._waiting = database.table(WAITING, WAITING_SCHEMA)
        self.doubt: str | None = None

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

    def wipe_when_due(self, now: float | None = None) -> None:
        """Wipe what has waited for ten minutes, or at once where there is little to rewrite."""
        if (waits := self.waiting()) is None:
            return
        large = any(table.count() > tables.EXACT_UP_TO for _, table, _ in self._holding([]))
        if not large or waits.since + WIPE_WITHIN <= (time.time() if now is None else now):
            self.wipe()

    def wipe(self) -> None:
        """Wipe the bytes of all that was forgotten from the disk.

        When this returns, no file of the gallery holds embeddings, thumbnails, labels or ids of
        forgotten tracklets, older versions of the tables included. When the process dies in
        between, the next one begins anew.
        """
        with self._database.locked(fcntl.LOCK_EX):
            rows = self._waiting.read(["key", "fragments"]).to_pylist()
            touched: dict[str, set[int]] = {}
            for row in rows:
                waiting = unpacked(row["fragments"], dict[str, list[int]], WHAT_WAITS)
                for name, fragments in waiting.items():
                    touched.setdefault(name, set()).update(fragments)
            for name, numbers in touched.items():
                self._database.existing(name).wipe(sorted(numbers))
            if rows:
                every = col("key").isin([row["key"] for row in rows])
                self._waiting.wipe(self._waiting.fragments(every))  # the ids, until all was deleted
                self._waiting.delete(every)
        keep_digests(self._database)

    def sweep(self) -> list[Path]:
        """Delete the files that killed writers left, which no version of a table names.

        Returns:
            What was deleted.

        Raises:
            ReseenError: the gallery is no folder: elsewhere nobody can tell whether a writer lives.
        """
        self._database.require_writable()
        if not self._database.on_disk:
            raise ReseenError(
                f"the gallery {self._database.uri} has no lock that all machines heed; what killed "
                "writers left there goes by itself when it is a week old, with the next forget"
            )
        with self._database.locked(fcntl.LOCK_EX):
            names = self._database.names()
            gone = [path for name in names for path in self._database.existing(name).sweep()]
        keep_digests(self._database)
        return gone

    def expire(self, now: float | None = None) -> list[str]:
        """Forget what is beyond its own date or the gallery's retention period.

        Lines of the log go when their own period is over.

        The period counts from when the person was seen, where that is a date, else from when the
        tracklet was added. A clock that has leapt ahead since the last time forgets nobody: what
        is forgotten by mistake is gone for good. `doubt` then says so.

        Args:
            now: seconds since 1970, which are believed; None takes the clock.

        Returns:
            Ids of the removed tracklets.
        """
        clock = time.time() if now is None else now
        log_days, days = self._settings.log_days, self._settings.retention_days
        over = col("keep_until") < clock
        if days is not None:
            limit = clock - days * SECONDS_IN_DAY
            seen = (col("end_time") < limit) & (col("end_time") >= DATED_FROM)
            over = over | seen | (col("added") < limit)
        anybody = self._tracklets.count(over) > 0
        matters = now is None and (anybody or log_days is not None)
        self.doubt = self._doubt(clock, days) if matters else None
        if self.doubt is not None:
            return []
        if clock - (self._settings.get(CLOCK, float) or 0.0) > SECONDS_IN_DAY:
            self._settings.set(CLOCK, clock)
            self._settings.set(BOOT, booted())
        if log_days is not None:
            drop_lines(self._database.notes / LOG_FILE, clock - log_days * SECONDS_IN_DAY)
        if not anybody:
            return []
        self._logged("expire", retention_days=days)
        return self.forget(over)

    def _doubt(self, clock: float, days: float | None) -> str | None:
        """What to say where the clock was set ahead since the last time, as far as can be told."""
        before, boot = self._settings.get(BOOT, tuple[str, float]), booted()
        last = self._settings.get(CLOCK, float) or 0.0
        leapt = 0 < last < clock - LEAP
        if before and boot and before[0] == boot[0]:
            leapt = leapt or boot[1] - before[1] > LEAP_WHILE_RUNNING
        if not leapt:
            return None
        kept = "" if days is None else f" {days:g}"
        return (
            f"nothing was forgotten though its time is over: the clock says {show(clock)}, and was "
            f"at {show(last)} when this was last looked for; if it is right, say so with "
            f"reseen gallery keep {self._database.uri}{kept}"
        )

    def forget(self, condition: Expr) -> list[str]:
        """Delete tracklets and the files about them, and wipe their bytes when due; their ids."""
        ids = self.delete(condition)
        if ids:
            for picture in (self._database.notes / CAMERAS).glob("*.jpg"):
                picture.unlink(missing_ok=True)  # it may show them; soon there is another
        self._exports.clear()
        self._logged("forgotten", count=len(ids))
        self.wipe_when_due()
        return sorted(ids)

    def delete(self, condition: Expr) -> list[str]:
        """Delete tracklets from every table, and the labels on them; returns their ids.

        A salted digest of their crops stays. Their bytes wait to be wiped.
        """
        names = ["id", "digest", "source", "start_time", "end_time"]
        found = self._tracklets.read(names, condition)
        ids, digests, *seen = (found[name].to_pylist() for name in names)
        # Equal crops may have been seen in two places.
        kept = {self._settings.digest(each) for each in digests if each}
        self._forgotten.put([{"digest": each} for each in kept])
        # They may be on pictures that were kept of others.
        self.drop([*ids, *self._frames.showing(zip(*seen, strict=True))], len(ids))
        return list(ids)

    def hide(self, seen: Sequence[Seen]) -> None:
        """Drop the kept pictures on which somebody may be."""
        self.drop(self._frames.showing(seen))

    def hide_since(self, since: float, ids: Sequence[str]) -> None:
        """Drop the whole pictures of tracklets, if somebody was forgotten since a time.

        Who it was is not known any more, so that they may be on any of them.
        """
        if since <= (self._settings.get(FORGOT, float) or 0.0) <= time.time():
            self.drop(self._frames.keys(ids))

    def drop(self, ids: Sequence[str], tracklets: int = 0) -> None:
        """Delete all of some tracklets, and pictures by their keys; so many of them are shown."""
        if not ids:
            return
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
            self._exports.leave(ids)
            self._waiting.put([row | {"ids": json.dumps(list(ids))}])
            self._finish(row, ids)

    def _finish(self, row: dict[str, Any], ids: Sequence[str]) -> None:
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

    def known(self, digests: Collection[str]) -> set[str]:
        """Those of the crops' digests that were forgotten."""
        if not digests:
            return set()
        salted = {self._settings.digest(each): each for each in digests}
        found = self._forgotten.read(["digest"], col("digest").isin(list(salted)))
        return {salted[each] for each in found["digest"].to_pylist()}
