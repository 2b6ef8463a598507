"""What a run stands beside in its report, so that nobody takes a weak network for a good one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reseen.data.coding import unpack_pictures
from reseen.data.colour_histogram import ColourHistogram
from reseen.data.embeddings import Embeddings
from reseen.data.projections import Projection
from reseen.data.store import FrameStore
from reseen.data.tracklet import DISTRACTOR
from reseen.network.lda_start import discriminants, part_vectors, rows_of

Matrix = NDArray[np.float32]


def baselines(
    store: FrameStore, tracklets: Sequence[int], train: Sequence[int]
) -> dict[str, Embeddings]:
    """Features that no network of ours has made, by kind.

    Of pictures these are "colours", histograms of stripes. Of a trunk's vectors they are "trunk",
    their mean over a tracklet, and "trunk-lda", the mean in the coordinates of Fisher's
    discriminants. All have length 1.

    Args:
        tracklets: indices of the M tracklets to score.
        train: indices of the training tracklets.
    """
    if len(store.frame_shape) == 3:
        pictures = (list(unpack_pictures(store.tracklet(at))) for at in tracklets)
        return {"colours": _embeddings(store, tracklets, ColourHistogram().embed(pictures))}
    means = np.array([_mean(store, at) for at in tracklets])
    found = {"trunk": _embeddings(store, tracklets, means)}
    discriminants = _discriminants(store, train)
    if discriminants is not None:
        found["trunk-lda"] = _embeddings(store, tracklets, discriminants.apply(means))
    return found


def _mean(store: FrameStore, tracklet: int) -> Matrix:
    return np.asarray(part_vectors(store, rows_of(store, (tracklet,))[0], "full").mean(axis=0))


def _discriminants(store: FrameStore, train: Sequence[int]) -> Projection | None:
    """LDA of the training people's pictures; None where these are fewer than two people."""
    people = tuple(at for at in train if store.persons[at] > DISTRACTOR)
    if len(set(store.persons[list(people)])) < 2:
        return None
    return discriminants(store, people, "full")[0]


def _embeddings(
    store: FrameStore, tracklets: Sequence[int], features: NDArray[np.floating]
) -> Embeddings:
    chosen = list(tracklets)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    names = tuple(store.names[at] for at in chosen)
    return Embeddings(unit, store.persons[chosen], store.cameras[chosen], names)
