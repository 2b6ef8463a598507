"""Marked matches as pairs to train with."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO

from reseen.gallery.marks import Mark
from reseen.gallery.records import Entry
from reseen.web.lookup import Lookup


@dataclass(frozen=True)
class TrainingPair:
    """Two tracklets and whether they show the same person, as somebody said.

    Attributes:
        query, match: ids of the tracklets.
        same: whether they show the same person.
        time: when this was said, in seconds since 1970.
        query_camera, match_camera: the views.
        query_source, match_source: the videos or folders they come from.
    """

    query: str
    match: str
    same: bool
    time: float
    query_camera: str
    match_camera: str
    query_source: str
    match_source: str


def marked(lookup: Lookup, marks: Sequence[Mark]) -> list[tuple[Mark, Entry, Entry]]:
    """The verdicts, each with its query and its match."""
    ids = {id for mark in marks for id in (mark.query, mark.match)}
    present = lookup.entries(ids)
    return [
        (mark, present[mark.query], present[mark.match])
        for mark in marks
        if mark.query in present and mark.match in present
    ]


def training_pairs(lookup: Lookup) -> list[TrainingPair]:
    """All verdicts as pairs, in the order they were first marked."""
    return [
        TrainingPair(
            query=mark.query,
            match=mark.match,
            same=mark.same,
            time=mark.time,
            query_camera=query.camera,
            match_camera=match.camera,
            query_source=query.source,
            match_source=match.source,
        )
        for mark, query, match in marked(lookup, lookup.gallery.notes.marks.all())
    ]


def as_csv(pairs: Iterable[TrainingPair]) -> str:
    """A table with a line of column names."""
    text = StringIO(newline="")
    table = csv.DictWriter(text, [field.name for field in fields(TrainingPair)])
    table.writeheader()
    table.writerows(asdict(pair) for pair in pairs)
    return text.getvalue()
