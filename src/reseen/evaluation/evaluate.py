"""A run scored on the test people of its trial."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reseen.data.store import FrameStore
from reseen.evaluation.features import Views, best_device, embed, final_kind
from reseen.evaluation.metrics import Scores
from reseen.evaluation.page import write_page
from reseen.evaluation.plots import plot_cmc
from reseen.evaluation.protocol import score_by_protocol
from reseen.evaluation.ranked import chosen_rankings
from reseen.evaluation.report import FeatureScores, Report, Trial
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

    query: Mapping[str, Views]
    gallery: Mapping[str, Views]
    scores: Mapping[str, Scores]
    trial: Trial
    protocol: str
    notes: tuple[str, ...]

    def report(self, dataset: str) -> Report:
        """A report of this trial alone."""
        return Report(dataset, self.protocol, (self.trial,))


def evaluate(
    run: Run, store: FrameStore, protocol: str | None = None, weights: str = WEIGHTS_FILE
) -> Evaluation:
    """Score every feature kind of a run on the test people of its trial.

    Args:
        run: a finished run.
        store: the store that it was trained on, or another one.
        protocol: a key of `PROTOCOLS`; by default the data set's own.
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
    scores = {kind: score_by_protocol(name, query[kind], gallery[kind]) for kind in features}
    summed = {kind: FeatureScores.of(value) for kind, value in scores.items()}
    trial = Trial(run.facts.trial, summed, _part_weights(run) if "parts" in scores else {})
    return Evaluation(query, gallery, scores, trial, name, _notes(run, store))


def _part_weights(run: Run) -> dict[str, float]:
    fusion = run.part_fusion()
    return dict(zip(fusion.PARTS, fusion.weights.tolist(), strict=True))


def default_protocol(dataset: str) -> str:
    """The protocol that a data set's own evaluation follows."""
    return "mars-official" if dataset == "mars" else "cross-camera"


def write_evaluation(
    folder: Path, evaluation: Evaluation, run: Run, store: FrameStore, seconds: float | None = None
) -> Report:
    """Write report.json, cmc.png and report.html.

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
    write_page(
        folder / "report.html",
        report,
        title=f"Who was found again: {store.dataset}",
        store=store,
        rankings=chosen_rankings(
            evaluation.query[kind], evaluation.gallery[kind], evaluation.scores[kind], RANKINGS
        ),
        facts=_facts(run, store, seconds),
        notes=evaluation.notes,
    )
    return report


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
