"""The tables that `reproduce` shows, from the scores of all its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reseen.data.datasets import DATASETS
from reseen.data.datasets.common import Printed, Published
from reseen.evaluation.intervals import half_t_interval
from reseen.evaluation.metric_learning import LEARNED_METRICS
from reseen.evaluation.metrics import RANKS
from reseen.evaluation.report import FEATURES, FeatureScores, Report, sample_deviation
from reseen.experiments.modern import MODERN
from reseen.experiments.plan import VARIANTS
from reseen.experiments.rebuilt import NOT_REBUILT, TRAINED
from reseen.report.page import PageTable, Section, headline_kind
from reseen.report.plots import Learning

RANK_COLUMNS = tuple(f"rank {rank}" for rank in RANKS)


@dataclass(frozen=True)
class Results:
    """Everything that `reproduce` measured.

    Attributes:
        variants: a report over all trials for each variant.
        budgets: the same after fewer updates, for each variant.
        metrics: the paper's fused feature under each learned metric.
        rebuilt: other methods of Table 1, where asked for, with one feature each.
        left_out: metrics and methods that could not learn in some trial, and why.
        updates, pairs, clips: the budget of one network; pairs and clips are those of an update.
        modern: the preset `modern` on a pretrained trunk, where asked for.
        trunk_metrics: that trunk's vectors under learned metrics.
    """

    variants: Mapping[str, Report]
    budgets: Mapping[str, Mapping[int, Report]]
    metrics: Mapping[str, Report]
    rebuilt: Mapping[str, Report]
    left_out: Mapping[str, str]
    updates: int
    pairs: int
    clips: int
    modern: Report | None = None
    trunk_metrics: Mapping[str, Report] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """All reports as JSON; the paper's own network's is the document's top level."""
        return {
            **self.variants["paper"].document(),
            "updates": self.updates,
            "pairs": self.pairs,
            "clips": self.clips,
            "variants": _documents(self.variants),
            "budgets": {name: _documents(budgets) for name, budgets in self.budgets.items()},
            "metrics": _documents(self.metrics),
            "rebuilt": _documents(self.rebuilt),
            "left_out": dict(self.left_out),
            "modern": self.modern.document() if self.modern else None,
            "trunk_metrics": _documents(self.trunk_metrics),
        }


def _documents(reports: Mapping[Any, Report]) -> dict[str, Any]:
    return {str(name): report.document() for name, report in reports.items()}


def sections(results: Results, dataset: str) -> list[Section]:
    """The paper's tables beside the published numbers, then the ablation.

    Args:
        results: what was measured.
        dataset: where the paper has numbers for it, they are shown, marked as published.
    """
    published = DATASETS[dataset].published if dataset in DATASETS else None
    shown = [
        _table3(results, published),
        _table1(results, published),
        _table2(results, published),
        _per_trial(results),
        _ablation(results),
    ]
    return [*shown, _budgets(results)] if any(results.budgets.values()) else shown


def _table3(results: Results, published: Published | None) -> Section:
    report = results.variants["paper"]
    rows = [_row(FEATURES[kind], report, kind) for kind in report.kinds]
    rows.append(
        ("chance level", *(f"{100 * report.chance_level[rank - 1]:.1f}" for rank in RANKS), "")
    )
    known = published.table3 if published else {}
    printed = {FEATURES[kind]: row for kind, row in known.items()}
    return Section(
        "Table 3: what each feature reaches",
        ("Spatial, temporal and fused come from one network, parts from three.",),
        (_table(rows, printed),),
    )


def _table1(results: Results, published: Published | None) -> Section:
    report = results.variants["paper"]
    kind = headline_kind(report)
    rows, compared = [_row("reseen", report, kind)], ""
    if "mclaughlin" in results.variants:
        baseline = results.variants["mclaughlin"]
        rows.append(_row("McLaughlin et al., trained here", baseline, "temporal"))
        difference = _difference(report.scores(kind), baseline.scores("temporal"))
        kinds = " (95 %)" if len(report.trials) > 1 else ", in this one trial"
        compared = f" Against it, ours is {difference} points at rank 1{kinds}."
    rows += [
        _row(f"{name}, trained here", rebuilt, rebuilt.kinds[0])
        if name in TRAINED
        else _row(f"{name} on our fused feature, here", rebuilt, "fused")
        for name, rebuilt in results.rebuilt.items()
    ]
    if results.modern:
        rows += [
            _row(label, results.modern, kind)
            for kind, label in MODERN.items()
            if kind in results.modern.kinds
        ]
    rows += [
        _row(f"{name.upper()} of the same trunk's vectors, here", report, "trunk")
        for name, report in results.trunk_metrics.items()
    ]
    absent = "; ".join(f"{name} ({why})" for name, why in NOT_REBUILT.items())
    printed = published.table1 if published else {}
    return Section(
        "Table 1: beside other methods",
        (
            "The baseline was trained by this command: the same code, people, updates and "
            f"optimiser, with its own activation, recurrence, clips and loss.{compared}",
            *_left_out(results, rebuilt=True),
            *((f"Not measured here: {absent}.",) if results.rebuilt else ()),
        ),
        (_table(rows, printed),),
    )


