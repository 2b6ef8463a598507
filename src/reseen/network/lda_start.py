"""What a head over stored vectors begins with: Fisher's discriminants of the training people."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reseen.data.clips import BODY_PARTS, BodyPart
from reseen.data.projections import Projection, lda, means_by_label
from reseen.data.store import FrameStore

SHRINKAGE = 0.3
MOST_PICTURES = 20_000
"""Pictures that LDA learns from, evenly spaced: their covariance needs no more."""

PAIRS = 20_000


def lda_start(
    store: FrameStore, tracklets: tuple[int, ...], part: BodyPart, margin: float
) -> tuple[Tensor, Tensor]:
    """Projection (K, D) and centre (D,) for `SpatialTemporalFusion.start_from`.

    Args:
        store: of a trunk's vectors.
        tracklets: indices of the training tracklets.
        margin: alpha of eq. (7); the fused features of two people begin about this far apart.
    """
    learned, vectors, owners = discriminants(store, tracklets, part)
    means, places = means_by_label(learned.apply(vectors), owners)
    first = np.unique(places, return_index=True)[1]
    scale = margin / 2 / _gap(means, store.persons[owners[first]])  # the fused feature is f twice
    made = partial(torch.tensor, dtype=torch.get_default_dtype())
    return made(learned.matrix.T * scale), made(learned.mean)


def discriminants(
    store: FrameStore, tracklets: tuple[int, ...], part: BodyPart
) -> tuple[Projection, NDArray[np.float32], NDArray[np.int64]]:
    """LDA of the pictures of tracklets, the vectors (N, D) learned from, and their tracklets."""
    rows, owners = rows_of(store, tracklets)
    step = -(-len(rows) // MOST_PICTURES)
    rows, owners = rows[::step], owners[::step]
    vectors = part_vectors(store, rows, part)
    return lda(vectors, store.persons[owners], shrinkage=SHRINKAGE), vectors, owners


def rows_of(
    store: FrameStore, tracklets: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (N,) of all frames of tracklets, and the tracklet that each is of, (N,)."""
    spans = [(store.starts[at], store.lengths[at]) for at in tracklets]
    rows = np.concatenate([np.arange(start, start + length) for start, length in spans])
    return rows, np.repeat(np.array(tracklets), [length for _, length in spans])


def part_vectors(store: FrameStore, rows: NDArray[np.int64], part: BodyPart) -> NDArray[np.float32]:
    """Stored vectors of a body part, the mean of plain and mirrored, (N, D)."""
    place = 2 * list(BODY_PARTS).index(part)
    vectors: NDArray[np.float32] = store.frames[rows][:, place : place + 2].mean(
        axis=1, dtype=np.float32
    )
    return vectors


def _gap(features: NDArray[np.float64], persons: NDArray[np.int64]) -> float:
    """How far two people usually lie apart."""
    one, other = np.random.default_rng(0).integers(0, len(persons), (2, PAIRS))
    gaps = np.linalg.norm(features[one] - features[other], axis=1)
    return float(np.median(gaps[persons[one] != persons[other]]))
