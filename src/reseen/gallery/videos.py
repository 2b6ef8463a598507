"""Which videos a gallery has taken in, and which it could not, in tables of its database."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow
from lancedb.expr import col

from reseen.gallery.table import Database, schema_of
from reseen.tracking.track import TrackReport

NAME, FAILURES = "videos", "failures"
TEXT, SECONDS, WHOLE = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
REPORTED = ("source", "camera", "tracklets", "frames")
SCHEMA = schema_of("id", source=TEXT, camera=TEXT, tracklets=WHOLE, frames=WHOLE, time=SECONDS)
FAILURES_SCHEMA = schema_of("source", camera=TEXT, error=TEXT, time=SECONDS)


@dataclass(frozen=True, slots=True)
class Failure:
    """A video that could not be taken in.

    Attributes:
        source: the video.
        camera: its camera.
        error: why not, in a line.
        time: when this was found, in seconds since 1970.
    """

    source: str
    camera: str
    error: str
    time: float


class Videos:
    """The videos of a gallery."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def done(self, ids: Sequence[str]) -> set[str]:
        """Those of some videos that are in the gallery from their beginning to their end."""
        table = self._database.find(NAME)
        if table is None or not ids:
            return set()
        return {*table.read(["id"], col("id").isin(list(ids)))["id"].to_pylist()}

    def finish(self, reports: Mapping[str, TrackReport]) -> None:
        """Keep that all of some videos is in the gallery, and that they are no failures any more.

        Args:
            reports: what became of each, by what its content, and all that was asked of it, come
                down to.
        """
        if not reports:
            return
        rows = [
            {name: getattr(report, name) for name in REPORTED} | {"id": id, "time": time.time()}
            for id, report in reports.items()
        ]
        self._database.make(NAME, SCHEMA).put(rows)
        failures = self._database.find(FAILURES)
        same = col("source").isin([report.source for report in reports.values()])
        if failures is not None and failures.count(same):
            failures.delete(same)

    def fail(self, source: str, camera: str, error: str) -> None:
        """Keep why a video could not be taken in."""
        failure = Failure(source, camera, error, time.time())
        self._database.make(FAILURES, FAILURES_SCHEMA).put([asdict(failure)], replace=True)

    def failures(self) -> list[Failure]:
        """The videos that could not be taken in, in the order of time."""
        table = self._database.find(FAILURES)
        if table is None:
            return []
        rows = table.read(FAILURES_SCHEMA.names, order_by=["time"])
        return [Failure(**row) for row in rows.to_pylist()]
