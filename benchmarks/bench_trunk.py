"""The paper's fusion on a frozen trunk: trunk, trunk + LDA, and the head that starts at LDA.

Run as `python benchmarks/bench_trunk.py STORE OUT`; STORE is what
`reseen prepare DATASET ROOT --out STORE --trunk lite0` made. All rows are scored on the test people
of the store's first trial, by features scaled to length 1; LDA and head learn on its training
people.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reseen.data.clip_config import ClipConfig
from reseen.data.embeddings import Embeddings
from reseen.data.store import FrameStore
from reseen.evaluation.evaluate import evaluate
from reseen.evaluation.intervals import effective_queries, wilson_interval
from reseen.evaluation.metric_learning import fit_kissme, fit_xqda, lda
from reseen.evaluation.metrics import Scores
from reseen.evaluation.protocol import score_by_protocol
from reseen.network.config import Config, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from reseen.network.training import train

Vectors = NDArray[np.floating]
MARGIN = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--updates", type=int, nargs="+", default=[150, 1000])
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--shrinkage", type=float, default=0.1)
    arguments = parser.parse_args()
    store = FrameStore.open(arguments.store)
    split = store.split(0)
    query, gallery = means(store, split.query), means(store, split.gallery)
    show("trunk, mean", score_by_protocol(unit(query), unit(gallery)), query)
    started = time.process_time()
    vectors, persons = pictures(store, split.train)
    learned = lda(vectors, persons, shrinkage=arguments.shrinkage)
    print(f"LDA on {len(set(persons))} people: {time.process_time() - started:.1f} CPU s")
    projected = [
        unit(replace(one, features=learned.apply(one.features))) for one in (query, gallery)
    ]
    show("trunk + LDA", score_by_protocol(*projected), query)
    training = means(store, split.train)
    start = torch.from_numpy(
        (learned.matrix * scale(learned.apply(training.features), training.persons)).T.astype(
            np.float32
        )
    )
    for updates in arguments.updates:
        for seed in range(arguments.seeds):
            config = Config(
                network=NetworkConfig(activation="tanh", dropout=0.2, recurrent_dropout=0.2),
                clips=ClipConfig(frames=5, start="random"),
                loss=LossConfig(siamese="hinge", margin=MARGIN),
                optimiser=OptimiserConfig(name="adam", learning_rate=arguments.rate),
                train=TrainConfig(updates=updates, sampler="pk", people=32, clips=2),
            )
            started = time.process_time()
            run = train(
                store,
                arguments.out / f"{updates}-{seed}",
                config,
                seed=seed,
                starts={"full": start},
            )
            seconds = time.process_time() - started
            found = evaluate(run, store)
            for kind, views in found.query.items():
                pair = unit(views[0]), unit(found.gallery[kind][0])
                show(f"{kind}, {updates} updates, seed {seed}", score_by_protocol(*pair), query)
            print(f"    trained in {seconds:.0f} CPU s")
    for name, fit in (("KISSME", fit_kissme), ("XQDA", fit_xqda)):
        metric = fit(training)
        show(f"trunk + {name}", score_by_protocol(query, gallery, distance=metric.distances), query)


def pictures(store: FrameStore, tracklets: tuple[int, ...]) -> tuple[Vectors, NDArray[np.int64]]:
    """Vectors of each picture of the whole body, mean of plain and mirrored, and whose they are."""
    spans = [(store.starts[at], store.lengths[at]) for at in tracklets]
    rows = np.concatenate([np.arange(first, first + count) for first, count in spans])
    persons = np.repeat(store.persons[list(tracklets)], [count for _, count in spans])
    whole = store.frames[rows][:, :2].astype(np.float32).mean(axis=1)
    return whole, persons


def means(store: FrameStore, tracklets: tuple[int, ...]) -> Embeddings:
    vectors, _ = pictures(store, tracklets)
    lengths = store.lengths[list(tracklets)]
    firsts = np.cumsum([0, *lengths[:-1]])
    features = np.add.reduceat(vectors, firsts) / lengths[:, None]
    at = list(tracklets)
    names = tuple(store.names[index] for index in at)
    return Embeddings(features.astype(np.float32), store.persons[at], store.cameras[at], names)


def unit(found: Embeddings) -> Embeddings:
    """Features scaled to length 1."""
    lengths = np.linalg.norm(found.features, axis=1, keepdims=True)
    return replace(found, features=(found.features / lengths).astype(np.float32))


def scale(features: Vectors, persons: NDArray[np.int64]) -> float:
    """What brings different people about a margin apart: the fused feature is twice the mean."""
    random = np.random.default_rng(0)
    one, other = random.integers(0, len(persons), (2, 20_000))
    different = persons[one] != persons[other]
    gaps = np.linalg.norm(features[one] - features[other], axis=1)[different]
    return float(MARGIN / np.median(gaps) / 2)


def show(what: str, scores: Scores, query: Embeddings) -> None:
    people = effective_queries(query.persons[scores.scored])
    low, high = wilson_interval(scores.cmc[0], people)
    ranks = "/".join(f"{scores.cmc[rank - 1]:.0%}" for rank in (1, 5, 10, 20))
    print(
        f"  {what:34} rank 1/5/10/20 {ranks} [{low:.0%}, {high:.0%}], "
        f"mAP {scores.mean_average_precision:.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
