"""Scores of all trials and feature kinds: mean, spread, interval, table and file."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.evaluation.intervals import effective_queries, t_interval, wilson_interval
from reseen.evaluation.metrics import RANKS, Scores
from reseen.files import read_as, write_json
from reseen.progress import make_table

if TYPE_CHECKING:
    from rich.table import Table

FEATURES = {
    "colours": "colours alone",
    "trunk": "trunk, mean",
    "trunk-lda": "trunk + LDA",
    "spatial": "spatial (CNN)",
    "temporal": "temporal (RNN)",
    "fused": "fused (CNN+RNN)",
    "upper": "upper",
    "lower": "lower",
    "parts": "parts (Fusion)",
}
"""Feature kinds in the order of the table: what stands beside the network, then what it gives, as
the paper's table 3 calls it."""

MEASURES = (*map(str, RANKS), "mAP")
"""The numbers of a table's row, as the report's JSON calls them."""

COLUMNS = ("feature", *(f"rank {rank}" for rank in RANKS), "mAP", "rank 1, 95 %")

Numbers = NDArray[np.float64]


class FeatureScores(
    msgspec.Struct,
    frozen=True,
    rename={"mean_average_precision": "mAP", "mean_inverse_negative_penalty": "mINP"},
):
    """What one feature kind reached in one trial. Shares are fractions, not percentages.

    Attributes:
        curve: CMC from rank 1 on, at least to the last of `RANKS`.
        mean_average_precision, mean_inverse_negative_penalty: over the scored queries.
        queries: how many were scored.
        unscored: how many had no match in the gallery.
        effective_queries: how many independent observations the scored queries are worth.
        chance_level: the CMC curve to expect of rankings in random order.
    """

    curve: tuple[float, ...]
    mean_average_precision: float
    mean_inverse_negative_penalty: float
    queries: int
    unscored: int
    effective_queries: float
    chance_level: tuple[float, ...]

    @classmethod
    def of(cls, scores: Scores) -> "FeatureScores":
        """Sum up the scores of one search."""
        return cls(
            tuple(scores.cmc.tolist()),
            scores.mean_average_precision,
            scores.mean_inverse_negative_penalty,
            scores.queries,
            scores.unscored,
            effective_queries(scores.persons[scores.scored]),
            tuple(scores.chance_level.tolist()),
        )

    @property
    def measures(self) -> tuple[float, ...]:
        """The values of `MEASURES`."""
        return (*(self.curve[rank - 1] for rank in RANKS), self.mean_average_precision)

    def document(self) -> dict[str, Any]:
        """These scores as they stand in the report's JSON."""
        shown = {str(rank): self.curve[rank - 1] for rank in RANKS}
        return {"cmc": shown, **msgspec.to_builtins(self)}


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """One random half/half split, trained and scored.

    Attributes:
        trial: its number, from 0.
        features: scores by feature kind, keys of `FEATURES`.
        weights: the learned weights of equation (10) by body part; empty without parts.
    """

    trial: int
    features: dict[str, FeatureScores]
    weights: dict[str, float] = {}


