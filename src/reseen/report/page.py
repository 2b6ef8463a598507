"""An evaluation as files: one HTML page that needs nothing beside it, pictures, a model card."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from reseen.data.coding import FRAME_SHAPE
from reseen.data.embeddings import joined
from reseen.data.pictures import data_uri, encode_jpeg
from reseen.data.store import FrameStore
from reseen.evaluation.evaluate import Evaluation
from reseen.evaluation.protocol import find_protocol, searched_gallery
from reseen.evaluation.report import COLUMNS, FEATURES, Report
from reseen.evaluation.scoring import Ranking
from reseen.files import write_text
from reseen.network.checkpoint import Run
from reseen.network.embed import AugmentedEmbeddings, best_device
from reseen.network.model_card import CARD_FILE, model_card
from reseen.report.pictures import (
    chosen_rankings,
    enlarged,
    middle_pictures,
    ranked_figure,
    rows,
    strip_figure,
)
from reseen.report.plots import cmc_figure, map_figure, save, svg

RANKINGS = 9
"""Queries shown on a page."""

STRIP = 8
"""Frames of a tracklet that a page plays while it is pointed at; the page's styles know it."""

STRIDE = 3
"""Frames from one to the next: eight of them are about one step of a walk at 25 frames/s."""

PREFERENCE = ("lower", "upper", "spatial", "temporal", "fused", "parts")
"""Which feature kind a page's first sentence is about: the last of these that there is."""


@dataclass(frozen=True)
class PageTable:
    """A table of a section.

    Attributes:
        columns: their headings; the first is the rows' name.
        rows: cells, as many as there are columns.
        published: places in `rows` of those that somebody else has published.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    published: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Illustration:
    """A drawing of a section.

    Attributes:
        svg: an `<svg>` element, from `plots.svg`.
        description: what is to be seen, for those who do not see it.
        caption: the line below it.
    """

    svg: str
    description: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page below the results.

    Attributes:
        tables, pictures: in this order below the text.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[PageTable, ...] = ()
    pictures: tuple[Illustration, ...] = ()


def write_evaluation(
    folder: Path, evaluation: Evaluation, run: Run, store: FrameStore, seconds: float | None = None
) -> Report:
    """Write report.json, report.html, MODEL_CARD.md, cmc.png and ranked.png.

    Args:
        seconds: how long everything took, for the page.
    """
    report = evaluation.report()
    report.save(folder / "report.json")
    write_text(folder / CARD_FILE, model_card(run, report.markdown()))
    own = {
        "run": f"{run.identity}, trained on {len(run.facts.people)} people, "
        f"{len(run.facts.held_out)} held out for the weights of the parts",
        "trial and seed": f"{run.facts.trial}, {run.facts.seed}",
    }
    title = f"Who was found again: {store.dataset}"
    write_pages(folder, report, evaluation, run, store, title, facts(run, store, own, seconds))
    return report


def facts(
    run: Run, store: FrameStore, own: Mapping[str, str], seconds: float | None
) -> dict[str, str]:
    """What the numbers depend on, for the page's details; `own` says more of it."""
    known = {
        "data": f"{store.dataset}, store {store.fingerprint[:12]}, flow {store.flow}",
        **own,
        "versions": ", ".join(f"{name} {value}" for name, value in run.facts.versions.items()),
        "hardware": f"{best_device().type}, {os.cpu_count()} cores, {platform.machine()}",
        "settings": run.config.to_toml(),
    }
    return known if seconds is None else {**known, "time of this call": f"{seconds:,.0f} s"}


