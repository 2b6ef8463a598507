"""Fine-tuning of lite0's blocks 11 to 15 on the people of a store of `prepare --trunk lite0-maps`.

LDA of 3,712 numbers tells those people apart that it was learned from, whatever the blocks make of
them, so that there would be nothing left to learn. The people are therefore parted into groups:
each group's pictures are seen through LDA of all the others, and must find their own person's
tracklets of other cameras among the group's, as strangers would have to.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from reseen.data.projections import Matrix, lda
from reseen.data.store import FrameStore
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.models import lite0
from reseen.network.late_blocks import LateBlocks
from reseen.network.lda_start import MOST_PICTURES, SHRINKAGE, rows_of
from reseen.progress import progress

GROUPS = 4
UPDATES = 240
"""Steps, chosen with all that follows on a third of 743 people that were held out."""

PICTURES = 64
"""Pictures in a step, all of one group."""

LEARNING_RATE, WARM_UP = 1e-4, 20
"""Adam's, after so many steps; it falls to zero along half a cosine in the second half of them."""

SHARPNESS = 16.0
"""Factor of the cosines in the softmax."""

FOLLOWING = 0.1
"""Share of a picture's new features in those of its tracklet."""

ERASED = 0.5
"""Share of the pictures of whose map a rectangle is set to zero."""

AT_ONCE = 64


