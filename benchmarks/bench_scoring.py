"""How long scoring, metric learning and re-ranking take beside their bare arithmetic.

Run as `python benchmarks/bench_scoring.py [--without-large]`. Features are drawn at chance level,
where matches lie far down the ranking: the slowest case.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence

import numpy as np

from reseen.data.embeddings import Embeddings
from reseen.evaluation.metric_learning import fit_xqda
from reseen.evaluation.metrics import euclidean_distances
from reseen.evaluation.protocol import score_by_protocol
from reseen.evaluation.reranking import reranked_distances
from reseen.evaluation.scoring import score_features

QUERIES, GALLERY, DIMENSIONS = 1_980, 12_180, 128
LARGE_QUERIES, LARGE_GALLERY = 20_000, 100_000
SAMPLES = 10_000
MARS = ("mars-official", "mars-field", "mars-torchreid")
ROW = "{:58} {:>9} {:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-large", action="store_true", help="skip 20,000 x 100,000")
    without_large = parser.parse_args().without_large
    print(ROW.format("what", "measured", "bound", ""))
    row("three MARS protocols / one distance matrix and argsort", scoring_ratio(), 3)
    row("peak memory of the three MARS protocols, GB", peak_of(score_mars), 1.5)
    row("XQDA fit of 10,000 x 128 / one eigh and two Gram matrices", xqda_ratio(), 2)
    row("peak memory of re-ranking at MARS size, GB", peak_of(rerank_mars), 1.5)
    if not without_large:
        row("peak memory of scoring 20,000 x 100,000, GB", peak_of(score_large), 2)


def row(what: str, measured: float, bound: float) -> None:
    verdict = "ok" if measured <= bound else "not ok"
    print(ROW.format(what, f"{measured:.2f}", f"{bound:.2f}", verdict), flush=True)


def scoring_ratio() -> float:
    query, gallery = mars()
    scoring, bare = fastest(
        7,
        lambda: [score_by_protocol(query, gallery, name) for name in MARS],
        lambda: np.argsort(euclidean_distances(query.features, gallery.features), axis=1),
    )
    return scoring / bare


def xqda_ratio() -> float:
    train = drawn(SAMPLES, people=625, cameras=2, seed=0)
    features = train.features.astype(np.float64)
    gram = features.T @ features

    def bare() -> None:
        features.T @ features
        features.T @ features
        np.linalg.eigh(gram)

    fitting, arithmetic = fastest(100, lambda: fit_xqda(train), bare)
    return fitting / arithmetic


def score_mars() -> None:
    query, gallery = mars()
    for name in MARS:
        score_by_protocol(query, gallery, name)


def rerank_mars() -> None:
    reranked_distances(*mars())


def score_large() -> None:
    query = drawn(LARGE_QUERIES, people=5_000, cameras=6, seed=0)
    score_features(query, drawn(LARGE_GALLERY, people=5_000, cameras=6, seed=1))


def mars() -> tuple[Embeddings, Embeddings]:
    """As many queries and gallery tracklets as MARS has, the queries in the gallery too."""
    gallery = drawn(GALLERY, people=634, cameras=6, seed=0)
    return gallery.take(np.arange(QUERIES)), gallery


def drawn(count: int, people: int, cameras: int, seed: int) -> Embeddings:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, DIMENSIONS)).astype(np.float32)
    persons = generator.integers(-1, people + 1, count)
    names = tuple(f"tracklet {number}" for number in range(count))
    return Embeddings(features, persons, generator.integers(1, cameras + 1, count), names)


def fastest(repeats: int, *works: Callable[[], object]) -> Sequence[float]:
    """The shortest time of each work in seconds, in turn so that all meet the same load."""
    seconds = [[timed(work) for work in works] for _ in range(repeats)]
    return np.min(seconds, axis=0).tolist()


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_of(work: Callable[[], None]) -> float:
    """Peak memory in GB of a fresh process that does the work, the interpreter included."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(peak_after, (work,))


def peak_after(work: Callable[[], None]) -> float:
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
