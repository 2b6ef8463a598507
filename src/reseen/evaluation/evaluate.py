"""A run scored on the test people of its trial."""

from collections.abc import Mapping
from dataclasses import dataclass

from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.features import Views, embed
from reseen.evaluation.metrics import Scores
from reseen.evaluation.protocol import score_by_protocol
from reseen.evaluation.report import FeatureScores, Report, Trial
from reseen.network.checkpoint import PARTS_FILE, Run


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


def evaluate(run: Run, store: FrameStore, protocol: str | None = None) -> Evaluation:
    """Score every feature kind of a run on the test people of its trial.

    Args:
        run: a finished run.
        store: the store that it was trained on, or another one.
        protocol: a key of `PROTOCOLS`; by default the data set's own.

    Raises:
        ReseenError: the store has no such trial, weights are missing, nobody can be scored.
    """
    if run.facts.trial >= len(store.splits):
        raise ReseenError(f"{store.path} has no trial {run.facts.trial}, which {run.path} is of")
    split = store.splits[run.facts.trial]
    tracklets = sorted({*split.query, *split.gallery})
    place = {index: position for position, index in enumerate(tracklets)}
    features = embed(run, store, tracklets)
    query, gallery = (
        {
            kind: tuple(view.take([place[index] for index in chosen]) for view in views)
            for kind, views in features.items()
        }
        for chosen in (split.query, split.gallery)
    )
    name = protocol or default_protocol(store.dataset)
    scores = {kind: score_by_protocol(name, query[kind], gallery[kind]) for kind in features}
    weights = {}
    if (run.path / PARTS_FILE).exists():
        fusion = run.part_fusion()
        weights = dict(zip(fusion.PARTS, fusion.weights.tolist(), strict=True))
    trial = Trial(
        run.facts.trial,
        {kind: FeatureScores.of(value) for kind, value in scores.items()},
        weights,
    )
    return Evaluation(query, gallery, scores, trial, name, _notes(run, store))


def default_protocol(dataset: str) -> str:
    """The protocol that a data set's own evaluation follows."""
    return "mars-official" if dataset == "mars" else "cross-camera"


def _notes(run: Run, store: FrameStore) -> tuple[str, ...]:
    if run.facts.store == store.fingerprint:
        return store.notes
    return (
        *store.notes,
        f"the run was trained on another store, of {run.facts.dataset}; if people of this store "
        "were among its training people, the numbers flatter",
    )
