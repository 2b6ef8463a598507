"""What people said about matches: right or wrong, kept to train with."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from reseen.files import write_text
from reseen.search.privacy import append_line, read_lines


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
            mark = Mark(line["query"], line["match"], line["same"], line["time"])
            latest[frozenset((mark.query, mark.match))] = mark
        return list(latest.values())

    def forget(self, ids: Collection[str]) -> None:
        """Remove every verdict on these tracklets."""
        marks = self.all()
        kept = [mark for mark in marks if mark.query not in ids and mark.match not in ids]
        if len(kept) < len(marks):
            write_text(self._path, "".join(f"{json.dumps(asdict(mark))}\n" for mark in kept))
