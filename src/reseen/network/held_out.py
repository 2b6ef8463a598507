"""What people decide whom the networks have not seen: the weights of eq. (10), and when to stop.

Of its own training people a network knows too much: their features saturate.
"""

import shutil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reseen.data.clips import BodyPart, FrameReader, PairSampler
from reseen.data.store import FrameStore
from reseen.files import written_aside
from reseen.network.checkpoint import WEIGHTS_FILE, Run, snapshot_file
from reseen.network.config import Config, LossConfig
from reseen.network.embed import (
    CLIPS_AT_ONCE,
    best_device,
    clip_features,
    features_by_kind,
    tracklet_features,
)
from reseen.network.losses import pair_loss
from reseen.network.model import FEATURE, PartFusion

PAIRS = 128
"""Pairs of held-out people that the weights of eq. (10) are learned on."""

UPDATES = 400
LEARNING_RATE = 0.05

CHOICES = 10
"""Weights of a network to choose from, evenly spaced over the updates, beside the first ones."""


def learn_part_fusion(run: Run, store: FrameStore, device: torch.device) -> PartFusion:
    """Learn the three weights with the networks frozen and the loss of eq. (9).

    The classifier of that loss is one of the held-out people's own.

    Args:
        run: with trained networks of all parts.
        store: the store that it was trained on.
    """
    tracklets, clips = run.tracklets(store, run.facts.held_out), run.config.clips
    sampler = PairSampler(
        store, tracklets, CLIPS_AT_ONCE // 2, clips.frames, clips.start, run.facts.seed
    )
    features, labels = _pair_features(run, sampler, FrameReader(store.frames, device))
    return fit_part_weights(features, labels, len(sampler.people), run.config.loss)


def _pair_features(run: Run, sampler: PairSampler, reader: FrameReader) -> tuple[Tensor, Tensor]:
    """Features (3, 2, PAIRS, 128) of pairs of clips, and their labels (2, PAIRS), on the CPU."""
    networks = {part: run.network(part).to(reader.device) for part in PartFusion.PARTS}
    features, labels = [], []
    for step in range(PAIRS // sampler.pairs):
        plan = sampler.draw(step)
        frames = reader.read(plan.rows.reshape(-1, plan.rows.shape[-1]))
        parts = [
            clip_features(network, frames, part, run.config.clips, [plan.crops])[0]
            for part, network in networks.items()
        ]
        kind = run.config.loss.feature
        stacked = torch.stack([getattr(part, kind) for part in parts])  # (3, 2·B, 128)
        features.append(stacked.reshape(len(parts), 2, -1, FEATURE).cpu())
        labels.append(torch.from_numpy(plan.labels))
    return torch.cat(features, dim=2), torch.cat(labels, dim=1)


def fit_part_weights(
    features: Tensor, labels: Tensor, people: int, config: LossConfig
) -> PartFusion:
    """Minimise eq. (9) over the three weights and a classifier.

    Args:
        features: of the parts in the order of `PartFusion.PARTS`, (3, 2, B, 128).
        labels: 0-based, (2, B) int64.
        people: P.
        config: the loss.
    """
    fusion = PartFusion()
    classifier = nn.Linear(FEATURE, people)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    parameters = [*fusion.parameters(), *classifier.parameters()]
    optimiser = torch.optim.Adam(parameters, LEARNING_RATE)
    # A copy: these were made in inference mode, which autograd may not save.
    features = features.flatten(1, 2).clone()
    for _ in range(UPDATES):
        optimiser.zero_grad()
        fused = fusion(features)  # (2·B, 128)
        terms = pair_loss(fused, classifier(fused), labels.flatten(), config)
        torch.autograd.backward(terms.total)
        optimiser.step()
    return fusion


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

    Returns:
        After how many updates they were; of equals the earliest.
    """
    chosen = np.array(run.tracklets(store, run.facts.held_out))
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