def finetune(store: FrameStore, trial: int = 0, seed: int = 0) -> lite0.State:
    """Fine-tune lite0 on the training people of a trial whom two cameras saw.

    Returns:
        All weights, for `write_lite0`.

    Raises:
        ReseenError: the store holds no such maps, or too few people.
    """
    generator, state = np.random.default_rng([seed, trial]), lite0.lite0_state()
    blocks = LateBlocks(state)
    pictures = _pictures(store, trial)
    embedded = _embedded(store, blocks, pictures.rows)
    people = generator.permutation(np.unique(pictures.persons))
    groups = [_group(pictures, embedded, some) for some in np.array_split(people, GROUPS)]
    optimiser = torch.optim.Adam(blocks.parameters(), LEARNING_RATE)
    with progress("fine-tuning", UPDATES, "updates") as advance:
        for update in range(UPDATES):
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * _share(update)
            group = groups[update % GROUPS]
            chosen = generator.choice(group.places, min(PICTURES, len(group.places)), replace=False)
            sides = np.arange(len(chosen)), generator.integers(0, 2, len(chosen))
            maps = _as_maps(store.frames[pictures.rows[chosen]][sides])
            features = group.features(blocks(_erased(maps, generator)))
            loss = group.loss(features, pictures.persons[chosen], pictures.cameras[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            group.follow(features.detach(), pictures.tracklets[chosen])
            advance(1)
    return {**state, **blocks.state_of_lite0()}


@dataclass(frozen=True, eq=False)
class _Pictures:
    """N pictures to learn from: their rows in the store, and whose and which each is of."""

    rows: NDArray[np.int64]
    tracklets: NDArray[np.int64]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]


@dataclass(eq=False)
class _Group:
    """Some of the people, seen through LDA of all the others.

    Attributes:
        places: of their pictures.
        matrix, centre: LDA's.
        tracklets: theirs, (M,), whose and in which cameras.
        means: of the tracklets' features, (M, d), of length 1.
    """

    places: NDArray[np.int64]
    matrix: Tensor
    centre: Tensor
    tracklets: NDArray[np.int64]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    means: Tensor

    def features(self, embedded: Tensor) -> Tensor:
        """Descriptors (N, 3712) -> features (N, d) of length 1."""
        return functional.normalize((embedded - self.centre) @ self.matrix)

    def loss(
        self, features: Tensor, persons: NDArray[np.int64], cameras: NDArray[np.int64]
    ) -> Tensor:
        """How surely pictures find their person among the tracklets of other cameras."""
        searched = torch.from_numpy(cameras[:, None] != self.cameras)
        positive = searched & torch.from_numpy(persons[:, None] == self.persons)
        cosines = SHARPNESS * features @ self.means.T
        every, right = (
            cosines.masked_fill(~which, -torch.inf).logsumexp(1) for which in (searched, positive)
        )
        return (every - right).mean()

    def follow(self, features: Tensor, tracklets: NDArray[np.int64]) -> None:
        """Let the tracklets' means take up what their pictures have become."""
        places = np.searchsorted(self.tracklets, tracklets)
        for place, feature in zip(places, features, strict=True):
            mixed = (1 - FOLLOWING) * self.means[place] + FOLLOWING * feature
            self.means[place] = functional.normalize(mixed, dim=0)


def _pictures(store: FrameStore, trial: int) -> _Pictures:
    """Those of the people whom two cameras saw, at most some, evenly spaced."""
    if store.trunk != lite0.MAPS_NAME or store.frame_shape[-1] != math.prod(lite0.MAP_SHAPE):
        raise ReseenError(
            f"{store.path} holds no maps to fine-tune on; make it with: reseen prepare … "
            "--trunk lite0-maps"
        )
    train = np.array(store.split(trial).train)
    seen = {(store.persons[at], store.cameras[at]) for at in train}
    twice, cameras = np.unique([person for person, _ in seen], return_counts=True)
    twice = twice[(cameras > 1) & (twice > DISTRACTOR)]
    if len(twice) < 4 * GROUPS:
        raise ReseenError(
            f"{store.path} has {len(twice)} training people in two cameras; fine-tuning needs "
            f"{4 * GROUPS}"
        )
    rows, owners = rows_of(store, tuple(train[np.isin(store.persons[train], twice)].tolist()))
    step = -(-len(rows) // MOST_PICTURES)
    rows, owners = rows[::step], owners[::step]
    return _Pictures(rows, owners, store.persons[owners], store.cameras[owners])


def _group(pictures: _Pictures, embedded: Matrix, members: NDArray[np.int64]) -> _Group:
    """A group of people with LDA of all the others, (N, 3712) descriptors."""
    inside = np.isin(pictures.persons, members)
    others = lda(embedded[~inside], pictures.persons[~inside], shrinkage=SHRINKAGE)
    features = others.apply(embedded[inside])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    tracklets, first, places = np.unique(
        pictures.tracklets[inside], return_index=True, return_inverse=True
    )
    means = torch.zeros(len(tracklets), features.shape[1])
    means.index_add_(0, torch.from_numpy(places), torch.from_numpy(features).float())
    return _Group(
        places=np.flatnonzero(inside),
        matrix=torch.from_numpy(others.matrix).float(),
        centre=torch.from_numpy(others.mean).float(),
        tracklets=tracklets,
        persons=pictures.persons[inside][first],
        cameras=pictures.cameras[inside][first],
        means=functional.normalize(means),
    )


@torch.inference_mode()
def _embedded(store: FrameStore, blocks: LateBlocks, rows: NDArray[np.int64]) -> Matrix:
    """Descriptors of pictures, the mean of plain and mirrored, (N, 3712)."""
    found = []
    with progress("describing", len(rows), "frames") as advance:
        for first in range(0, len(rows), AT_ONCE):
            some = store.frames[rows[first : first + AT_ONCE]]
            both = blocks(_as_maps(some.reshape(-1, some.shape[-1])))
            found.append(both.reshape(len(some), 2, -1).mean(1).numpy())
            advance(len(some))
    return np.concatenate(found)


def _as_maps(stored: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(stored.astype(np.float32).reshape(-1, *lite0.MAP_SHAPE))


def _erased(maps: Tensor, generator: np.random.Generator) -> Tensor:
    """Maps (N, 112, 16, 8), some with a rectangle of zeros, which may cover half of each side."""
    height, width = maps.shape[2:]
    for at in np.flatnonzero(generator.random(len(maps)) < ERASED):
        rows = generator.integers(2, height // 2 + 1)
        columns = generator.integers(2, width // 2 + 2)
        top = generator.integers(height - rows + 1)
        left = generator.integers(width - columns + 1)
        maps[at, :, top : top + rows, left : left + columns] = 0
    return maps


def _share(update: int) -> float:
    """Of the learning rate."""
    falling = max(0.0, 2 * update / UPDATES - 1)
    return min(1.0, (update + 1) / WARM_UP) * float(1 + np.cos(np.pi * falling)) / 2
