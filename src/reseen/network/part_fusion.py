"""Learning W_u, W_l and W_g of eq. (10), on people whom the three networks have not seen."""

import torch
from torch import Tensor, nn

from reseen.data.clips import FrameReader, PairSampler
from reseen.data.store import FrameStore
from reseen.network.checkpoint import Run
from reseen.network.config import LossConfig
from reseen.network.embed import CLIPS_AT_ONCE, clip_features
from reseen.network.losses import pair_loss
from reseen.network.model import FEATURE, PartFusion

PAIRS = 128
"""Pairs of held-out people that the weights are learned on."""

UPDATES = 400
LEARNING_RATE = 0.05


def learn_part_fusion(run: Run, store: FrameStore, device: torch.device) -> PartFusion:
    """Learn the three weights with the networks frozen and the loss of eq. (9).

    The networks' features of their own training people saturate, so held-out people are used,
    with a classifier of their own.

    Args:
        run: with trained networks of all parts.
        store: the store that it was trained on.
        device: where to compute.
    """
    held_out = set(run.facts.held_out)
    tracklets = [
        index
        for index in store.split(run.facts.trial).train
        if int(store.persons[index]) in held_out
    ]
    sampler = PairSampler(
        store,
        tracklets,
        CLIPS_AT_ONCE // 2,
        run.config.clips.frames,
        run.config.clips.start,
        run.facts.seed,
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