def _table2(results: Results, published: Published | None) -> Section:
    rows = [_row("fused + Euclidean", results.variants["paper"], "fused")]
    rows += [
        _row(f"fused + {name.upper()}", report, "fused") for name, report in results.metrics.items()
    ]
    printed = published.table2 if published else {}
    return Section(
        "Table 2: Euclidean distance and learned metrics",
        (
            "The metrics are learned on the people that the network was trained on.",
            *_left_out(results, rebuilt=False),
        ),
        (_table(rows, printed),),
    )


def _left_out(results: Results, rebuilt: bool) -> list[str]:
    return [
        f"{name.upper()} is left out: {why}."
        for name, why in results.left_out.items()
        if (name not in LEARNED_METRICS) == rebuilt
    ]


def _per_trial(results: Results) -> Section:
    report = results.variants["paper"]
    rows = tuple(
        (str(trial.trial), *(f"{100 * trial.features[kind].curve[0]:.1f}" for kind in report.kinds))
        for trial in report.trials
    )
    columns = ("trial", *(FEATURES[kind] for kind in report.kinds))
    return Section("Rank 1 of every trial", tables=(PageTable(columns, rows),))


def _ablation(results: Results) -> Section:
    paper = results.variants["paper"]
    rows, guessing = [], []
    for name, report in results.variants.items():
        kind = VARIANTS[name].feature
        label = f"{VARIANTS[name].label}, {kind}"
        shares = (_share(report.scores(each), 0) for each in ("spatial", "temporal", "fused"))
        against = _difference(report.scores(kind), paper.scores("fused"))
        rows.append((label, *shares, _interval(report, kind), "" if name == "paper" else against))
        if kind in report.no_better_than_chance:
            guessing.append(label)
    difference = "mean difference in points over trials, and its 95 % interval,"
    if len(paper.trials) == 1:
        difference = "difference in points"
    columns = ("variant", "spatial", "temporal", "fused", "95 %", "against paper's fused")
    caption = (
        f"Rank 1 in %, {results.updates:,} updates of {results.pairs} pairs of {results.clips} "
        f"clips each; the chance level is {100 * paper.chance_level[0]:.1f}. The last "
        f"column is the {difference} on the same people."
    )
    said = (f"No better than chance level at rank 1: {'; '.join(guessing)}.",) if guessing else ()
    return Section("One change at a time", said, (PageTable(columns, tuple(rows), caption),))


def _budgets(results: Results) -> Section:
    updates = [*sorted(next(iter(results.budgets.values()))), results.updates]
    rows = []
    for name, budgets in results.budgets.items():
        kind = VARIANTS[name].feature
        reports = [*(budgets[count] for count in updates[:-1]), results.variants[name]]
        shares = (_share(report.scores(kind), 0) for report in reports)
        rows.append((f"{VARIANTS[name].label}, {kind}", *shares))
    columns = ("variant", *(f"{count * results.pairs:,} pairs" for count in updates))
    caption = "Rank 1 in %; over several trials mean ± standard deviation."
    table = PageTable(columns, tuple(rows), caption)
    return Section("What a smaller budget gives", tables=(table,))


def learning_curves(results: Results) -> dict[str, Learning]:
    """Rank 1 and its 95 % interval of every variant by clips seen, for `learning_figure`."""
    drawn = dict[str, Learning]()
    for name, budgets in results.budgets.items():
        kind = VARIANTS[name].feature
        reports = {**budgets, results.updates: results.variants[name]}
        drawn[f"{name}, {kind}"] = {
            updates * results.clips: (
                float(np.mean([each.curve[0] for each in report.scores(kind)])),
                *report.intervals(kind)[0],
            )
            for updates, report in reports.items()
        }
    return drawn


def _table(rows: Sequence[tuple[str, ...]], printed: Mapping[str, Printed]) -> PageTable:
    """Measured rows, then printed ones, which are marked as published."""
    theirs = [
        (f"{name}, published", *("–" if rank is None else str(rank) for rank in ranks), "–")
        for name, ranks in printed.items()
    ]
    places = frozenset(range(len(rows), len(rows) + len(theirs)))
    columns = ("", *RANK_COLUMNS, "rank 1, 95 %")
    return PageTable(columns, (*rows, *theirs), "In %.", places)


def _row(name: str, report: Report, kind: str) -> tuple[str, ...]:
    shares = (_share(report.scores(kind), place) for place in range(len(RANKS)))
    return (name, *shares, _interval(report, kind))


def _interval(report: Report, kind: str) -> str:
    low, high = report.intervals(kind)[0]
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _share(scores: Sequence[FeatureScores], measure: int) -> str:
    """Mean and, over several trials, standard deviation in percent."""
    values = 100 * np.array([each.measures[measure] for each in scores])
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{values.mean():.1f} ± {sample_deviation(values):.1f}"


def _difference(scores: Sequence[FeatureScores], other: Sequence[FeatureScores]) -> str:
    """Mean paired difference at rank 1, in points; its interval where there are several trials."""
    pairs = zip(scores, other, strict=True)
    values = 100 * np.array([one.curve[0] - two.curve[0] for one, two in pairs])
    if len(values) < 2:
        return f"{values[0]:+.1f}"
    half = half_t_interval(values)
    return f"{values.mean():+.1f} ({values.mean() - half:+.1f} to {values.mean() + half:+.1f})"
