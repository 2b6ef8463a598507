"""The tables that `reproduce` shows, from the scores of all its trials."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reseen.evaluation.intervals import half_t_interval, t_interval
from reseen.evaluation.report import FEATURES, RANKS, FeatureScores, Report
from reseen.experiments.plan import VARIANTS
from reseen.experiments.published import PUBLISHED, Published, Row
from reseen.report.page import Section, Table, headline_kind

RANK_COLUMNS = tuple(f"rank {rank}" for rank in RANKS)
FEATURE_OF = {"mclaughlin": "temporal"}
"""The feature that a variant is meant to be used with; the fused one otherwise."""


@dataclass(frozen=True)
class Results:
    """Everything that `reproduce` measured.

    Attributes:
        variants: a report over all trials for each variant.
        budgets: the same after fewer updates, for each variant.
        metrics: the paper's fused feature under each learned metric.
        left_out: metrics that could not be learned in some trial, and why.
        updates, pairs: the budget of one network.
    """

    variants: Mapping[str, Report]
    budgets: Mapping[str, Mapping[int, Report]]
    metrics: Mapping[str, Report]
    left_out: Mapping[str, str]
    updates: int
    pairs: int

    def document(self) -> dict[str, Any]:
        """All reports as JSON; the paper's own network's is the document's top level."""
        return {
            **self.variants["paper"].document(),
            "updates": self.updates,
            "pairs": self.pairs,
            "variants": {name: report.document() for name, report in self.variants.items()},
            "budgets": {
                name: {str(updates): report.document() for updates, report in budgets.items()}
                for name, budgets in self.budgets.items()
            },
            "metrics": {name: report.document() for name, report in self.metrics.items()},
            "left_out": dict(self.left_out),
        }


def sections(results: Results, dataset: str) -> list[Section]:
    """The paper's tables beside the published numbers, then the ablation.

    Args:
        results: what was measured.
        dataset: where the paper has numbers for it, they are shown, marked as published.
    """
    published = PUBLISHED.get(dataset)
    return [
        _table3(results, published),
        _table1(results, published),
        _table2(results, published),
        _per_trial(results),
        _ablation(results),
        _budgets(results),
    ]


def _table3(results: Results, published: Published | None) -> Section:
    report = results.variants["paper"]
    rows = [_row(FEATURES[kind], report.scores(kind)) for kind in report.kinds]
    rows.append(("chance", *(f"{100 * report.chance[rank - 1]:.1f}" for rank in RANKS), ""))
    known = published.table3 if published else {}
    printed = [_published(f"{FEATURES[kind]}, published", row) for kind, row in known.items()]
    return Section(
        "Table 3: what each feature reaches",
        ("Spatial, temporal and fused come from one network, parts from three.",),
        (_table(rows, printed),),
    )


def _table1(results: Results, published: Published | None) -> Section:
    report = results.variants["paper"]
    ours = report.scores(headline_kind(report))
    rows, compared = [_row("reseen", ours)], ""
    if "mclaughlin" in results.variants:
        scores = results.variants["mclaughlin"].scores("temporal")
        rows.append(_row("McLaughlin et al., trained here", scores))
        compared = f" Against it, ours is {_difference(ours, scores)} points at rank 1 (95 %)."
    known = published.table1 if published else {}
    printed = [_published(f"{name}, published", row) for name, row in known.items()]
    return Section(
        "Table 1: beside other methods",
        (
            "The baseline was trained by this command: the same code, people, updates and "
            f"optimiser, with its own activation, recurrence, clips and loss.{compared}",
        ),
        (_table(rows, printed),),
    )


def _table2(results: Results, published: Published | None) -> Section:
    rows = [_row("fused + Euclidean", results.variants["paper"].scores("fused"))]
    rows += [
        _row(f"fused + {name.upper()}", report.scores("fused"))
        for name, report in results.metrics.items()
    ]
    known = published.table2 if published else {}
    printed = [_published(f"{name}, published", row) for name, row in known.items()]
    return Section(
        "Table 2: Euclidean distance and learned metrics",
        (
            "The metrics are learned on the people that the network was trained on.",
            *(f"{name.upper()} is left out: {why}." for name, why in results.left_out.items()),
        ),
        (_table(rows, printed),),
    )


