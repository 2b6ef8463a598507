"""An evaluation as files: what a person looks at."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from reseen.data.coding import FRAME_SHAPE
from reseen.data.embeddings import joined
from reseen.data.store import FrameStore
from reseen.evaluation.evaluate import Evaluation
from reseen.evaluation.protocol import find_protocol, searched_gallery
from reseen.evaluation.report import Report
from reseen.files import write_text
from reseen.network.checkpoint import Run
from reseen.network.embed import AugmentedEmbeddings, best_device
from reseen.network.model_card import CARD_FILE, model_card
from reseen.report.feature_map import map_figure
from reseen.report.frame_influence import strip_figure
from reseen.report.page import Illustration, Section, headline_kind, write_page
from reseen.report.plots import plot_cmc, svg
from reseen.report.ranked import chosen_rankings, ranked_lists

RANKINGS = 9
"""Queries shown on a report page."""


def write_evaluation(
    folder: Path, evaluation: Evaluation, run: Run, store: FrameStore, seconds: float | None = None
) -> Report:
    """Write report.json, report.html, MODEL_CARD.md, cmc.png and ranked.png.

    Args:
        folder: where to.
        evaluation: what `evaluate` gave.
        run, store: what it was given.
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
        folder: where to.
        report: the numbers.
        evaluation: of one run, for ranked lists and pictures; `run` and `store` are its.
        title: the page's heading.
        known: what `facts` gave.
        sections: between the results and the pictures.
    """
    plot_cmc(report, folder / "cmc.png")
    kind = headline_kind(report)
    query, scores = evaluation.query[kind], evaluation.scores[kind]
    protocol = find_protocol(evaluation.protocol)
    gallery = searched_gallery(protocol, query, evaluation.gallery[kind])
    pictures = store.frame_shape == FRAME_SHAPE
    if pictures:
        ranked_lists(store, chosen_rankings(query, gallery, scores, 3), folder / "ranked.png")
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

    Args:
        run, store: what was evaluated.
        query, gallery: the features that the map shows.
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
