"""The preset `modern` beside the paper's Table 1: our head over a pretrained trunk's vectors."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.baselines import baselines
from reseen.evaluation.evaluate import default_protocol, evaluate
from reseen.evaluation.metric_learning import LEARNED_METRICS
from reseen.evaluation.protocol import score_by_protocol
from reseen.evaluation.report import FeatureScores, Report, Trial
from reseen.network.checkpoint import RUN_FILE, Run
from reseen.network.config import Config
from reseen.network.training import plan_run, train
from reseen.progress import log

MODERN = {
    "fused": "the preset modern, on a pretrained trunk, trained here",
    "trunk-lda": "LDA of the same trunk's vectors, here",
}
"""What Table 1 shows of it."""


def require_same_data(vectors: FrameStore, store: FrameStore) -> None:
    """Refuse a store of vectors that has other tracklets or splits than the store of pictures."""
    named = all(
        np.array_equal(getattr(vectors, name), getattr(store, name))
        for name in ("names", "persons", "cameras")
    )
    if len(vectors.frame_shape) != 2 or not named or vectors.splits != store.splits:
        raise ReseenError(
            f"{vectors.path} must hold a trunk's vectors of the tracklets and splits of "
            f"{store.path}: reseen prepare the same folder with --trunk lite0"
        )


def train_modern(
    vectors: FrameStore, out: Path, trials: int, seed: int, report_file: str
) -> list[Run]:
    """Train the preset on each trial and write its report, unless that is done.

    A step sees fewer people than the preset asks for where there are fewer.

    Args:
        vectors: what `prepare --trunk` made.
        trials: how many of the store's splits.
        seed: every random number follows from it.
    """
    preset, runs = Config.preset("modern"), list[Run]()
    for trial in range(trials):
        people = len(plan_run(vectors, ("full",), trial, seed, preset).people)
        smaller = replace(preset.train, people=min(preset.train.people, people))
        config = replace(preset, train=smaller)
        path = out / f"trial_{trial}" / "modern"
        resume = (path / RUN_FILE).exists()
        run = train(vectors, path, config, trial=trial, seed=seed, resume=resume)
        if not (path / report_file).exists():
            evaluate(run, vectors).report().save(path / report_file)
        runs.append(run)
    return runs


def trunk_metrics(vectors: FrameStore, trials: int) -> dict[str, Report]:
    """What KISSME and XQDA make of a trunk's vectors, by name; without what cannot learn."""
    found = {}
    for name in ("kissme", "xqda"):
        try:
            every = tuple(_scored(vectors, trial, name) for trial in range(trials))
        except ReseenError as error:
            log.info(f"{name.upper()} of the trunk's vectors is left out: {error}")
        else:
            found[name] = Report(vectors.dataset, default_protocol(vectors.dataset), every)
    return found


def _scored(vectors: FrameStore, trial: int, name: str) -> Trial:
    split = vectors.split(trial)
    train, query, gallery = (
        baselines(vectors, chosen, ())["trunk"]
        for chosen in (split.train, split.query, split.gallery)
    )
    metric, protocol = LEARNED_METRICS[name](train), default_protocol(vectors.dataset)
    scores = score_by_protocol(query, gallery, protocol, metric.distances)
    return Trial(trial, {"trunk": FeatureScores.of(scores)})