def _per_trial(results: Results) -> Section:
    report = results.variants["paper"]
    rows = tuple(
        (
            str(trial.trial),
            *(f"{100 * trial.features[kind].curve[0]:.1f}" for kind in report.kinds),
        )
        for trial in report.trials
    )
    columns = ("trial", *(FEATURES[kind] for kind in report.kinds))
    return Section("Rank 1 of every trial", tables=(Table(columns, rows),))


def _ablation(results: Results) -> Section:
    paper = results.variants["paper"].scores("fused")
    rows = []
    for name, report in results.variants.items():
        kind = FEATURE_OF.get(name, "fused")
        rows.append(
            (
                f"{VARIANTS[name].label}, {kind}",
                *(_share(report.scores(each), 0) for each in ("spatial", "temporal", "fused")),
                _interval(_first_ranks(report.scores(kind))),
                "" if name == "paper" else _difference(report.scores(kind), paper),
            )
        )
    columns = ("variant", "spatial", "temporal", "fused", "95 %", "against paper's fused, 95 %")
    caption = (
        f"Rank 1 in %, {results.updates:,} updates of {results.pairs} pairs each; chance is "
        f"{100 * results.variants['paper'].chance[0]:.1f}. The last column is the mean difference "
        "in points over trials on the same people."
    )
    return Section("One change at a time", tables=(Table(columns, tuple(rows), caption),))


def _budgets(results: Results) -> Section:
    updates = [*sorted(next(iter(results.budgets.values()))), results.updates]
    rows = []
    for name, budgets in results.budgets.items():
        kind = FEATURE_OF.get(name, "fused")
        reports = [*(budgets[count] for count in updates[:-1]), results.variants[name]]
        shares = (_share(report.scores(kind), 0) for report in reports)
        rows.append((f"{VARIANTS[name].label}, {kind}", *shares))
    columns = ("variant", *(f"{count * results.pairs:,} pairs" for count in updates))
    return Section(
        "What a smaller budget gives",
        tables=(Table(columns, tuple(rows), "Rank 1 in %, mean ± standard deviation."),),
    )


def _table(rows: Sequence[tuple[str, ...]], printed: Sequence[tuple[str, ...]]) -> Table:
    places = frozenset(range(len(rows), len(rows) + len(printed)))
    columns = ("", *RANK_COLUMNS, "rank 1, 95 %")
    return Table(columns, (*rows, *printed), "In %.", places)


def _row(name: str, scores: Sequence[FeatureScores]) -> tuple[str, ...]:
    shares = (_share(scores, place) for place in range(len(RANKS)))
    return (name, *shares, _interval(_first_ranks(scores)))


def _published(name: str, row: Row) -> tuple[str, ...]:
    return (name, *("–" if value is None else str(value) for value in row), "–")


def _share(scores: Sequence[FeatureScores], measure: int) -> str:
    """Mean and, over several trials, standard deviation in percent."""
    values = 100 * np.array([each.measures[measure] for each in scores])
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def _first_ranks(scores: Iterable[FeatureScores]) -> list[float]:
    return [each.curve[0] for each in scores]


def _interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "one trial"
    low, high = t_interval(np.array(values))
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _difference(scores: Sequence[FeatureScores], other: Sequence[FeatureScores]) -> str:
    """Mean paired difference at rank 1, in points, and its interval over trials."""
    values = 100 * (np.array(_first_ranks(scores)) - np.array(_first_ranks(other)))
    if len(values) < 2:
        return f"{values[0]:+.1f}"
    half = half_t_interval(values)
    return f"{values.mean():+.1f} ({values.mean() - half:+.1f} to {values.mean() + half:+.1f})"
