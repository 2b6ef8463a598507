"""How far motion alone can lead among synthetic people who differ in nothing but their walk.

Run as `python benchmarks/bench_gait.py [--people N]`. A reader made by hand, told the training
people's true tempos, learns to read them from how fast each patch of the picture moves, and finds
people again by what it reads. No network can be asked for much more: what it misses is not in the
pictures, or not where a sum over frames can find it.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.data.coding import unpack_flow
from reseen.data.datasets.folder import load
from reseen.data.prepare import prepare
from reseen.data.store import FrameStore
from reseen.evaluation.metrics import euclidean_distances, plain_average_precision, score
from reseen.synthetic.people import random_person
from reseen.synthetic.synthesize import Difficulty, synthesize

SEED, RIDGE, PATCH = 0, 30.0, 8
ROW = "{:32} {:>7} {:>7} {:>7} {:>7} {:>7}"

Matrix = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    people = parser.parse_args().people
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "people"
        synthesize(drawn, people=people, twins=1.0, seed=SEED)
        store = prepare(load(drawn), Path(folder) / "store")
        print(ROW.format("rank, mean over trials, in %", "1", "5", "10", "20", "mAP"))
        speeds = np.stack([speed_of_patches(store, index) for index in range(len(store))])
        trials = np.array([of_trial(store, trial, speeds) for trial in range(len(store.splits))])
        for name, row in zip(("read from flow", "chance"), trials.mean(axis=0), strict=True):
            shown = ("–" if np.isnan(value) else f"{100 * value:.1f}" for value in row)
            print(ROW.format(name, *shown))


def of_trial(store: FrameStore, trial: int, speeds: Matrix) -> Matrix:
    """Rank 1, 5, 10, 20 and mAP of the reader, and of chance, (2, 5)."""
    speeds = speeds.copy()
    split = store.split(trial)
    train, query, gallery = (list(part) for part in (split.train, split.query, split.gallery))
    for camera in np.unique(store.cameras):  # each camera sees a walk from its own side
        seen = store.cameras == camera
        known = speeds[[index for index in train if seen[index]]]
        speeds[seen] = (speeds[seen] - known.mean(axis=0)) / known.std(axis=0)
    inputs = np.column_stack([speeds, np.ones(len(speeds))])
    tempos = true_tempos(store.persons[train])
    gram = inputs[train].T @ inputs[train] + RIDGE * np.eye(inputs.shape[1])
    read = inputs @ np.linalg.solve(gram, inputs[train].T @ tempos) / tempos.std(axis=0)
    scores = score(
        euclidean_distances(read[query].astype(np.float32), read[gallery].astype(np.float32)),
        store.persons[query],
        store.cameras[query],
        store.persons[gallery],
        store.cameras[gallery],
        plain_average_precision,
    )
    ranks = [rank - 1 for rank in (1, 5, 10, 20)]
    found = [*scores.cmc[ranks], scores.mean_average_precision]
    return np.array([found, [*scores.chance[ranks], np.nan]])


def speed_of_patches(store: FrameStore, index: int) -> Matrix:
    """The log of how fast each patch moves against the whole picture, up and down and sideways."""
    flow = unpack_flow(store.tracklet(index)[1:]).astype(np.float64)
    flow -= flow.mean(axis=(-2, -1), keepdims=True)
    frames, axes, height, width = flow.shape
    patches = flow.reshape(frames, axes, height // PATCH, PATCH, width // PATCH, PATCH)
    speeds: Matrix = np.sqrt(np.square(patches).mean(axis=(0, 3, 5)))
    return np.log(speeds + 1e-3).ravel()


def true_tempos(persons: NDArray[np.int64]) -> Matrix:
    """The log of each twin's cadence, rocking and springing, (N, 3)."""
    colours = Difficulty().colours
    tempos = [random_person(SEED, int(person), colours, True, False).tempo for person in persons]
    return np.log([(tempo.cadence, tempo.rocking, tempo.springing) for tempo in tempos])


if __name__ == "__main__":
    main()
