"""The report as one HTML page that needs nothing beside it: no network, no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reseen.data.pictures import data_uri, encode_jpeg
from reseen.data.store import FrameStore
from reseen.evaluation.report import COLUMNS, FEATURES, Report
from reseen.evaluation.scoring import Ranking
from reseen.files import write_text
from reseen.report.plots import cmc_figure, enlarged, middle_pictures, svg
from reseen.report.ranked import rows

STRIP = 8
"""Frames of a tracklet that a page plays while it is pointed at; the page's styles know it."""

STRIDE = 3
"""Frames from one to the next: eight of them are about one step of a walk at 25 frames/s."""


@dataclass(frozen=True)
class PageTable:
    """A table of a section.

    Attributes:
        columns: their headings; the first is the rows' name.
        rows: cells, as many as there are columns.
        caption: what the table shows.
        published: places in `rows` of those that somebody else has published.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    published: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Illustration:
    """A picture of a section.

    Attributes:
        content: of a PNG or JPEG file, or an `<svg>` element from `plots.svg`.
        description: what is to be seen, for those who do not see it.
        caption: the line below it.
    """

    content: bytes | str
    description: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page below the results.

    Attributes:
        heading: its title.
        paragraphs: plain text.
        tables, pictures: in this order below the text.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[PageTable, ...] = ()
    pictures: tuple[Illustration, ...] = ()


def write_page(
    path: Path,
    report: Report,
    *,
    title: str,
    facts: Mapping[str, str],
    store: FrameStore | None = None,
    rankings: Sequence[Ranking] = (),
    sections: Sequence[Section] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write a report as HTML.

    Args:
        path: the file.
        report: the scores.
        title: the page's heading.
        facts: settings, seeds, versions, hardware, time: what the numbers depend on.
        store: where the rankings' pictures are; without it there are no ranked lists.
        rankings: of `headline_kind`, from `chosen_rankings`.
        sections: further tables and pictures.
        notes: what a reader of the numbers must know, a sentence each.
    """
    environment = Environment(
        loader=PackageLoader("reseen.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["source"] = _source
    first = ", ".join(
        f"{FEATURES[kind]} {100 * np.mean([each.curve[0] for each in report.scores(kind)]):.1f} %"
        for kind in report.kinds
    )
    page = environment.get_template("report.html").render(
        title=title,
        report=report,
        headline=_headline(report),
        table=PageTable(COLUMNS, tuple(report.rows())),
        curves=Illustration(
            svg(cmc_figure(report)), f"CMC curves from rank 1 to 20. At rank 1: {first}."
        ),
        weights=report.weights,
        rows=[] if store is None else _shown(store, rankings),
        sections=sections,
        facts=facts,
        notes=notes,
    )
    write_text(path, page)


def headline_kind(report: Report) -> str:
    """The feature kind that the page's first sentence is about.

    The paper's final one that there is, never the best: choosing by result would flatter.
    """
    return next(kind for kind in reversed(PREFERENCE) if kind in report.kinds)


PREFERENCE = ("lower", "upper", "spatial", "temporal", "fused", "parts")


def _source(picture: Illustration) -> Markup | str:
    """What to put into the page for a picture: an element, or an image's address."""
    if isinstance(picture.content, str):
        return Markup(picture.content)
    return data_uri(picture.content)


def _headline(report: Report) -> dict[str, str]:
    kind = headline_kind(report)
    means = np.mean([scores.measures for scores in report.scores(kind)], axis=0)
    low, high = report.intervals(kind)[0]
    return {
        "feature": FEATURES[kind],
        "first": f"{100 * means[0]:.1f}",
        "fifth": f"{100 * means[1]:.1f}",
        "low": f"{100 * low:.1f}",
        "high": f"{100 * high:.1f}",
    }


def _shown(store: FrameStore, rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """What the page says and shows of each ranking."""
    return [
        {
            "standing": _standing(place, len(rankings)),
            "row": row,
            "strip": _strip(store, row.index),
            "found": [(found, _strip(store, found.index)) for found in row.found],
        }
        for place, row in enumerate(rows(store, rankings))
    ]


def _standing(place: int, count: int) -> str:
    """Where a query stands among all, as `chosen_rankings` has chosen it."""
    way = place / max(count - 1, 1)
    names = {0: "Best query", 0.5: "Median query", 1: "Worst query"}
    return names.get(way, f"{100 * way:.0f} % of the way from best to worst")


def _strip(store: FrameStore, index: int) -> str:
    """Address of a tracklet's frames side by side."""
    pictures = middle_pictures(store, index, STRIP, STRIDE)
    return data_uri(encode_jpeg(np.hstack([enlarged(picture, 3) for picture in pictures]), 84))
