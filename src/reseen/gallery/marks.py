"""What people said about matches: right or wrong, kept to train with."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from reseen.gallery.privacy import append_line, read_lines


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict on two tracklets.

    Attributes:
        query, match: ids of the tracklets.
        same: whether they show the same person.
        time: when this was said, in seconds since 1970.
    """

    query: str
    match: str
    same: bool
    time: float


class Marks:
    """The verdicts of a gallery.

    Args:
        path: a file of JSON lines; made with the first verdict.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, query: str, match: str, *, same: bool) -> None:
        """Write down a verdict; a later one on the same two tracklets replaces it."""
        append_line(self._path, {"query": query, "match": match, "same": same})

    def all(self) -> list[Mark]:
        """The last verdict on every two tracklets, in the order they were first marked."""
        latest: dict[frozenset[str], Mark] = {}
        for line in read_lines(self._path):
            if "forgotten" in line:
                gone = set(line["forgotten"])
                latest = {pair: mark for pair, mark in latest.items() if not pair & gone}
            else:
                mark = Mark(line["query"], line["match"], line["same"], line["time"])
                latest[frozenset((mark.query, mark.match))] = mark
        return list(latest.values())

    def forget(self, ids: Collection[str]) -> None:
        """Drop the verdicts on these tracklets; the file only grows, so that none is lost."""
        concerned = {id for mark in self.all() for id in (mark.query, mark.match)} & set(ids)
        if concerned:
            append_line(self._path, {"forgotten": sorted(concerned)})
