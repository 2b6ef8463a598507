"""The journal of unfinished work: which tracklets already lie in a store's frames file."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from reseen.data.recipe import Recipe, check_unchanged
from reseen.data.store import FRAMES_FILE
from reseen.errors import ReseenError
from reseen.files import cannot_write, sync, write_text

JOURNAL_FILE = "unfinished.jsonl"
SECONDS_BETWEEN_SYNCS = 2.0
"""How much work a kill can cost at most; forcing data to the disk more often slows it down."""


@dataclass(frozen=True)
class Outcome:
    """What became of one tracklet.

    Attributes:
        tracklet: index into the benchmark's tracklets.
        length: frames packed.
        broken: names of the files that could not be read.
    """

    tracklet: int
    length: int
    broken: tuple[str, ...]


class Journal:
    """Tracklets that are done, on disk: a line with the recipe, then one for each tracklet.

    A line is written only after the frames it speaks of have been forced to the disk, so whatever
    kills the program, the power included, the journal never claims too much.
    """

    def __init__(self, path: Path, outcomes: dict[int, Outcome]) -> None:
        self.outcomes = outcomes
        self._path = path
        self._unwritten: list[Outcome] = []
        self._last_sync = time.monotonic()

    @classmethod
    @contextmanager
    def opened(cls, store: Path, recipe: Recipe) -> Iterator["Journal"]:
        """Begin a journal in the folder `store`, or continue the one that lies there.

        Raises:
            ReseenError: it is of another recipe, or the folder holds frames without a journal.
        """
        path = store / JOURNAL_FILE
        if path.exists():
            outcomes = _read(path, recipe)
        else:
            _begin(path, recipe)
            outcomes = {}
        journal = cls(path, outcomes)
        try:
            yield journal
        finally:
            journal.write()

    def add(self, outcome: Outcome) -> None:
        """Note that a tracklet's frames have been written."""
        self.outcomes[outcome.tracklet] = outcome
        self._unwritten.append(outcome)
        if time.monotonic() - self._last_sync >= SECONDS_BETWEEN_SYNCS:
            self.write()

    def write(self) -> None:
        """Force the frames to the disk, then the lines that speak of them."""
        lines = "".join(json.dumps(asdict(outcome)) + "\n" for outcome in self._unwritten)
        if not lines:
            return
        try:
            sync(self._path.with_name(FRAMES_FILE))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)
            sync(self._path)
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._unwritten.clear()
        self._last_sync = time.monotonic()


def _begin(path: Path, recipe: Recipe) -> None:
    frames = path.with_name(FRAMES_FILE)
    if frames.exists():
        raise ReseenError(
            f"nothing tells what {frames} was made from; remove it or choose another --out"
        )
    write_text(path, json.dumps(recipe) + "\n")


def _read(path: Path, recipe: Recipe) -> dict[int, Outcome]:
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(path, len(whole))  # a kill can leave half a line
    try:
        written, *lines = map(json.loads, whole.splitlines())
        outcomes = [
            Outcome(line["tracklet"], line["length"], tuple(line["broken"])) for line in lines
        ]
        check_unchanged(path.parent, written, recipe)
    except (KeyError, TypeError, ValueError) as error:
        raise ReseenError(f"{path} is damaged; remove {path.parent} and start again") from error
    return {outcome.tracklet: outcome for outcome in outcomes}
