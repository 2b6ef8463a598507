"""What the commands print: tables to stdout, notes to stderr."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 160
"""Columns of a table where the output is not a terminal."""


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    """A table whose first column is text and whose others are numbers."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), box=SIMPLE, padding=0)
    for place, column in enumerate(columns):
        # Names are to be copied: they are never shortened.
        table.add_column(column, justify="right" if place else "left", no_wrap=not place)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def print_table(table: "Table") -> None:
    """Print a table, as wide as it needs where the output is not a terminal."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table)


def print_notes(notes: Sequence[str]) -> None:
    """Print what the user must know, a line each."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