def write_pages(
    folder: Path,
    report: Report,
    evaluation: Evaluation,
    run: Run,
    store: FrameStore,
    title: str,
    known: Mapping[str, str],
    sections: Sequence[Section] = (),
) -> None:
    """Write report.html, cmc.png and, of a store that holds pictures, ranked.png.

    Args:
        evaluation: of one run, for ranked lists and pictures; `run` and `store` are its.
        known: what `facts` gave.
        sections: between the results and the pictures.
    """
    save(cmc_figure(report), folder / "cmc.png")
    kind = headline_kind(report)
    query, scores = evaluation.query[kind], evaluation.scores[kind]
    protocol = find_protocol(evaluation.protocol)
    gallery = searched_gallery(protocol, query, evaluation.gallery[kind])
    pictures = store.frame_shape == FRAME_SHAPE
    if pictures:
        few = chosen_rankings(query, gallery, scores, 3)
        save(ranked_figure(store, few), folder / "ranked.png")
    write_page(
        folder / "report.html",
        report,
        title=title,
        store=store if pictures else None,
        rankings=chosen_rankings(query, gallery, scores, RANKINGS),
        sections=[*sections, *picture_sections(run, store, query, gallery)],
        facts=known,
        notes=evaluation.notes,
    )


def picture_sections(
    run: Run, store: FrameStore, query: AugmentedEmbeddings, gallery: AugmentedEmbeddings
) -> list[Section]:
    """What moved the temporal feature of one tracklet, and a map of all features.

    Of a store that holds a trunk's vectors, the map alone.
    """
    chart = Illustration(
        svg(map_figure(joined(query[0], gallery[0]))),
        "Features of query and gallery on their first two principal components.",
        "Each person has a colour, each camera a marker; short lines mean that cameras agree.",
    )
    mapped = Section("A map of the features", pictures=(chart,))
    if store.frame_shape != FRAME_SHAPE:
        return [mapped]
    longest = max(query[0].names, key=lambda name: store.lengths[store.names.index(name)])
    strip = Illustration(
        svg(strip_figure(run, store, store.names.index(longest))),
        f"Frames of {longest}, their flow and how far each frame moves the temporal feature.",
        f"{longest}: pictures, optical flow (hue: direction, depth: speed), and how far the "
        "temporal feature moves when a frame is left out.",
    )
    return [Section("What moves the temporal feature", pictures=(strip,)), mapped]


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
        facts: settings, seeds, versions, hardware, time: what the numbers depend on.
        store: where the rankings' pictures are; without it there are no ranked lists.
        rankings: of `headline_kind`, from `chosen_rankings`.
        notes: what a reader of the numbers must know, a sentence each.
    """
    environment = Environment(
        loader=PackageLoader("reseen.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    means = {
        kind: 100 * np.mean([scores.measures for scores in report.scores(kind)], axis=0)
        for kind in report.kinds
    }
    kind = headline_kind(report)
    low, high = report.intervals(kind)[0]
    headline = {
        "feature": FEATURES[kind],
        "first": f"{means[kind][0]:.1f}",
        "fifth": f"{means[kind][1]:.1f}",
        "low": f"{100 * low:.1f}",
        "high": f"{100 * high:.1f}",
    }
    first = ", ".join(f"{FEATURES[kind]} {means[kind][0]:.1f} %" for kind in report.kinds)
    curves = f"CMC curves from rank 1 to 20. At rank 1: {first}."
    page = environment.get_template("report.html").render(
        title=title,
        report=report,
        headline=headline,
        table=PageTable(COLUMNS, tuple(report.rows())),
        curves=Illustration(svg(cmc_figure(report)), curves),
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


def _shown(store: FrameStore, rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """What the page says and shows of each ranking, as `chosen_rankings` has chosen them."""

    def strip(index: int) -> str:
        pictures = middle_pictures(store, index, STRIP, STRIDE)
        return data_uri(encode_jpeg(np.hstack([enlarged(each, 3) for each in pictures]), 84))

    shown = []
    for place, row in enumerate(rows(store, rankings)):
        way = place / max(len(rankings) - 1, 1)
        names = {0: "Best query", 0.5: "Median query", 1: "Worst query"}
        standing = names.get(way, f"{100 * way:.0f} % of the way from best to worst")
        found = [(found, strip(found.index)) for found in row.found]
        shown.append({"standing": standing, "row": row, "strip": strip(row.index), "found": found})
    return shown
