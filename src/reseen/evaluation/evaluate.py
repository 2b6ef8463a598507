"""A run scored on the test people of its trial."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reseen.data.store import FrameStore
from reseen.evaluation.embedding import joined
from reseen.evaluation.feature_map import map_figure
from reseen.evaluation.features import FeatureViews, best_device, embed, final_kind
from reseen.evaluation.metrics import Scores
from reseen.evaluation.page import Picture, Section, write_page
from reseen.evaluation.plots import plot_cmc, svg
from reseen.evaluation.protocol import find_protocol, score_by_protocol, searched_gallery
from reseen.evaluation.ranked import chosen_rankings, ranked_lists
from reseen.evaluation.report import FeatureScores, Report, Trial
from reseen.evaluation.strip import strip_figure
from reseen.network.checkpoint import WEIGHTS_FILE, Run

RANKINGS = 9
"""Queries shown on a report page."""


@dataclass(frozen=True)
class Evaluation:
    """One trial's features and what they reached.

    Attributes:
        query, gallery: features of the split's tracklets, by feature kind.
        scores: of each query, by feature kind.
        trial: the same summed up.
        protocol: the protocol scored under.
        notes: what a reader of the numbers must know, a sentence each.
    """

    query: Mapping[str, FeatureViews]
    gallery: Mapping[str, FeatureViews]
    scores: Mapping[str, Scores]
    trial: Trial
    protocol: str
    notes: tuple[str, ...]

    def report(self, dataset: str) -> Report:
        """A report of this trial alone."""
        return Report(dataset, self.protocol, (self.trial,))


def evaluate(
    run: Run,
    store: FrameStore,
    protocol: str | None = None,
    *,
    reranked: bool = False,
    weights: str = WEIGHTS_FILE,
) -> Evaluation:
    """Score every feature kind of a run on the test people of its trial.

    Args:
        run: a finished run.
        store: the store that it was trained on, or another one.
        protocol: a key of `PROTOCOLS`; by default the data set's own.
        reranked: order the gallery anew by k-reciprocal neighbours.
        weights: name of the networks' files; a snapshot's for a smaller budget.

    Raises:
        ReseenError: the store has no such trial, weights are missing, nobody can be scored.
    """
    split = store.split(run.facts.trial)
    tracklets = sorted({*split.query, *split.gallery})
    place = {index: position for position, index in enumerate(tracklets)}
    features = embed(run, store, tracklets, weights)
    query, gallery = (
        {
            kind: tuple(view.take([place[index] for index in chosen]) for view in views)
            for kind, views in features.items()
        }
        for chosen in (split.query, split.gallery)
    )
    name = protocol or default_protocol(store.dataset)
    scores = {
        kind: score_by_protocol(name, query[kind], gallery[kind], reranked=reranked)
        for kind in features
    }
    summed = {kind: FeatureScores.of(value) for kind, value in scores.items()}
    trial = Trial(run.facts.trial, summed, _part_weights(run) if "parts" in scores else {})
    notes = _notes(run, store)
    if reranked:
        notes = (*notes, "re-ranked by k-reciprocal neighbours; the ranked lists below are not")
    return Evaluation(query, gallery, scores, trial, name, notes)


def _part_weights(run: Run) -> dict[str, float]:
    fusion = run.part_fusion()
    return dict(zip(fusion.PARTS, fusion.weights.tolist(), strict=True))


def default_protocol(dataset: str) -> str:
    """The protocol that a data set's own evaluation follows."""
    return "mars-official" if dataset == "mars" else "cross-camera"


def write_evaluation(
    folder: Path, evaluation: Evaluation, run: Run, store: FrameStore, seconds: float | None = None
) -> Report:
    """Write report.json, report.html, cmc.png and ranked.png.

    Args:
        folder: where to.
        evaluation: what `evaluate` gave.
        run, store: what it was given.
        seconds: how long everything took, for the page.
    """
    report = evaluation.report(store.dataset)
    report.save(folder / "report.json")
    plot_cmc(report, folder / "cmc.png")
    kind = final_kind(run)
    query, protocol = evaluation.query[kind], find_protocol(evaluation.protocol)
    gallery = searched_gallery(protocol, query, evaluation.gallery[kind])
    three = chosen_rankings(query, gallery, evaluation.scores[kind], 3)
    ranked_lists(store, three, folder / "ranked.png")
    write_page(
        folder / "report.html",
        report,
        title=f"Who was found again: {store.dataset}",
        store=store,
        rankings=chosen_rankings(query, gallery, evaluation.scores[kind], RANKINGS),
        sections=picture_sections(run, store, query, gallery),
        facts=_facts(run, store, seconds),
        notes=evaluation.notes,
    )
    return report


def picture_sections(
    run: Run, store: FrameStore, query: FeatureViews, gallery: FeatureViews
) -> list[Section]:
    """What moved the temporal feature of one tracklet, and a map of all features.

    Args:
        run, store: what was evaluated.
        query, gallery: the features that the map shows.
    """
    longest = max(query[0].names, key=lambda name: store.lengths[store.names.index(name)])
    strip = Picture(
        svg(strip_figure(run, store, store.names.index(longest))),
        f"Frames of {longest}, their flow and how far each frame moves the temporal feature.",
        f"{longest}: pictures, optical flow (hue: direction, depth: speed), and how far the "
        "temporal feature moves when a frame is left out.",
    )
    chart = Picture(
        svg(map_figure(joined(query[0], gallery[0]))),
        "Features of query and gallery on their first two principal components.",
        "Each person has a colour, each camera a marker; short lines mean that cameras agree.",
    )
    return [
        Section("What moves the temporal feature", pictures=(strip,)),
        Section("A map of the features", pictures=(chart,)),
    ]


def _facts(run: Run, store: FrameStore, seconds: float | None) -> dict[str, str]:
    """What the numbers depend on, for the page's details."""
    facts = {
        "data": f"{store.dataset}, store {store.fingerprint[:12]}, flow {store.flow}",
        "run": f"{run.identity}, trained on {len(run.facts.people)} people, "
        f"{len(run.facts.held_out)} held out for the weights of the parts",
        "trial and seed": f"{run.facts.trial}, {run.facts.seed}",
        "versions": ", ".join(f"{name} {value}" for name, value in run.facts.versions.items()),
        "hardware": f"{best_device().type}, {os.cpu_count()} cores, {platform.machine()}",
        "settings": run.config.to_toml(),
    }
    if seconds is not None:
        facts["time"] = f"{seconds:,.0f} s"
    return facts


def _notes(run: Run, store: FrameStore) -> tuple[str, ...]:
    if run.facts.store == store.fingerprint:
        return store.notes
    return (
        *store.notes,
        f"the run was trained on another store, of {run.facts.dataset}; if people of this store "
        "were among its training people, the numbers flatter",
    )
