"""Keeping the weights that serve people best whom the network has not seen."""

import shutil

import numpy as np
from numpy.typing import NDArray

from reseen.data.clips import BodyPart, FrameReader
from reseen.data.store import FrameStore
from reseen.files import written_aside
from reseen.network.checkpoint import WEIGHTS_FILE, Run, snapshot_file
from reseen.network.config import Config
from reseen.network.embed import best_device, features_by_kind, tracklet_features

CHOICES = 10
"""Weights to choose from, evenly spaced over the updates, beside those of the beginning."""


def candidates(config: Config) -> tuple[int, ...]:
    """Updates after which weights are kept to choose from; none where the last ones stay."""
    if config.train.keep == "last":
        return ()
    updates = config.train.updates
    return tuple(sorted({round(updates * place / CHOICES) for place in range(CHOICES + 1)}))


def keep_best(run: Run, store: FrameStore, part: BodyPart) -> int:
    """Make the weights of a network those that find most of the people held out.

    Args:
        run: with weights after each of `candidates` updates.
        store: the store that it is trained on.
        part: the body part.

    Returns:
        After how many updates they were; of equals the earliest.
    """
    held_out = set(run.facts.held_out)
    chosen = np.array(
        [at for at in store.split(run.facts.trial).train if int(store.persons[at]) in held_out]
    )
    reader = FrameReader(store.frames, best_device())
    spans = store.starts[chosen], store.lengths[chosen]

    def found(updates: int) -> float:
        network = run.network(part, snapshot_file(updates)).to(reader.device)
        features = tracklet_features(network, reader, *spans, part, run.config)
        feature = features_by_kind(run, {part: features})[run.config.loss.feature][0].numpy()
        return mean_reciprocal_rank(feature, store.persons[chosen], store.cameras[chosen])

    there = [at for at in candidates(run.config) if (run.path / part / snapshot_file(at)).exists()]
    best = max(there, key=found)
    with written_aside(run.path / part / WEIGHTS_FILE) as temporary:
        shutil.copyfile(run.path / part / snapshot_file(best), temporary)
    return best


def mean_reciprocal_rank(
    features: NDArray[np.floating], persons: NDArray[np.int64], cameras: NDArray[np.int64]
) -> float:
    """1 / the place at which the person first comes up in other cameras, the mean over tracklets.

    Args:
        features: (M, D), one for each tracklet.
        persons, cameras: (M,). Whom no other camera saw is not asked for.
    """
    shares: list[float] = []
    for feature, person, camera in zip(features, persons, cameras, strict=True):
        others = cameras != camera
        order = np.argsort(np.linalg.norm(features[others] - feature, axis=1), kind="stable")
        right = np.flatnonzero(persons[others][order] == person)
        shares.extend(1 / (1 + right[:1]))
    return float(np.mean(shares))
