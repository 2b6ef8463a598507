"""A search on one page: the query on top, below its matches."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reseen.gallery.records import Match, Query
from reseen.gallery.thumbnail import FRAMES, HEIGHT, WIDTH, read_thumbnail
from reseen.report.plots import INK, save, shortened
from reseen.times import show

STRIP, TEXT, GAP = FRAMES * WIDTH, 240, 10
"""Widths of a row's pictures and of its text, and the room around them, in pixels."""

LONGEST_LINE = 46


def contact_sheet(
    query: Query,
    pictures: bytes | None,
    matches: Sequence[Match],
    thumbnails: Mapping[str, bytes],
    path: Path,
) -> None:
    """Draw a search's result as PNG: pictures, distances, camera and time of each match.

    Beside the model's distance stand those of the other extractors, the colour histogram's among
    them, so that nobody takes an untrained network for a good one.

    Args:
        pictures: the query's thumbnail; None leaves its place empty.
        thumbnails: of the matches, by id.
    """
    row = HEIGHT + GAP
    across, down = STRIP + TEXT + 3 * GAP, row * (len(matches) + 1) + 3 * GAP
    figure = Figure(figsize=(across / 100, down / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _draw_row(axes, GAP, pictures, ["query", query.name, f"model {query.model}"])
    axes.axhline(row + GAP, color=INK["muted"], linewidth=0.8)
    for rank, match in enumerate(matches, start=1):
        strip = thumbnails.get(match.entry.id)
        _draw_row(axes, row * rank + 2 * GAP, strip, _lines(rank, match))
    axes.set(xlim=(0, across), ylim=(down, 0))
    save(figure, path)


def _lines(rank: int, match: Match) -> list[str]:
    entry, probability = match.entry, match.probability
    sure = "not calibrated" if probability is None else f"{100 * probability:.1f} %"
    return [
        f"{rank}.  distance {match.distance:.3f}   probability {sure}",
        *(f"     {model} {distance:.3f}" for model, distance in match.beside.items()),
        f"camera {entry.camera}",
        show(entry.start),
        entry.id,
    ]


def _draw_row(axes: Axes, top: float, strip: bytes | None, lines: Sequence[str]) -> None:
    if strip is not None:
        axes.imshow(
            read_thumbnail(strip), extent=(GAP, GAP + STRIP, top + HEIGHT, top), aspect="auto"
        )
    for number, line in enumerate(lines):
        place = STRIP + 2 * GAP, top + 10 + 19 * number
        axes.text(*place, shortened(line, LONGEST_LINE), color=INK["ink"], fontsize=7, va="center")
