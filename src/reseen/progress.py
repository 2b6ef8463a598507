"""Progress of long work: a bar on a terminal, one line a minute elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

SECONDS_BETWEEN_LINES = 60.0

Advance = Callable[[int], None]


@contextmanager
def progress(what: str, total: int | None, unit: str, done: int = 0) -> Iterator[Advance]:
    """Show how far some work has come, on stderr, with its rate and the time left.

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
    if os.environ.get("RANK", "0") != "0" or parent_process() is not None:
        yield lambda _units: None
        return
    show = _bar if sys.stderr.isatty() else _lines
    with show(what, total, unit, done) as advance:
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
            print(line(), file=sys.stderr, flush=True)  # noqa: T201

    yield advance
    seconds = time.monotonic() - started
    print(f"{what}: {finished:,} {unit} in {seconds:,.1f} s", file=sys.stderr, flush=True)  # noqa: T201
