"""Where people were in the whole pictures of their recordings, and such pictures as were kept."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow
from lancedb.expr import Expr, col

from reseen.data.tracklet import Moment
from reseen.gallery.table import Database, schema_of

PLACES, FRAMES = "places", "frames"
MOST_PLACES = 32
"""Places that are kept of a tracklet, evenly spaced; in between, boxes move in a straight line."""

ROUNDED = 0.001
"""Seconds by which times may differ that were added up in another order."""

Seen = tuple[str, float | None, float | None]
"""A recording, and the first and last second in which somebody was seen in it."""

TEXT, SECONDS = pyarrow.string(), pyarrow.float64()
BOX = pyarrow.list_(pyarrow.float32(), 4)
PLACES_SCHEMA = schema_of(
    "id", source=TEXT, seconds=pyarrow.list_(SECONDS), boxes=pyarrow.list_(BOX)
)
FRAMES_SCHEMA = schema_of(
    "key", id=TEXT, source=TEXT, time=SECONDS, seconds=SECONDS, box=BOX, picture=pyarrow.binary()
)


class Frames:
    """The places and kept pictures of a gallery's tracklets, in two tables of its database."""

    def __init__(self, database: Database) -> None:
        self._places = database.table(PLACES, PLACES_SCHEMA)
        self._frames = database.table(FRAMES, FRAMES_SCHEMA)

    def keep(
        self,
        ids: Sequence[str],
        sources: Sequence[str],
        starts: Sequence[float | None],
        moments: Sequence[tuple[Moment, ...]],
    ) -> None:
        """Keep what is known of tracklets; what is there stays as it is.

        Args:
            ids, sources, starts: (M,) of the tracklets.
            moments: (M,) in time order, the first at the tracklet's start.
        """
        places, frames = list[dict[str, Any]](), list[dict[str, Any]]()
        for id, source, start, all_ in zip(ids, sources, starts, moments, strict=True):
            known = {"id": id, "source": source}
            if all_:
                some = [*all_[: -1 : -(-len(all_) // (MOST_PLACES - 1))], all_[-1]]
                times = {"seconds": [each.seconds for each in some]}
                places.append(known | times | {"boxes": [each.box for each in some]})
            for each in all_:
                if each.picture:
                    when: dict[str, Any] = {"time": (start or 0.0) + each.seconds - all_[0].seconds}
                    when |= {"seconds": each.seconds, "key": f"{id} {each.seconds:.3f}"}
                    frames.append(known | when | {"box": each.box, "picture": each.picture})
        self._places.put(places)
        self._frames.put(frames)

    def places(self, id: str) -> list[Moment]:
        """Where a tracklet's person was, in time order, without pictures."""
        return next(iter(self._seen(col("id") == id)), [])

    def people(self, source: str, first: float, last: float) -> list[list[Moment]]:
        """Where everybody was who is known to be in some seconds of a recording, as `places`."""
        everybody = self._seen(col("source") == source)
        return [one for one in everybody if one[0].seconds <= last and one[-1].seconds >= first]

    def _seen(self, whose: Expr) -> list[list[Moment]]:
        rows = self._places.read(["seconds", "boxes"], whose).to_pylist()
        return [
            [Moment(*place) for place in zip(row["seconds"], map(tuple, row["boxes"]), strict=True)]
            for row in rows
        ]

    def kept(self, id: str) -> list[Moment]:
        """The kept pictures of a tracklet, in time order."""
        columns = ["seconds", "box", "picture"]
        rows = self._frames.read(columns, col("id") == id, ["seconds"]).to_pylist()
        return [Moment(row["seconds"], tuple(row["box"]), row["picture"]) for row in rows]

    def keys(self, ids: Sequence[str]) -> list[str]:
        """Keys of the kept pictures of tracklets."""
        found: list[str] = self._frames.read(["key"], col("id").isin(list(ids)))["key"].to_pylist()
        return found

    def showing(self, seen: Iterable[Seen]) -> list[str]:
        """Keys of the pictures on which somebody may be, whosesoever they are; `seen` is who."""
        found = set[str]()
        for source, start, end in seen:
            here = col("source") == source
            if start is not None and end is not None:
                here &= (col("time") >= start - ROUNDED) & (col("time") <= end + ROUNDED)
            found.update(self._frames.read(["key"], here)["key"].to_pylist())
        return sorted(found)
