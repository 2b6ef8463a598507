"""What people see of the work: its progress and notes on stderr, tables on stdout."""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

from reseen.errors import many

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger("reseen")
"""For whatever is said on the way. The commands show it on stderr, without progress if --quiet."""

progress_log = logging.getLogger("reseen.progress")

SECONDS_BETWEEN_LINES = 60.0

WIDTH = 160
"""Columns of a table where the output is not a terminal."""

Advance = Callable[[int], None]

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, ends of lines, what turns the direction of reading, halves of characters."""


def plain(text: str) -> str:
    """A text from outside, such as a file's or a camera's name, as a terminal may show it.

    What could steer the terminal, forge a line or not be printed at all is shown as `\\x1b`.
    """
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class PlainFormatter(logging.Formatter):
    """Writes records of the log as plain text; only a traceback has several lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, its name in logging
        """The record's one line."""
        return plain(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """A traceback."""
        return "\n".join(map(plain, super().formatException(ei).split("\n")))


@contextmanager
def progress(what: str, total: int | None, unit: str, done: int = 0) -> Iterator[Advance]:
    """Show how far some work has come, with its rate and the time left.

    That is a bar on a terminal, and elsewhere a line a minute in the log `reseen.progress`.

    Of several processes that `torchrun` has started, the first one speaks for all; a process that
    works for another leaves it to that one.

    Args:
        what: a word or two for the work, "training full".
        total: how many units there are; None when unknown (a live stream).
        unit: the unit's name in the plural, "frames".
        done: units finished by an earlier, interrupted run.

    Yields:
        A function to call with the number of units just finished.
    """
    quiet = progress_log.level > logging.INFO
    if quiet or os.environ.get("RANK", "0") != "0" or parent_process() is not None:
        yield lambda _units: None
        return
    show = _bar if sys.stderr.isatty() else _lines
    with show(plain(what), total, unit, done) as advance:
        yield advance


@contextmanager
def _bar(what: str, total: int | None, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(
                "" if speed is None else f"{speed:,.1f} {unit}/s", style="progress.data.speed"
            )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda units: bar.advance(task, units)


@contextmanager
def _lines(what: str, total: int | None, unit: str, done: int) -> Iterator[Advance]:
    started = last_line = time.monotonic()
    finished = done

    def line() -> str:
        rate = (finished - done) / max(time.monotonic() - started, 1e-9)
        if total is None:
            return f"{what}: {finished:,} {unit}, {rate:,.1f} {unit}/s"
        left = (total - finished) / rate if rate > 0 else float("inf")
        return f"{what}: {finished:,} of {total:,} {unit}, {rate:,.1f} {unit}/s, {left:,.0f} s left"

    def advance(units: int) -> None:
        nonlocal finished, last_line
        finished += units
        if time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            progress_log.info(line())

    yield advance
    seconds = time.monotonic() - started
    progress_log.info(f"{what}: {many(finished, unit.removesuffix('s'))} in {seconds:,.1f} s")


def make_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = ""
) -> "Table":
    """A table whose first column is text and whose others are numbers."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(plain(title)), caption=escape(plain(caption)), box=SIMPLE, padding=0)
    for place, column in enumerate(columns):
        # Names are to be copied: they are never shortened.
        table.add_column(column, justify="right" if place else "left", no_wrap=not place)
    for row in rows:
        table.add_row(*(escape(plain(cell)) for cell in row))
    return table


def print_table(table: "Table") -> None:
    """Print a table, as wide as it needs where the output is not a terminal."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table)


def print_notes(*notes: str) -> None:
    """Say what the user must know, a line each."""
    for note in notes:
        log.warning(f"note: {note}")
