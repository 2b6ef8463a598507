"""The paper's fusion on a frozen trunk, beside the trunk itself, LDA, KISSME and XQDA.

Run as `python benchmarks/bench_trunk.py STORE OUT`; STORE is what
`reseen prepare DATASET ROOT --out STORE --trunk lite0` made. The preset `modern` is trained on the
training people of the store's first trial; all rows are of its test people, by features of length 1
for what stands beside it.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from reseen.data.store import FrameStore
from reseen.evaluation.baselines import baselines
from reseen.evaluation.evaluate import evaluate
from reseen.evaluation.intervals import effective_queries, wilson_interval
from reseen.evaluation.metric_learning import fit_kissme, fit_xqda
from reseen.evaluation.metrics import Scores
from reseen.evaluation.protocol import score_by_protocol
from reseen.network.config import Config
from reseen.network.model import PartFusion
from reseen.network.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--updates", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--all-parts", action="store_true")
    arguments = parser.parse_args()
    store = FrameStore(arguments.store)
    split = store.split(0)
    training, query, gallery = (
        baselines(store, chosen, ())["trunk"]
        for chosen in (split.train, split.query, split.gallery)
    )
    for name, fit in (("KISSME", fit_kissme), ("XQDA", fit_xqda)):
        metric = fit(training)
        scores = score_by_protocol(query, gallery, distance=metric.distances)
        show(f"trunk + {name}", scores, query.persons)
    parts = PartFusion.PARTS if arguments.all_parts else PartFusion.PARTS[:1]
    modern = Config.preset("modern")
    for updates in arguments.updates:
        for seed in range(arguments.seeds):
            config = replace(
                modern,
                clips=replace(modern.clips, frames=arguments.frames),
                train=replace(modern.train, updates=updates),
            )
            started = time.process_time()
            run = train(store, arguments.out / f"{updates}-{seed}", config, parts, seed=seed)
            seconds = time.process_time() - started
            print(f"{updates} updates, seed {seed}: {seconds:.0f} CPU s")
            found = evaluate(run, store)
            for kind, scores in found.scores.items():
                show(kind, scores, found.query[kind][0].persons)


def show(what: str, scores: Scores, persons: np.ndarray) -> None:
    people = effective_queries(persons[scores.scored])
    low, high = wilson_interval(scores.cmc[0], people)
    ranks = "/".join(f"{scores.cmc[rank - 1]:.0%}" for rank in (1, 5, 10, 20))
    print(
        f"  {what:20} rank 1/5/10/20 {ranks} [{low:.0%}, {high:.0%}], "
        f"mAP {scores.mean_average_precision:.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