class Report(msgspec.Struct, frozen=True):
    """Scores of a data set under one protocol.

    Attributes:
        protocol: a key of `PROTOCOLS`.
        trials: at least one; all hold the same feature kinds.
    """

    dataset: str
    protocol: str
    trials: tuple[Trial, ...]

    def __post_init__(self) -> None:
        if not self.trials:
            raise ReseenError("a report needs at least one trial")
        unknown = set(self.trials[0].features) - set(FEATURES)
        if unknown:
            raise ReseenError(f"no feature kind {min(unknown)!r}; there are {', '.join(FEATURES)}")
        for trial in self.trials:
            if set(trial.features) != set(self.kinds):
                raise ReseenError(
                    f"trial {trial.trial} scores {', '.join(trial.features)} "
                    f"but trial {self.trials[0].trial} {', '.join(self.kinds)}"
                )

    @property
    def kinds(self) -> list[str]:
        """The feature kinds, in the order of the table."""
        order = list(FEATURES)
        return sorted(self.trials[0].features, key=order.index)

    def scores(self, kind: str) -> list[FeatureScores]:
        """One feature kind's scores, trial by trial."""
        return [trial.features[kind] for trial in self.trials]

    def over_trials(self, statistic: Callable[[Numbers], float]) -> dict[str, Any]:
        """A statistic over trials of each number, by feature kind, as in the report's JSON."""
        return {
            kind: _combine(statistic, [scores.document() for scores in self.scores(kind)])
            for kind in self.kinds
        }

    def intervals(self, kind: str) -> list[tuple[float, float]]:
        """95 % intervals of `FeatureScores.measures`.

        Over trials by `t_interval`; where there is one trial only, over people by
        `wilson_interval`.
        """
        scores = self.scores(kind)
        if len(scores) == 1:
            return [
                wilson_interval(value, scores[0].effective_queries) for value in scores[0].measures
            ]
        return [t_interval(values) for values in _by_measure(scores)]

    def document(self) -> dict[str, Any]:
        """The report as JSON: all shares are fractions; `std` is null for a single trial."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        for trial, written in zip(self.trials, document["trials"], strict=True):
            written["features"] = {
                kind: scores.document() for kind, scores in trial.features.items()
            }
        return {
            **document,
            "mean": self.over_trials(np.mean),
            "std": self.over_trials(sample_deviation) if len(self.trials) > 1 else None,
            "interval": {
                kind: dict(zip(MEASURES, self.intervals(kind), strict=True)) for kind in self.kinds
            },
        }

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        write_json(path, self.document())

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Read what `save` wrote; means, deviations and intervals follow anew from the trials."""
        return read_as(path, cls, "score the run again")

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, in percent, one row for each feature kind; see `COLUMNS`."""
        rows = []
        for kind in self.kinds:
            low, high = self.intervals(kind)[0]
            numbers = [_percent(values) for values in _by_measure(self.scores(kind))]
            rows.append((FEATURES[kind], *numbers, f"{100 * low:.1f}-{100 * high:.1f}"))
        chance = (f"{100 * self.chance_level[rank - 1]:.1f}" for rank in RANKS)
        return [*rows, ("chance level", *chance, "–", "")]

    @property
    def chance_level(self) -> Numbers:
        """The CMC curve to expect of rankings in random order, the mean over trials."""
        curves: Numbers = np.mean(
            [scores.chance_level for scores in self.scores(self.kinds[0])], axis=0
        )
        return curves

    @property
    def no_better_than_chance(self) -> list[str]:
        """The feature kinds whose interval at rank 1 holds the chance level, or lies below it."""
        return [kind for kind in self.kinds if self.intervals(kind)[0][0] <= self.chance_level[0]]

    @property
    def title(self) -> str:
        """Data set, protocol, number of trials and unit."""
        trials = "1 trial" if len(self.trials) == 1 else f"{len(self.trials)} trials, mean±std"
        return f"{self.dataset}, {self.protocol}, {trials}, in %"

    @property
    def weights(self) -> dict[str, float]:
        """Mean weights of equation (10) over trials, by body part; empty where there are none."""
        weights = [trial.weights for trial in self.trials]
        means: dict[str, float] = _combine(np.mean, weights) if all(weights) else {}
        return means

    @property
    def caption(self) -> str:
        """Queries scored and unscored, mean weights of equation (10), who is at chance level."""
        scores = self.scores(self.kinds[0])
        queries = sum(each.queries for each in scores)
        unscored = sum(each.unscored for each in scores)
        words = [f"{queries:,} queries scored, {unscored:,} unscored for want of a match"]
        if self.weights:
            weights = (f"{part} {weight:.2f}" for part, weight in self.weights.items())
            words.append(f"weights {', '.join(weights)}")
        if guessing := self.no_better_than_chance:
            words.append(f"at rank 1 no better than chance level: {', '.join(guessing)}")
        return "; ".join(words)

    def table(self) -> "Table":
        """The scores as a table for the terminal."""
        return make_table(self.title, COLUMNS, self.rows(), self.caption)

    def markdown(self) -> str:
        """The scores as a Markdown table."""
        table = markdown_table(COLUMNS, self.rows())
        return f"**{self.title}**\n\n{table}\n\n{self.caption}\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _by_measure(scores: list[FeatureScores]) -> list[Numbers]:
    """The values of each measure over trials, (T,) each."""
    return list(np.array([each.measures for each in scores]).T)


def _percent(values: Numbers) -> str:
    mean = f"{100 * np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean}±{100 * sample_deviation(values):.1f}"


def sample_deviation(values: Numbers) -> float:
    """Standard deviation of the population that the trials are a sample of."""
    return float(np.std(values, ddof=1))


def _combine(statistic: Callable[[Numbers], float], documents: list[Any]) -> Any:
    """Apply a statistic to each number of equally built JSON documents."""
    first = documents[0]
    if isinstance(first, dict):
        return {key: _combine(statistic, [each[key] for each in documents]) for key in first}
    if isinstance(first, list):
        return [_combine(statistic, list(each)) for each in zip(*documents, strict=True)]
    return float(statistic(np.array(documents, dtype=np.float64)))
