"""A run scored on the test people of its trial."""

from collections.abc import Mapping
from dataclasses import dataclass

from reseen.data.datasets import DATASETS
from reseen.data.embeddings import Embeddings, averaged, joined
from reseen.data.store import FrameStore
from reseen.evaluation.baselines import baselines
from reseen.evaluation.metrics import Scores
from reseen.evaluation.protocol import score_by_protocol
from reseen.evaluation.report import FeatureScores, Report, Trial
from reseen.network.checkpoint import WEIGHTS_FILE, Run
from reseen.network.embed import AugmentedEmbeddings, embed


@dataclass(frozen=True)
class Evaluation:
    """One trial's features and what they reached.

    Attributes:
        query, gallery: features of the split's tracklets, by feature kind.
        scores: of each query, by feature kind.
        trial: the same summed up.
        dataset: name of the data set.
        protocol: the protocol scored under.
        notes: what a reader of the numbers must know, a sentence each.
    """

    query: Mapping[str, AugmentedEmbeddings]
    gallery: Mapping[str, AugmentedEmbeddings]
    scores: Mapping[str, Scores]
    trial: Trial
    dataset: str
    protocol: str
    notes: tuple[str, ...]

    def report(self) -> Report:
        """A report of this trial alone."""
        return Report(self.dataset, self.protocol, (self.trial,))

    def everybody(self, kind: str) -> Embeddings:
        """Every tracklet that is asked for or searched once, the mean over augmentations."""
        query, gallery = averaged(self.query[kind]), averaged(self.gallery[kind])
        asked_for = set(query.names)
        new = [place for place, name in enumerate(gallery.names) if name not in asked_for]
        return joined(query, gallery.take(new))

    def __str__(self) -> str:
        return self.report().markdown()


def evaluate(
    run: Run,
    store: FrameStore,
    protocol: str | None = None,
    *,
    reranked: bool = False,
    weights: str = WEIGHTS_FILE,
    beside: bool = True,
) -> Evaluation:
    """Score every feature kind of a run on the test people of its trial, and what it stands beside.

    Args:
        store: the store that it was trained on, or another one.
        protocol: a key of `PROTOCOLS`; by default the data set's own.
        reranked: order the gallery anew by k-reciprocal neighbours.
        weights: name of the networks' files; a snapshot's for a smaller budget.
        beside: score `baselines`, too, which are the same for all runs of a trial.

    Raises:
        ReseenError: the store has no such trial, weights are missing, nobody can be scored.
    """
    split = store.split(run.facts.trial)
    tracklets = sorted({*split.query, *split.gallery})
    place = {index: position for position, index in enumerate(tracklets)}
    simple = baselines(store, tracklets, split.train) if beside else {}
    learned = embed(run, store, tracklets, weights)
    features = {kind: (one,) for kind, one in simple.items()} | learned
    query, gallery = (
        {
            kind: tuple(each.take([place[index] for index in chosen]) for each in augmented)
            for kind, augmented in features.items()
        }
        for chosen in (split.query, split.gallery)
    )
    name = protocol or default_protocol(store.dataset)
    scores = {
        kind: score_by_protocol(query[kind], gallery[kind], name, reranked=reranked)
        for kind in features
    }
    summed = {kind: FeatureScores.of(value) for kind, value in scores.items()}
    weights_of_parts: dict[str, float] = {}
    if "parts" in scores:
        fusion = run.part_fusion()
        weights_of_parts = dict(zip(fusion.PARTS, fusion.weights.tolist(), strict=True))
    trial = Trial(run.facts.trial, summed, weights_of_parts)
    notes = _notes(run, store)
    if reranked:
        notes = (*notes, "re-ranked by k-reciprocal neighbours; the ranked lists below are not")
    return Evaluation(query, gallery, scores, trial, store.dataset, name, notes)


def default_protocol(dataset: str) -> str:
    """The protocol that a data set's own evaluation follows."""
    known = DATASETS.get(dataset)
    return known.protocol if known else "cross-camera"


def _notes(run: Run, store: FrameStore) -> tuple[str, ...]:
    if run.facts.store == store.fingerprint:
        return store.notes
    return (
        *store.notes,
        f"the run was trained on another store, of {run.facts.dataset}; if people of this store "
        "were among its training people, the numbers flatter",
    )
