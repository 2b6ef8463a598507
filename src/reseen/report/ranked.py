"""Ranked lists: what some queries found, in pictures, positives framed green, negatives red."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reseen.data.coding import HEIGHT, WIDTH
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.metrics import Scores
from reseen.evaluation.scoring import Augmented, Ranking, augmentations, ranking
from reseen.report.plots import INK, enlarged, middle_pictures, save, shortened

SHOWN = 8
"""How many of the nearest gallery tracklets a row shows."""

POSITIVE, NEGATIVE = "#12805c", "#c8321f"
MARKS = {True: "✓", False: "✗"}


@dataclass(frozen=True)
class RankedTracklet:
    """One gallery tracklet in a row.

    Attributes:
        rank: its place in the ranking, from 1.
        index: its place in the store.
        name: its name.
        camera: the camera's number.
        distance: to the query.
        positive: whether it is the same person in another camera.
    """

    rank: int
    index: int
    name: str
    camera: int
    distance: float
    positive: bool


@dataclass(frozen=True)
class RankedList:
    """One query and what it found.

    Attributes:
        index: the query's place in the store.
        name: the query's name.
        camera: the camera's number.
        found: the nearest gallery tracklets; then the first positive, where it comes later.
        first: rank of the first positive; 0 where the ranking holds none.
    """

    index: int
    name: str
    camera: int
    found: tuple[RankedTracklet, ...]
    first: int


def chosen_rankings(
    query: Augmented, gallery: Augmented, scores: Scores, count: int = 5
) -> list[Ranking]:
    """Rankings of the best, the worst and the median query, and others evenly between them.

    Queries are ordered by average precision, then by the rank of the first match, then as they
    come. Chosen by place alone, they show neither luck nor mishap more often than it happens.

    Args:
        query, gallery: what was scored.
        scores: of the queries.
        count: how many; fewer where fewer queries were scored. An odd number has a median.

    Returns:
        Whole rankings, best query first.
    """
    scored = np.flatnonzero(scores.scored)
    order = np.lexsort((scores.first_ranks[scored], -scores.average_precisions[scored]))
    places = np.linspace(0, len(scored) - 1, min(count, len(scored))).round().astype(int)
    length = len(augmentations(gallery)[0])
    return [ranking(query, gallery, int(index), length) for index in scored[order[places]]]


def rows(store: FrameStore, rankings: Sequence[Ranking]) -> list[RankedList]:
    """Look up the rankings' tracklets in the store that they are of."""
    index = {name: place for place, name in enumerate(store.names)}
    for each in rankings:
        for name in (each.query, *each.names):
            if name not in index:
                raise ReseenError(f"{store.path} has no tracklet {name}; it is of another store")
    return [_row(store, index, each) for each in rankings]


def _row(store: FrameStore, index: dict[str, int], ranked: Ranking) -> RankedList:
    positives = np.flatnonzero(ranked.positive)
    first = int(positives[0]) + 1 if positives.size else 0
    shown = [*range(min(SHOWN, len(ranked.names))), *([first - 1] if first > SHOWN else [])]
    found = tuple(
        RankedTracklet(
            place + 1,
            index[ranked.names[place]],
            ranked.names[place],
            int(store.cameras[index[ranked.names[place]]]),
            float(ranked.distances[place]),
            bool(ranked.positive[place]),
        )
        for place in shown
    )
    query = index[ranked.query]
    return RankedList(query, ranked.query, int(store.cameras[query]), found, first)


def ranked_lists(store: FrameStore, rankings: Sequence[Ranking], path: Path) -> None:
    """Draw rankings to a PNG file: a row for each query, then the nearest gallery tracklets.

    Args:
        store: where the tracklets lie.
        rankings: one or more, of that store.
        path: the file.
    """
    save(ranked_figure(store, rankings), path)


def ranked_figure(store: FrameStore, rankings: Sequence[Ranking]) -> Figure:
    """The picture that `ranked_lists` writes."""
    drawn = rows(store, rankings)
    across = 2 * EDGE + GAP + CELL_WIDTH * (1 + max(len(row.found) for row in drawn))
    down = 2 * EDGE + CELL_HEIGHT * len(drawn)
    figure = Figure(figsize=(across / 60, down / 60))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for number, row in enumerate(drawn):
        _draw_row(axes, store, row, EDGE + number * CELL_HEIGHT)
    axes.set(xlim=(0, across), ylim=(down, 0))
    return figure


CELL_WIDTH, CELL_HEIGHT = WIDTH + 8, HEIGHT + 30
EDGE, GAP = 5, 8
"""Room around all, and between a query and what it found: in pixels of a stored frame, like all
sizes here."""

LONGEST_NAME = 16


def _draw_row(axes: Axes, store: FrameStore, row: RankedList, top: float) -> None:
    lines = ("query", f"camera {row.camera}", row.name)
    _draw_tile(axes, store, row.index, (EDGE, top), INK["ink"], lines)
    for number, found in enumerate(row.found, start=1):
        mark = f"{MARKS[found.positive]} {found.rank}   {found.distance:.2f}"
        lines = (mark, f"camera {found.camera}", found.name)
        corner = (EDGE + GAP + number * CELL_WIDTH, top)
        _draw_tile(
            axes, store, found.index, corner, POSITIVE if found.positive else NEGATIVE, lines
        )


def _draw_tile(
    axes: Axes,
    store: FrameStore,
    index: int,
    corner: tuple[float, float],
    colour: str,
    lines: tuple[str, str, str],
) -> None:
    """A framed picture and three lines below it."""
    left, top = corner
    picture = enlarged(middle_pictures(store, index, 1)[0], 4)
    axes.imshow(picture, extent=(left, left + WIDTH, top + HEIGHT, top), aspect="auto")
    axes.add_patch(
        Rectangle((left, top), WIDTH, HEIGHT, fill=False, edgecolor=colour, linewidth=2.5)
    )
    for number, line in enumerate(lines):
        axes.text(
            left,
            top + HEIGHT + 4 + 7.5 * number,
            shortened(line, LONGEST_NAME),
            fontsize=6,
            fontweight="bold" if number == 0 else "normal",
            color=INK["muted"] if number else colour,
            va="top",
            parse_math=False,  # a name may hold dollars
        )
