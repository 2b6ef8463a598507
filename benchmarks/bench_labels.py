"""What labels of a few people are worth to a gallery's adaptation, with an interval over people.

Run as `python benchmarks/bench_labels.py STORE`; STORE is what
`reseen prepare folder ROOT --out STORE --trunk lite0` made of two cameras. Of its training people
one half is the pool that settings may be chosen on, the other the one to measure on. A draw takes
250 people of a pool: some of the first 50 are labelled, the other 200 are searched for from either
camera in the other. Adaptation sees all 250, as it does in a gallery.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.data.projections import means_by_label
from reseen.data.store import FrameStore
from reseen.evaluation.adaptation import CameraMeans, tracklet_whitening
from reseen.gallery.adapting import FEWEST_OF_A_CAMERA
from reseen.network.lda_start import rows_of

DRAWN, LABELLED = 250, 50
RESAMPLED = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--pool", choices=("choose", "measure"), default="measure")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--labelled", type=int, nargs="+", default=[0, 10, 25, 50])
    arguments = parser.parse_args()
    store = FrameStore(arguments.store)
    train = np.array(store.split(0).train)
    people = np.random.default_rng(11).permutation(np.unique(store.persons[train]))
    half = len(people) // 2
    pool = people[:half] if arguments.pool == "choose" else people[half:]
    found: dict[int, list[dict[int, float]]] = {count: [] for count in arguments.labelled}
    for draw in range(arguments.draws):
        drawn = np.random.default_rng([7, draw]).permutation(pool)[:DRAWN]
        for count, shares in searched(store, train, drawn, arguments.labelled).items():
            found[count].append(shares)
    for count, draws in found.items():
        low, high = interval(draws)
        each = ", ".join(f"{np.mean(list(shares.values())):.1%}" for shares in draws)
        mean = np.mean([np.mean(list(shares.values())) for shares in draws])
        print(f"{count} people labelled: rank-1 {mean:.1%} [{low:.1%}, {high:.1%}] ({each})")


def searched(
    store: FrameStore, train: NDArray[np.int64], drawn: NDArray[np.int64], counts: list[int]
) -> dict[int, dict[int, float]]:
    """For each number of people labelled, the share of its two searches that find a person."""
    chosen = train[np.isin(store.persons[train], drawn)]
    rows, owners = rows_of(store, tuple(chosen))
    crops = store.frames[rows][:, 0].astype(np.float32)
    whose = np.searchsorted(chosen, owners)
    means = unit(means_by_label(crops.astype(np.float64), whose)[0])
    persons, cameras = store.persons[chosen], store.cameras[chosen]
    centred = CameraMeans.of(means, cameras, FEWEST_OF_A_CAMERA)
    features, inner = centred.remove(means, cameras), centred.remove(crops, cameras[whose])
    place = {(p, c): at for at, (p, c) in enumerate(zip(persons, cameras, strict=True))}
    first, second = np.unique(cameras)
    pairs = np.array([[place[p, first], place[p, second]] for p in drawn])
    one, other = pairs[LABELLED:].T
    shares = {}
    for count in counts:
        whitening = tracklet_whitening(inner, whose, features, pairs[:count])
        adapted = unit(whitening.apply(features))
        alike = adapted[one] @ adapted[other].T
        places = np.arange(len(alike))
        right = (alike.argmax(axis=1) == places) * 0.5 + (alike.argmax(axis=0) == places) * 0.5
        shares[count] = dict(zip(drawn[LABELLED:].tolist(), right.tolist(), strict=True))
    return shares


def interval(draws: list[dict[int, float]]) -> tuple[float, float]:
    """95 % of the mean over draws, with the pool's people resampled."""
    people = sorted(set().union(*draws))
    random = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLED):
        often = random.multinomial(len(people), np.full(len(people), 1 / len(people)))
        weight = dict(zip(people, often.tolist(), strict=True))
        each = [
            np.average(list(shares.values()), weights=[weight[p] for p in shares])
            for shares in draws
        ]
        means.append(np.mean(each))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def unit(features: NDArray[np.floating]) -> NDArray[np.floating]:
    lengths: NDArray[np.floating] = np.linalg.norm(features, axis=1, keepdims=True)
    return features / lengths


if __name__ == "__main__":
    main()
